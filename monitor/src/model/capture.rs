//! Packets that are captured.

use super::{FlowKey, InterfaceNumber, Sample};

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedPacket {
    /// The packet, a VLAN tag that lay beside it put back into it.
    pub packet: Sample,
    /// The ifindex of its interface; 0 where that came and went too fast to be seen.
    pub ifindex: u32,
    /// What it says of itself: whose flow it is in. Absent when it is in none, or too little of it was kept.
    pub key: Option<FlowKey>,
}

/// What was captured at one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Which.
    pub number: InterfaceNumber,
    /// Its ifindex; 0 where it came and went too fast to be seen.
    pub ifindex: u32,
    /// skbs that crossed while it was captured.
    pub seen: u64,
    /// Those of them that were lost, because nobody took them fast enough.
    pub dropped: u64,
}
