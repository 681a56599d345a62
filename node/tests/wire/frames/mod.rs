//! Frames and answers: what closes a connection and what does not.

mod closing;
mod fields;
mod living;
