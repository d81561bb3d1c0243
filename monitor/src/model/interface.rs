//! Network devices the programs watch, and what the kernel itself counts on them.

use super::{ClassCounts, InterfaceNumber, KernelTime, Mac, SafeText};
use serde::{Deserialize, Serialize};

/// What kind of device is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceKind {
    /// The host end of a container's veth pair.
    Veth,
    /// A Docker bridge.
    Bridge,
    /// The control group of a container that has no interface of its own: its sockets. Packets have no Ethernet header there.
    Cgroup,
    /// A device in a container's own network namespace, where the host has no end of it.
    Inside,
}

impl InterfaceKind {
    /// Whether it is a device of one container, whose every packet crosses it.
    #[must_use]
    pub fn is_of_container(self) -> bool {
        match self {
            Self::Veth | Self::Inside => true,
            Self::Bridge | Self::Cgroup => false,
        }
    }
}

/// How the programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachMode {
    /// A TCX link: gone with the process that holds it.
    Tcx,
    /// A filter on the clsact qdisc: stays until it is removed.
    Clsact,
}

/// How many interfaces are attached to in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedBy {
    /// By TCX links.
    pub tcx: usize,
    /// By filters on the clsact qdisc.
    pub clsact: usize,
}

impl FromIterator<AttachMode> for AttachedBy {
    fn from_iter<I: IntoIterator<Item = AttachMode>>(modes: I) -> Self {
        let mut by = Self::default();
        for mode in modes {
            match mode {
                AttachMode::Tcx => by.tcx += 1,
                AttachMode::Clsact => by.clsact += 1,
            }
        }
        by
    }
}

/// The other end of a veth pair, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerDevice {
    /// Namespace id of the peer as the host's namespace numbers it; `None` while it is still in the host's own.
    pub namespace: Option<i32>,
    /// Its ifindex in that namespace.
    pub ifindex: u32,
    /// Its name there, once it could be read.
    pub name: Option<SafeText>,
    /// Its Ethernet address, once it could be read.
    pub mac: Option<Mac>,
}

/// A watched device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The agent's number of it.
    pub number: InterfaceNumber,
    /// Its ifindex in the host's namespace; 0 of what has none there.
    pub ifindex: u32,
    /// Its name; of a device in a container's namespace also whose that is.
    pub name: SafeText,
    /// What it is.
    pub kind: InterfaceKind,
    /// Its own Ethernet address (of the host end, not the container's).
    pub mac: Option<Mac>,
    /// ifindex and name of the bridge it is a port of.
    pub master: Option<(u32, SafeText)>,
    /// The container's end, for a veth; a device in a container's namespace is that itself.
    pub peer: Option<PeerDevice>,
}

/// What the device itself counts (`IFLA_STATS64`), turned round: `sent` is the host end's rx. Of a device in a container's
/// namespace it is that device's tx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCounters {
    /// skbs the container sent: `rx_packets` of the host end.
    pub sent_skbs: u64,
    /// Their bytes: `rx_bytes`.
    pub sent_bytes: u64,
    /// skbs the container received: `tx_packets` of the host end.
    pub received_skbs: u64,
    /// Their bytes: `tx_bytes`.
    pub received_bytes: u64,
    /// `rx_dropped` of the host end.
    pub sent_dropped: u64,
    /// `tx_dropped` of the host end: handed to the device after our hook, but not delivered.
    pub received_dropped: u64,
    /// Drops of the queueing discipline on the host end, after our egress hook; absent where it has none.
    pub qdisc_dropped: Option<u64>,
    /// skbs received by a device in a container's namespace whose Ethernet header it may have counted twice: those to many,
    /// of ipvlan all; 0 of a host's end.
    #[serde(default, alias = "received_to_many")]
    pub headers_twice: u64,
}

impl DeviceCounters {
    /// The same as the other end would count it.
    #[must_use]
    pub fn turned_round(self) -> Self {
        Self {
            sent_skbs: self.received_skbs,
            sent_bytes: self.received_bytes,
            sent_dropped: self.received_dropped,
            received_skbs: self.sent_skbs,
            received_bytes: self.sent_bytes,
            received_dropped: self.sent_dropped,
            qdisc_dropped: self.qdisc_dropped,
            headers_twice: self.headers_twice,
        }
    }
}

/// One reading of an interface's totals, between two readings of the device's own counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Which interface.
    pub number: InterfaceNumber,
    /// When the totals were read.
    pub at: KernelTime,
    /// Our totals since the interface was watched.
    pub totals: ClassCounts,
    /// The device's counters just before; absent when it was gone.
    pub device_before: Option<DeviceCounters>,
    /// The device's counters just after; absent when it was gone.
    pub device_after: Option<DeviceCounters>,
}

/// A device that should be watched and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotWatched {
    /// Its ifindex.
    pub ifindex: u32,
    /// Its name.
    pub name: SafeText,
    /// Why not, for a person.
    pub reason: String,
}
