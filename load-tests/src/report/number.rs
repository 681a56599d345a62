//! Numbers as people read them: three digits that matter, thousands apart.

use chrono::{DateTime, Utc};

/// A count, with its thousands apart: `1,234,567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits that matter, and no fewer than stand before the point: `0.0123`, `1.23`, `12.3`, `1,234`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded and not negative"
)]
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = value.abs();
    let sign = if value < 0.0 { "−" } else { "" };
    if size >= 99.95 {
        return format!("{sign}{}", count(size.round() as u64));
    }
    if size == 0.0 {
        return "0".into();
    }
    let before_point = size.log10().floor() as i32;
    let decimals = usize::try_from(2 - before_point).unwrap_or(0).min(9);
    format!("{sign}{size:.decimals$}")
}

/// A value with its unit, in the larger unit where that reads better: `1.25 s` for 1,250 `ms`.
pub fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "" => short(value),
        "%" => format!("{} %", short(value)),
        "1/s" => format!("{}/s", short(value)),
        "ms" if value >= 1000.0 => format!("{} s", short(value / 1000.0)),
        "MiB" if value >= 1024.0 => format!("{} GiB", short(value / 1024.0)),
        "MiB" if value > 0.0 && value < 1.0 => format!("{} KiB", short(value * 1024.0)),
        _ => format!("{} {unit}", short(value)),
    }
}

/// A size in bytes, in the unit that fits.
pub fn bytes(value: f64) -> String {
    with_unit(value / f64::from(1 << 20), "MiB")
}

/// A time, as minutes and seconds if it is long.
pub fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{} s", short(seconds));
    }
    let minutes = (seconds / 60.0).floor();
    let rest = (seconds - minutes * 60.0).floor();
    if minutes < 60.0 {
        return format!("{minutes} min {rest} s");
    }
    let hours = (minutes / 60.0).floor();
    format!("{hours} h {} min", minutes - hours * 60.0)
}

/// A moment since the run began: `4:07`.
pub fn moment(seconds: f64) -> String {
    let whole = seconds.max(0.0).floor();
    let minutes = (whole / 60.0).floor();
    format!("{minutes}:{:02.0}", whole - minutes * 60.0)
}

/// A date and time of day, UTC.
pub fn date(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms)
        .ok()
        .and_then(DateTime::<Utc>::from_timestamp_millis);
    at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_default()
}

/// To sort names by: `node-10` comes behind `node-9`.
pub fn natural(name: &str) -> (&str, u64) {
    let word = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    (word, name[word.len()..].parse().unwrap_or(0))
}

/// A part of a whole; zero if there is no whole.
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A count, to be divided.
#[allow(clippy::cast_precision_loss, reason = "for people, who read three digits")]
pub fn real(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (0.012_34, "0.0123"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (99.94, "99.9"),
            (99.96, "100"),
            (1_234_567.8, "1,234,568"),
            (-3.0, "−3.00"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(short(value), text, "{value}");
        }
        assert_eq!((count(7), count(1000)), ("7".into(), "1,000".into()));
        assert_eq!(with_unit(1250.0, "ms"), "1.25 s");
        assert_eq!(with_unit(12.0, "1/s"), "12.0/s");
        assert_eq!(bytes(3.0 * 1024.0 * 1024.0 * 1024.0), "3.00 GiB");
        assert_eq!(bytes(512.0), "0.500 KiB");
    }

    #[test]
    fn names_are_sorted_by_their_numbers() {
        let mut names = ["i-10", "i-9", "clients", "i-"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["clients", "i-", "i-9", "i-10"]);
    }

    #[test]
    fn times_read_well() {
        assert_eq!(duration(2.5), "2.50 s");
        assert_eq!(duration(252.0), "4 min 12 s");
        assert_eq!(duration(7320.0), "2 h 2 min");
        assert_eq!(moment(247.9), "4:07");
        assert_eq!(date(1_790_000_000_000), "2026-09-21 14:13:20 UTC");
    }
}
