//! The front tables as the tests and the bench see them: mapped into memory, and read while no program runs.

use anyhow::{Context, Result};
use monitor_common::flow::FlowEntry;
use monitor_common::front::{SLOTS, state};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

/// Words of a flow entry.
const ENTRY_WORDS: usize = size_of::<FlowEntry>() / 8;

/// A mapped table.
pub(crate) struct Front {
    memory: NonNull<u64>,
    /// Words of the whole mapping.
    words: usize,
    /// Slots there are; a test may make fewer than the programs think.
    slots: u32,
}

impl Front {
    /// Maps a table of `slots` slots whose keys have so many words.
    pub(crate) fn new(table: BorrowedFd<'_>, slots: u32, key_words: usize) -> Result<Self> {
        let words = slots as usize * (1 + key_words + ENTRY_WORDS);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let memory = unsafe { mmap(ptr::null_mut(), words * 8, access, MapFlags::SHARED, table, 0) };
        let memory = NonNull::new(memory.context("map a front table")?.cast()).context("an address")?;
        Ok(Self { memory, words, slots })
    }

    /// Frees all slots of a generation.
    pub(crate) fn clear(&mut self, generation: u32) {
        if self.slots(generation).all(|slot| slot[0] == state::EMPTY) {
            return;
        }
        let range = self.range(generation);
        // SAFETY: the mapping's own length; no program runs, and `self` is borrowed alone.
        let all = unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.words) };
        all[range].fill(0);
    }

    /// The words of a generation's slots.
    pub(crate) fn slots(&self, generation: u32) -> impl Iterator<Item = &[u64]> {
        // SAFETY: the mapping's own length; no program runs.
        let all = unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.words) };
        all[self.range(generation)].chunks_exact(self.words / self.slots as usize)
    }

    /// Where a generation's words are.
    fn range(&self, generation: u32) -> std::ops::Range<usize> {
        let slot_words = self.words / self.slots as usize;
        let place = |slot: u32| slot.min(self.slots) as usize * slot_words;
        place(generation * SLOTS)..place((generation + 1) * SLOTS)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nothing borrowed from it outlives this value.
        let _ = unsafe { munmap(self.memory.as_ptr().cast(), self.words * 8) };
    }
}
