//! Long work for a processor, done aside: somebody who signs in is not to slow down those who chat.
//!
//! A piece of work is done on a thread that runs only while a core has nothing else to do. Where the cores are busy for
//! long, that would take for ever; so behind [`PATIENCE`] the same work is begun once more on a thread that gets about a
//! tenth of a busy core, and whichever is done first counts. What comes while all places of the first kind are taken is
//! done on the second kind at once.

use std::{sync::Arc, thread, time::Duration};

use rustix::process::setpriority_process;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// How long it may take on an idle core before it is begun again on a busy one.
const PATIENCE: Duration = Duration::from_millis(250);
/// The nice value of the threads that do not wait for an idle core.
const NICE: i32 = 10;
/// Pieces of work that may wait for a core; more are refused.
const WAITING: usize = 64;

/// See the module's documentation. Cheap to clone; clones share their places. Each kind of threads has as many places as
/// there are cores.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    name: &'static str,
    idle: Arc<Semaphore>,
    busy: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// The work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too much waits already.
    Busy,
    /// There is no thread for it, or it has panicked.
    Failed,
}

/// On which kind of thread.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// When no other thread wants the core.
    Idle,
    /// Behind others.
    Behind,
}

impl Aside {
    /// Threads are given this name.
    pub(crate) fn new(name: &'static str) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            name,
            idle: Arc::new(Semaphore::new(cores)),
            busy: Arc::new(Semaphore::new(cores)),
            queue: Arc::new(Semaphore::new(2 * cores + WAITING)),
        }
    }

    /// Does a piece of work, which must come to the same if it is done twice. Dropping the future gives the place in the
    /// queue back at once, and that of a thread when its work is done.
    ///
    /// # Errors
    /// When too much waits already, or there is no thread for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Clone + Send + 'static,
    ) -> Result<T, Refused> {
        let _queued = self.queue.try_acquire().map_err(|_| Refused::Busy)?;
        let Ok(place) = Arc::clone(&self.idle).try_acquire_owned() else {
            return self.behind(work).await;
        };
        let mut patient = self.start(Turn::Idle, place, work.clone())?;
        if let Ok(done) = timeout(PATIENCE, &mut patient).await {
            return done.map_err(|_| Refused::Failed);
        }
        tokio::select! {
            done = patient => done.map_err(|_| Refused::Failed),
            done = self.behind(work) => done,
        }
    }

    async fn behind<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let place = Arc::clone(&self.busy).acquire_owned().await;
        let place = place.map_err(|_| Refused::Failed)?;
        let done = self.start(Turn::Behind, place, work)?;
        done.await.map_err(|_| Refused::Failed)
    }

    /// A thread for each piece: beside milliseconds of work it costs nothing, and priority is a thread's own.
    fn start<T: Send + 'static>(
        &self,
        turn: Turn,
        place: OwnedSemaphorePermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Refused> {
        let (finished, result) = oneshot::channel();
        let thread = thread::Builder::new().name(self.name.to_owned());
        let started = thread.spawn(move || {
            turn.take();
            let done = work();
            // The place is held until the work is done, also when nobody waits for it any more.
            drop(place);
            let _ = finished.send(done);
        });
        started.map(|_| result).map_err(|_| Refused::Failed)
    }
}

impl Turn {
    /// Lowers this thread; where the system does not let it, the work is done all the same.
    fn take(self) {
        #[cfg(target_os = "linux")]
        if let Self::Idle = self {
            use thread_priority::{
                NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
                set_thread_priority_and_policy, thread_native_id,
            };
            let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
            return;
        }
        let _ = setpriority_process(None, NICE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    /// What `sched(7)` calls the policy, and the nice value, of the calling thread (fields 41 and 19 of proc(5)'s `stat`).
    #[cfg(target_os = "linux")]
    fn policy_and_nice() -> (String, String) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[41 - 3].to_owned(), fields[19 - 3].to_owned())
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn work_gives_way_to_all_else() {
        const IDLE: &str = "5";
        let aside = Aside::new("test");
        let (policy, _) = aside.run(policy_and_nice).await.unwrap();
        assert_eq!(policy, IDLE);
        let places = u32::try_from(aside.idle.available_permits()).unwrap();
        let _none_left = aside.idle.acquire_many(places).await.unwrap();
        let (policy, nice) = aside.run(policy_and_nice).await.unwrap();
        assert_eq!((policy.as_str(), nice), ("0", NICE.to_string()));
    }

    #[tokio::test]
    async fn work_that_gets_no_core_is_begun_again_with_more_weight() {
        let aside = Aside::new("test");
        let begun = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = mpsc::channel::<()>();
        let stopped = Arc::new(Mutex::new(stopped));
        let count = Arc::clone(&begun);
        let work = move || {
            let which = count.fetch_add(1, Ordering::SeqCst);
            if which == 0 {
                // As a thread that gets no core.
                let _ = stopped.lock().unwrap().recv();
            }
            which
        };
        assert_eq!(aside.run(work).await, Ok(1));
        // The first one still has its place, until it is done.
        let places = thread::available_parallelism().unwrap().get();
        assert_eq!(aside.idle.available_permits(), places - 1);
        drop(stop);
        while aside.idle.available_permits() < places {
            tokio::task::yield_now().await;
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_long_queue_is_refused() {
        let aside = Aside::new("test");
        let all = u32::try_from(aside.queue.available_permits()).unwrap();
        let _all = aside.queue.acquire_many(all).await.unwrap();
        assert_eq!(aside.run(|| ()).await, Err(Refused::Busy));
    }
}
