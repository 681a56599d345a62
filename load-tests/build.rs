//! Tells a release build which commit it is made of, where that can be known. Debug builds are made again at every turn and
//! do without.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let Some(commit) = git(&["rev-parse", "HEAD"]) else {
        return;
    };
    // Moves with every commit and every change of branch.
    if let Some(moves) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={moves}");
    }
    for sources in ["src", "../protocol/src", "../actors/src", "../node/src"] {
        println!("cargo::rerun-if-changed={sources}");
    }
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let changed = changed.is_some_and(|files| !files.is_empty());
    println!(
        "cargo::rustc-env=HUBBUB_COMMIT={commit}{}",
        if changed { " with changes" } else { "" }
    );
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
