//! The flow counter: every packet of a watched interface goes into its interface's totals and into its flow.

use crate::{
    capture, claims, events,
    flows::{self, Crossing},
    key::Key,
    losses::lose,
    maps::{INTERFACES, INTERFACES_OVERFLOW, SCRATCH, TOTALS},
    options::enabled,
    packet::Packet,
    told::{self, Spot},
};
use aya_ebpf::programs::TcContext;
use aya_log_ebpf::debug;
use monitor_common::{
    claims::is_advertisement,
    counters::{Counters, Direction},
    interface::{DirectionTotals, INTERFACE_BUCKETS, InterfaceEntry, interface_flag, place_kind},
    loss::Loss,
    packet::{Ip, Link, Transport, Visitor, visit},
    settings::feature,
};

/// Counts one packet. `direction` is a constant at each call, so each program has only its own half of the code.
#[inline(always)]
pub fn count(context: &TcContext, direction: Direction) {
    let skb = context.skb.skb;
    // SAFETY: the context is valid while the program runs.
    let ifindex = unsafe { (*skb).ifindex };
    let watched = interface(ifindex).and_then(|it| Some((it, totals(it.slot, direction)?)));
    let Some((interface, totals)) = watched else {
        lose(Loss::UnknownInterface);
        if enabled(feature::DIAGNOSTICS) {
            debug!(context, "unknown interface {}", ifindex);
        }
        return;
    };
    let packet = Packet::new(skb);
    let tag = packet.tag();
    if tag.is_some() {
        // SAFETY: a map lookup gave a valid value, this CPU's own.
        unsafe { (*totals).tagged_skbs += 1 };
    }
    visit(&packet, tag, Counting { context, packet: &packet, direction, interface, totals });
}

/// Counts a packet once it is known what it is.
struct Counting<'a> {
    context: &'a TcContext,
    packet: &'a Packet,
    direction: Direction,
    interface: &'static InterfaceEntry,
    totals: *mut DirectionTotals,
}

impl Visitor for Counting<'_> {
    type Output = ();

    #[inline(always)]
    fn ipv4(self, link: &Link, ip: &Ip<4>) {
        let key = ip.key(self.interface.number, self.direction, link.vlan);
        // SAFETY: a map lookup gave a valid value.
        let class = unsafe { &raw mut (*self.totals).ipv4 };
        self.flow(class, link, &key, &ip.transport);
    }

    #[inline(always)]
    fn ipv6(self, link: &Link, ip: &Ip<16>) {
        if is_advertisement(ip) && self.notes_claims() {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = ip.source;
            let from = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
            let rest = u64::from_ne_bytes([i, j, k, l, m, n, o, p]);
            // The header length of ICMP is where its header begins.
            let offset = u32::from(ip.transport.header_length);
            claims::claimed_by_advertisement(self.context.skb.skb, self.interface.number, offset, from, rest);
        }
        let key = ip.key(self.interface.number, self.direction, link.vlan);
        // SAFETY: a map lookup gave a valid value.
        let class = unsafe { &raw mut (*self.totals).ipv6 };
        self.flow(class, link, &key, &ip.transport);
    }

    #[inline(always)]
    fn arp(self, _: &Link, offset: usize) {
        if self.notes_claims() {
            claims::claimed_by_arp(self.context.skb.skb, self.interface.number, offset as u32);
        }
        // SAFETY: a map lookup gave a valid value.
        let class = unsafe { &raw mut (*self.totals).arp };
        self.class(class);
    }

    #[inline(always)]
    fn other(self, _: &Link) {
        // SAFETY: a map lookup gave a valid value.
        let class = unsafe { &raw mut (*self.totals).other };
        self.class(class);
    }
}

