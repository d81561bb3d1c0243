//! The quiet half of an arena: what was given out of it is mapped part by part, and handed over in place.

use super::bpf::Map;
use super::window::Window;
use monitor_common::flow_table::Slot;
use rustix::fd::{AsFd, OwnedFd};
use std::io;

/// The most slots that are handed over at once.
pub(super) const PART: usize = 4_096;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    /// Taken.
    Over,
    /// Nobody takes flows any more.
    Refused,
}

/// How many slots of a half were given out.
pub(super) trait Used {
    /// Reads it.
    fn read(&self, generation: u32) -> io::Result<u64>;

    /// Sets it to 0: the half may be given out again.
    fn reset(&self, generation: u32) -> io::Result<()>;
}

/// The counters of one family in `USED`.
#[derive(Debug)]
pub(super) struct UsedMap {
    /// All counters.
    pub(super) map: Map<u32, u64>,
    /// 4 or 6.
    pub(super) family: u8,
}

impl Used for UsedMap {
    fn read(&self, generation: u32) -> io::Result<u64> {
        let used = self.map.lookup(&monitor_common::flow_table::used(self.family, generation))?;
        used.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn reset(&self, generation: u32) -> io::Result<()> {
        self.map.update(&monitor_common::flow_table::used(self.family, generation), &0)
    }
}

/// The arena of one family.
///
/// The programs write the active half at any time, so only the quiet half is mapped, and only after the grace
/// period: then nobody else touches it.
#[derive(Debug)]
pub(super) struct Arena<U> {
    memory: OwnedFd,
    used: U,
    /// Slots of a half.
    max_flows: usize,
    /// Slots of each half that were handed over in a drain that did not come to its end.
    done: [usize; 2],
}

impl<U: Used> Arena<U> {
    /// An arena of two times `max_flows` slots.
    pub(super) fn new(memory: OwnedFd, used: U, max_flows: u32) -> Self {
        Self { memory, used, max_flows: max_flows as usize, done: [0; 2] }
    }

    /// Goes on in a half that another agent began to drain: so many of its slots are not handed over again.
    pub(super) fn resume(&mut self, half: u32, done: u64) {
        let done = usize::try_from(done).map_or(self.max_flows, |done| done.min(self.max_flows));
        self.done[half as usize & 1] = done;
    }

