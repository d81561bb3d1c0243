//! The flow counter of devices in network namespaces of others, where a container's own end is the only one there is.
//!
//! An ifindex says nothing there without its namespace, so both are looked up together. What is counted goes where that of
//! control groups goes, and as that does: without what only devices of the host tell, and with atomic adds.

use super::cgroup::Counting;
use super::drops::{namespace_of, read};
use crate::{atomic, losses::lose_anywhere, maps::INSIDE, options::drops as at, packet::Packet};
use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use monitor_common::{
    counters::Direction,
    interface::{InterfaceEntry, inside_key, place_kind},
    loss::Loss,
    packet::visit,
};

/// Counts one packet. `direction` is a constant at each call.
#[inline(always)]
pub fn count(context: &TcContext, direction: Direction) {
    let skb = context.skb.skb;
    let watched = device(skb).and_then(|it| Some((it, super::traffic::totals(it.slot, direction)?)));
    let Some((interface, totals)) = watched else { return lose_anywhere(Loss::UnknownInterface) };
    let packet = Packet::new(skb);
    let tag = packet.tag();
    if tag.is_some() {
        // SAFETY: a part of a valid map value.
        unsafe { atomic::add(&raw mut (*totals).tagged_skbs, 1) };
    }
    let place_kind = place_kind::INSIDE;
    visit(&packet, tag, Counting { packet: &packet, skb, place_kind, direction, interface, totals });
}

/// The watched device that the packet is at.
///
/// The context is the address of the kernel's `struct sk_buff`.
#[inline(always)]
fn device(skb: *mut __sk_buff) -> Option<&'static InterfaceEntry> {
    // SAFETY: the context is valid while the program runs.
    let ifindex = unsafe { (*skb).ifindex };
    let namespace = namespace_of(read(skb as u64 + at::skb_device())?)?;
    // SAFETY: the entry stays readable while the program runs, even if it is deleted meanwhile.
    unsafe { INSIDE.get(inside_key(namespace, ifindex)) }
}
