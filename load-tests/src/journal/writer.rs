//! Writing a journal.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;

use super::{EXTENSION, Entry, VERSION, What};

/// Wall-clock time that does not go back: the time of day when it was made, and what has passed since.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    origin_us: u64,
}

impl Clock {
    /// Takes the time of day.
    pub fn start() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            origin: Instant::now(),
            origin_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Now, in Unix microseconds.
    pub fn now_us(&self) -> u64 {
        self.of(Instant::now())
    }

    /// The Unix microseconds of `instant`.
    pub fn of(&self, instant: Instant) -> u64 {
        let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        match instant.checked_duration_since(self.origin) {
            Some(after) => self.origin_us.saturating_add(micros(after)),
            None => self
                .origin_us
                .saturating_sub(micros(self.origin.duration_since(instant))),
        }
    }
}

/// A file that many clients write to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    clock: Clock,
    /// `None` writes nothing.
    file: Option<Arc<Mutex<Output>>>,
}

#[derive(Debug)]
struct Output {
    file: BufWriter<File>,
    /// The first failure; nothing is written behind it.
    failed: Option<std::io::Error>,
}

/// The pen of one client.
#[derive(Debug, Clone)]
pub struct Scribe {
    journal: Journal,
    client: u32,
}

impl Journal {
    /// A new file `NAME.journal` in `folder`.
    ///
    /// # Errors
    /// When it cannot be made, or is there already.
    pub fn create(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.{EXTENSION}"));
        let file = File::create_new(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let output = Output {
            file: BufWriter::with_capacity(256 * 1024, file),
            failed: None,
        };
        let journal = Self {
            clock: Clock::start(),
            file: Some(Arc::new(Mutex::new(output))),
        };
        journal.scribe(0).write(0, What::Header { version: VERSION });
        Ok(journal)
    }

    /// One that keeps nothing.
    pub fn none() -> Self {
        Self {
            clock: Clock::start(),
            file: None,
        }
    }

    /// The pen of a client.
    pub fn scribe(&self, client: u32) -> Scribe {
        Scribe {
            journal: self.clone(),
            client,
        }
    }

    /// The clock that entries are dated by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Puts on disk what was written so far. Entries may follow.
    ///
    /// # Errors
    /// The first failure of any write.
    pub fn close(&self) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut output = lock(file);
        if let Some(error) = output.failed.take() {
            return Err(error).context("a journal could not be written");
        }
        output.file.flush().context("a journal could not be written")
    }
}

impl Scribe {
    /// Writes down what just happened. A failure to write is told by [`Journal::close`].
    pub fn write(&self, conn: u32, what: What) {
        let Some(file) = &self.journal.file else { return };
        let mut output = lock(file);
        // Dated under the lock: a file's entries are in the order of time.
        let entry = Entry {
            at: self.journal.clock.now_us(),
            client: self.client,
            conn,
            what,
        };
        if output.failed.is_none()
            && let Err(error) = rmp_serde::encode::write(&mut output.file, &entry)
        {
            output.failed = Some(std::io::Error::other(error));
        }
    }

    /// The same for what is costly to make: it is made only if it is kept.
    pub fn write_with(&self, conn: u32, what: impl FnOnce() -> What) {
        if self.journal.file.is_some() {
            self.write(conn, what());
        }
    }

    /// The clock that entries are dated by.
    pub fn clock(&self) -> Clock {
        self.journal.clock
    }
}

fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}
