//! The built binary: what it prints, how it starts, how it ends.

mod commands;
mod leaving;
mod start;