impl Counting<'_> {
    /// Whether what a packet claims is noted here: of what a container sends, at its own interface.
    #[inline(always)]
    fn notes_claims(&self) -> bool {
        matches!(self.direction, Direction::Sent) && self.interface.flags & interface_flag::CLAIMS != 0
    }

    /// Counts a packet that belongs in a flow.
    #[inline(always)]
    fn flow<K: Key<N>, const N: usize>(
        &self,
        class: *mut Counters,
        link: &Link,
        key: &K,
        transport: &Transport,
    ) {
        let counted = self.packet.counted(transport.header_length);
        add_to_total(class, &counted);
        let spot = Spot {
            skb: self.context.skb.skb,
            interface: self.interface,
            place_kind: place_kind::INTERFACE,
            direction: self.direction,
        };
        told::copy(&spot, transport, counted.skb_bytes as u32);
        if !enabled(feature::FLOWS) {
            return self.copy(0, K::FAMILY);
        }
        let crossing = Crossing {
            skb: self.context.skb.skb,
            direction: self.direction,
            counted,
            source_mac: link.source_mac,
        };
        match flows::record(&crossing, key, transport) {
            Some(flow_id) => self.copy(flow_id, K::FAMILY),
            None => {
                lose(Loss::FlowMapFull);
                // SAFETY: a map lookup gave a valid value, this CPU's own.
                unsafe { add(&raw mut (*self.totals).not_recorded, &counted) };
                if enabled(feature::DIAGNOSTICS) {
                    debug!(self.context, "flow map full at interface {}", self.interface.number);
                }
                self.copy(0, K::FAMILY);
            }
        }
    }

    /// Counts a packet that belongs in no flow.
    #[inline(always)]
    fn class(&self, class: *mut Counters) {
        add_to_total(class, &self.packet.counted(0));
        self.copy(0, 0);
    }

    /// Samples the packet if it is its turn, and captures it where that is done.
    #[inline(always)]
    fn copy(&self, flow_id: u64, family: u8) {
        let (skb, number) = (self.context.skb.skb, self.interface.number);
        events::sample(skb, number, flow_id, self.direction, family);
        if enabled(feature::CAPTURE) && self.interface.flags & interface_flag::CAPTURE != 0 {
            capture::packet(skb, number, flow_id, self.direction);
        }
    }
}

/// The watched interface with this index.
#[inline(always)]
pub fn interface(ifindex: u32) -> Option<&'static InterfaceEntry> {
    let entry = INTERFACES.get(ifindex & (INTERFACE_BUCKETS - 1))?;
    if entry.ifindex == ifindex {
        return Some(entry);
    }
    // SAFETY: the entry stays readable while the program runs, even if it is deleted meanwhile.
    unsafe { INTERFACES_OVERFLOW.get(ifindex) }
}

/// This CPU's totals of a slot, in one direction.
#[inline(always)]
pub fn totals(slot: u32, direction: Direction) -> Option<*mut DirectionTotals> {
    let totals = TOTALS.get_ptr_mut(slot)?;
    // SAFETY: a map lookup gives a valid value.
    Some(unsafe {
        match direction {
            Direction::Sent => &raw mut (*totals).sent,
            Direction::Received => &raw mut (*totals).received,
        }
    })
}

/// Adds to a class of the totals, unless a test wants to see what happens without.
#[inline(always)]
fn add_to_total(class: *mut Counters, counted: &Counters) {
    if !(enabled(feature::TEST_SKIP_ADD) && is_thousandth()) {
        // SAFETY: a part of a valid map value, this CPU's own.
        unsafe { add(class, counted) };
    }
}

/// Adds without atomics: TC programs run with bottom halves off, so nothing else on this CPU is between.
///
/// # Safety
/// `counters` is valid and belongs to this CPU.
#[inline(always)]
unsafe fn add(counters: *mut Counters, counted: &Counters) {
    // SAFETY: the caller's promise.
    unsafe {
        (*counters).skbs += counted.skbs;
        (*counters).skb_bytes += counted.skb_bytes;
        if counted.extra_packets != 0 {
            (*counters).extra_packets += counted.extra_packets;
            (*counters).extra_bytes += counted.extra_bytes;
        }
    }
}

/// True for every 1,000th call on this CPU.
#[inline(always)]
fn is_thousandth() -> bool {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return false };
    // SAFETY: the value is this CPU's own.
    unsafe {
        (*scratch).unskipped += 1;
        let skip = (*scratch).unskipped == 1000;
        if skip {
            (*scratch).unskipped = 0;
        }
        skip
    }
}
