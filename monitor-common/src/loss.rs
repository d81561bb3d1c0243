//! What the programs could not count or hand over, by name.

/// Index into `LOSSES`, a per-CPU array of `u64`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// skbs of IPv4 and IPv6 that are in no flow because the flow map was full.
    FlowMapFull = 0,
    /// Ring records refused because the ring was full.
    RingFull = 1,
    /// Ring records refused by the rate cap.
    RateCapped = 2,
    /// skbs at a hook whose interface the tables did not know.
    UnknownInterface = 3,
    /// New flows that could not be noted in `SEEN4`/`SEEN6`: their first packet may be reported again.
    SeenNotNoted = 4,
    /// Dropped packets that are in no drop record because `DROPS` was full.
    DropMapFull = 5,
    /// Packets whose claim of an address was not noted because `CLAIMS` was full.
    ClaimMapFull = 6,
    /// DNS messages that are in no record because the ring of such messages was full, or their bytes could not be read.
    DnsRingFull = 7,
    /// Buffers sent again that are in no record because `RETRANSMITS` was full, or their socket could not be read.
    RetransmitMapFull = 8,
    /// DNS messages that are in no record because their interface or namespace had too many in a short time.
    DnsRateCapped = 9,
    /// Packets that tell of a failure and are in no record because the ring of such packets was full, or their bytes could not
    /// be read.
    FailureRingFull = 10,
    /// Packets that tell of a failure and are in no record because their interface had too many in a short time.
    FailureRateCapped = 11,
}

/// Entries of `LOSSES`.
pub const LOSSES: u32 = 12;

impl Loss {
    /// All of them, in the order of their index.
    pub const ALL: [Self; LOSSES as usize] = [
        Self::FlowMapFull,
        Self::RingFull,
        Self::RateCapped,
        Self::UnknownInterface,
        Self::SeenNotNoted,
        Self::DropMapFull,
        Self::ClaimMapFull,
        Self::DnsRingFull,
        Self::RetransmitMapFull,
        Self::DnsRateCapped,
        Self::FailureRingFull,
        Self::FailureRateCapped,
    ];

    /// The name in JSON, in metrics and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlowMapFull => "flow_map_full",
            Self::RingFull => "ring_full",
            Self::RateCapped => "ring_rate_capped",
            Self::UnknownInterface => "unknown_interface",
            Self::SeenNotNoted => "seen_not_noted",
            Self::DropMapFull => "drop_map_full",
            Self::ClaimMapFull => "claim_map_full",
            Self::DnsRingFull => "dns_ring_full",
            Self::RetransmitMapFull => "retransmit_map_full",
            Self::DnsRateCapped => "dns_rate_capped",
            Self::FailureRingFull => "failure_ring_full",
            Self::FailureRateCapped => "failure_rate_capped",
        }
    }
}
