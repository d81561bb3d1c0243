//! All maps. Each says its key and value, who writes it, who reads it, its size and why it is as it is.

use aya_ebpf::{
    Global,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use monitor_common::{
    flow::{FlowEntry, FlowKey4, FlowKey6, SeenFlow},
    front::{self, Slot},
    interface::{INTERFACE_BUCKETS, InterfaceEntry, InterfaceTotals},
    loss,
    settings::{Settings, feature},
};

/// Not a map of ours but read-only data the loader overrides before the programs are verified: what is switched
/// off is dead code to the verifier and is removed. Read through [`crate::options`].
#[unsafe(no_mangle)]
pub static SETTINGS: Global<Settings> = Global::new(Settings {
    features: feature::DEFAULT,
    sample_every: 0,
    events_per_second: 10_000,
    snap_length: 128,
});

/// Low bits of the ifindex → watched interface.
/// Written by the attacher, read for every packet. 16,384 × 16 B. An array, because its lookup is inlined.
#[map]
pub static INTERFACES: Array<InterfaceEntry> = Array::with_max_entries(INTERFACE_BUCKETS, 0);

/// ifindex → watched interface, for those whose low bits another live interface already has.
/// Written by the attacher, read when the array names another interface. 1,024 × 16 B, not preallocated: mostly
/// empty.
#[map]
pub static INTERFACES_OVERFLOW: HashMap<u32, InterfaceEntry> =
    HashMap::with_max_entries(1024, aya_ebpf::bindings::BPF_F_NO_PREALLOC);

/// Slot of an interface → its totals, one value a CPU.
/// Written for every packet with plain adds (a CPU has its value to itself: TC runs with bottom halves off), read
/// by the collector and never drained. 336 B a slot and CPU; the loader sets how many slots.
#[map]
pub static TOTALS: PerCpuArray<InterfaceTotals> = PerCpuArray::with_max_entries(1024, 0);

/// 0 → which generation of the flow maps is active: 0 means `…_A`, 1 means `…_B`.
/// Written by the collector each tick, read for every packet. One entry.
#[map]
pub static ACTIVE: Array<u32> = Array::with_max_entries(1, 0);

/// IPv4 flows of generation A whose slot in [`FRONT4`] another flow has.
/// Made and added to by the programs while active, drained and emptied by the collector while quiet. Shared by
/// all CPUs, with atomic adds; preallocated, so that a first packet never waits for memory and a full map is an
/// error we count, not an eviction. The loader sets the size.
#[map]
pub static FLOWS4_A: HashMap<FlowKey4, FlowEntry> = HashMap::with_max_entries(65_536, 0);

/// IPv4 flows of generation B; see [`FLOWS4_A`].
#[map]
pub static FLOWS4_B: HashMap<FlowKey4, FlowEntry> = HashMap::with_max_entries(65_536, 0);

/// IPv4 flows of both generations that found a free slot, generation A first; see [`monitor_common::front`].
/// Claimed and added to by the programs while active; read and zeroed by the collector, which maps it into its
/// memory, while quiet. 2 × 4,096 × 176 B.
#[map]
pub static FRONT4: Array<Slot<3>> =
    Array::with_max_entries(2 * front::SLOTS, aya_ebpf::bindings::BPF_F_MMAPABLE);

/// IPv6 flows of both generations that found a free slot; see [`FRONT4`]. 2 × 4,096 × 200 B.
#[map]
pub static FRONT6: Array<Slot<6>> =
    Array::with_max_entries(2 * front::SLOTS, aya_ebpf::bindings::BPF_F_MMAPABLE);

/// IPv6 flows of generation A. Apart from IPv4, because hashing a 20 B key costs 6 to 15 ns less than a 44 B one;
/// otherwise as [`FLOWS4_A`].
#[map]
pub static FLOWS6_A: HashMap<FlowKey6, FlowEntry> = HashMap::with_max_entries(65_536, 0);

/// IPv6 flows of generation B; see [`FLOWS6_A`].
#[map]
pub static FLOWS6_B: HashMap<FlowKey6, FlowEntry> = HashMap::with_max_entries(65_536, 0);

/// IPv4 flows that are not new, with their ids, whatever the generation.
/// Made, read and kept fresh by the programs, only when a flow has no entry in the active generation yet; not
/// read by the agent. LRU: forgetting an idle flow costs a new id, not a count. The loader sets the size.
#[map]
pub static SEEN4: LruHashMap<FlowKey4, SeenFlow> = LruHashMap::with_max_entries(65_536, 0);

/// IPv6 flows that are not new; see [`SEEN4`].
#[map]
pub static SEEN6: LruHashMap<FlowKey6, SeenFlow> = LruHashMap::with_max_entries(65_536, 0);

/// [`loss::Loss`] → how often, one value a CPU.
/// Written by the programs with plain adds where something is lost, read by the collector, never reset.
#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(loss::LOSSES, 0);

/// Records of [`monitor_common::event`].
/// Written by the programs at most `events_per_second` times a second and CPU, read by the collector. 1 MiB
/// holds some ten thousand records; the loader sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

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
    /// Packets since the test switch last left out an add.
    pub unskipped: u64,
    /// What a new entry starts as. Only its flow id and time are ever written.
    pub blank: FlowEntry,
}
