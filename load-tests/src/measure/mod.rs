//! What a run is measured by: counters and histograms that clients add to while they run, and the record of a whole run
//! that is made of them.
//!
//! ```text
//! clients ──> Meter ──take()──> Sample, each second, from every process ──> Recording ──> Snapshot (view), Report (files)
//! ```

mod meter;
mod recording;
mod sample;
mod stamp;
mod usage;

pub use meter::Meter;
pub use recording::{NodeNow, Recording, Snapshot};
pub use sample::{Counts, Latencies, Sample, Timing};
pub use stamp::{stamp, stamped_us};
pub use usage::Usage;
