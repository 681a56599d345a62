//! The recorder behind `/metrics`.

use std::time::Duration;

use actors::metrics::Metrics;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// What is measured is kept one by one until it is sorted into its buckets, so often or with every scrape.
const SORT_EVERY: Duration = Duration::from_secs(5);

/// Bounds of the buckets for times, in seconds: from a commit on a local disk to a store in trouble.
const SECONDS: [f64; 14] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Bounds of the buckets for counts.
const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// A recorder of its own for one node, with every metric registered.
///
/// # Errors
/// Never with the bounds above; the builder's error is passed on all the same.
pub(crate) fn recorder() -> Result<(Metrics, PrometheusHandle), BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, unit) in Metrics::HISTOGRAMS {
        let bounds: &[f64] = if *unit == metrics::Unit::Seconds {
            &SECONDS
        } else {
            &COUNTS
        };
        builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)?;
    }
    let recorder = builder.build_recorder();
    let metrics = Metrics::register(&recorder);
    Ok((metrics, recorder.handle()))
}

/// Sorts what was measured into its buckets until `closing`. Without it a node that nobody scrapes would keep every
/// single measurement.
pub(crate) async fn sort(metrics: PrometheusHandle, closing: CancellationToken) {
    while closing
        .run_until_cancelled(tokio::time::sleep(SORT_EVERY))
        .await
        .is_some()
    {
        metrics.run_upkeep();
    }
}
