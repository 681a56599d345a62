//! What a node tells about itself.

pub(crate) mod logs;
pub(crate) mod metrics;
