//! As much of Redis' protocol, versions 2 and 3, as finding the borders of values takes.

/// The bytes are not Redis' protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotResp;

/// Deepest nesting that is followed.
const MAX_DEPTH: u32 = 32;
/// Longest line with a length or a simple value, in bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The length of the value at the start of `bytes`, once all of it is there.
///
/// # Errors
/// When it is none.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, NotResp> {
    value(bytes, 0, 0)
}

/// Whether a whole value is a message to a subscriber: `message`, `pmessage` or `smessage`, as an array or a push.
pub(super) fn is_message(bytes: &[u8]) -> bool {
    let Some((b'*' | b'>', rest)) = bytes.split_first() else {
        return false;
    };
    let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
        return false;
    };
    let first = &rest[line + 2..];
    [
        &b"$7\r\nmessage\r\n"[..],
        b"$8\r\npmessage\r\n",
        b"$8\r\nsmessage\r\n",
    ]
    .iter()
    .any(|name| first.starts_with(name))
}

/// The end of the value that begins at `from`.
fn value(bytes: &[u8], from: usize, depth: u32) -> Result<Option<usize>, NotResp> {
    if depth > MAX_DEPTH {
        return Err(NotResp);
    }
    let Some(kind) = bytes.get(from) else {
        return Ok(None);
    };
    let Some((line, end)) = line(bytes, from + 1)? else {
        return Ok(None);
    };
    match kind {
        b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => Ok(Some(end)),
        b'$' | b'=' | b'!' => Ok(blob(bytes, number(line)?, end)),
        b'*' | b'>' | b'~' => values(bytes, number(line)?, end, depth),
        b'%' => values(bytes, number(line)?.saturating_mul(2), end, depth),
        // An attribute stands in front of the value that it belongs to.
        b'|' => match values(bytes, number(line)?.saturating_mul(2), end, depth)? {
            Some(end) => value(bytes, end, depth + 1),
            None => Ok(None),
        },
        _ => Err(NotResp),
    }
}

fn values(bytes: &[u8], count: i64, from: usize, depth: u32) -> Result<Option<usize>, NotResp> {
    let mut end = from;
    for _ in 0..count.max(0) {
        match value(bytes, end, depth + 1)? {
            Some(next) => end = next,
            None => return Ok(None),
        }
    }
    Ok(Some(end))
}

/// A length of -1 is the null of version 2.
fn blob(bytes: &[u8], length: i64, from: usize) -> Option<usize> {
    let Ok(length) = usize::try_from(length) else {
        return Some(from);
    };
    let end = from.checked_add(length)?.checked_add(2)?;
    (end <= bytes.len()).then_some(end)
}

fn line(bytes: &[u8], from: usize) -> Result<Option<(&[u8], usize)>, NotResp> {
    let rest = bytes.get(from..).unwrap_or_default();
    match rest
        .windows(2)
        .take(MAX_LINE_BYTES)
        .position(|two| two == b"\r\n")
    {
        Some(length) => Ok(Some((&rest[..length], from + length + 2))),
        None if rest.len() > MAX_LINE_BYTES => Err(NotResp),
        None => Ok(None),
    }
}

fn number(line: &[u8]) -> Result<i64, NotResp> {
    str::from_utf8(line)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(NotResp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &[&str] = &[
        "+OK\r\n",
        "-ERR no\r\n",
        ":12\r\n",
        ",1.5\r\n",
        "#t\r\n",
        "_\r\n",
        "(123\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "$0\r\n\r\n",
        "$5\r\na\r\nbc\r\n",
        "=7\r\ntxt:abc\r\n",
        "*0\r\n",
        "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
        "%1\r\n+a\r\n$1\r\nb\r\n",
        "~1\r\n:1\r\n",
        "|1\r\n+a\r\n:1\r\n+value\r\n",
        ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\n\r\n1\r\n",
    ];

    #[test]
    fn the_end_of_every_value_is_found_and_none_is_guessed() {
        for text in VALUES {
            let bytes = format!("{text}+behind\r\n").into_bytes();
            assert_eq!(length(&bytes), Ok(Some(text.len())), "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(length(&bytes[..cut]), Ok(None), "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_value_is_told_apart() {
        for text in ["GET /\r\n", "$x\r\n", "*1\r\nx\r\n", "\u{16}\u{3}\u{1}\r\n"] {
            assert_eq!(length(text.as_bytes()), Err(NotResp), "{text:?}");
        }
        let deep = "*1\r\n".repeat(100);
        assert_eq!(length(deep.as_bytes()), Err(NotResp));
    }

    #[test]
    fn messages_are_told_from_answers() {
        let message = |start: &str, name: &str| {
            format!("{start}3\r\n${}\r\n{name}\r\n$1\r\nc\r\n$1\r\nx\r\n", name.len()).into_bytes()
        };
        for name in ["message", "smessage", "pmessage"] {
            assert!(is_message(&message("*", name)));
            assert!(is_message(&message(">", name)));
        }
        assert!(!is_message(&message(">", "subscribe")));
        assert!(!is_message(b"+OK\r\n"));
        assert!(!is_message(b"*1\r\n$7\r\nMESSAGE\r\n"));
    }
}
