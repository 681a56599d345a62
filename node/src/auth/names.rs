//! Names of people: what they may be, and when two of them are too much alike.
//!
//! An account's name follows the PRECIS profile Nickname (RFC 8266) with the tables of present Unicode, where the RFC's own
//! end before most emoji: letters of any script, digits, symbols, single spaces inside; no controls, nothing invisible,
//! nothing unassigned or private. It is unique by its keys: two names are too much alike when they share one.

use protocol::limits::MAX_NAME_BYTES;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_security::skeleton;

/// What a name must be like, for error messages.
const RULE: &str = "must be 1 to 64 bytes of letters, digits, symbols and single spaces, nothing invisible";

/// A name that an account may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// As it is shown.
    pub(crate) text: String,
    /// What it is unique by; the first is what one signs in with.
    pub(crate) keys: Vec<String>,
}

impl Name {
    /// Brings a name into its form.
    ///
    /// # Errors
    /// When it may not be one; the text says what is allowed.
    pub(crate) fn new(text: &str) -> Result<Self, &'static str> {
        if text.len() > 4 * MAX_NAME_BYTES {
            return Err(RULE);
        }
        if !text.chars().all(is_allowed) {
            return Err(RULE);
        }
        // Compatibility forms first: some of them have spaces in them.
        let normal: String = text.nfkc().collect();
        let words: Vec<&str> = normal.split_whitespace().collect();
        let text = words.join(" ");
        let keys = keys(&text);
        if text.len() > MAX_NAME_BYTES || keys.iter().any(String::is_empty) {
            return Err(RULE);
        }
        Ok(Self { text, keys })
    }
}

/// The key by which the account of that name is found, however the name is written.
pub(crate) fn login_key(text: &str) -> String {
    squeezed(skeleton(&folded(text)))
}

/// The keys of any text. The first is the same for all ways to write a name in large and small letters; the other also
/// for names whose letters only look alike, such as the Cyrillic `ВОВ` and the Latin `bob`.
pub(crate) fn keys(text: &str) -> Vec<String> {
    let by_case = login_key(text);
    let shape: String = skeleton(text).collect();
    let by_shape = squeezed(skeleton(&folded(&shape)));
    if by_shape == by_case {
        vec![by_case]
    } else {
        vec![by_case, by_shape]
    }
}

/// Of PRECIS' FreeformClass.
fn is_allowed(c: char) -> bool {
    use GeneralCategory as Is;
    let category = c.general_category();
    !is_ignorable(c)
        && !matches!(
            category,
            Is::Control
                | Is::Format
                | Is::Unassigned
                | Is::PrivateUse
                | Is::Surrogate
                | Is::LineSeparator
                | Is::ParagraphSeparator
        )
}

/// Without compatibility forms, without the difference of large and small. Upper case first: only so `ß` and `ss`, `ſ`
/// and `s` become the same.
fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_uppercase().to_lowercase()
}

/// Without what cannot be seen.
fn squeezed(text: impl Iterator<Item = char>) -> String {
    text.filter(|c| !c.is_whitespace() && !c.is_control() && !is_ignorable(*c))
        .collect()
}

/// Unicode's property Default_Ignorable_Code_Point.
fn is_ignorable(c: char) -> bool {
    matches!(
        u32::from(c),
        0xAD | 0x34F
            | 0x61C
            | 0x115F..=0x1160
            | 0x17B4..=0x17B5
            | 0x180B..=0x180F
            | 0x200B..=0x200F
            | 0x202A..=0x202E
            | 0x2060..=0x206F
            | 0x3164
            | 0xFE00..=0xFE0F
            | 0xFEFF
            | 0xFFA0
            | 0xFFF0..=0xFFF8
            | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A
            | 0xE0000..=0xE0FFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(a: &str, b: &str) -> bool {
        let of_b = keys(b);
        keys(a).iter().any(|key| of_b.contains(key))
    }

    #[test]
    fn what_a_name_may_be() {
        for (given, text) in [
            ("Ada", "Ada"),
            ("  Ada   Lovelace ", "Ada Lovelace"),
            ("Łukasz Żółw", "Łukasz Żółw"),
            ("李小龍", "李小龍"),
            ("a", "a"),
            ("user_42.x-y", "user_42.x-y"),
            ("🦀 crab", "🦀 crab"),
            ("Ａｄａ", "Ada"),
        ] {
            assert_eq!(Name::new(given).map(|name| name.text).as_deref(), Ok(text));
        }
        let long = "x".repeat(65);
        for bad in [
            "",
            " ",
            "a\nb",
            "a\u{0}",
            "a\u{200B}b",
            "\u{202E}evil",
            "\u{AD}",
            "a\u{FE0F}",
            &long,
        ] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new(&"x".repeat(64)).is_ok());
        assert!(Name::new(&"x".repeat(100_000)).is_err());
    }

    #[test]
    fn which_names_are_too_much_alike() {
        for (a, b) in [
            ("Ada", "ADA"),
            ("Ada", "аdа"), // Cyrillic а
            ("paypal", "раураl"),
            ("ВОВ", "вов"),
            ("ВОВ", "bob"),
            ("Il", "ll"),
            ("IL", "ll"),
            ("il", "IL"),
            ("Straße", "STRASSE"),
            ("Ada Lovelace", "AdaLovelace"),
            ("Ada", "A\u{200B}da"),
            ("ＡＤＡ", "ada"),
            ("ﬁna", "fina"),
            ("René", "Rene\u{301}"),
        ] {
            assert!(alike(a, b), "{a} {:?} {b} {:?}", keys(a), keys(b));
        }
        for (a, b) in [
            ("Ada", "Eda"),
            ("Ann", "Anna"),
            ("René", "Rene"),
            ("u1x", "u2x"),
            ("bob", "rob"),
        ] {
            assert!(!alike(a, b), "{a} {:?} {b} {:?}", keys(a), keys(b));
        }
    }

    #[test]
    fn one_signs_in_however_the_name_is_written() {
        for (a, b) in [
            ("Ada Läufer", "ada läufer"),
            ("ΣΟΦΟΣ", "σοφος"),
            ("Straße", "straße"),
        ] {
            assert_eq!(login_key(a), login_key(b));
            assert_eq!(Name::new(a).unwrap().keys[0], login_key(b));
        }
    }
}
