//! The built binary: what it prints, how it starts, how it ends.

mod commands;
mod files;
mod leaving;
mod start;
