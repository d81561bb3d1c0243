//! Sampled packets follow their flow: they come as they cross, their flow's line only with the tick's end.

use crate::model::{FlowId, KernelTime};
use crate::snapshot::SampleRecord;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The most packets that wait for their flow.
const MOST_WAITING: usize = 8_192;

/// Sampled packets that wait for their flow's line.
#[derive(Debug)]
pub(super) struct Pairing {
    patience: Duration,
    waiting: HashMap<FlowId, VecDeque<Arc<SampleRecord>>>,
    count: usize,
}

impl Pairing {
    /// A packet waits for a few ticks, then goes without its flow (which may have been lost).
    pub(super) fn new(tick: Duration) -> Self {
        Self { patience: tick * 3, waiting: HashMap::new(), count: 0 }
    }

    /// A packet came; it is given back at once if it is in no flow, or too many wait.
    pub(super) fn sample(&mut self, sample: Arc<SampleRecord>) -> Option<Arc<SampleRecord>> {
        match sample.flow_id {
            Some(flow) if self.count < MOST_WAITING => {
                self.waiting.entry(flow).or_default().push_back(sample);
                self.count += 1;
                None
            }
            _ => Some(sample),
        }
    }

    /// A flow's line of the tick that ended then was printed: the packets that follow it.
    pub(super) fn follow(&mut self, flow: FlowId, tick_end: KernelTime) -> Vec<Arc<SampleRecord>> {
        let Some(waiting) = self.waiting.get_mut(&flow) else { return Vec::new() };
        let later = waiting.iter().position(|sample| sample.at > tick_end).unwrap_or(waiting.len());
        let follow: Vec<_> = waiting.drain(..later).collect();
        self.count -= follow.len();
        if waiting.is_empty() {
            self.waiting.remove(&flow);
        }
        follow
    }

    /// The packets that have waited long enough, in the order in which they crossed.
    pub(super) fn overdue(&mut self, now: KernelTime) -> Vec<Arc<SampleRecord>> {
        let patience = self.patience;
        self.take(|sample| now.since(sample.at) > patience)
    }

    /// All packets that still wait, in the order in which they crossed.
    pub(super) fn rest(&mut self) -> Vec<Arc<SampleRecord>> {
        self.take(|_| true)
    }

    fn take(&mut self, due: impl Fn(&SampleRecord) -> bool) -> Vec<Arc<SampleRecord>> {
        let mut taken = Vec::new();
        self.waiting.retain(|_, samples| {
            samples.retain(|sample| {
                let due = due(sample);
                if due {
                    taken.push(Arc::clone(sample));
                }
                !due
            });
            !samples.is_empty()
        });
        self.count -= taken.len();
        taken.sort_by_key(|sample| sample.at);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_WAITING, Pairing};
    use crate::model::{FlowId, KernelTime};
    use crate::snapshot::SampleRecord;
    use crate::wire::fixtures;
    use std::sync::Arc;
    use std::time::Duration;

    fn sample(flow: Option<u64>, millis: u64) -> Arc<SampleRecord> {
        Arc::new(SampleRecord { flow_id: flow.map(FlowId), at: at(millis), ..fixtures::sample() })
    }

    fn at(millis: u64) -> KernelTime {
        KernelTime(millis * 1_000_000)
    }

    fn times(samples: &[Arc<SampleRecord>]) -> Vec<u64> {
        samples.iter().map(|sample| sample.at.0 / 1_000_000).collect()
    }

    #[test]
    fn a_packet_follows_its_own_flow_and_tick() {
        let mut pairing = Pairing::new(Duration::from_secs(1));
        for (flow, millis) in [(1, 100), (2, 200), (1, 300), (1, 1_100)] {
            assert_eq!(pairing.sample(sample(Some(flow), millis)), None);
        }
        assert_eq!(times(&pairing.follow(FlowId(1), at(1_000))), [100, 300]);
        assert_eq!(times(&pairing.follow(FlowId(1), at(2_000))), [1_100]);
        assert_eq!(times(&pairing.follow(FlowId(3), at(2_000))), [0_u64; 0]);
        assert_eq!(times(&pairing.rest()), [200]);
    }

    #[test]
    fn a_packet_whose_flow_never_comes_goes_alone() {
        let mut pairing = Pairing::new(Duration::from_secs(1));
        pairing.sample(sample(Some(2), 200));
        pairing.sample(sample(Some(1), 100));
        assert_eq!(times(&pairing.overdue(at(3_150))), [100]);
        assert_eq!(times(&pairing.overdue(at(9_000))), [200]);
    }

    #[test]
    fn a_packet_in_no_flow_and_one_too_many_do_not_wait() {
        let mut pairing = Pairing::new(Duration::from_secs(1));
        assert!(pairing.sample(sample(None, 1)).is_some());
        for flow in 0..MOST_WAITING as u64 {
            assert!(pairing.sample(sample(Some(flow), 1)).is_none());
        }
        assert!(pairing.sample(sample(Some(1), 1)).is_some());
        assert_eq!(pairing.rest().len(), MOST_WAITING);
    }
}
