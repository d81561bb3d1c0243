//! What the CPUs counted in a generation and had not added to their flows' entries when it was over.

use super::window::Window;
use monitor_common::flow::FlowEntry;
use monitor_common::flow_table::{Slot, epoch};
use monitor_common::pending::{LINES, Pending, family, first};
use rustix::fd::{AsFd, OwnedFd};
use std::io;

/// The lines of all CPUs.
pub(super) struct Lines {
    memory: OwnedFd,
    cpus: u32,
}

impl Lines {
    /// The lines of so many CPUs.
    pub(super) fn new(memory: OwnedFd, cpus: u32) -> Self {
        Self { memory, cpus }
    }

    /// What is left of the generation that was active with `active`, and is quiet now.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn left(&self, active: u32) -> io::Result<Left> {
        let mut left = Left::default();
        for cpu in 0..self.cpus {
            let start = first(cpu, active & 1) as usize;
            let window = Window::<Pending>::new(self.memory.as_fd(), start..start + LINES as usize)?;
            for line in window.entries().iter().filter(|line| line.is_left(epoch(active))) {
                if family(line.tag) == 4 { &mut left.ipv4 } else { &mut left.ipv6 }.push(*line);
            }
        }
        left.ipv4.sort_unstable_by_key(|line| line.slot);
        left.ipv6.sort_unstable_by_key(|line| line.slot);
        Ok(left)
    }
}

/// What is left of a generation, by family, in the order of the slots.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// IPv4.
    pub(super) ipv4: Vec<Pending>,
    /// IPv6.
    pub(super) ipv6: Vec<Pending>,
}

/// The flows of some slots, the first of which has the number `first`, each with what is left of it; `tell` gets them
/// with their keys.
pub(super) fn whole(
    first: usize,
    slots: &[Slot],
    left: &[Pending],
    mut tell: impl FnMut(&[u64; 6], &FlowEntry),
) {
    let mut left = &left[left.partition_point(|line| (line.slot as usize) < first)..];
    for (number, slot) in (first..).zip(slots) {
        let (own, rest) = left.split_at(left.iter().take_while(|line| line.slot as usize == number).count());
        left = rest;
        match own {
            _ if !slot.is_used() => {}
            [] => tell(&slot.key, &slot.entry),
            _ => {
                let mut entry = slot.entry;
                own.iter().for_each(|line| line.add_to(&mut entry));
                tell(&slot.key, &entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, whole};
    use monitor_common::counters::{Counters, Direction};
    use monitor_common::flow::FlowEntry;
    use monitor_common::flow_table::{Slot, epoch};
    use monitor_common::pending::{LINES, Pending, first, lines, tag};
    use rustix::fs::{MemfdFlags, memfd_create};
    use zerocopy::IntoBytes as _;

    fn line(active: u32, family: u8, slot: u32, skbs: u64) -> Pending {
        let counters = Counters { skbs, ..Counters::default() };
        Pending { tag: tag(epoch(active), family, Direction::Sent), slot, counters, ..Pending::default() }
    }

    #[test]
    fn what_is_left_is_of_that_generation_alone_of_all_cpus_and_in_order() {
        let mut all = vec![Pending::default(); lines(2) as usize];
        let at = |cpu, active: u32, line: u32| (first(cpu, active & 1) + line) as usize;
        all[at(0, 7, LINES - 1)] = line(7, 4, 9, 1);
        all[at(1, 7, 0)] = line(7, 4, 3, 2);
        all[at(1, 7, 1)] = line(7, 6, 5, 3);
        all[at(0, 7, 2)] = line(5, 4, 1, 4);
        all[at(0, 7, 3)] = line(7, 4, 2, 0);
        all[at(0, 6, 0)] = line(6, 4, 2, 5);
        let file = memfd_create("vw-lines", MemfdFlags::CLOEXEC).unwrap();
        rustix::io::pwrite(&file, all.as_bytes(), 0).unwrap();
        let left = Lines::new(file, 2).left(7).unwrap();
        let told = |left: &[Pending]| left.iter().map(|it| (it.slot, it.counters.skbs)).collect::<Vec<_>>();
        assert_eq!((told(&left.ipv4), told(&left.ipv6)), (vec![(3, 2), (9, 1)], vec![(5, 3)]));
    }

    #[test]
    fn flows_are_told_with_what_is_left_of_them_and_unused_slots_are_not() {
        let slot = |key: u64| Slot { key: [key, 0, 0, 0, 0, 0], entry: FlowEntry::default() };
        let left =
            [line(0, 4, 1, 100), line(0, 4, 4, 1), line(0, 4, 4, 2), line(0, 4, 6, 3), line(0, 4, 7, 9)];
        let mut told = Vec::new();
        whole(4, &[slot(1), slot(2), slot(3), slot(0)], &left, |key, entry| {
            told.push((key[0], entry.sent.counters.skbs));
        });
        assert_eq!(told, [(1, 3), (2, 0), (3, 3)]);
    }
}
