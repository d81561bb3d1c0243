//! All maps. Each says its key and value, who writes it, who reads it, its size and why it is as it is.

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use monitor_common::{
    capture::CaptureCounters,
    claims::{ClaimEntry, ClaimKey, MOST_CLAIMS},
    drops::{DropEntry, DropKey, MOST_DROPS},
    flow::{FlowKey4, FlowKey6, SeenFlow},
    flow_table::{self, Slot},
    interface::{INTERFACE_BUCKETS, InterfaceEntry, InterfaceTotals, MOST_CGROUPS, MOST_INSIDE},
    loss,
    pending::{self, Pending},
    retransmits::{MOST_RETRANSMITS, RetransmitEntry, RetransmitKey},
    settings::Settings,
};

/// Not a map of ours but read-only data the loader overrides before the programs are verified: what is switched
/// off is dead code to the verifier and is removed. Read through [`crate::options`].
#[unsafe(no_mangle)]
pub static SETTINGS: Global<Settings> = Global::new(DEFAULT);

const DEFAULT: Settings = Settings::DEFAULT;

/// A bucket of an index.
pub type Bucket = [u64; flow_table::BUCKET];

/// Low bits of the ifindex → watched interface.
/// Written by the attacher, read for every packet. 16,384 × 16 B. An array, because its lookup is inlined.
#[map]
pub static INTERFACES: Array<InterfaceEntry> = Array::with_max_entries(INTERFACE_BUCKETS, 0);

/// ifindex → watched interface, for those whose low bits another live interface already has.
/// Written by the attacher, read when the array names another interface. 1,024 × 16 B, preallocated, as
/// the kernel wants it of a map that a tracepoint's program reads.
#[map]
pub static INTERFACES_OVERFLOW: HashMap<u32, InterfaceEntry> = HashMap::with_max_entries(1024, 0);

/// Id of a control group → the container in it, which is counted as an interface is.
/// Written by the attacher, read for every packet of such a container. 1,024 × 24 B.
#[map]
pub static CGROUPS: HashMap<u64, InterfaceEntry> = HashMap::with_max_entries(MOST_CGROUPS, 0);

/// [`monitor_common::interface::inside_key`] → watched device in a network namespace of others, where ifindexes are given
/// anew. Written by the attacher, read for every packet of such a device. 1,024 × 24 B.
#[map]
pub static INSIDE: HashMap<u64, InterfaceEntry> = HashMap::with_max_entries(MOST_INSIDE, 0);

/// Slot of an interface → its totals, one value a CPU.
/// Written for every packet with plain adds (a CPU has its value to itself: TC runs with bottom halves off), but those of
/// a control group or a device inside a namespace of others with atomic ones, since packets may come between there; read
/// by the collector and never drained. 336 B a slot and CPU; the loader sets how many slots.
#[map]
pub static TOTALS: PerCpuArray<InterfaceTotals> = PerCpuArray::with_max_entries(1024, 0);

/// 0 → the epoch, see [`monitor_common::flow_table::epoch`]; its lowest bit is the active generation of the flows.
/// Counted up by the collector each tick, read for every packet. One entry.
#[map]
pub static ACTIVE: Array<u32> = Array::with_max_entries(1, 0);

/// In which slot of [`ARENA4`] a flow is; see [`monitor_common::flow_table`]. Generation 0 first.
/// Written and read by the programs only. 64 B a bucket; mappable not to be mapped, but because such an array
/// begins at a page, so that a bucket is a cache line. The loader sets the size.
#[map]
pub static INDEX4: Array<Bucket> = Array::with_max_entries(2 * DEFAULT.buckets, BPF_F_MMAPABLE);

/// In which slot of [`ARENA6`] a flow is; see [`INDEX4`].
#[map]
pub static INDEX6: Array<Bucket> = Array::with_max_entries(2 * DEFAULT.buckets, BPF_F_MMAPABLE);

/// IPv4 flows, those of generation 0 first; see [`monitor_common::flow_table`].
/// Given out in order and added to by the programs while active, with atomic adds, since all CPUs share them; read
/// in order by the collector, which maps what is used, while quiet. As an array it is there from the start: a first
/// packet never waits for memory, and when it is full that is counted. 192 B a slot; the loader sets how many.
#[map]
pub static ARENA4: Array<Slot> = Array::with_max_entries(2 * DEFAULT.max_flows, BPF_F_MMAPABLE);

/// IPv6 flows; see [`ARENA4`]. Apart from IPv4, because hashing and comparing a key of 20 B costs less than one of
/// 44 B.
#[map]
pub static ARENA6: Array<Slot> = Array::with_max_entries(2 * DEFAULT.max_flows, BPF_F_MMAPABLE);

/// [`pending::first`] and [`pending::line`] → packets that are not in their flow's entry yet.
/// Written and read by the programs, each CPU its own, while their generation is active; read by the collector, which
/// maps it, while that is quiet. 128 B a line; the loader sets how many, 256 for each CPU.
#[map]
pub static PENDING: Array<Pending> = Array::with_max_entries(pending::lines(1), BPF_F_MMAPABLE);

