//! The flow counter of control groups: packets of containers that have no interface of their own, at their sockets.
//!
//! A packet has no Ethernet header here: what is counted begins with its IP header. Where a socket sends, bottom halves
//! are not off, and another packet may come between on the same CPU: all adds are atomic, and nothing is kept per CPU.

use crate::{
    atomic,
    flows::{self, Crossing},
    key::Key,
    losses::lose_anywhere,
    maps::CGROUPS,
    options::enabled,
    packet::Packet,
    told::{self, Spot},
};
use aya_ebpf::{
    bindings::__sk_buff, helpers::generated::bpf_skb_ancestor_cgroup_id, programs::SkBuffContext,
};
use monitor_common::{
    counters::{Counters, Direction},
    interface::{DirectionTotals, InterfaceEntry, place_kind},
    loss::Loss,
    packet::{Ip, Link, Transport, Visitor, visit_network},
    settings::feature,
};

/// How deep a container's control group may be, in the order in which they are tried: Docker's are two deep where nothing
/// else was asked for. Processes of a container may be in groups below its own.
const LEVELS: [i32; 8] = [2, 3, 1, 4, 5, 6, 7, 8];

/// Counts one packet. `direction` is a constant at each call.
#[inline(always)]
pub fn count(context: &SkBuffContext, direction: Direction) {
    let skb = context.skb.skb;
    let watched = container(skb).and_then(|it| Some((it, super::traffic::totals(it.slot, direction)?)));
    let Some((interface, totals)) = watched else { return lose_anywhere(Loss::UnknownInterface) };
    // SAFETY: the context is valid while the program runs.
    let ethertype = u16::from_be(unsafe { (*skb).protocol } as u16);
    let nothing = Link { source_mac: [0; 6], vlan: 0 };
    let packet = Packet::new(skb);
    let counting =
        Counting { packet: &packet, skb, place_kind: place_kind::GROUP, direction, interface, totals };
    visit_network(&packet, &nothing, ethertype, 0, counting);
}

/// The container whose socket it is.
#[inline(always)]
fn container(skb: *mut __sk_buff) -> Option<&'static InterfaceEntry> {
    for level in LEVELS {
        // SAFETY: the context is valid while the program runs.
        let group = unsafe { bpf_skb_ancestor_cgroup_id(skb, level) };
        // SAFETY: the entry stays readable while the program runs, even if it is deleted meanwhile.
        if let Some(entry) = unsafe { CGROUPS.get(group) } {
            return Some(entry);
        }
    }
    None
}

/// Counts a packet once it is known what it is.
pub(super) struct Counting<'a> {
    pub(super) packet: &'a Packet,
    pub(super) skb: *mut __sk_buff,
    /// Of a control group, or of a device in another namespace.
    pub(super) place_kind: u8,
    pub(super) direction: Direction,
    pub(super) interface: &'static InterfaceEntry,
    pub(super) totals: *mut DirectionTotals,
}

impl Visitor for Counting<'_> {
    type Output = ();

    #[inline(always)]
    fn ipv4(self, link: &Link, ip: &Ip<4>) {
        let key = ip.key(self.interface.number, self.direction, link.vlan);
        // SAFETY: a map lookup gave a valid value.
        let class = unsafe { &raw mut (*self.totals).ipv4 };
        self.flow(class, &key, &ip.transport);
    }

    #[inline(always)]
    fn ipv6(self, link: &Link, ip: &Ip<16>) {
        let key = ip.key(self.interface.number, self.direction, link.vlan);
        // SAFETY: a map lookup gave a valid value.
        let class = unsafe { &raw mut (*self.totals).ipv6 };
        self.flow(class, &key, &ip.transport);
    }

    /// Of a device inside a namespace: of a control group the kernel hands over nothing but IP.
    #[inline(always)]
    fn arp(self, _: &Link, _: usize) {
        // SAFETY: a map lookup gave a valid value.
        unsafe { add(&raw mut (*self.totals).arp, &self.packet.counted(0)) };
    }

    #[inline(always)]
    fn other(self, _: &Link) {
        // SAFETY: a map lookup gave a valid value.
        unsafe { add(&raw mut (*self.totals).other, &self.packet.counted(0)) };
    }
}

impl Counting<'_> {
    #[inline(always)]
    fn flow<K: Key<N>, const N: usize>(&self, class: *mut Counters, key: &K, transport: &Transport) {
        let counted = self.packet.counted(transport.header_length);
        // SAFETY: a part of a valid map value.
        unsafe { add(class, &counted) };
        let Self { skb, interface, place_kind, direction, .. } = *self;
        told::copy(&Spot { skb, interface, place_kind, direction }, transport, counted.skb_bytes as u32);
        if !enabled(feature::FLOWS) {
            return;
        }
        let crossing = Crossing { skb, direction, counted, source_mac: [0; 6] };
        if !flows::record_anywhere(&crossing, key, transport) {
            lose_anywhere(Loss::FlowMapFull);
            // SAFETY: a map lookup gave a valid value.
            unsafe { add(&raw mut (*self.totals).not_recorded, &crossing.counted) };
        }
    }
}

/// Adds with atomics.
///
/// # Safety
/// `counters` is valid.
#[inline(always)]
unsafe fn add(counters: *mut Counters, counted: &Counters) {
    // SAFETY: the caller's promise.
    unsafe {
        atomic::add(&raw mut (*counters).skbs, counted.skbs);
        atomic::add(&raw mut (*counters).skb_bytes, counted.skb_bytes);
        if counted.extra_packets != 0 {
            atomic::add(&raw mut (*counters).extra_packets, counted.extra_packets);
            atomic::add(&raw mut (*counters).extra_bytes, counted.extra_bytes);
        }
    }
}
