//! What a group did and what happened to it, one thing at a time.

use std::{fmt, time::Duration};

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq)]
pub enum Activity {
    /// A policy's alarm went on.
    Alarm(String),
    /// There is to be another number of instances.
    Resized {
        /// Until now.
        from: u32,
        /// From now on.
        to: u32,
        /// Which policy wants it, and what it saw.
        why: String,
    },
    /// A machine was asked for.
    Launched {
        /// Its name.
        name: String,
        /// Its zone.
        zone: u32,
    },
    /// Its node serves, and the load balancer has found it healthy.
    InService {
        /// Its name.
        name: String,
        /// Since it was launched.
        after: Duration,
    },
    /// A machine that should serve does not; another one takes its place.
    Unhealthy {
        /// Its name.
        name: String,
        /// What is known.
        why: String,
    },
    /// A machine is taken out: its node is told to leave.
    Leaving {
        /// Its name.
        name: String,
    },
    /// It is gone.
    Gone {
        /// Its name.
        name: String,
        /// Its node ended by itself, and in good order.
        in_order: bool,
        /// Since it was taken out.
        after: Duration,
    },
    /// A machine came to an end that nobody prepared.
    Destroyed {
        /// Its name.
        name: String,
    },
    /// A zone is gone, with all machines in it.
    ZoneLost {
        /// Which one.
        zone: u32,
        /// The machines.
        names: Vec<String>,
    },
    /// Something did not work.
    Failed(String),
}

impl Activity {
    /// Of which kind, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Alarm(_) => "alarm",
            Self::Resized { .. } => "scale",
            Self::Launched { .. } | Self::InService { .. } => "launch",
            Self::Leaving { .. } | Self::Gone { .. } => "terminate",
            Self::Unhealthy { .. } | Self::Destroyed { .. } | Self::ZoneLost { .. } | Self::Failed(_) => {
                "fault"
            }
        }
    }

    /// Whether an instance was gone with this, and if so, in good order.
    pub fn left_in_order(&self) -> Option<bool> {
        match self {
            Self::Gone { in_order, .. } => Some(*in_order),
            _ => None,
        }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alarm(what) => f.write_str(what),
            Self::Resized { from, to, why } => write!(f, "from {from} to {to} instances: {why}"),
            Self::Launched { name, zone } => write!(f, "{name} is launched in zone {}", letter(*zone)),
            Self::InService { name, after } => {
                write!(f, "{name} is in service after {:.1} s", after.as_secs_f64())
            }
            Self::Unhealthy { name, why } => write!(f, "{name} is replaced: {why}"),
            Self::Leaving { name } => write!(f, "{name} is taken out"),
            Self::Gone {
                name,
                in_order,
                after,
            } => {
                let how = if *in_order {
                    "in good order"
                } else {
                    "NOT in good order"
                };
                write!(f, "{name} is gone after {:.1} s, {how}", after.as_secs_f64())
            }
            Self::Destroyed { name } => write!(f, "{name} is destroyed"),
            Self::ZoneLost { zone, names } => {
                write!(f, "zone {} is lost, with {}", letter(*zone), names.join(", "))
            }
            Self::Failed(what) => write!(f, "FAILED: {what}"),
        }
    }
}

/// Zones are called a, b, c …
fn letter(zone: u32) -> char {
    char::from_u32(u32::from('a') + zone % 26).unwrap_or('?')
}
