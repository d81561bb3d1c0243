//! The front tables in the agent's memory: the quiet half is read, handed over, and only then zeroed.

use super::drain::{BATCH, Handed};
use monitor_common::flow::FlowEntry;
use monitor_common::front::{SLOTS, Slot, Words, index, same, state};
use rustix::fd::AsFd;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// A front table, mapped. `K` is the key of its family, of `N` words.
///
/// The programs write the active half at any time, so only the quiet half is touched, and only after the grace
/// period: then nobody else does.
#[derive(Debug)]
pub(super) struct Front<K, const N: usize> {
    slots: NonNull<Slot<N>>,
    key: PhantomData<K>,
}

// SAFETY: the mapping belongs to this value alone and is not bound to a thread.
unsafe impl<K, const N: usize> Send for Front<K, N> {}

/// Slots of both generations.
const ALL_SLOTS: usize = 2 * SLOTS as usize;

impl<K: Words<N>, const N: usize> Front<K, N> {
    /// Maps a table into memory.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn new(table: impl AsFd) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice. The programs' object makes the map with as
        // many slots of this type as are mapped.
        let memory = unsafe { mmap(ptr::null_mut(), Self::BYTES, access, MapFlags::SHARED, table, 0)? };
        let slots = NonNull::new(memory.cast()).expect("a mapping is never at address zero");
        Ok(Self { slots, key: PhantomData })
    }

    const BYTES: usize = ALL_SLOTS * size_of::<Slot<N>>();

    /// A slot of a generation.
    fn slot(&self, generation: u32, number: u32) -> *mut Slot<N> {
        let at = generation as usize * SLOTS as usize + number as usize;
        assert!(at < ALL_SLOTS, "generation {generation} or slot {number} is out of range");
        // SAFETY: within the mapping.
        unsafe { self.slots.as_ptr().add(at) }
    }

    /// Adds an entry of the hash map to the same flow's in the quiet half, if it is there: two CPUs saw the flow's
    /// first packets at once, and one of them found the slot taken but not ready.
    pub(super) fn absorb(&mut self, quiet: u32, key: &K, entry: &FlowEntry) -> bool {
        let words = key.words();
        let slot = self.slot(quiet, index(&words));
        // SAFETY: a slot of the quiet half, which nobody else touches; every bit pattern is a slot.
        let slot = unsafe { &mut *slot };
        let is_there = slot.state == state::READY && same(&slot.key, &words);
        if is_there {
            slot.entry.absorb(entry);
        }
        is_there
    }

    /// Reads the quiet half. `hand_over` gets at most [`BATCH`] flows at once; what it took is zeroed. Returns how
    /// many there were.
    pub(super) fn run(&mut self, quiet: u32, mut hand_over: impl FnMut(&[(K, FlowEntry)]) -> Handed) -> u64 {
        let mut drained = 0;
        let mut flows = Vec::new();
        let mut from = 0;
        for number in 0..SLOTS {
            // SAFETY: as above.
            let slot = unsafe { &*self.slot(quiet, number) };
            if slot.state == state::READY {
                flows.push((K::of_words(&slot.key), slot.entry));
            }
            if flows.len() == BATCH || number + 1 == SLOTS {
                if !flows.is_empty() && hand_over(&flows) == Handed::Refused {
                    return drained;
                }
                self.zero(quiet, from..number + 1);
                drained += flows.len() as u64;
                flows.clear();
                from = number + 1;
            }
        }
        drained
    }

    /// Frees slots of the quiet half; those that are free are not written.
    fn zero(&mut self, quiet: u32, slots: std::ops::Range<u32>) {
        for number in slots {
            let slot = self.slot(quiet, number);
            // SAFETY: as above; zero is a slot.
            unsafe {
                if (*slot).state != state::EMPTY {
                    slot.write_bytes(0, 1);
                }
            }
        }
    }
}

impl<K, const N: usize> Drop for Front<K, N> {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nothing borrowed from it outlives this value. An error would mean that
        // it is not mapped, and there is nothing to do about that.
        let _ = unsafe { munmap(self.slots.as_ptr().cast(), ALL_SLOTS * size_of::<Slot<N>>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monitor_common::counters::Counters;
    use monitor_common::flow::FlowKey4;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    /// A table in memory of its own, with flows of these ports in generation 1.
    fn table(ports: &[u16]) -> Front<FlowKey4, 3> {
        let file = memfd_create("vw-front", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, Front::<FlowKey4, 3>::BYTES as u64).unwrap();
        let table = Front::new(&file).unwrap();
        for port in ports {
            let words = key(*port).words();
            let slot = table.slot(1, index(&words));
            // SAFETY: the table is this test's alone.
            unsafe { *slot = Slot { state: state::READY, key: words, entry: entry(u64::from(*port)) } };
        }
        table
    }

    fn key(port: u16) -> FlowKey4 {
        FlowKey4 { interface: 7, local_port: port, ..FlowKey4::default() }
    }

    fn entry(skbs: u64) -> FlowEntry {
        FlowEntry { sent: Counters { skbs, ..Counters::default() }, ..FlowEntry::default() }
    }

    fn drained(table: &mut Front<FlowKey4, 3>, generation: u32) -> Vec<(u16, u64)> {
        let mut found = Vec::new();
        table.run(generation, |flows| {
            found.extend(flows.iter().map(|(key, entry)| (key.local_port, entry.sent.skbs)));
            Handed::Over
        });
        found.sort_unstable();
        found
    }

    #[test]
    fn the_quiet_half_is_read_once_and_the_other_left_alone() {
        let mut table = table(&[1, 2, 3]);
        assert_eq!(drained(&mut table, 0), []);
        assert_eq!(drained(&mut table, 1), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(drained(&mut table, 1), []);
    }

    #[test]
    fn what_is_not_taken_stays() {
        let mut table = table(&[1, 2, 3]);
        assert_eq!(table.run(1, |_| Handed::Refused), 0);
        assert_eq!(drained(&mut table, 1), [(1, 1), (2, 2), (3, 3)]);
    }

    #[test]
    fn an_entry_of_the_hash_map_is_added_to_the_same_flow_only() {
        let mut table = table(&[1]);
        assert!(table.absorb(1, &key(1), &entry(10)));
        assert!(!table.absorb(0, &key(1), &entry(10)));
        assert!(!table.absorb(1, &key(2), &entry(10)));
        assert_eq!(drained(&mut table, 1), [(1, 11)]);
    }
}
