//! What the agent itself takes.

use rustix::param::page_size;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// The agent's memory, by the kernel's account of this process.
#[derive(Debug)]
pub(super) struct OwnCost(Option<File>);

impl OwnCost {
    /// Opens the account; where there is none, nothing is told.
    pub(super) fn open() -> Self {
        Self(File::open("/proc/self/statm").ok())
    }

    /// Bytes that are resident now.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let mut text = [0; 128];
        let length = self.0.as_ref()?.read_at(&mut text, 0).ok()?;
        let pages: u64 = resident_pages(text.get(..length)?)?;
        pages.checked_mul(page_size() as u64)
    }
}

/// The second number of `statm`.
fn resident_pages(statm: &[u8]) -> Option<u64> {
    std::str::from_utf8(statm).ok()?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{OwnCost, resident_pages};

    #[test]
    fn the_second_number_is_what_is_resident() {
        assert_eq!(resident_pages(b"5120 1301 800 200 0 300 0\n"), Some(1301));
        assert_eq!(resident_pages(b""), None);
        assert_eq!(resident_pages(b"5120"), None);
    }

    #[test]
    fn this_process_holds_some_memory_and_more_when_it_takes_more() {
        let own = OwnCost::open();
        let before = own.resident_bytes().unwrap();
        let taken = std::hint::black_box(vec![1_u8; 64 << 20]);
        let with = own.resident_bytes().unwrap();
        assert!(with >= before + (32 << 20), "{before} and {with} with {} more", taken.len());
    }
}
