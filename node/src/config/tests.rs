//! What a configuration may be, what is said when it is wrong, and that the document tells the same.

use std::{collections::BTreeMap, fs, net::SocketAddr};

use config::ValueKind;

use super::{load::defaults, *};

/// Sources without a file; `environment` as `HUBBUB__…` names and values.
fn environment(environment: &[(&str, &str)]) -> Sources {
    Sources {
        folder: "/nonexistent".into(),
        environment: environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        ..Sources::default()
    }
}

/// The problem that `key = value` in the environment causes.
fn refusal(key: &str, value: &str) -> Problem {
    let name = format!("HUBBUB__{}", key.to_uppercase().replace('.', "__"));
    let problems = load(&environment(&[(&name, value)])).expect_err(&format!("{key} = {value} was taken"));
    let [problem] = &problems.0[..] else {
        panic!("{key} = {value}: one problem expected: {problems}");
    };
    assert_eq!(problem.key, key);
    assert_eq!(problem.origin, format!("environment variable {name}"));
    problem.clone()
}

/// A folder with `hubbub.toml`.
fn with_file(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hubbub.toml"), text).unwrap();
    let sources = Sources {
        folder: folder.path().to_owned(),
        ..Sources::default()
    };
    (folder, sources)
}

fn flag(key: &str, value: &str) -> Assignment {
    Assignment {
        key: key.to_owned(),
        value: value.to_owned(),
        origin: "flag --set".to_owned(),
    }
}

#[test]
fn nothing_given_gives_the_defaults() {
    let config = load(&environment(&[("PATH", "/bin"), ("HUBBUB_OTHER", "x")])).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.http.listen, "0.0.0.0:8080".parse::<SocketAddr>().unwrap());
    assert_eq!(
        config.store.url,
        StoreUrl::Sqlite("./hubbub-data/hubbub.db".into())
    );
    assert!(config.auth.guests && config.rooms.create_on_join);
}

#[test]
fn a_later_source_wins_key_by_key() {
    let (_folder, mut sources) = with_file(
        "data_dir = '/a'\n[drain]\nseconds = 1\n[log]\nformat = 'json'\nlevel = 'warn'\n[limits]\noutbox_bytes = 8192",
    );
    sources.environment = vec![
        ("HUBBUB__DRAIN__SECONDS".into(), "2".into()),
        ("HUBBUB__LOG__FORMAT".into(), "text".into()),
    ];
    sources.flags = vec![flag("drain.seconds", "3"), flag("drain.seconds", "4")];
    let config = load(&sources).unwrap();
    assert_eq!(config.drain.seconds, 4);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.log.level, "warn");
    assert_eq!(config.limits.outbox_bytes, 8192);
    assert_eq!(config.store.url, StoreUrl::Sqlite("/a/hubbub.db".into()));
}

#[test]
fn the_file_is_named_by_the_flag_then_the_variable_then_the_folder() {
    let (folder, mut sources) = with_file("[drain]\nseconds = 1");
    assert_eq!(load(&sources).unwrap().drain.seconds, 1);
    let by_variable = folder.path().join("variable.conf");
    fs::write(&by_variable, "[drain]\nseconds = 2").unwrap();
    sources.environment = vec![("HUBBUB_CONFIG".into(), by_variable.into())];
    assert_eq!(load(&sources).unwrap().drain.seconds, 2);
    let by_flag = folder.path().join("flag.conf");
    fs::write(&by_flag, "[drain]\nseconds = 3").unwrap();
    sources.file = Some(by_flag);
    assert_eq!(load(&sources).unwrap().drain.seconds, 3);
}

#[test]
fn what_postgres_changes() {
    let postgres = ("HUBBUB__STORE__URL", "postgres://u:pw@db.example/h");
    let config = load(&environment(&[postgres])).unwrap();
    assert!(!config.auth.guests && !config.rooms.create_on_join);
    let StoreUrl::Postgres(url) = &config.store.url else {
        panic!("{:?}", config.store.url)
    };
    assert_eq!(url.expose(), "postgres://u:pw@db.example/h");

    let config = load(&environment(&[postgres, ("HUBBUB__AUTH__GUESTS", "true")])).unwrap();
    assert!(config.auth.guests && !config.rooms.create_on_join);
}

