//! The tables of `docs/rights.md`.

/// One cell: who, what, where, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The table's heading, such as `Public rooms`.
    pub(crate) table: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) who: &'static str,
    /// `yes`, or the code of the refusal.
    pub(crate) said: &'static str,
    /// What the same table says of the same person's reading.
    pub(crate) read: &'static str,
}

/// Every cell but those that do not occur.
pub(crate) fn cells() -> Vec<Cell> {
    let mut found: Vec<Cell> = Vec::new();
    let (mut table, mut columns, mut read) = ("", Vec::new(), Vec::new());
    for line in include_str!("../../../../docs/rights.md").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            (table, columns) = (heading, Vec::new());
        }
        if !line.starts_with("| ") || !table.ends_with(" rooms") {
            continue;
        }
        let row: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if columns.is_empty() {
            columns = row;
            continue;
        }
        if row[0] == "read" {
            read.clone_from(&row);
        }
        let cells = (1..row.len()).filter(|&column| row[column] != "–");
        found.extend(cells.map(|column| Cell {
            table,
            operation: row[0],
            who: columns[column],
            said: row[column],
            read: read[column],
        }));
    }
    found
}
