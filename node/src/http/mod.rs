//! The HTTP edge.

pub mod ui;
