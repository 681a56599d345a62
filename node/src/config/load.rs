//! From the sources to the tree: defaults, a file, the environment, flags; the later one wins.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use config::{FileFormat, Value, ValueKind};
use serde::Deserialize;

use super::{Config, Problem, Problems, problem::unknown_key, urls::StoreUrl};

/// Environment variables of the tree begin with this; `__` stands between section and key.
const PREFIX: &str = "HUBBUB__";

/// Where a configuration may come from, besides its defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that a flag names. Without it `HUBBUB_CONFIG` names the file, and without that it is
    /// `hubbub.toml` in [`folder`](Self::folder), if there is one.
    pub file: Option<PathBuf>,
    /// Where to look for `hubbub.toml`: the working folder.
    pub folder: PathBuf,
    /// All environment variables.
    pub environment: Vec<(OsString, OsString)>,
    /// What flags say, in order.
    pub flags: Vec<Assignment>,
}

/// A key and its value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The key, such as `http.listen`.
    pub key: String,
    /// Its value, as an environment variable would hold it.
    pub value: String,
    /// Who says so, for error messages.
    pub origin: String,
}

/// Puts the configuration together and checks all of it. Reads files, opens nothing else.
///
/// # Errors
/// With everything that is wrong, as far as it can be told at once.
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let mut given = Given::new();
    match file_layer(sources) {
        Ok(leaves) => given.extend(leaves),
        Err(problem) => problems.push(problem),
    }
    for assignment in environment_layer(&sources.environment, &mut problems)
        .iter()
        .chain(&sources.flags)
    {
        let leaf = (
            Value::new(None, assignment.value.as_str()),
            assignment.origin.clone(),
        );
        given.insert(assignment.key.clone(), leaf);
    }

    let defaults = derived_defaults(&given);
    let known: Vec<String> = defaults.keys().cloned().collect();
    for (key, (value, origin)) in &given {
        if !known.contains(key) {
            problems.push(Problem::with_value(
                key,
                &shown(value),
                origin,
                unknown_key(key, &known),
            ));
        } else if let Err(rule) = tree(&defaults, [(key, value)]) {
            problems.push(Problem::with_value(key, &shown(value), origin, rule));
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }

    let config = tree(&defaults, given.iter().map(|(key, (value, _))| (key, value)))
        .map_err(|rule| Problems(vec![Problem::with_source("the configuration", rule)]))?;
    check_together(&config, &given)?;
    Ok(config)
}

/// Every key with its value in `config`; a key without one is there too.
pub(super) fn defaults(config: &Config) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    // The tree is made of maps, texts, numbers and switches, which always have a form in JSON.
    if let Ok(Ok(root)) = serde_json::to_value(config).map(Value::deserialize) {
        flatten("", &root, &mut |key, value| {
            leaves.insert(key, value.clone());
        });
    }
    leaves
}

/// What was given: key to value and origin.
type Given = BTreeMap<String, (Value, String)>;

fn derived_defaults(given: &Given) -> BTreeMap<String, Value> {
    let text = |key: &str| {
        given
            .get(key)
            .and_then(|(value, _)| value.clone().into_string().ok())
    };
    let data_dir = text("data_dir").map_or_else(|| Config::default().data_dir, PathBuf::from);
    let store = text("store.url").and_then(|url| StoreUrl::parse(&url).ok());
    let in_folder = StoreUrl::in_folder(&data_dir);
    let mut config = Config::derived(&data_dir, store.as_ref().unwrap_or(&in_folder));
    config.store.url = in_folder;
    defaults(&config)
}

/// The tree that `given` makes over `defaults`, or why there is none.
fn tree<'g>(
    defaults: &BTreeMap<String, Value>,
    given: impl IntoIterator<Item = (&'g String, &'g Value)>,
) -> Result<Config, String> {
    let mut builder = config::Config::builder();
    for (key, value) in defaults {
        builder = builder.set_default(key, value.clone()).map_err(|e| reason(&e))?;
    }
    for (key, value) in given {
        builder = builder.set_override(key, value.clone()).map_err(|e| reason(&e))?;
    }
    builder
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|e| reason(&e))
}

/// The rule that was broken, without the wrapping that names key and origin.
fn reason(error: &config::ConfigError) -> String {
    match error {
        config::ConfigError::At { error, .. } => reason(error),
        other => other.to_string(),
    }
}

