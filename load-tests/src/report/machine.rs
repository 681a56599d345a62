//! Where a run was made, and by what.

use std::{fmt, fs, thread};

use super::{
    Machine, Run,
    number::{self, real},
};

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = number::bytes(real(self.memory_bytes));
        write!(
            f,
            "{} × {}, {memory}, {}",
            self.cores, self.processor, self.system
        )
    }
}

impl Machine {
    /// This one. What the system does not tell is left empty.
    pub fn this() -> Self {
        let name = rustix::system::uname();
        let system = format!(
            "{} {} {}",
            name.sysname().to_string_lossy(),
            name.release().to_string_lossy(),
            name.machine().to_string_lossy()
        );
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
                .map_or(0, |kibibytes| kibibytes * 1024),
            system,
        }
    }
}

impl Run {
    /// With what is known of this program and this machine.
    #[must_use]
    pub fn here(self) -> Self {
        let build = if cfg!(debug_assertions) {
            ", debug build"
        } else {
            ""
        };
        Self {
            version: format!("{}{build}", env!("CARGO_PKG_VERSION")),
            commit: option_env!("HUBBUB_COMMIT").map(str::to_owned),
            machine: Machine::this(),
            ..self
        }
    }
}

/// The first value of this name in a file of lines like `name : value`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_knows_where_it_was_made() {
        let run = Run {
            name: "rooms".into(),
            ..Run::default()
        }
        .here();
        assert_eq!(run.name, "rooms");
        assert!(run.version.starts_with(env!("CARGO_PKG_VERSION")));
        assert!(run.machine.cores > 0);
        assert!(run.machine.memory_bytes > 1 << 27, "{:?}", run.machine);
        assert!(run.machine.system.starts_with("Linux "), "{:?}", run.machine);
    }
}
