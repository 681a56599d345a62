//! The command line: which action, which configuration, which exit code.

use std::{ffi::OsString, path::PathBuf};

use node::{
    cli::{self, Action, CliError, Invocation},
    config::{LogFormat, StoreUrl},
};

fn parse(line: &[&str], environment: &[(&str, &str)]) -> Result<Invocation, CliError> {
    cli::parse_from(
        std::iter::once("node")
            .chain(line.iter().copied())
            .map(OsString::from),
        environment
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
        PathBuf::from("/nonexistent"),
    )
}

#[test]
fn every_command_is_an_action_and_none_is_to_run() {
    for (line, action) in [
        (&[][..], Action::Run),
        (&["config"], Action::PrintConfig),
        (&["migrate"], Action::Migrate),
        (&["new-epoch"], Action::NewEpoch),
        (
            &["make-administrator", "Ada", "--password-stdin"],
            Action::MakeAdministrator {
                name: "Ada".to_owned(),
                password_stdin: true,
            },
        ),
        (&["healthcheck"], Action::Healthcheck),
    ] {
        assert_eq!(parse(line, &[]).unwrap().action, action, "{line:?}");
    }
}

#[test]
fn flags_win_over_the_environment_before_and_behind_the_command() {
    let environment = [
        ("HUBBUB__HTTP__LISTEN", "127.0.0.1:1"),
        ("HUBBUB__DRAIN__SECONDS", "7"),
    ];
    let line = [
        "--listen",
        "127.0.0.1:2",
        "config",
        "--private-listen=127.0.0.1:3",
        "--store-url",
        "sqlite://x.db",
        "--bus-url",
        "redis://127.0.0.1",
        "--data-dir",
        "elsewhere",
        "--log-format",
        "json",
        "--log-level",
        "warn",
        "--set",
        "limits.outbox_bytes=8192",
        "--set",
        "node.name=a",
        "--set",
        "http.listen=127.0.0.1:4",
    ];
    let Invocation { action, config } = parse(&line, &environment).unwrap();
    assert_eq!(action, Action::PrintConfig);
    assert_eq!(config.http.listen.port(), 2, "a flag of its own wins over --set");
    assert_eq!(config.http.private_listen.port(), 3);
    assert_eq!(config.store.url, StoreUrl::Sqlite("x.db".into()));
    assert_eq!(config.bus.url.to_string(), "redis://127.0.0.1");
    assert_eq!(config.data_dir, PathBuf::from("elsewhere"));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.level, "warn");
    assert_eq!(config.limits.outbox_bytes, 8192);
    assert_eq!(config.node.name.as_deref(), Some("a"));
    assert_eq!(config.drain.seconds, 7);
}

#[test]
fn help_and_version_are_no_failure_and_mistakes_are_2() {
    for (line, code, told) in [
        (&["--help"][..], 0, "HUBBUB__SECTION__KEY"),
        (&["--version"], 0, env!("CARGO_PKG_VERSION")),
        (&["--lisen", "x"], 2, "--listen"),
        (&["serve"], 2, "serve"),
        (&["--set", "drain.seconds"], 2, "SECTION.KEY=VALUE"),
        (
            &["--listen", "here"],
            2,
            "http.listen = \"here\" (flag --listen): must be",
        ),
        (&["--set", "drain.second=1"], 2, "did you mean `drain.seconds`?"),
        (&["--config", "/nonexistent/hubbub.toml"], 2, "cannot be read"),
    ] {
        let error = parse(line, &[]).expect_err(told);
        assert_eq!(error.exit_code(), code, "{line:?}");
        assert!(error.to_string().contains(told), "{told:?} is not in {error}");
    }
}
