//! Reading one value, whether a file gave it with its type or the environment or a flag as text.
//!
//! The `config` crate alone would take `1.5` and `true` for an integer; here only the written form of the type will do.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::urls::mask;

/// A value as it was given.
enum Given {
    Nothing,
    Switch(bool),
    Integer(i64),
    Text(String),
    List(Vec<Given>),
    /// A fraction or a table, which no key takes.
    Other,
}

/// `true` or `false`.
pub(super) fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Given::deserialize(deserializer)? {
        Given::Switch(on) => Ok(on),
        Given::Text(text) => text.parse().map_err(|_| wrong("must be true or false")),
        _ => Err(wrong("must be true or false")),
    }
}

/// An integer from `MIN` to `MAX`, both of which `T` can hold.
pub(super) fn integer<'de, const MIN: u64, const MAX: u64, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let number = match Given::deserialize(deserializer)? {
        Given::Integer(number) => u64::try_from(number).ok(),
        Given::Text(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (MIN..=MAX).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| wrong(format_args!("must be an integer from {MIN} to {MAX}")))
}

/// A text that `read` understands.
pub(super) fn text<'de, D, T>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    match Given::deserialize(deserializer)? {
        Given::Text(text) => read(&text).map_err(wrong),
        other => Err(wrong(no_text(&other, read))),
    }
}

/// As [`text`]; an empty one is none.
pub(super) fn optional<'de, D, T>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
{
    match Given::deserialize(deserializer)? {
        Given::Nothing => Ok(None),
        Given::Text(text) if text.is_empty() => Ok(None),
        Given::Text(text) => read(&text).map(Some).map_err(wrong),
        other => Err(wrong(no_text(&other, read))),
    }
}

/// A list of texts that `read` understands, or one text that separates them by commas.
pub(super) fn list<'de, D, T>(
    deserializer: D,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
{
    let items = match Given::deserialize(deserializer)? {
        Given::Text(text) => split(&text),
        Given::List(items) => items
            .into_iter()
            .map(|item| match item {
                Given::Text(text) => Ok(text),
                other => Err(wrong(format_args!("each item {}", no_text(&other, &read)))),
            })
            .collect::<Result<_, _>>()?,
        _ => {
            return Err(wrong(
                "must be a list of texts, or one text with commas between them",
            ));
        }
    };
    items
        .iter()
        .map(|item| read(item).map_err(|rule| wrong(format_args!("the item {:?} {rule}", mask(item)))))
        .collect()
}

fn split(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| item.trim().to_owned()).collect()
}

/// What is said about a value that is no text: what a text would have to be.
fn no_text<T>(given: &Given, read: impl FnOnce(&str) -> Result<T, String>) -> String {
    let shown = match given {
        Given::Integer(number) => number.to_string(),
        Given::Switch(on) => on.to_string(),
        Given::Nothing | Given::Text(_) | Given::List(_) | Given::Other => String::new(),
    };
    read(&shown)
        .err()
        .unwrap_or_else(|| "must be a text, in quotes".to_owned())
}

fn wrong<E: de::Error>(rule: impl fmt::Display) -> E {
    E::custom(rule)
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Given, E> {
        Ok(Given::Nothing)
    }

    fn visit_bool<E>(self, on: bool) -> Result<Given, E> {
        Ok(Given::Switch(on))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Given, E> {
        Ok(Given::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Given, E> {
        Ok(i64::try_from(number).map_or(Given::Other, Given::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Given, E> {
        Ok(Given::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Given, E> {
        Ok(Given::Text(text.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Given, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Given::List(list))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Given, A::Error> {
        while entries.next_entry::<String, de::IgnoredAny>()?.is_some() {}
        Ok(Given::Other)
    }
}
