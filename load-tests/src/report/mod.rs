//! What a run came to, as files: one page for a browser, JSON with everything, JUnit for CI.

mod cost;
mod files;
mod html;
mod junit;
mod machine;
mod model;
pub mod number;
pub(crate) mod table;

pub use cost::Costs;
pub use files::{Written, read, write};
pub use model::{
    Check, Cost, FORMAT, Held, Machine, Mark, PhaseReport, Point, Quantiles, Report, Run, Series,
};
pub use table::plain;
