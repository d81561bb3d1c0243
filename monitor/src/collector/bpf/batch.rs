//! Many entries of a hash map by one call, which costs a quarter of a call for each.

use super::{Map, address, address_mut, bpf, command, number};
use rustix::fd::AsFd as _;
use std::io;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// How many entries one call hands over. The kernel refuses what one bucket of the map alone would exceed.
const AT_ONCE: usize = 1_024;

/// `BPF_MAP_*_BATCH`.
#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct Batch {
    /// The place to go on from, and where to put the next one: a bucket's number.
    from: u64,
    next: u64,
    keys: u64,
    values: u64,
    /// How many there is room for; how many it were.
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

impl<K, V> Map<K, V>
where
    K: IntoBytes + FromBytes + Immutable + Copy,
    V: IntoBytes + FromBytes + Immutable + Copy,
{
    /// Takes the entries out of a hash map whose keys are `wanted`, which are neither made nor removed by anybody else
    /// meanwhile.
    ///
    /// # Errors
    /// What the kernel says; what was taken before that is put back.
    pub(in crate::collector) fn take(&self, wanted: impl Fn(&K) -> bool) -> io::Result<Vec<(K, V)>> {
        // As a rule it is empty.
        if self.key_after(None)?.is_none() {
            return Ok(Vec::new());
        }
        let taken = self.read_all(wanted)?;
        let keys: Vec<K> = taken.iter().map(|(key, _)| *key).collect();
        let (removed, result) = self.remove_all(&keys);
        if let Err(error) = result {
            for (key, value) in &taken[..removed] {
                self.update(key, value)?;
            }
            return Err(error);
        }
        Ok(taken)
    }

    /// The entries whose keys are `wanted`.
    fn read_all(&self, wanted: impl Fn(&K) -> bool) -> io::Result<Vec<(K, V)>> {
        let (mut keys, mut values) = (vec![K::new_zeroed(); AT_ONCE], vec![V::new_zeroed(); AT_ONCE]);
        let (mut from, mut next) = (0_u32, 0_u32);
        let mut is_first = true;
        let mut read = Vec::new();
        loop {
            let mut batch = Batch {
                from: if is_first { 0 } else { address(&from) },
                next: address_mut(&mut next),
                keys: address_mut(keys.as_mut_slice()),
                values: address_mut(values.as_mut_slice()),
                ..self.batch(AT_ONCE)
            };
            // SAFETY: keys and values are alive and have room for as many of the map's sizes as `count` says; the places of a hash
            // map are numbers of four bytes.
            let result = unsafe { bpf(command::MAP_LOOKUP_BATCH, &mut batch) };
            let is_last = match result {
                Ok(_) => false,
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
                Err(error) => return Err(error),
            };
            let of_it = keys.iter().zip(&values).take(batch.count as usize);
            read.extend(of_it.filter(|(key, _)| wanted(key)).map(|(key, value)| (*key, *value)));
            if is_last {
                return Ok(read);
            }
            (from, is_first) = (next, false);
        }
    }

    /// Removes entries, in this order; how many it were, and whether all.
    fn remove_all(&self, keys: &[K]) -> (usize, io::Result<()>) {
        if keys.is_empty() {
            return (0, Ok(()));
        }
        let mut batch = Batch { keys: address(keys), ..self.batch(keys.len()) };
        // SAFETY: the keys are alive, and as many of the map's size as `count` says at most; the kernel only reads them.
        let result = unsafe { bpf(command::MAP_DELETE_BATCH, &mut batch) };
        (batch.count as usize, result.map(drop))
    }

    fn batch(&self, most: usize) -> Batch {
        let count = u32::try_from(most).unwrap_or(u32::MAX);
        Batch { count, map: number(self.as_fd()), ..Batch::default() }
    }
}
