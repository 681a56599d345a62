//! The private Postgres keeps its word.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{path::Path, process::Command, time::Duration};

use load_tests::lab::Postgres;

fn psql(url: &str, sql: &str) -> Result<String, String> {
    let bin = ["/usr/lib/postgresql/15/bin/psql", "psql"];
    let psql = bin
        .iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or(&"psql");
    let output = Command::new("timeout")
        .args(["3", psql, "-X", "-A", "-t", "-d", url, "-c", sql])
        .output()
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test]
async fn it_starts_stops_pauses_and_goes() {
    let mut postgres = Postgres::start().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    assert_ne!(url, postgres.create_database().await.unwrap());
    psql(&url, "CREATE TABLE t AS SELECT 42 AS n").unwrap();
    assert_eq!(psql(&url, "SHOW fsync").unwrap(), "on");

    postgres.pause().unwrap();
    assert!(psql(&url, "SELECT n FROM t").is_err());
    postgres.resume().unwrap();
    assert_eq!(psql(&url, "SELECT n FROM t").unwrap(), "42");

    postgres.stop().await.unwrap();
    let error = psql(&url, "SELECT n FROM t").unwrap_err();
    assert!(error.contains("refused"), "{error}");
    postgres.restart().await.unwrap();
    assert_eq!(psql(&url, "SELECT n FROM t").unwrap(), "42");

    let data = psql(&url, "SHOW data_directory").unwrap();
    let pid = std::fs::read_to_string(format!("{data}/postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().to_owned();
    postgres.pause().unwrap();
    let dropped = tokio::task::spawn(async move {
        let _postgres = postgres;
        panic!("a test fails");
    });
    assert!(dropped.await.is_err());
    let gone = async {
        while Path::new(&data).exists() || Path::new(&format!("/proc/{pid}/exe")).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}