#[test]
fn the_environment_is_read_in_the_type_of_the_key() {
    let config = load(&environment(&[
        ("HUBBUB__HTTP__LISTEN", "[::1]:0"),
        (
            "HUBBUB__HTTP__ALLOWED_ORIGINS",
            "https://Chat.Example:443, app://local",
        ),
        ("HUBBUB__HTTP__TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1,::1"),
        ("HUBBUB__BUS__URL", "rediss://cache.example:6380"),
        ("HUBBUB__NODE__NAME", "7"),
        ("HUBBUB__BUS__CA_FILE", ""),
        ("HUBBUB__LIMITS__CONNECTIONS", "5"),
        ("HUBBUB__ROOMS__CREATE_ON_JOIN", "false"),
    ]))
    .unwrap();
    assert!(config.http.listen.is_ipv6());
    let origins: Vec<_> = config.http.allowed_origins.iter().map(Origin::as_str).collect();
    assert_eq!(origins, ["https://chat.example", "app://local"]);
    let proxies: Vec<_> = config
        .http
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "::1/128"]);
    assert!(config.bus.url.is_tls());
    assert_eq!(config.node.name.as_deref(), Some("7"));
    assert_eq!(config.bus.ca_file, None);
    assert_eq!(config.limits.connections, 5);
    assert!(!config.rooms.create_on_join);
}

#[test]
fn an_empty_list_is_no_item() {
    let config = load(&environment(&[("HUBBUB__HTTP__TRUSTED_PROXIES", " ")])).unwrap();
    assert!(config.http.trusted_proxies.is_empty());
    let (_folder, sources) =
        with_file("http.trusted_proxies = []\nhttp.allowed_origins = 'http://a, http://b:81'");
    let config = load(&sources).unwrap();
    assert!(config.http.trusted_proxies.is_empty());
    assert_eq!(config.http.allowed_origins.len(), 2);
}

#[test]
fn a_bad_value_is_told_with_what_is_allowed() {
    for (key, value, allowed) in [
        ("http.listen", "localhost:8080", "IP address and a port"),
        ("http.listen", "0.0.0.0:65536", "0 to 65535"),
        ("http.listen", "8080", "IP address and a port"),
        ("http.private_listen", "", "IP address and a port"),
        ("http.allowed_origins", "chat.example", "scheme://host[:port]"),
        (
            "http.allowed_origins",
            "https://a.example/path",
            "scheme://host[:port]",
        ),
        ("http.allowed_origins", "https://a.example,*", "the item \"*\""),
        ("http.allowed_origins", "https://a:99999", "scheme://host[:port]"),
        ("http.trusted_proxies", "10.0.0.0/33", "network or an IP address"),
        ("http.trusted_proxies", "10.0.0.1,,10.0.0.2", "the item \"\""),
        ("store.url", "mysql://db/h", "sqlite://PATH or postgres://"),
        ("store.url", "sqlite://", "PATH is that of a file"),
        ("store.url", "sqlite::memory:", "PATH is that of a file"),
        ("store.url", "hubbub.db", "sqlite://PATH"),
        ("store.connect_timeout_seconds", "0", "from 1 to 3600"),
        ("store.pool_size", "ten", "integer from 2 to 1000"),
        ("store.shards", "65", "from 1 to 64"),
        ("bus.url", "redis://", "redis://[USER:PASSWORD@]HOST"),
        ("bus.url", "nats://x", "local://"),
        ("bus.prefix", "a b", "letters, digits"),
        ("auth.guests", "yes", "true or false"),
        ("auth.registration", "on", "true or false"),
        ("auth.session_days", "0", "from 1 to 3650"),
        ("auth.jwt.algorithms", "none", "HS256"),
        ("auth.jwt.algorithms", "HS256,none", "the item \"none\""),
        ("auth.jwt.jwks_url", "http://keys.example/jwks", "https://"),
        ("auth.jwt.jwks_url", "keys.json", "https://"),
        ("auth.jwt.leeway_seconds", "301", "from 0 to 300"),
        ("rooms.create_on_join", "1", "true or false"),
        ("drain.seconds", "1.5", "integer from 0 to 3600"),
        ("drain.seconds", "-1", "integer from 0 to 3600"),
        ("log.format", "xml", "text or json"),
        ("log.level", "verbose", "off, error, warn"),
        ("node.name", "a/b", "letters, digits"),
        ("limits.outbox_bytes", "1", "from 4096 to 1073741824"),
        (
            "limits.pending_appends_node_bytes",
            "40000",
            "pending_appends_room_bytes",
        ),
        ("limits.connections", "99999999999999999999", "from 0 to 10000000"),
    ] {
        let problem = refusal(key, value);
        assert!(problem.rule.contains(allowed), "{problem}");
        assert_eq!(problem.value.as_deref(), Some(value), "{problem}");
    }
}

