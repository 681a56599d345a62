//! What a node tells about itself.

pub mod logs;
pub(crate) mod metrics;
