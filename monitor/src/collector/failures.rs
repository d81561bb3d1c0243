//! Packets that tell of a failure, as the agent has them: the ring that the programs copy them into.

use super::decode;
use super::losses::{Lost, OwnLosses};
use crate::model::FailureSign;
use aya::maps::{MapData, RingBuf};
use monitor_common::failure::{FailureHeader, RING, ROOM};

/// What the ring holds: as many are taken at once, so that whoever writes on does not keep the reader.
const MOST_AT_ONCE: usize = RING as usize / (ROOM as usize + size_of::<FailureHeader>() + 8);

/// The ring.
pub(super) struct Failures(RingBuf<MapData>);

impl Failures {
    pub(super) fn new(ring: RingBuf<MapData>) -> Self {
        Self(ring)
    }

    /// Takes what is in it. What tells nothing that can be read is counted.
    pub(super) fn take(&mut self, losses: &OwnLosses) -> Vec<FailureSign> {
        let mut told = Vec::new();
        for _ in 0..MOST_AT_ONCE {
            let Some(record) = self.0.next() else { break };
            match decode::failure(&record) {
                Ok(Some(sign)) => told.push(sign),
                Ok(None) => losses.add(Lost::FailureUnreadable, 1),
                Err(decode::Malformed) => losses.add(Lost::MalformedRecord, 1),
            }
        }
        told
    }
}
