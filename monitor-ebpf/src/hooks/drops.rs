//! The drop watcher: packets of watched interfaces that the kernel threw away, by conversation and reason.
//!
//! It runs for every packet that is thrown away on this machine, in whatever context that happens: what is not of a
//! watched interface is left as soon as that is known, and nothing here is kept per CPU. Kernel structures are read
//! where [`monitor_common::drops::DropSettings`] says; what is not there any more reads as nothing.

use super::traffic::interface;
use crate::{
    atomic, losses,
    maps::{ACTIVE, DROPS},
    options::drops as at,
    packet::Aligned,
};
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_probe_read_kernel, generated::bpf_ktime_get_ns},
    programs::RawTracePointContext,
};
use monitor_common::{
    drops::{DropEntry, DropKey, NO_REASON},
    flow::key_kind,
    loss::Loss,
    packet::{ByteSource, Ip, Link, Transport, Visitor, visit_network},
};

/// Notes one dropped packet.
#[inline(always)]
pub fn note(context: &RawTracePointContext) {
    // An argument the tracepoint does not have may not even be read.
    let reason = if at::has_reason() != 0 { context.arg::<u32>(2) } else { NO_REASON };
    if is_in(reason, at::ignored) {
        return;
    }
    let skb = Skb(context.arg::<u64>(0));
    let Some((device, ingress)) = skb.place() else { return };
    let Some((protocol, headers)) = skb.headers() else { return };
    let nothing = Link { source_mac: [0; 6], vlan: 0 };
    visit_network(&headers, &nothing, protocol, 0, Dropped { skb, reason, device, ingress });
}

/// Whether the reason's bit is set in some words.
#[inline(always)]
fn is_in(reason: u32, words: impl Fn(usize) -> u64) -> bool {
    let word = match reason / 64 {
        0 => words(0),
        1 => words(1),
        2 => words(2),
        3 => words(3),
        _ => 0,
    };
    word >> (reason % 64) & 1 != 0
}

/// Reads kernel memory; `None` if there is none at that address.
#[inline(always)]
pub(super) fn read<T>(address: u64) -> Option<T> {
    // SAFETY: the helper reads or fails; callers ask for types that are valid with any bytes.
    unsafe { bpf_probe_read_kernel(address as *const T).ok() }
}

/// Address of a `struct sk_buff`.
#[derive(Clone, Copy)]
struct Skb(u64);

impl Skb {
    /// ifindexes of the device it is at (0 if there is none) and of the one it entered at, if it is a packet of a
    /// watched interface: at one, from one, or on its way to one.
    ///
    /// A socket's buffers have other things where a device is named. What is no device of this namespace is not
    /// believed.
    #[inline(always)]
    fn place(self) -> Option<(u32, u32)> {
        let mut device: u64 = read(self.0 + at::skb_device())?;
        let ingress: u32 = read(self.0 + at::skb_ingress())?;
        let index = if device == 0 { 0 } else { index_of(device)? };
        if !is_watched(index) && !is_watched(ingress) {
            let route: u64 = read(self.0 + at::skb_route())?;
            let target: u64 = read((route & !1) + at::route_device())?;
            if !is_watched(index_of(target)?) {
                return None;
            }
            if device == 0 {
                device = target;
            }
        }
        is_of_this_namespace(device).then_some((index, ingress))
    }

    /// What it is, as an ethertype, and its headers from the network's on.
    #[inline(always)]
    fn headers(self) -> Option<(u16, Linear)> {
        let protocol: u16 = read(self.0 + at::skb_protocol())?;
        let head: u64 = read(self.0 + at::skb_head())?;
        let network: u16 = read(self.0 + at::skb_network())?;
        let tail: u32 = read(self.0 + at::skb_tail())?;
        let length = tail.checked_sub(u32::from(network))?;
        Some((u16::from_be(protocol), Linear { start: head + u64::from(network), length }))
    }

    /// How many packets it is, and its bytes from the network header on.
    #[inline(always)]
    fn size(self) -> Option<(u64, u64)> {
        let head: u64 = read(self.0 + at::skb_head())?;
        let data: u64 = read(self.0 + at::skb_data())?;
        let network: u16 = read(self.0 + at::skb_network())?;
        let length: u32 = read(self.0 + at::skb_length())?;
        let end: u32 = read(self.0 + at::skb_end())?;
        let segments: u16 = read(head + u64::from(end) + at::shared_segments())?;
        // `length` is counted from `data` on, which may be before the network header or behind it.
        let before = (head + u64::from(network)).wrapping_sub(data);
        Some((u64::from(segments.max(1)), u64::from(length).wrapping_sub(before)))
    }
}

