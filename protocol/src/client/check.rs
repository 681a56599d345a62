//! The rules for single fields, for whoever takes them in: the WebSocket and HTTP.

use super::{Invalid, Page, PageBound};
use crate::{
    ErrorCode,
    limits::{DEFAULT_HISTORY_EVENTS, MAX_HISTORY_EVENTS, MAX_SEQ, MAX_TEXT_BYTES},
};

/// Checks the text of a message: not only white space, no NUL, at most [`MAX_TEXT_BYTES`].
///
/// # Errors
/// With `too_large` or `bad_request`.
pub fn check_text(text: &str) -> Result<(), Invalid> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Invalid {
            code: ErrorCode::TooLarge,
            message: format!(
                "`text`: {} bytes, at most {MAX_TEXT_BYTES} are allowed",
                text.len()
            ),
        });
    }
    if text.contains('\0') {
        return Err(Invalid::field("text", "must not contain NUL"));
    }
    if text.chars().all(char::is_whitespace) {
        return Err(Invalid::field("text", "must not be empty or only white space"));
    }
    Ok(())
}

/// Checks a short text (`cid`, `emoji`, a name): 1 to `max` bytes, no control characters.
///
/// # Errors
/// With `bad_request`, naming `field`.
pub fn check_label(field: &str, text: &str, max: usize) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > max {
        return Err(Invalid::field(
            field,
            format_args!("must be 1 to {max} bytes, has {}", text.len()),
        ));
    }
    if text.bytes().any(|b| b < 0x20) {
        return Err(Invalid::field(field, "must not contain control characters"));
    }
    Ok(())
}

/// Checks the bounds and the limit of a page of history.
///
/// # Errors
/// With `bad_request`, naming the field.
pub fn check_page(before: Option<u64>, after: Option<u64>, limit: Option<u64>) -> Result<Page, Invalid> {
    let limit = limit.unwrap_or(DEFAULT_HISTORY_EVENTS);
    if !(1..=MAX_HISTORY_EVENTS).contains(&limit) {
        return Err(Invalid::field("limit", range_rule(1, MAX_HISTORY_EVENTS)));
    }
    let bound = match (before, after) {
        (Some(_), Some(_)) => return Err(Invalid::field("after", "cannot be combined with `before`")),
        (Some(before), None) => PageBound::Before(in_range("before", before, 1, MAX_SEQ)?),
        (None, Some(after)) => PageBound::After(in_range("after", after, 0, MAX_SEQ)?),
        (None, None) => PageBound::Newest,
    };
    Ok(Page { bound, limit })
}

pub(super) fn in_range(name: &str, value: u64, min: u64, max: u64) -> Result<u64, Invalid> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(Invalid::field(name, range_rule(min, max)))
    }
}

pub(super) fn range_rule(min: u64, max: u64) -> String {
    format!("must be an integer from {min} to {max}")
}
