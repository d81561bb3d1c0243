//! Who claims which address: noted in [`CLAIMS`] from the few packets that claim one. What such a packet costs is in
//! functions of its own, so that it costs the others nothing.

use crate::{
    atomic, clock,
    losses::lose,
    maps::{ACTIVE, CLAIMS},
    packet::Packet,
};
use aya_ebpf::bindings::{__sk_buff, BPF_NOEXIST};
use monitor_common::{
    claims::{ClaimEntry, ClaimKey, Claimed, of_arp, of_neighbour},
    loss::Loss,
};

/// Notes what an ARP packet claims that begins at `offset`, at the interface with this number. Global, so that the
/// verifier goes through it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn claimed_by_arp(skb: *mut __sk_buff, interface: u32, offset: u32) -> u32 {
    if let Some(claimed) = of_arp(&Packet::new(skb), offset as usize) {
        note(interface, &claimed);
    }
    0
}

/// Notes what an advertisement claims whose ICMPv6 header begins at `offset`; `from` is the packet's source address,
/// in two words as it is in memory. Global for the same reason.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn claimed_by_advertisement(
    skb: *mut __sk_buff,
    interface: u32,
    offset: u32,
    from: u64,
    rest: u64,
) -> u32 {
    let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (from.to_ne_bytes(), rest.to_ne_bytes());
    let from = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    if let Some(claimed) = of_neighbour(&Packet::new(skb), offset as usize, from) {
        note(interface, &claimed);
    }
    0
}

#[inline(always)]
fn note(interface: u32, claimed: &Claimed) {
    let Claimed { kind, address, mac } = *claimed;
    let generation = (ACTIVE.get(0).copied().unwrap_or(0) & 1) as u8;
    let key = ClaimKey { interface, address, mac, kind, generation };
    let now = clock::coarse();
    let fresh = ClaimEntry { packets: 1, first_seen: now, last_seen: now };
    let entry = match CLAIMS.get_ptr_mut(&key) {
        Some(entry) => entry,
        None if CLAIMS.insert(&key, &fresh, u64::from(BPF_NOEXIST)).is_ok() => return,
        // Another CPU has just made it, or there is no room.
        None => match CLAIMS.get_ptr_mut(&key) {
            Some(entry) => entry,
            None => return lose(Loss::ClaimMapFull),
        },
    };
    // SAFETY: a map lookup gives a valid value. `last_seen` is a plain store: whichever CPU's comes last is right.
    unsafe {
        atomic::add(&raw mut (*entry).packets, 1);
        (*entry).last_seen = now;
    }
}
