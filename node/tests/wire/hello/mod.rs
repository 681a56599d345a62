//! The beginning of every connection.

mod credentials;
mod first;
mod resume;

use serde_json::Value;

/// What every `welcome` has.
fn assert_welcome(welcome: &Value) {
    for opaque in ["node", "session", "epoch"] {
        let text = welcome[opaque]
            .as_str()
            .unwrap_or_else(|| panic!("`{opaque}`: {welcome}"));
        assert!((1..=64).contains(&text.len()), "`{opaque}`: {welcome}");
    }
    let user = welcome["user"].as_object().unwrap();
    assert_eq!(user.keys().collect::<Vec<_>>(), ["id", "name"], "{welcome}");
    assert!(
        (1..=64).contains(&user["id"].as_str().unwrap().len()),
        "{welcome}"
    );
    assert_eq!(welcome["heartbeat_ms"], 25_000);
    assert_eq!(welcome["max_frame"], 65_536);
    assert!(welcome["time"].as_u64().unwrap() > 1_600_000_000_000, "{welcome}");
}
