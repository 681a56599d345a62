//! Reports on disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::{FORMAT, Report, html, junit};

/// Where the files of a report are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One page for a browser that needs nothing beside it.
    pub html: PathBuf,
    /// Everything, for programs: what [`read`] takes.
    pub json: PathBuf,
    /// For CI.
    pub junit: PathBuf,
}

/// Writes `report.html`, `report.json` and `junit.xml` into a folder, which is made if there is none. Files of an earlier
/// report are replaced.
///
/// # Errors
/// When a file cannot be written; it says which.
pub fn write(report: &Report, folder: &Path) -> anyhow::Result<Written> {
    fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let written = Written {
        html: folder.join("report.html"),
        json: folder.join("report.json"),
        junit: folder.join("junit.xml"),
    };
    let json = serde_json::to_string(report).context("the report cannot be put into JSON")?;
    put(&written.json, &json)?;
    put(&written.html, &html::page(report))?;
    put(&written.junit, &junit::xml(report)?)?;
    Ok(written)
}

/// Reads a `report.json`.
///
/// # Errors
/// When it cannot be read, is no report, or is one of another format.
pub fn read(file: &Path) -> anyhow::Result<Report> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let shown = file.display();
    let text = fs::read(file).with_context(|| format!("the report {shown} cannot be read"))?;
    let head: Head = serde_json::from_slice(&text)
        .with_context(|| format!("{shown} is no report: a run writes one as report.json"))?;
    if head.format != FORMAT {
        bail!(
            "{shown} is a report of format {}, and this program reads format {FORMAT}: use the program of the same version",
            head.format
        );
    }
    serde_json::from_slice(&text).with_context(|| format!("{shown} is no whole report"))
}

fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}
