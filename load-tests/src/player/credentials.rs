//! Credentials of the people of a run.

use std::path::Path;

use anyhow::{Context, ensure};

/// The lines of a file of credentials.
pub(crate) fn tokens(file: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let tokens: Vec<String> = lines.map(str::to_owned).collect();
    ensure!(!tokens.is_empty(), "there is no credential in {}", file.display());
    Ok(tokens)
}

/// The one of the person with this number: they are used in turn. `None`, a guest, if there are none.
pub(crate) fn token_in_turn(tokens: &[String], number: u32) -> Option<String> {
    tokens.get(number as usize % tokens.len().max(1)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_used_in_turn() {
        let tokens = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            [1, 2, 3].map(|number| token_in_turn(&tokens, number).unwrap()),
            ["b", "a", "b"]
        );
        assert_eq!(token_in_turn(&[], 1), None, "a guest");
    }
}
