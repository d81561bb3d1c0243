//! What was counted in each of the last sixty seconds.

use crate::model::{KernelTime, Traffic};
use std::collections::VecDeque;

/// Sent and received.
pub(super) type Ways = [u64; 2];

/// Seconds that are kept.
pub(super) const SECONDS: u32 = 60;

/// Bytes and packets both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Both {
    /// Bytes sent and received.
    pub(super) bytes: Ways,
    /// Packets sent and received.
    pub(super) packets: Ways,
}

impl Both {
    /// Adds.
    pub(super) fn add(&mut self, other: Self) {
        add(&mut self.bytes, other.bytes);
        add(&mut self.packets, other.packets);
    }

    /// Sees it from the other end.
    pub(super) fn turn(&mut self) {
        self.bytes.reverse();
        self.packets.reverse();
    }
}

impl From<Traffic> for Both {
    fn from(traffic: Traffic) -> Self {
        Self {
            bytes: [traffic.sent.bytes, traffic.received.bytes],
            packets: [traffic.sent.packets, traffic.received.packets],
        }
    }
}

/// Adds to both.
pub(super) fn add(sum: &mut Ways, more: Ways) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.saturating_add(more);
    }
}

/// The bytes of the last seconds of one row; seconds in which nothing was counted take no room.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(VecDeque<(u32, Ways)>);

impl Recent {
    /// Adds what was counted at `at`, which is not before what was added last.
    pub(super) fn add(&mut self, at: KernelTime, counted: Ways) {
        if counted == [0, 0] {
            return;
        }
        let second = second(at);
        match self.0.back_mut() {
            Some((last, sum)) if *last >= second => add(sum, counted),
            _ => self.0.push_back((second, counted)),
        }
        while self.0.front().is_some_and(|(first, _)| first + SECONDS <= second) {
            self.0.pop_front();
        }
    }

    /// What was counted in the last `seconds` seconds up to the one of `now`; what came later is not in it.
    pub(super) fn sum(&self, now: KernelTime, seconds: u32) -> Ways {
        let mut sum = [0, 0];
        let until = second(now);
        let from = until.saturating_sub(seconds);
        let within = self.0.iter().rev().skip_while(|(at, _)| *at > until).take_while(|(at, _)| *at > from);
        within.for_each(|(_, counted)| add(&mut sum, *counted));
        sum
    }

    /// Sees it from the other end.
    pub(super) fn turn(&mut self) {
        self.0.iter_mut().for_each(|(_, counted)| counted.reverse());
    }

    /// Adds all of another one, second by second.
    pub(super) fn merge(&mut self, other: &Self) {
        let mut all: Vec<(u32, Ways)> = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some((one, _)), Some((other, _))) if one <= other => ours.next(),
                (_, Some(_)) => theirs.next(),
                (Some(_), None) => ours.next(),
                (None, None) => break,
            };
            let Some((at, counted)) = next else { break };
            match all.last_mut() {
                Some((last, sum)) if last == at => add(sum, *counted),
                _ => all.push((*at, *counted)),
            }
        }
        self.0 = all.into();
    }

    /// Bytes both ways in each of the last sixty seconds, oldest first.
    pub(super) fn bars(&self, now: KernelTime) -> Vec<u64> {
        let mut bars = vec![0; SECONDS as usize];
        let end = second(now);
        for (at, counted) in &self.0 {
            let back = end.checked_sub(*at).filter(|back| *back < SECONDS);
            if let Some(bar) = back.and_then(|back| bars.get_mut((SECONDS - 1 - back) as usize)) {
                *bar = counted[0].saturating_add(counted[1]);
            }
        }
        bars
    }
}

/// The second a moment is in, since the kernel's clock began.
fn second(at: KernelTime) -> u32 {
    u32::try_from(at.0 / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Recent;
    use crate::model::KernelTime;

    const fn at(tenths: u64) -> KernelTime {
        KernelTime(tenths * 100_000_000)
    }

    #[test]
    fn a_window_sums_its_seconds_and_forgets_the_rest() {
        let mut recent = Recent::default();
        for second in 1..=100 {
            recent.add(at(second * 10), [second, 1]);
        }
        assert_eq!(recent.sum(at(1_000), 1), [100, 1]);
        assert_eq!(recent.sum(at(1_000), 10), [(91..=100).sum(), 10]);
        assert_eq!(recent.sum(at(1_000), 60), [(41..=100).sum(), 60]);
        assert_eq!(recent.sum(at(1_050), 10), [(96..=100).sum(), 5], "what is quiet falls to nothing");
        assert_eq!(recent.bars(at(1_000)).first().zip(recent.bars(at(1_000)).last()), Some((&42, &101)));
    }

    #[test]
    fn what_came_after_the_reading_is_not_in_it() {
        let mut recent = Recent::default();
        recent.add(at(10), [5, 0]);
        recent.add(at(20), [7, 0]);
        assert_eq!(recent.sum(at(10), 1), [5, 0]);
        assert_eq!(recent.bars(at(10)).last(), Some(&5));
    }

    #[test]
    fn two_are_merged_second_by_second() {
        let (mut one, mut other) = (Recent::default(), Recent::default());
        for second in [1, 3, 4] {
            one.add(at(second * 10), [second, 0]);
        }
        for second in [2, 3, 5] {
            other.add(at(second * 10), [0, second]);
        }
        one.merge(&other);
        let seconds: Vec<_> = one.0.iter().map(|(second, counted)| (*second, *counted)).collect();
        assert_eq!(seconds, [(1, [1, 0]), (2, [0, 2]), (3, [3, 3]), (4, [4, 0]), (5, [0, 5])]);
    }

    #[test]
    fn nothing_takes_no_room() {
        let mut recent = Recent::default();
        recent.add(at(10), [1, 1]);
        recent.add(at(20), [0, 0]);
        assert_eq!(recent.0.len(), 1);
        assert_eq!(recent.bars(at(6_000)), vec![0; 60]);
    }
}
