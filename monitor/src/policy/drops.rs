//! Drops of the last ticks, to be matched with conversations.

use crate::model::{Drop, DropBatch, KernelTime, Protocol, SafeText};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// The most conversations whose drops are remembered.
const MOST: usize = 16_384;
/// How long.
const KEEP: Duration = Duration::from_secs(60);

/// A direction of a conversation, as drops tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Path {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: Protocol,
    /// The smaller of the two ports.
    pub(super) port: Option<u16>,
}

/// What was dropped of one.
#[derive(Clone, Debug)]
pub(super) struct Dropped {
    pub(super) reason: SafeText,
    pub(super) device: u32,
    pub(super) packets: u64,
    pub(super) last_seen: KernelTime,
}

/// Drops by path.
#[derive(Debug, Default)]
pub(super) struct Drops {
    by_path: HashMap<Path, Dropped>,
    order: VecDeque<(Path, KernelTime)>,
    /// Paths that were forgotten before their time.
    pub(super) forgotten: u64,
}

impl Drops {
    pub(super) fn take(&mut self, batch: &DropBatch) {
        for drop in &batch.drops {
            self.note(drop);
        }
    }

    fn note(&mut self, drop: &Drop) {
        let path = Path {
            source: drop.source,
            destination: drop.destination,
            protocol: drop.protocol,
            port: drop.port,
        };
        let known = self.by_path.entry(path).or_insert_with(|| {
            self.order.push_back((path, drop.last_seen));
            Dropped {
                reason: drop.reason.clone(),
                device: drop.device,
                packets: 0,
                last_seen: drop.last_seen,
            }
        });
        known.packets = known.packets.saturating_add(drop.packets);
        if drop.last_seen >= known.last_seen {
            known.last_seen = drop.last_seen;
            known.reason = drop.reason.clone();
            known.device = drop.device;
        }
        while self.by_path.len() > MOST {
            self.forgotten += u64::from(self.forget_oldest());
        }
    }

    /// What was dropped on a path since `since`.
    pub(super) fn on(&self, path: &Path, since: KernelTime) -> Option<&Dropped> {
        self.by_path.get(path).filter(|dropped| dropped.last_seen >= since)
    }

    /// All that is remembered.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&Path, &Dropped)> {
        self.by_path.iter()
    }

    /// Forgets what is old.
    pub(super) fn prune(&mut self, now: KernelTime) {
        while self.order.front().is_some_and(|(_, noted)| now.since(*noted) > KEEP) {
            let Some((path, _)) = self.order.pop_front() else { return };
            match self.by_path.get(&path) {
                Some(dropped) if now.since(dropped.last_seen) <= KEEP => {
                    self.order.push_back((path, dropped.last_seen));
                }
                _ => drop(self.by_path.remove(&path)),
            }
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.order.pop_front();
        oldest.is_some_and(|(path, _)| self.by_path.remove(&path).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(port: u16, seconds: u64) -> Drop {
        let at = KernelTime(seconds * 1_000_000_000);
        Drop {
            source: "172.18.0.2".parse().unwrap(),
            destination: "172.19.0.2".parse().unwrap(),
            protocol: Protocol::TCP,
            port: Some(port),
            reason: SafeText::new("NETFILTER_DROP"),
            device: 3,
            ingress: 3,
            packets: 2,
            bytes: 120,
            first_seen: at,
            last_seen: at,
        }
    }

    fn path(port: u16) -> Path {
        let Drop { source, destination, protocol, port, .. } = dropped(port, 0);
        Path { source, destination, protocol, port }
    }

    fn at(seconds: u64) -> KernelTime {
        KernelTime(seconds * 1_000_000_000)
    }

    #[test]
    fn drops_of_one_path_add_up_and_count_from_a_time_on() {
        let mut drops = Drops::default();
        drops.take(&DropBatch { epoch: 1, drops: vec![dropped(80, 5), dropped(80, 9)] });
        assert_eq!(drops.on(&path(80), at(6)).unwrap().packets, 4);
        assert!(drops.on(&path(80), at(10)).is_none());
        assert!(drops.on(&path(81), at(0)).is_none());
    }

    #[test]
    fn what_is_old_is_forgotten_and_what_goes_on_is_not() {
        let mut drops = Drops::default();
        drops.take(&DropBatch { epoch: 1, drops: vec![dropped(80, 0), dropped(81, 0), dropped(81, 50)] });
        drops.prune(at(70));
        assert!(drops.on(&path(80), at(0)).is_none());
        assert!(drops.on(&path(81), at(0)).is_some());
        drops.prune(at(200));
        assert!(drops.by_path.is_empty() && drops.order.is_empty());
    }

    #[test]
    fn no_more_paths_are_kept_than_may_be() {
        let mut drops = Drops::default();
        let many = (0..=u16::MAX).map(|port| dropped(port, 1)).collect();
        drops.take(&DropBatch { epoch: 1, drops: many });
        assert_eq!(drops.by_path.len(), MOST);
        assert_eq!(drops.forgotten, 65_536 - MOST as u64);
    }
}
