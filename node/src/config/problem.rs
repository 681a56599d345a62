//! What is wrong with a configuration, told so that it can be put right.

use std::fmt;

use super::urls::mask;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `http.listen`; empty where a file as a whole is meant.
    pub key: String,
    /// What was given, with secrets masked.
    pub value: Option<String>,
    /// Who gave it: a file, an environment variable, a flag.
    pub origin: String,
    /// What is wrong, and what is allowed.
    pub rule: String,
}

impl Problem {
    /// About one key. `value` is masked here.
    pub(super) fn with_value(key: &str, value: &str, origin: &str, rule: impl Into<String>) -> Self {
        let lower = key.to_ascii_lowercase();
        let secret = ["password", "secret", "token"]
            .iter()
            .any(|word| lower.contains(word))
            // Where a secret lies is none.
            && !lower.ends_with("_file");
        Self {
            key: key.to_owned(),
            value: Some(if secret { "***".to_owned() } else { mask(value) }),
            origin: origin.to_owned(),
            rule: rule.into(),
        }
    }

    /// About a source as a whole.
    pub(super) fn with_source(origin: &str, rule: impl Into<String>) -> Self {
        Self {
            key: String::new(),
            value: None,
            origin: origin.to_owned(),
            rule: rule.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value:?} ({}): {}", self.key, self.origin, self.rule),
            None => write!(f, "{}: {}", self.origin, self.rule),
        }
    }
}

/// Everything that was found to be wrong; at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a problem:")?,
            n => write!(f, "the configuration has {n} problems:")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

/// Says that there is no such key, and which one may have been meant.
pub(super) fn unknown_key(key: &str, known: &[String]) -> String {
    let inside = format!("{key}.");
    let in_section: Vec<&str> = known.iter().filter_map(|k| k.strip_prefix(&inside)).collect();
    if !in_section.is_empty() {
        return format!(
            "is a section, not a key; it has the keys {}",
            in_section.join(", ")
        );
    }
    match nearest(key, known) {
        Some(meant) => format!("there is no such key; did you mean `{meant}`?"),
        None => "there is no such key; `node config` prints those that there are".to_owned(),
    }
}

fn nearest<'k>(key: &str, known: &'k [String]) -> Option<&'k str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let misplaced = known.iter().find(|k| last(k) == last(key));
    let misspelt = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(k, key), k))
        .filter(|(distance, k)| *distance * 4 <= k.len())
        .min();
    misspelt.map(|(_, k)| k).or(misplaced).map(String::as_str)
}
