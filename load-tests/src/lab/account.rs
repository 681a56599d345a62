//! The unprivileged account that a server runs under when we are root.

use std::{ffi::OsStr, os::unix::fs::chown, path::Path, process::Command};

use anyhow::{Context, Result};

/// Some servers, Postgres among them, refuse to run as root.
#[derive(Debug, Clone)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account `preferred`, else `nobody`; `None` if we are not root and need none.
    pub(super) fn needed(preferred: &str) -> Result<Option<Self>> {
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        let find = |name| {
            Ok(Self {
                uid: id(&["-u", name])?,
                gid: id(&["-g", name])?,
            })
        };
        let account: Result<Self> = find(preferred).or_else(|_| find("nobody"));
        account.map(Some)
    }

    /// Makes a file or folder the account's own.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to user {}", path.display(), self.uid))
    }

    /// A command that runs `program` as the account.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={}", self.uid), format!("--regid={}", self.gid)]);
        command.args(["--clear-groups", "--"]).arg(program);
        command
    }
}

fn id(args: &[&str]) -> Result<u32> {
    let output = Command::new("id")
        .args(args)
        .output()
        .context("cannot run `id`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .with_context(|| format!("`id {}` says {text:?}", args.join(" ")))
}
