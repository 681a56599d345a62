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

    /// Of the process with this id and its children, those included that have ended. Memory that they share counts once.
    ///
    /// # Errors
    /// When there is none, or `/proc` cannot be read.
    pub fn of_family(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let mut all = Self::read(&pid.to_string())?;
        all.cpu_seconds += Self::ended_children(&stat).unwrap_or_default();
        let (mut own, mut shared) = memory(pid)?;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            // One that ends meanwhile is not missed.
            if let (Ok(usage), Ok(memory)) = (Self::of(child), memory(child)) {
                all.cpu_seconds += usage.cpu_seconds;
                own += memory.0;
                shared = shared.max(memory.1);
            }
        }
        all.resident_bytes = own + shared;
        Ok(all)
    }

    /// Fields 16 and 17, in seconds.
    #[allow(clippy::cast_precision_loss, reason = "hundredths of seconds")]
    fn ended_children(stat: &str) -> Option<f64> {
        let (_, behind_name) = stat.rsplit_once(')')?;
        let mut ticks = behind_name.split_whitespace().skip(13).map(str::parse::<u64>);
        let ticks = ticks.next()?.ok()? + ticks.next()?.ok()?;
        Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
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

/// What it holds alone, and what it shares with others, in bytes.
fn memory(pid: u32) -> io::Result<(u64, u64)> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: Vec<u64> = statm.split_whitespace().flat_map(str::parse).collect();
    let (Some(resident), Some(shared)) = (pages.get(1), pages.get(2)) else {
        return Err(io::Error::other(format!("/proc/{pid}/statm is not as expected")));
    };
    let page = rustix::param::page_size() as u64;
    Ok(((resident - shared.min(resident)) * page, shared * page))
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

    #[test]
    fn a_family_has_used_what_its_children_have() {
        let spin = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done";
        let mut parent = std::process::Command::new("sh")
            .args(["-c", &format!("sh -c '{spin}'; read line")])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let mut family = Usage::default();
        while family.cpu_seconds < 0.1 && std::time::Instant::now() < until {
            family = Usage::of_family(parent.id()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let alone = Usage::of(parent.id()).unwrap();
        // Not killed: its child would outlive it.
        drop(parent.stdin.take());
        parent.wait().unwrap();
        assert!(
            family.cpu_seconds >= 0.1 && alone.cpu_seconds < 0.1,
            "{family:?} {alone:?}"
        );
        assert!(family.resident_bytes > 100_000, "{family:?}");
    }
}