fn file_layer(sources: &Sources) -> Result<Given, Problem> {
    let variable = sources
        .environment
        .iter()
        .find(|(name, value)| name == "HUBBUB_CONFIG" && !value.is_empty());
    let (path, named_by) = match (&sources.file, variable) {
        (Some(path), _) => (path.clone(), " (named by --config)"),
        (None, Some((_, path))) => (path.into(), " (named by HUBBUB_CONFIG)"),
        (None, None) => {
            let path = sources.folder.join("hubbub.toml");
            if !path.exists() {
                return Ok(Given::new());
            }
            (path, "")
        }
    };
    let origin = format!("file {}", path.display());
    let text = fs::read_to_string(&path)
        .map_err(|e| Problem::with_source(&format!("{origin}{named_by}"), format!("cannot be read: {e}")))?;
    parse_file(&text, &origin)
}

fn parse_file(text: &str, origin: &str) -> Result<Given, Problem> {
    let broken = |e: config::ConfigError| {
        Problem::with_source(origin, format!("is no valid TOML: {}", syntax(e, text)))
    };
    let root = config::Config::builder()
        .add_source(config::File::from_str(text, FileFormat::Toml))
        .build()
        .map_err(broken)?
        .cache;
    let mut leaves = Given::new();
    flatten("", &root, &mut |key, value| {
        leaves.insert(key, (value.clone(), origin.to_owned()));
    });
    Ok(leaves)
}

/// What is wrong with the syntax, and where. The line itself is not shown: it may hold a password.
fn syntax(error: config::ConfigError, text: &str) -> String {
    let config::ConfigError::FileParse { cause, .. } = error else {
        return "it cannot be parsed".to_owned();
    };
    match cause.downcast::<toml::de::Error>() {
        Ok(error) => {
            let before = error.span().and_then(|span| text.get(..span.start));
            match before {
                Some(before) => format!("line {}: {}", before.matches('\n').count() + 1, error.message()),
                None => error.message().to_owned(),
            }
        }
        Err(_) => "a number is out of range".to_owned(),
    }
}

fn environment_layer(environment: &[(OsString, OsString)], problems: &mut Vec<Problem>) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (name, value) in environment {
        let name = name.to_string_lossy();
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let origin = format!("environment variable {name}");
        match value.to_str() {
            Some(value) => assignments.push(Assignment {
                key: path.to_lowercase().replace("__", "."),
                value: value.to_owned(),
                origin,
            }),
            None => problems.push(Problem::with_source(&origin, "must be UTF-8")),
        }
    }
    assignments
}

/// Calls `leaf` for all that is no table.
fn flatten(path: &str, value: &Value, leaf: &mut impl FnMut(String, &Value)) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (name, value) in table {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                flatten(&path, value, leaf);
            }
        }
        _ => leaf(path.to_owned(), value),
    }
}

fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        _ => value.clone().into_string().unwrap_or_default(),
    }
}

/// What is right key by key and still does not fit together.
fn check_together(config: &Config, given: &Given) -> Result<(), Problems> {
    let mut problems = Vec::new();
    let mut report = |key: &str, rule: &str| {
        let (value, origin) = given
            .get(key)
            .map_or((String::new(), "default"), |(value, origin)| {
                (shown(value), origin.as_str())
            });
        problems.push(Problem::with_value(key, &value, origin, rule));
    };
    if config.http.listen == config.http.private_listen && config.http.listen.port() != 0 {
        report(
            "http.private_listen",
            "must differ from http.listen: one is public, the other is not",
        );
    }
    if config.limits.pending_appends_node_bytes < config.limits.pending_appends_room_bytes {
        report(
            "limits.pending_appends_node_bytes",
            "must not be below limits.pending_appends_room_bytes: it holds for all rooms together",
        );
    }
    if let [_, second, ..] = config.auth.jwt.sources()[..] {
        report(
            second,
            "is one source of keys too many: give one of auth.jwt.secret, public_key_file, jwks_file, jwks_url",
        );
    }
    if let Some(file) = &config.store.password_file {
        if matches!(config.store.url, StoreUrl::Sqlite(_)) {
            report(
                "store.password_file",
                "is of use only with a store.url that begins with postgres://",
            );
        } else if config.store.url.has_password() {
            report(
                "store.password_file",
                "is a second password: leave out the one in store.url",
            );
        }
        if let Err(e) = open(file) {
            report("store.password_file", &format!("cannot be read: {e}"));
        }
    }
    if let Some(file) = &config.bus.ca_file {
        if !config.bus.url.is_tls() {
            report(
                "bus.ca_file",
                "is of use only with a bus.url that begins with rediss://",
            );
        }
        if let Err(e) = open(file) {
            report("bus.ca_file", &format!("cannot be read: {e}"));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Problems(problems))
    }
}

fn open(path: &Path) -> std::io::Result<()> {
    File::open(path)?.metadata().and_then(|meta| {
        if meta.is_file() {
            Ok(())
        } else {
            Err(std::io::Error::other("it is no file"))
        }
    })
}
