//! Settings of the programs, fixed when they are loaded: a feature that is off is removed by the verifier.

use crate::drops::DropSettings;
use crate::flow_table::{FACTORS, Factors, buckets};
use crate::pending::lines;
use crate::retransmits::RetransmitSettings;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bits of [`Settings::features`].
pub mod feature {
    /// Keep `ingress_ifindex` of what is received.
    pub const ORIGIN: u32 = 1;
    /// Keep and compare the source MAC of what is sent.
    pub const SOURCE_MAC: u32 = 1 << 1;
    /// Keep the times of SYN and SYN-ACK, and the TCP flags.
    pub const HANDSHAKE: u32 = 1 << 2;
    /// Ask for the sender's cgroup once for each entry.
    pub const CGROUP: u32 = 1 << 3;
    /// Report the first packet of each new flow in the ring.
    pub const FIRST_PACKET: u32 = 1 << 4;
    /// Send the programs' own diagnostics through `aya-log`.
    pub const DIAGNOSTICS: u32 = 1 << 5;
    /// Count flows at all; without it only totals are kept.
    pub const FLOWS: u32 = 1 << 6;
    /// Add packets to a flow's entry together, where they say nothing new of it; see [`crate::pending`].
    pub const PENDING: u32 = 1 << 7;
    /// Capture packets of interfaces with [`crate::interface::interface_flag::CAPTURE`].
    pub const CAPTURE: u32 = 1 << 8;
    /// Copy DNS messages of interfaces with [`crate::interface::interface_flag::DNS`].
    pub const DNS: u32 = 1 << 9;
    /// Copy the beginning of packets that tell of a failure, at interfaces with
    /// [`crate::interface::interface_flag::FAILURES`].
    pub const FAILURES: u32 = 1 << 10;
    /// Test switch: leave out one add of the totals for every 1,000th packet, so that the exactness check is
    /// seen to fail.
    pub const TEST_SKIP_ADD: u32 = 1 << 31;

    /// What an agent runs with.
    pub const DEFAULT: u32 =
        ORIGIN | SOURCE_MAC | HANDSHAKE | CGROUP | FIRST_PACKET | FLOWS | PENDING | DNS | FAILURES;
}

/// The global `SETTINGS` in the programs' read-only data.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Settings {
    /// Bits of [`feature`].
    pub features: u32,
    /// Sample one packet in this many, on average and for each CPU by itself; 0 samples none.
    pub sample_every: u32,
    /// Ring records a second and CPU before the rate cap refuses.
    pub events_per_second: u32,
    /// Bytes of a packet to keep: of a sampled one at most [`crate::event::SNAP_LENGTH`], of a captured one at most
    /// [`crate::capture::MOST_BYTES`].
    pub snap_length: u32,
    /// Flows of one generation and family: half the slots of an arena.
    pub max_flows: u32,
    /// [`buckets`] of as many: half the buckets of an index.
    pub buckets: u32,
    /// For the index's hash.
    pub factors: Factors,
    /// For the drop watcher.
    pub drops: DropSettings,
    /// For what is sent again.
    pub retransmits: RetransmitSettings,
}

const _: () = assert!(size_of::<Settings>() == 256);

impl Settings {
    /// What the object has before the loader says otherwise.
    pub const DEFAULT: Self = Self {
        features: feature::DEFAULT,
        sample_every: 0,
        events_per_second: 10_000,
        snap_length: 128,
        max_flows: 65_536,
        buckets: buckets(65_536),
        factors: FACTORS,
        drops: DropSettings::NONE,
        retransmits: RetransmitSettings::NONE,
    };

    /// The same for so many flows. The maps have to be made as large.
    #[must_use]
    pub const fn with_max_flows(self, max_flows: u32) -> Self {
        Self { max_flows, buckets: buckets(max_flows), ..self }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The maps whose sizes follow from the settings and the number of CPUs there may be, each with its entries.
#[must_use]
pub const fn map_sizes(settings: &Settings, cpus: u32) -> [(&'static str, u32); 8] {
    let Settings { max_flows, buckets, .. } = *settings;
    [
        ("ARENA4", 2 * max_flows),
        ("ARENA6", 2 * max_flows),
        ("INDEX4", 2 * buckets),
        ("INDEX6", 2 * buckets),
        ("SEEN4", max_flows),
        ("SEEN6", max_flows),
        ("PENDING", lines(cpus)),
        ("EVENTS", ring(cpus)),
    ]
}

/// Bytes of the ring of events: 128 KiB a CPU; a power of two, 256 KiB to 1 MiB.
///
/// It is read every 20 ms. At an even rate [`Settings::events_per_second`] fills a seventh of it meanwhile; but a CPU lets in all
/// events of its second at once, and up to two CPUs have room for 2,978 first packets (1,560 samples). Of a burst of more new flows
/// than that in 20 ms the rest is lost as [`crate::loss::Loss::RingFull`]: nobody is told of them before the flow itself is, at the
/// end of its tick, which is counted without the ring.
const fn ring(cpus: u32) -> u32 {
    match cpus {
        0..=2 => 256 << 10,
        3..=4 => 512 << 10,
        _ => 1 << 20,
    }
}
