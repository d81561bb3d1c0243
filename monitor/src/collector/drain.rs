//! Emptying the quiet generation of one flow map, in batches: read, hand over, and only then delete.

use super::bpf::{BatchEnd, Map};
use monitor_common::flow::FlowEntry;
use std::io;
use zerocopy::{FromBytes, FromZeros as _, Immutable, IntoBytes};

/// The most flows that are handed over at once.
pub(super) const BATCH: usize = 4_096;

/// A flow map as the drain sees it.
pub(super) trait Quiet<K> {
    /// Reads entries into the slices from `from` on.
    fn read(&self, from: Option<u32>, keys: &mut [K], entries: &mut [FlowEntry]) -> io::Result<BatchEnd>;

    /// Deletes entries.
    fn delete(&self, keys: &[K]) -> io::Result<()>;
}

impl<K: IntoBytes + FromBytes + Immutable> Quiet<K> for Map<K, FlowEntry> {
    fn read(&self, from: Option<u32>, keys: &mut [K], entries: &mut [FlowEntry]) -> io::Result<BatchEnd> {
        self.lookup_batch(from, keys, entries)
    }

    fn delete(&self, keys: &[K]) -> io::Result<()> {
        self.delete_batch(keys)
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    /// Taken: the entries can go.
    Over,
    /// Nobody takes them any more.
    Refused,
}

/// Buffers for the keys and entries of one batch, kept from drain to drain.
#[derive(Debug)]
pub(super) struct Drain<K> {
    keys: Vec<K>,
    entries: Vec<FlowEntry>,
    /// How many to ask for at once; grows when one bucket of the map holds more.
    size: usize,
}

impl<K: FromBytes + Clone> Drain<K> {
    /// Buffers for batches of `size`.
    pub(super) fn new(size: usize) -> Self {
        Self { keys: Vec::new(), entries: Vec::new(), size }
    }

    /// Reads the map batch by batch. `hand_over` gets at most [`BATCH`] entries at once, and whether they are the
    /// map's last (then perhaps none); what it took is deleted. Returns how many there were.
    ///
    /// # Errors
    /// What the kernel says. What was handed over then may come again in a later generation.
    pub(super) fn run(
        &mut self,
        map: &impl Quiet<K>,
        mut hand_over: impl FnMut(&[K], &[FlowEntry], bool) -> Handed,
    ) -> io::Result<u64> {
        let mut from = None;
        let mut drained = 0;
        loop {
            self.keys.resize(self.size, K::new_zeroed());
            self.entries.resize(self.size, FlowEntry::new_zeroed());
            let (count, next) = match map.read(from, &mut self.keys, &mut self.entries)? {
                BatchEnd::TooSmall => {
                    self.size *= 2;
                    continue;
                }
                BatchEnd::More { count, next } => (count, Some(next)),
                BatchEnd::Done { count } => (count, None),
            };
            let (keys, entries) = (&self.keys[..count], &self.entries[..count]);
            let parts = count.div_ceil(BATCH).max(1);
            for part in 0..parts {
                let range = part * BATCH..count.min((part + 1) * BATCH);
                let last = next.is_none() && part + 1 == parts;
                if hand_over(&keys[range.clone()], &entries[range], last) == Handed::Refused {
                    return Ok(drained);
                }
            }
            map.delete(keys)?;
            drained += count as u64;
            match next {
                Some(_) => from = next,
                None => return Ok(drained),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A hash map of buckets: a batch holds whole buckets, as the kernel's does.
    struct Buckets {
        buckets: Vec<Vec<u32>>,
        deleted: RefCell<Vec<u32>>,
        asked: RefCell<Vec<usize>>,
    }

    impl Buckets {
        fn new(sizes: &[usize]) -> Self {
            let mut next = 0..;
            let buckets = sizes.iter().map(|size| next.by_ref().take(*size).collect()).collect();
            Self { buckets, deleted: RefCell::default(), asked: RefCell::default() }
        }
    }

    impl Quiet<u32> for Buckets {
        fn read(&self, from: Option<u32>, keys: &mut [u32], _: &mut [FlowEntry]) -> io::Result<BatchEnd> {
            self.asked.borrow_mut().push(keys.len());
            let mut count = 0;
            for (at, bucket) in self.buckets.iter().enumerate().skip(from.unwrap_or(0) as usize) {
                if count + bucket.len() > keys.len() {
                    let next = u32::try_from(at).unwrap();
                    return Ok(if count == 0 { BatchEnd::TooSmall } else { BatchEnd::More { count, next } });
                }
                keys[count..count + bucket.len()].copy_from_slice(bucket);
                count += bucket.len();
            }
            Ok(BatchEnd::Done { count })
        }

        fn delete(&self, keys: &[u32]) -> io::Result<()> {
            self.deleted.borrow_mut().extend_from_slice(keys);
            Ok(())
        }
    }

    fn check(sizes: &[usize], batch: usize, asked: &[usize], handed: &[(usize, bool)]) {
        let map = Buckets::new(sizes);
        let mut parts = Vec::new();
        let total: usize = sizes.iter().sum();
        let drained = Drain::new(batch).run(&map, |keys, entries, last| {
            assert_eq!(keys.len(), entries.len());
            parts.push((keys.len(), last));
            Handed::Over
        });
        assert_eq!(drained.unwrap(), total as u64);
        assert_eq!(*map.asked.borrow(), asked);
        assert_eq!(parts, handed);
        let everything: Vec<u32> = (0..u32::try_from(total).unwrap()).collect();
        assert_eq!(*map.deleted.borrow(), everything);
    }

    #[test]
    fn an_empty_map_hands_over_one_empty_last_part() {
        check(&[0, 0], 4, &[4], &[(0, true)]);
    }

    #[test]
    fn a_map_is_read_in_batches_and_the_last_is_marked() {
        check(&[2, 2, 1], 4, &[4, 4], &[(4, false), (1, true)]);
    }

    #[test]
    fn a_bucket_larger_than_the_batch_makes_the_batch_grow() {
        check(&[1, 9, 2], 4, &[4, 4, 8, 16], &[(1, false), (11, true)]);
    }

    #[test]
    fn a_grown_batch_is_handed_over_in_parts() {
        check(
            &[BATCH * 2 + 1],
            BATCH,
            &[BATCH, BATCH * 2, BATCH * 4],
            &[(BATCH, false), (BATCH, false), (1, true)],
        );
    }

    #[test]
    fn what_was_refused_is_not_deleted() {
        let map = Buckets::new(&[3]);
        let drained = Drain::new(4).run(&map, |_, _, _| Handed::Refused);
        assert_eq!(drained.unwrap(), 0);
        assert!(map.deleted.borrow().is_empty());
    }
}
