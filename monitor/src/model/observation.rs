//! What the collector tells the engine.

use super::{
    AttachMode, Claim, Conntrack, ContainerId, DeviceCounters, Direction, DnsExchange, DropBatch, DropWatch,
    FailureSign, FlowDelta, FlowId, FlowKey, Interface, InterfaceNumber, KernelTime, Losses, NotWatched,
    PinWatch, Reading, Retransmit, SafeText, TcpFlags, TranslationChange,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One drained generation of flows. At least once: a reader that saw `epoch` before drops it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowBatch {
    /// Number of the generation, counted from the start; every part of one generation carries the same.
    pub epoch: u64,
    /// From when on the generation was active.
    pub tick_start: KernelTime,
    /// Until when.
    pub tick_end: KernelTime,
    /// At most 4,096 flows.
    pub flows: Vec<FlowDelta>,
    /// Whether this is the last part of the generation.
    pub last: bool,
}

/// The first packet of a flow that was not seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstPacketSeen {
    /// Which flow.
    pub key: FlowKey,
    /// Its number.
    pub flow_id: FlowId,
    /// When.
    pub at: KernelTime,
    /// Which way it went.
    pub direction: Direction,
    /// Its flags, for TCP.
    pub tcp_flags: Option<TcpFlags>,
    /// Its length in bytes, Ethernet header included.
    pub length: u32,
}

/// A sampled packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: KernelTime,
    /// Where.
    pub interface: InterfaceNumber,
    /// Which way.
    pub direction: Direction,
    /// Its flow; absent when it is in none.
    pub flow_id: Option<FlowId>,
    /// Its length in bytes, Ethernet header included.
    pub length: u32,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

/// Addresses of the host itself, by interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAddresses {
    /// ifindex, interface name, address.
    pub addresses: Vec<(u32, SafeText, IpAddr)>,
    /// ifindex and name of every device in the host's namespace, to name an origin.
    pub devices: Vec<(u32, SafeText)>,
}

/// How full the programs' maps are, and what the agent itself takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Flows drained from the last generation, both families.
    pub flows: u64,
    /// Those of IPv6 among them.
    #[serde(default)]
    pub flows_ipv6: u64,
    /// Entries each family's flow map has.
    pub flow_capacity: u64,
    /// Interface slots in use.
    pub slots: u64,
    /// Interface slots there are.
    pub slot_capacity: u64,
    /// Nanoseconds from the last flip until no program was still adding to the quiet generation.
    pub grace_ns: u64,
    /// Nanoseconds it then took to read, hand over and delete the quiet generation's entries.
    pub drain_ns: u64,
    /// Generations flipped since the start.
    pub flips: u64,
    /// Conversations with drops in the last generation.
    #[serde(default)]
    pub drops: u64,
    /// Conversations whose drops there is room for; 0 where drops are not watched.
    #[serde(default)]
    pub drop_capacity: u64,
    /// Claims of addresses in the last generation.
    #[serde(default)]
    pub claims: u64,
    /// Claims there is room for.
    #[serde(default)]
    pub claim_capacity: u64,
    /// The most bytes of records that were read from the ring at once since the last report: how full it was.
    #[serde(default)]
    pub ring_bytes: u64,
    /// Bytes the ring has room for.
    #[serde(default)]
    pub ring_capacity: u64,
    /// Nanoseconds of processor time that all threads of the agent took since it was started; absent if it could not be
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// Bytes of memory that the agent holds; absent if they could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

impl Resources {
    /// Flows of the family that had more of them: what its map had to hold.
    #[must_use]
    pub fn flows_of_fuller_family(&self) -> u64 {
        self.flows_ipv6.max(self.flows.saturating_sub(self.flows_ipv6))
    }
}

/// One thing the collector saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// A device is watched from now on.
    Attached {
        /// The device.
        interface: Interface,
        /// When the programs were in place.
        at: KernelTime,
        /// How they are attached.
        mode: AttachMode,
        /// The device's counters just before, which are what crossed unseen; absent if they could not be read.
        before: Option<DeviceCounters>,
        /// The device's counters just after the programs were in place.
        after: Option<DeviceCounters>,
    },
    /// What is known of a watched device changed (its peer was read, it got another master or name).
    Changed {
        /// The device.
        interface: Interface,
        /// Since when.
        at: KernelTime,
    },
    /// A device is watched no longer.
    Detached {
        /// Which.
        number: InterfaceNumber,
        /// Since when.
        at: KernelTime,
        /// The last reading: our totals, and the device's own counters from its farewell message if the kernel
        /// sent them (in `device_after`).
        last: Box<Reading>,
    },
    /// A container that has no interface of its own is watched at its control group from now on.
    GroupAttached {
        /// The number that stands for it where an interface's would.
        number: InterfaceNumber,
        /// Which container.
        container: ContainerId,
        /// When the programs were in place.
        at: KernelTime,
    },
    /// Such a container is not watched.
    GroupNotWatched {
        /// Which container.
        container: ContainerId,
        /// Why not, for a person.
        reason: SafeText,
    },
    /// Why a device in a container's namespace is not watched; or that there is no such device any more.
    InsideNotWatched {
        /// Which container.
        container: ContainerId,
        /// Why not, for a person.
        reason: Option<SafeText>,
    },
    /// A device should be watched and is not.
    NotWatched(NotWatched),
    /// A namespace's number was asked for and found.
    Namespace {
        /// The path or pid that was asked about, as given.
        sandbox: String,
        /// `None`: it has no number, or it is the host's own.
        namespace: Option<i32>,
        /// The number that the whole system knows it by (`ns.inum`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inode: Option<u32>,
    },
    /// Flows of one generation.
    Flows(FlowBatch),
    /// Totals of all watched interfaces.
    Totals(Vec<Reading>),
    /// Whether drops are watched; told once, at the start.
    DropWatch(DropWatch),
    /// Whether programs and maps outlive the agent; told once, at the start, by one that wants that.
    Pins(PinWatch),
    /// What the kernel dropped in one generation.
    Drops(DropBatch),
    /// Whether what is sent again is seen, and why not; told once, at the start.
    RetransmitWatch(Result<(), SafeText>),
    /// What TCP connections sent again in one generation.
    Retransmits(Vec<Retransmit>),
    /// Packets that tell of a failure, since the last tick.
    Failures(Vec<FailureSign>),
    /// Who claimed which address in one generation.
    Claims(Vec<Claim>),
    /// Translations that came or went.
    Translations(Vec<TranslationChange>),
    /// How translations are learned from now on.
    Conntrack(Conntrack),
    /// A new flow.
    FirstPacket(FirstPacketSeen),
    /// A sampled packet.
    Sample(Sample),
    /// Whether what Docker's own resolver is asked can be seen, from now on; or why not.
    Resolver(Result<(), SafeText>),
    /// Names that were asked for; answered, or not in time.
    Names(Vec<DnsExchange>),
    /// The host's own addresses and devices.
    Host(HostAddresses),
    /// The collector's losses since the start; each replaces the earlier one of its name.
    Losses(Losses),
    /// How full the maps are.
    Resources(Resources),
}