/// [`flow_table::used`] → how many slots of that half of an arena were given out, or more once it is full.
/// Added to by the programs while active, read and set to 0 by the collector while quiet. Four entries.
#[map]
pub static USED: Array<u64> = Array::with_max_entries(4, 0);

/// IPv4 flows that are not new, with their ids, whatever the generation.
/// Made, read and kept fresh by the programs, only when a flow has no entry in the active generation yet; not
/// read by the agent. LRU: forgetting an idle flow costs a new id, not a count. The loader sets the size.
#[map]
pub static SEEN4: LruHashMap<FlowKey4, SeenFlow> = LruHashMap::with_max_entries(65_536, 0);

/// IPv6 flows that are not new; see [`SEEN4`].
#[map]
pub static SEEN6: LruHashMap<FlowKey6, SeenFlow> = LruHashMap::with_max_entries(65_536, 0);

/// Conversation, reason and place → dropped packets, of both generations.
/// Added to by the drop watcher while its generation is active, with atomic adds; read and emptied of a generation by
/// the collector while that is quiet. No eviction: a full map is counted. 16,384 × 84 B.
#[map]
pub static DROPS: HashMap<DropKey, DropEntry> = HashMap::with_max_entries(MOST_DROPS, 0);

/// Connection → segments that were sent again, of both generations.
/// As [`DROPS`], by the programs at the tracepoints of what is sent again. 8,192 × 60 B.
#[map]
pub static RETRANSMITS: HashMap<RetransmitKey, RetransmitEntry> =
    HashMap::with_max_entries(MOST_RETRANSMITS, 0);

/// Interface, address and Ethernet address → how often they were claimed to belong together, of both generations.
/// As [`DROPS`], by the program for what containers send. 8,192 × 52 B.
#[map]
pub static CLAIMS: HashMap<ClaimKey, ClaimEntry> = HashMap::with_max_entries(MOST_CLAIMS, 0);

/// [`loss::Loss`] → how often, one value a CPU.
/// Written by the programs with plain adds where something is lost, read by the collector, never reset.
#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(loss::LOSSES, 0);

/// Records of [`monitor_common::event`].
/// Written by the programs at most `events_per_second` times a second and CPU, read by the collector fifty times a second. The
/// loader sets the size: 1 MiB, which holds some ten thousand records, or less where there are few CPUs.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Records of [`monitor_common::capture`].
/// Written by the programs for packets of interfaces that are captured, read by the collector. A page where nothing is
/// captured; else the loader sets the size.
#[map]
pub static PACKETS: RingBuf = RingBuf::with_byte_size(4_096, 0);

/// Number of an interface → what was captured there, one value a CPU.
/// Written by the programs with plain adds, read by the collector, never reset: a number is never used twice. One entry
/// where nothing is captured; else the loader sets how many.
#[map]
pub static CAPTURED: PerCpuArray<CaptureCounters> = PerCpuArray::with_max_entries(1, 0);

/// Records of [`monitor_common::dns`].
/// Written by the programs for DNS messages of containers, read by the collector. A page where names are not looked at;
/// else the loader sets the size.
#[map]
pub static NAMES: RingBuf = RingBuf::with_byte_size(4_096, 0);

/// Place and direction of DNS messages → the latest span and, in the lower 16 bits, how many there were in it.
/// Written and read by the programs for such messages alone. 1,024 × 16 B; the one that was used longest ago makes room.
#[map]
pub static NAME_RATES: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1024, 0);

/// Records of [`monitor_common::failure`].
/// Written by the programs for packets of containers that tell of a failure, read by the collector once a tick. A page where
/// those are not looked at; else the loader sets the size.
#[map]
pub static FAILURES: RingBuf = RingBuf::with_byte_size(4_096, 0);

/// Interface and direction of packets that tell of a failure → as in [`NAME_RATES`]. 1,024 × 16 B.
#[map]
pub static FAILURE_RATES: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1024, 0);

/// 0 → what a CPU remembers between packets.
/// Written and read by the programs only. One entry.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// What a CPU remembers between packets.
#[repr(C)]
pub struct Scratch {
    /// The kernel's tick count when `coarse_time` was asked for.
    pub tick: u64,
    /// Coarse monotonic time of that tick, nanoseconds.
    pub coarse_time: u64,
    /// Flows this CPU has given an id to.
    pub flows: u64,
    /// Packets to let pass before the next one is sampled.
    pub until_sample: u64,
    /// Coarse monotonic time at which the rate cap's current second began, nanoseconds.
    pub second: u64,
    /// Ring records asked for in that second.
    pub records: u64,
    /// The key of the flow that is looked for; as many words as it has.
    pub key: [u64; 6],
    /// Packets since the test switch last left out an add.
    pub unskipped: u64,
}