    /// Reads what is used of a half; `hand_over` gets at most [`PART`] slots at once, and the number of the first.
    /// Returns how many slots were taken, and how many nobody wanted any more.
    ///
    /// # Errors
    /// What the kernel says. What was not handed over then is at the next drain of the same half.
    pub(super) fn drain(
        &mut self,
        quiet: u32,
        mut hand_over: impl FnMut(usize, &[Slot]) -> Handed,
    ) -> io::Result<(usize, usize)> {
        let half = quiet as usize & 1;
        let used =
            usize::try_from(self.used.read(quiet)?).map_or(self.max_flows, |used| used.min(self.max_flows));
        let from = self.done[half].min(used);
        while self.done[half] < used {
            let part = self.done[half]..used.min(self.done[half] + PART);
            let base = half * self.max_flows;
            let window = Window::<Slot>::new(self.memory.as_fd(), base + part.start..base + part.end)?;
            if hand_over(part.start, window.entries()) == Handed::Refused {
                return Ok((part.start - from, used - part.start));
            }
            self.done[half] = part.end;
        }
        if used > 0 {
            self.used.reset(quiet)?;
        }
        self.done[half] = 0;
        Ok((used - from, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::param::page_size;
    use std::cell::Cell;
    use std::ops::Range;

    const MAX: usize = 2 * PART + 10;

    /// Counters of the test's own, which cannot be reset while they are stuck.
    #[derive(Default)]
    struct Counters {
        used: [Cell<u64>; 2],
        is_stuck: Cell<bool>,
    }

    impl Used for &Counters {
        fn read(&self, generation: u32) -> io::Result<u64> {
            Ok(self.used[generation as usize].get())
        }

        fn reset(&self, generation: u32) -> io::Result<()> {
            if self.is_stuck.get() {
                return Err(io::ErrorKind::Other.into());
            }
            self.used[generation as usize].set(0);
            Ok(())
        }
    }

    /// An arena in memory of its own: the first word of each slot is its number, counted through both halves.
    fn arena(counters: &Counters) -> Arena<&Counters> {
        let file = memfd_create("vw-arena", MemfdFlags::CLOEXEC).unwrap();
        let words = size_of::<Slot>() / 8;
        let bytes: Vec<u8> = (0..2 * MAX * words)
            .flat_map(|at| (if at % words == 0 { (at / words) as u64 } else { 0 }).to_ne_bytes())
            .collect();
        ftruncate(&file, bytes.len().next_multiple_of(page_size()) as u64).unwrap();
        rustix::io::pwrite(&file, &bytes, 0).unwrap();
        Arena::new(file, counters, u32::try_from(MAX).unwrap())
    }

    /// The numbers of the slots that a drain hands over until `enough` were, and what it returns.
    fn drained(
        arena: &mut Arena<&Counters>,
        generation: u32,
        enough: usize,
    ) -> (Vec<u64>, io::Result<(usize, usize)>) {
        let mut found = Vec::new();
        let result = arena.drain(generation, |first, slots| {
            if found.len() >= enough {
                return Handed::Refused;
            }
            assert!(slots.len() <= PART);
            assert_eq!(slots[0].key[0], (generation as usize * MAX + first) as u64);
            found.extend(slots.iter().map(|slot| slot.key[0]));
            Handed::Over
        });
        (found, result)
    }

    fn numbers(range: Range<usize>) -> Vec<u64> {
        range.map(|at| at as u64).collect()
    }

    #[test]
    fn what_is_used_of_a_half_is_read_once_and_the_other_left_alone() {
        let counters = Counters::default();
        let mut arena = arena(&counters);
        for used in [1, PART, PART + 1, MAX] {
            counters.used[0].set(7);
            counters.used[1].set(used as u64);
            let (found, result) = drained(&mut arena, 1, usize::MAX);
            assert_eq!((found, result.unwrap()), (numbers(MAX..MAX + used), (used, 0)));
            assert_eq!([counters.used[0].get(), counters.used[1].get()], [7, 0]);
            assert_eq!(drained(&mut arena, 1, usize::MAX).0, numbers(0..0));
        }
    }

    #[test]
    fn a_counter_that_went_past_the_end_means_a_full_half() {
        let counters = Counters::default();
        counters.used[0].set(MAX as u64 + 3);
        let (found, result) = drained(&mut arena(&counters), 0, usize::MAX);
        assert_eq!((found, result.unwrap()), (numbers(0..MAX), (MAX, 0)));
    }

    #[test]
    fn what_nobody_takes_is_said() {
        let counters = Counters::default();
        counters.used[0].set(MAX as u64);
        let (found, result) = drained(&mut arena(&counters), 0, 1);
        assert_eq!((found.len(), result.unwrap()), (PART, (PART, MAX - PART)));
    }

    #[test]
    fn after_a_failure_nothing_is_handed_over_twice() {
        let counters = Counters::default();
        let mut arena = arena(&counters);
        counters.used[0].set(5);
        counters.is_stuck.set(true);
        let (found, result) = drained(&mut arena, 0, usize::MAX);
        assert_eq!(found, numbers(0..5));
        assert!(result.is_err());
        // The programs go on behind what was used.
        counters.used[0].set(8);
        counters.is_stuck.set(false);
        let (found, result) = drained(&mut arena, 0, usize::MAX);
        assert_eq!((found, result.unwrap()), (numbers(5..8), (3, 0)));
        counters.used[0].set(1);
        assert_eq!(drained(&mut arena, 0, usize::MAX).0, [0]);
    }
}
