//! A number that two processes share.

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::param::page_size;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// It is shared with each process that is forked while this lives.
#[derive(Debug)]
pub(super) struct Counter(NonNull<AtomicU64>);

// SAFETY: it is a shared mapping that lives as long as this, and is only used as an atomic number.
unsafe impl Send for Counter {}
// SAFETY: as above.
unsafe impl Sync for Counter {}

impl Counter {
    /// 0.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a new mapping wherever the kernel likes; nothing else is touched.
        let page = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                page_size(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
            )
        }?;
        NonNull::new(page.cast()).map(Self).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    fn number(&self) -> &AtomicU64 {
        // SAFETY: the page begins with zeros, which are a number, is aligned, and lives as long as this.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn get(&self) -> u64 {
        self.number().load(Ordering::SeqCst)
    }

    pub(super) fn add_one(&self) {
        self.number().fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nobody has a reference any more. That it cannot be unmapped would
        // leave a page.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), page_size()) };
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn it_counts_from_nothing() {
        let counter = Counter::new().unwrap();
        assert_eq!(counter.get(), 0);
        counter.add_one();
        assert_eq!(counter.get(), 1);
    }
}
