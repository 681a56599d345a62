//! Attempts to get around what one may do.

mod owners;
mod private_rooms;
mod slow_mode;
mod texts;
