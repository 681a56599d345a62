//! Reading journals.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::{EXTENSION, Entry, VERSION, What};

/// The journals in `folder`, by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The entries of one journal, read as they are asked for.
pub struct Entries {
    path: PathBuf,
    decoder: rmp_serde::Deserializer<rmp_serde::decode::ReadReader<BufReader<File>>>,
    first: Option<Entry>,
    failed: bool,
}

impl Entries {
    /// Opens a journal.
    ///
    /// # Errors
    /// When it cannot be read, is none, or of another version.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut entries = Self {
            path: path.to_owned(),
            decoder: rmp_serde::Deserializer::new(BufReader::with_capacity(256 * 1024, file)),
            first: None,
            failed: false,
        };
        match entries.read() {
            Some(Ok(
                entry @ Entry {
                    what: What::Header { version: VERSION },
                    ..
                },
            )) => entries.first = Some(entry),
            Some(Ok(Entry {
                what: What::Header { version },
                ..
            })) => bail!("{} is of version {version}, this reads {VERSION}", path.display()),
            _ => bail!("{} is no journal of clients", path.display()),
        }
        Ok(entries)
    }

    fn read(&mut self) -> Option<anyhow::Result<Entry>> {
        match self.decoder.get_mut().fill_buf() {
            Ok([]) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error).context(format!("cannot read {}", self.path.display()))),
        }
        let entry = Entry::deserialize(&mut self.decoder);
        Some(entry.with_context(|| format!("{} is damaged or cut short", self.path.display())))
    }
}

impl Iterator for Entries {
    type Item = anyhow::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.failed {
            return None;
        }
        let entry = self.read();
        self.failed = matches!(entry, Some(Err(_)));
        entry
    }
}
