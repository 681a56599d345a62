//! The bytes that fuzzing found worth keeping (`fuzz/kept`, a line of hexadecimal each), once more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::{fs, path::Path};

#[path = "../fuzz/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&[u8])) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/kept/{target}.hex"));
    let kept = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for line in kept.lines() {
        // Shown when the check fails.
        println!("{line}");
        check(&bytes(line));
    }
    let count = kept.lines().count();
    assert!(count > 50, "{target}: only {count} are kept");
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn client_json() {
    replay("client_json", checks::client_json);
}

#[test]
fn client_msgpack() {
    replay("client_msgpack", checks::client_msgpack);
}

#[test]
fn server_frame() {
    replay("server_frame", checks::server_frame);
}

#[test]
fn node_frame() {
    replay("node_frame", checks::node_frame);
}
