//! Gives back memory that is free in the middle of the heap.
//!
//! Records are made in bursts between what the engine keeps for long. When a burst is read its memory is free, but glibc gives
//! back by itself only what is at the heap's end: an agent with a reader would hold for ever what its busiest second took, and
//! whoever loads the programs three megabytes for their sake.

use std::time::Duration;

/// How often: a burst is over by then, and the heap is locked for some milliseconds.
const EVERY: Duration = Duration::from_secs(30);

/// Does so for ever.
pub(super) async fn keep_little() {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(panicked) = tokio::task::spawn_blocking(give_back).await {
            log::warn!("memory could not be given back: {panicked}");
            return;
        }
    }
}

/// Does so once. Elsewhere than on glibc nothing is done.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it has no preconditions, and changes nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