/// ifindex of a `struct net_device`.
#[inline(always)]
fn index_of(device: u64) -> Option<u32> {
    read(device + at::device_index())
}

#[inline(always)]
fn is_watched(ifindex: u32) -> bool {
    ifindex != 0 && interface(ifindex).is_some()
}

/// Whether a `struct net_device` is in the namespace that is watched.
#[inline(always)]
fn is_of_this_namespace(device: u64) -> bool {
    namespace_of(device).is_some_and(|number| u64::from(number) == at::namespace())
}

/// The number of the namespace that a `struct net_device` is in.
#[inline(always)]
pub(super) fn namespace_of(device: u64) -> Option<u32> {
    let namespace: u64 = read(device + at::device_namespace())?;
    read(namespace + at::namespace_number())
}

/// The part of a packet that is in one piece, from its network header on.
struct Linear {
    start: u64,
    length: u32,
}

impl ByteSource for Linear {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset + N > self.length as usize {
            return None;
        }
        read::<Aligned<N>>(self.start + offset as u64).map(|bytes| bytes.0)
    }
}

/// Records a dropped packet once it is known what it is.
struct Dropped {
    skb: Skb,
    reason: u32,
    device: u32,
    ingress: u32,
}

impl Visitor for Dropped {
    type Output = ();

    #[inline(always)]
    fn ipv4(self, _: &Link, ip: &Ip<4>) {
        let [[a, b, c, d], [e, f, g, h]] = [ip.source, ip.destination];
        let source = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let destination = [e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // Groups, and everybody on a link.
        let is_to_many = e >= 224;
        self.record(source, destination, is_to_many, 4, &ip.transport);
    }

    #[inline(always)]
    fn ipv6(self, _: &Link, ip: &Ip<16>) {
        let is_to_many = ip.destination[0] == 0xff;
        self.record(ip.source, ip.destination, is_to_many, 6, &ip.transport);
    }

    #[inline(always)]
    fn arp(self, _: &Link, _: usize) {}

    #[inline(always)]
    fn other(self, _: &Link) {}
}

impl Dropped {
    #[inline(always)]
    fn record(
        self,
        source: [u8; 16],
        destination: [u8; 16],
        is_to_many: bool,
        family: u8,
        transport: &Transport,
    ) {
        let Self { skb, reason, device, ingress } = self;
        let Transport { protocol, kind, source_port, destination_port, .. } = *transport;
        if is_to_many && is_in(reason, at::ignored_to_many) {
            return;
        }
        // Where a ping's answer ends, whether somebody waited for it or not.
        if u64::from(reason) == at::no_socket() && kind == key_kind::ICMP {
            return;
        }
        let port = if kind == key_kind::PORTS { source_port.min(destination_port) } else { 0 };
        let generation = (ACTIVE.get(0).copied().unwrap_or(0) & 1) as u8;
        add(
            &DropKey {
                source,
                destination,
                reason,
                device,
                ingress,
                port,
                protocol,
                kind,
                family,
                generation,
                reserved: 0,
            },
            skb,
        );
    }
}

/// Adds a packet to its entry, which is made if there is none.
#[inline(never)]
fn add(key: &DropKey, skb: Skb) {
    let Some((packets, bytes)) = skb.size() else { return };
    // SAFETY: the helper has no preconditions. The coarse clock may not be asked here.
    let now = unsafe { bpf_ktime_get_ns() };
    let fresh = DropEntry { packets, bytes, first_seen: now, last_seen: now };
    let entry = match DROPS.get_ptr_mut(key) {
        Some(entry) => entry,
        None if DROPS.insert(key, &fresh, u64::from(BPF_NOEXIST)).is_ok() => return,
        // Another CPU has just made it, or there is no room.
        None => match DROPS.get_ptr_mut(key) {
            Some(entry) => entry,
            None => return losses::lose_anywhere(Loss::DropMapFull),
        },
    };
    // SAFETY: a map lookup gives a valid value. `last_seen` is a plain store: whichever CPU's comes last is right.
    unsafe {
        atomic::add(&raw mut (*entry).packets, packets);
        atomic::add(&raw mut (*entry).bytes, bytes);
        (*entry).last_seen = now;
    }
}