#[test]
fn a_value_of_another_type_in_the_file_is_told() {
    for (line, allowed) in [
        ("drain.seconds = 1.5", "integer from 0 to 3600"),
        ("drain.seconds = true", "integer from 0 to 3600"),
        ("drain.seconds = [1]", "integer from 0 to 3600"),
        ("auth.guests = 1", "true or false"),
        ("log.level = 9", "off, error, warn"),
        ("http.listen = 8080", "IP address and a port"),
        ("http.trusted_proxies = 10", "list of texts"),
        ("http.trusted_proxies = [10]", "network or an IP address"),
        ("data_dir = 5", "in quotes"),
    ] {
        let (_folder, sources) = with_file(line);
        let problems = load(&sources).expect_err(line);
        assert_eq!(problems.0.len(), 1, "{problems}");
        let told = problems.0[0].to_string();
        assert!(told.contains(allowed) && told.contains("hubbub.toml"), "{told}");
    }
}

#[test]
fn an_unknown_key_is_told_with_what_may_be_meant() {
    for (key, hint) in [
        ("http.lisen", "did you mean `http.listen`?"),
        ("http.listen_private", "no such key"),
        ("listen", "did you mean `http.listen`?"),
        ("limits.conections", "did you mean `limits.connections`?"),
        ("http", "is a section, not a key; it has the keys"),
        ("http.listen.port", "no such key"),
        ("datadir", "did you mean `data_dir`?"),
        ("quantum.flux", "`node config` prints"),
    ] {
        let problem = refusal(key, "5");
        assert!(problem.rule.contains(hint), "{problem}");

        let mut sources = environment(&[]);
        sources.flags = vec![flag(key, "5")];
        let told = load(&sources).unwrap_err().to_string();
        assert!(told.contains(&format!("{key} = \"5\" (flag --set)")), "{told}");

        let (_folder, sources) = with_file(&format!("{key} = 5"));
        let told = load(&sources).unwrap_err().to_string();
        assert!(told.contains(hint) && told.contains("hubbub.toml"), "{told}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let (folder, mut sources) = with_file("[http]\nlisten = 'x'\nlisten2 = 5\n[colour]\nred = 1");
    sources.environment = vec![("HUBBUB__DRAIN__SECONDS".into(), "soon".into())];
    sources.flags = vec![flag("log.format", "xml")];
    let told = load(&sources).unwrap_err().to_string();
    assert!(told.starts_with("the configuration has 5 problems:"), "{told}");
    let file = folder.path().join("hubbub.toml");
    for part in [
        format!("http.listen = \"x\" (file {}): must be", file.display()),
        format!(
            "colour.red = \"1\" (file {}): there is no such key",
            file.display()
        ),
        "drain.seconds = \"soon\" (environment variable HUBBUB__DRAIN__SECONDS): must be".to_owned(),
        "log.format = \"xml\" (flag --set): must be text or json".to_owned(),
    ] {
        assert!(told.contains(&part), "{part:?} is not in:\n{told}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let mut sources = environment(&[]);
    sources.file = Some(missing.clone());
    let told = load(&sources).unwrap_err().to_string();
    assert!(
        told.contains(&missing.display().to_string()) && told.contains("named by --config"),
        "{told}"
    );

    sources.file = Some(folder.path().to_owned());
    assert!(load(&sources).unwrap_err().to_string().contains("cannot be read"));

    let (_folder, sources) =
        with_file("[http]\nlisten = '0.0.0.0:1'\n[store]\nurl = 'postgres://u:hunter2@h");
    let told = load(&sources).unwrap_err().to_string();
    assert!(
        told.contains("is no valid TOML: line 4") && !told.contains("hunter2"),
        "{told}"
    );
}

#[test]
fn what_does_not_fit_together_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("ca.pem");
    let pem_text = pem.to_str().unwrap().to_owned();
    let tls = ("HUBBUB__BUS__URL", "rediss://h");
    let told = load(&environment(&[tls, ("HUBBUB__BUS__CA_FILE", &pem_text)]))
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("bus.ca_file") && told.contains("cannot be read"),
        "{told}"
    );

    fs::write(&pem, "x").unwrap();
    assert!(load(&environment(&[tls, ("HUBBUB__BUS__CA_FILE", &pem_text)])).is_ok());
    let told = load(&environment(&[("HUBBUB__BUS__CA_FILE", &pem_text)]))
        .unwrap_err()
        .to_string();
    assert!(told.contains("rediss://"), "{told}");

    let file = ("HUBBUB__STORE__PASSWORD_FILE", pem_text.as_str());
    let bare = ("HUBBUB__STORE__URL", "postgres://u@db/h");
    assert!(load(&environment(&[bare, file])).is_ok());
    for (url, path, rule) in [
        ("sqlite:///tmp/x.db", &*pem_text, "begins with postgres://"),
        (
            "postgres://u:hunter2@db/h",
            &*pem_text,
            "leave out the one in store.url",
        ),
        (
            "postgres://u@db/h?password=hunter2",
            &*pem_text,
            "leave out the one in store.url",
        ),
        (bare.1, "/nonexistent/password", "cannot be read"),
    ] {
        let told = load(&environment(&[(bare.0, url), (file.0, path)]))
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("store.password_file") && told.contains(rule),
            "{told}"
        );
        assert!(!told.contains("hunter2"), "{told}");
    }

    let two = [
        (
            "HUBBUB__AUTH__JWT__SECRET",
            "a secret that is long enough to sign with",
        ),
        ("HUBBUB__AUTH__JWT__JWKS_FILE", "/keys.json"),
    ];
    let told = load(&environment(&two)).unwrap_err().to_string();
    assert!(told.contains("one source of keys too many"), "{told}");

    let same = [
        ("HUBBUB__HTTP__LISTEN", "127.0.0.1:7000"),
        ("HUBBUB__HTTP__PRIVATE_LISTEN", "127.0.0.1:7000"),
    ];
    assert!(
        load(&environment(&same))
            .unwrap_err()
            .to_string()
            .contains("must differ")
    );
    let any = [
        ("HUBBUB__HTTP__LISTEN", "127.0.0.1:0"),
        ("HUBBUB__HTTP__PRIVATE_LISTEN", "127.0.0.1:0"),
    ];
    assert!(load(&environment(&any)).is_ok());
}

#[test]
fn passwords_are_never_shown() {
    let secret = "hunter2";
    for (name, value) in [
        ("HUBBUB__STORE__URL", "mysql://u:hunter2@db/h"),
        ("HUBBUB__STORE__URL", "postgres:/u:hunter2@db/h"),
        ("HUBBUB__STORE__URL", "u:hunter2@db"),
        ("HUBBUB__STORE__URL", "postgres://u:hunter2@db:port/h"),
        ("HUBBUB__STORE__URL", "mysql://db/h?user=u&password=hunter2"),
        ("HUBBUB__STORE__PASSWORD", "hunter2"),
        ("HUBBUB__STORE__URLL", "postgres://u:hunter2@db/h"),
        ("HUBBUB__BUS__URL", "http://:hunter2@cache"),
        ("HUBBUB__AUTH__JWT__SECRET", "hunter2"),
        ("HUBBUB__HTTP__ALLOWED_ORIGINS", "https://u:hunter2@a.example"),
    ] {
        let problems = load(&environment(&[(name, value)])).unwrap_err();
        assert!(!problems.to_string().contains(secret), "{problems}");
        assert!(!format!("{problems:?}").contains(secret), "{problems:?}");
    }
    let config = load(&environment(&[
        (
            "HUBBUB__STORE__URL",
            "postgres://u:hunter2@db/h?sslpassword=hunter2&sslmode=require",
        ),
        ("HUBBUB__BUS__URL", "rediss://:hunter2@cache:6380"),
        (
            "HUBBUB__AUTH__JWT__SECRET",
            "hunter2 and enough more to be a secret",
        ),
    ]))
    .unwrap();
    let printed = config.to_toml().unwrap();
    assert!(!printed.contains(secret) && !format!("{config:?}").contains(secret));
    assert!(
        printed.contains("postgres://u:***@db/h?sslpassword=***&sslmode=require"),
        "{printed}"
    );
    assert!(printed.contains("rediss://:***@cache:6380"), "{printed}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let mut config = load(&environment(&[
        ("HUBBUB__NODE__NAME", "n1"),
        ("HUBBUB__HTTP__TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        ("HUBBUB__DATA_DIR", "/tmp/somewhere else"),
    ]))
    .unwrap();
    config.limits.connections = 17;
    let (_folder, sources) = with_file(&config.to_toml().unwrap());
    assert_eq!(load(&sources).unwrap(), config);
}

#[test]
fn the_document_lists_every_key_with_its_default() {
    let document = include_str!("../../../docs/configuration.md");
    let listed: BTreeMap<&str, &str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let (key, rest) = line.split_once("` | ").expect(line);
            let (default, _) = rest.split_once(" | ").expect(line);
            (key, default)
        })
        .collect();
    let existing: BTreeMap<String, String> = defaults(&Config::default())
        .into_iter()
        .map(|(key, value)| {
            let default = match value.kind {
                ValueKind::Nil => "none".to_owned(),
                ValueKind::Array(items) if items.is_empty() => "none".to_owned(),
                _ => format!("`{}`", value.into_string().unwrap()),
            };
            (key, default)
        })
        .collect();
    let listed: BTreeMap<String, String> = listed
        .into_iter()
        .map(|(key, default)| (key.to_owned(), default.to_owned()))
        .collect();
    assert_eq!(listed, existing);
}
