//! A thread for what waits, beside those that work.

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime of one thread, on which the store and the bus are spoken to. A node that has more to do than it can is late
/// with everything on the threads of its actors; here a query still holds its connection for no longer than the store
/// takes, and the node's lease is renewed in time. Dropped, it ends without waiting for its tasks.
pub(crate) struct Io {
    handle: Handle,
    /// Always there until it is dropped.
    runtime: Option<Runtime>,
}

impl Io {
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start() -> Result<Self, std::io::Error> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(1)
            .thread_name("hubbub-io")
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// To spawn on it, or to enter it.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // Just dropped, a runtime would wait, which is not allowed within another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
