//! A Hubbub node.
