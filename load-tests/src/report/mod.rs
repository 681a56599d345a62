//! What a run came to, as files: one page for a browser, JSON with everything, JUnit for CI.

mod model;

pub use model::{Check, Cost, FORMAT, Machine, Mark, PhaseReport, Point, Quantiles, Report, Run, Series};
