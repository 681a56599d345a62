//! The scenarios that this program carries.

/// Name and text of each.
pub const BUILT_IN: [(&str, &str); 7] = [
    ("mixed", include_str!("../../scenarios/mixed.toml")),
    ("fanout", include_str!("../../scenarios/fanout.toml")),
    ("rooms", include_str!("../../scenarios/rooms.toml")),
    ("idle", include_str!("../../scenarios/idle.toml")),
    ("storm", include_str!("../../scenarios/storm.toml")),
    ("ramp", include_str!("../../scenarios/ramp.toml")),
    ("soak", include_str!("../../scenarios/soak.toml")),
];

/// What is played by a command of its own, because it does more to a deployment than to load it: name and command.
pub(super) const COMMANDS: [(&str, &str); 2] = [
    ("autoscale", "load-tests autoscale --target wss://HOST/ws"),
    ("rehearse", "load-tests rehearse"),
];

/// The text of the one with this name.
pub fn built_in(name: &str) -> Option<&'static str> {
    let found = BUILT_IN.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}
