//! The `load-tests` command.
fn main() {}
