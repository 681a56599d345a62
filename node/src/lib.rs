//! A Hubbub node.

pub mod bus;
