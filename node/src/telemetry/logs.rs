//! The log: lines for people or JSON for machines, on standard error.

use std::io::{self, IsTerminal};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, fmt::MakeWriter, fmt::time::ChronoUtc, layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// RFC 3339, UTC, milliseconds.
const TIMESTAMP: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";

/// Libraries whose traces show what passes through them: whole frames, and with them tokens and what people write. They are
/// not traced, whatever `log.level` says.
const NEVER_TRACED: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// `log.level` is no filter.
    #[error("must be off, error, warn, info, debug or trace, or a list such as `info,node::http=debug`; {0}")]
    Filter(String),
    /// This process has a log already.
    #[error("the log is set up already")]
    Twice,
}

/// Starts logging to standard error for the whole process. Colours are used only for text on a terminal.
///
/// # Errors
/// When the filter is wrong, or when it was called before.
pub(crate) fn init(log: &Log) -> Result<(), LogError> {
    subscriber(log, io::stderr, io::stderr().is_terminal())?
        .try_init()
        .map_err(|_| LogError::Twice)
}

/// Checks a filter without using it.
///
/// # Errors
/// With [`LogError::Filter`].
pub(crate) fn check_filter(filter: &str) -> Result<(), LogError> {
    parse_filter(filter).map(drop)
}

fn subscriber<W>(log: &Log, writer: W, colours: bool) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = parse_filter(&log.level)?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_timer(ChronoUtc::new(TIMESTAMP.to_owned()));
    let discreet = filter_fn(|event| {
        let source = event.target().split("::").next().unwrap_or_default();
        *event.level() < LevelFilter::TRACE || !NEVER_TRACED.contains(&source)
    });
    let registry = tracing_subscriber::registry().with(filter).with(discreet);
    Ok(match log.format {
        LogFormat::Text => Box::new(registry.with(layer.with_ansi(colours))),
        LogFormat::Json => Box::new(registry.with(layer.json().flatten_event(true).with_current_span(false))),
    })
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    let directives: Vec<&str> = filter.split(',').map(str::trim).collect();
    for directive in &directives {
        // A lone word that is no level would be taken for a target and silence everything else, and nothing for `error`.
        let is_level = !directive.is_empty() && directive.parse::<LevelFilter>().is_ok();
        if !is_level && !directive.contains(['=', '[']) {
            return Err(LogError::Filter(format!("`{directive}` is no level")));
        }
    }
    EnvFilter::builder()
        .parse(directives.join(","))
        .map_err(|e| LogError::Filter(e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while two lines are logged inside of a span, with `info` in force.
    fn logged(format: LogFormat) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = Log {
            format,
            level: "info".to_owned(),
        };
        let subscriber = subscriber(&log, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("join", room = "lobby").entered();
            tracing::warn!(members = 3, "it is \"full\"\nnow");
            tracing::debug!("below the level");
        });
        let bytes = buffer.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line_with_fields_and_spans() {
        let text = logged(LogFormat::Json);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "it is \"full\"\nnow");
        assert_eq!(line["members"], 3);
        assert_eq!(line["target"], "node::telemetry::logs::tests");
        assert_eq!(line["spans"][0]["room"], "lobby", "{text}");
        let timestamp = line["timestamp"].as_str().unwrap();
        assert_eq!(timestamp.len(), "2026-01-02T03:04:05.678Z".len(), "{timestamp}");
        assert!(
            timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T',
            "{timestamp}"
        );
    }

    #[test]
    fn text_has_the_same_without_colours() {
        let text = logged(LogFormat::Text);
        for part in ["WARN", "join", "room=\"lobby\"", "members=3"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains('\x1b') && !text.contains("below"), "{text}");
    }

    #[test]
    fn filters_are_levels_or_targets_with_levels() {
        for good in ["off", "info", "DEBUG", "warn,node::http=trace", "info, hyper=off"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for bad in ["", "loud", "inof", "info,", "node=loud", "info,hyper"] {
            let error = check_filter(bad).unwrap_err().to_string();
            assert!(error.contains("must be off, error, warn"), "{bad}: {error}");
        }
    }
}
