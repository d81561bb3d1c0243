//! Threads for those who ask, beside those that the engine runs on: whatever clients want, nothing is counted later for
//! it.

use std::io;
use tokio::runtime::{Builder, Handle, Runtime};

/// How many. A text is written by one of them, and the other goes on answering.
const THREADS: usize = 2;

/// The threads. Dropping this ends what runs there without waiting for it.
#[derive(Debug)]
pub(super) struct Threads {
    handle: Handle,
    /// Absent once it ends.
    runtime: Option<Runtime>,
}

impl Threads {
    /// # Errors
    /// When the system has no more of what they need.
    pub(super) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("vw-clients").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// By which tasks are begun there.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A runtime that is merely dropped waits, which a task must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
