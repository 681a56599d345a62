//! What a process costs, as Linux tells it.

use std::{fs, io};

use serde::{Deserialize, Serialize};

/// Of one process, so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time since it began, in seconds, of user and system together.
    pub cpu_seconds: f64,
    /// Memory that it holds, in bytes; the kernel's buffers of its sockets are not in it.
    pub resident_bytes: u64,
}

impl Usage {
    /// Of this process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn own() -> io::Result<Self> {
        Self::read("self")
    }

    /// Of the process with this id.
    ///
    /// # Errors
    /// When there is none, or `/proc` cannot be read.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(&pid.to_string())
    }

    fn read(process: &str) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        Self::parse(&stat).ok_or_else(|| io::Error::other(format!("/proc/{process}/stat is not as expected")))
    }

    /// Fields 14, 15 and 24 of proc(5), counted behind the program's name, which may hold anything.
    #[allow(clippy::cast_precision_loss, reason = "hundredths of seconds")]
    fn parse(stat: &str) -> Option<Self> {
        let (_, behind_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        let number = |of: usize| fields.get(of - 3)?.parse::<u64>().ok();
        let ticks = number(14)? + number(15)?;
        Some(Self {
            cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: number(24)? * rustix::param::page_size() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let begun = Usage::own().unwrap();
        assert!(begun.resident_bytes > 1 << 20, "{begun:?}");
        let mut spun = 0_u64;
        while Usage::own().unwrap().cpu_seconds < begun.cpu_seconds + 0.02 {
            spun = spun.wrapping_add(1);
        }
        assert!(Usage::of(std::process::id()).unwrap().cpu_seconds > begun.cpu_seconds);
        assert!(Usage::parse("12 (a) b) S").is_none());
    }
}
