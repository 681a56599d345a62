//! The `node` command.
fn main() {}
