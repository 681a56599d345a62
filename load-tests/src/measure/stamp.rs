//! When a message was due, inside its text: so that whoever is shown it knows how long it took, in whichever process.

/// Begins a stamped text.
const MARK: char = '@';

/// A text that begins with the time at which it was due, in Unix microseconds.
pub fn stamp(due_us: u64, text: &str) -> String {
    format!("{MARK}{due_us:x} {text}")
}

/// The time of a stamped text; `None` for any other text.
pub fn stamped_us(text: &str) -> Option<u64> {
    let (digits, _) = text.strip_prefix(MARK)?.split_once(' ')?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_other_texts_have_none() {
        assert_eq!(
            stamped_us(&stamp(1_790_000_000_123_456, "hello @you")),
            Some(1_790_000_000_123_456)
        );
        assert_eq!(stamped_us(&stamp(0, "")), Some(0));
        for text in ["", "@", "hello", "12 hello", "@12", "@xyz hello"] {
            assert_eq!(stamped_us(text), None, "{text}");
        }
    }
}
