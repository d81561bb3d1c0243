//! Docker's own resolver: what containers ask it inside their network namespaces.
//!
//! Its sockets are the engine's, though they are in the containers' namespaces. So the programs are on the engine's control
//! group, and run for no packet of anybody else.

use super::drops::{namespace_of, read};
use crate::{losses::lose_anywhere, names, options::drops as at, packet::Aligned};
use aya_ebpf::{bindings::__sk_buff, helpers::bpf_skb_load_bytes, programs::SkBuffContext};
use core::mem::MaybeUninit;
use monitor_common::{
    counters::Direction, dns::EMBEDDED_RESOLVER, interface::place_kind, loss::Loss, packet::ethertype,
};

/// Where an IPv4 header has its addresses.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// Copies a packet if it is one to or from the resolver. `direction` is the container's: questions are sent.
#[inline(always)]
pub fn hear(context: &SkBuffContext, direction: Direction) {
    let skb = context.skb.skb;
    let at = match direction {
        Direction::Sent => DESTINATION,
        Direction::Received => SOURCE,
    };
    if address(skb, at) != Some(EMBEDDED_RESOLVER) {
        return;
    }
    match namespace(skb) {
        Some(number) => drop(names::message(skb, number, place_kind::NAMESPACE.into(), direction as u32, 0)),
        None => lose_anywhere(Loss::DnsRingFull),
    }
}

/// One of the addresses of an IPv4 packet.
#[inline(always)]
fn address(skb: *mut __sk_buff, offset: u32) -> Option<[u8; 4]> {
    // SAFETY: the context is valid while the program runs.
    let protocol = unsafe { (*skb).protocol };
    if protocol != u32::from(ethertype::IPV4.to_be()) {
        return None;
    }
    let mut bytes = MaybeUninit::<Aligned<4>>::uninit();
    // SAFETY: the helper writes all four bytes or fails. The packet begins at its network header here.
    unsafe {
        let result = bpf_skb_load_bytes(skb.cast(), offset, bytes.as_mut_ptr().cast(), 4);
        (result == 0).then(|| bytes.assume_init().0)
    }
}

/// The number of the network namespace that the packet is in.
///
/// The context is the address of the kernel's `struct sk_buff`.
#[inline(always)]
fn namespace(skb: *mut __sk_buff) -> Option<u32> {
    namespace_of(read(skb as u64 + at::skb_device())?)
}
