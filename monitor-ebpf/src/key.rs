//! The keys of the two families, each with the maps it is for.

use crate::flows::{find_or_make4, find_or_make6};
use crate::maps::{ARENA4, ARENA6, Bucket, INDEX4, INDEX6, SEEN4, SEEN6};
use aya_ebpf::{bindings::__sk_buff, maps::LruHashMap};
use core::ptr::NonNull;
use monitor_common::{
    flow::{FlowKey4, FlowKey6, SeenFlow},
    flow_table::{Slot, Words},
};

/// A key of one of the two families, which knows the maps it is for.
pub trait Key<const N: usize>: Copy + Words<N> + 'static {
    /// Flows that are not new.
    const SEEN: &'static LruHashMap<Self, SeenFlow>;
    /// The IP version.
    const FAMILY: u8;
    /// A bucket of the index.
    fn bucket(number: u32) -> Option<NonNull<Bucket>>;
    /// A slot of the arena.
    fn slot(number: u32) -> Option<NonNull<Slot>>;
    /// The slot of the flow whose key is in `SCRATCH`, made if there is none; too high a number if there is no room.
    fn find_or_make(skb: *mut __sk_buff, start: u64, now: u64) -> u32;
    /// As an IPv6 key; an IPv4 address comes first in its field.
    fn widened(&self) -> FlowKey6;

    /// The key that these words are in memory.
    #[inline(always)]
    fn in_memory(words: &[u64; N]) -> &Self {
        const { assert!(size_of::<Self>() <= size_of::<[u64; N]>() && align_of::<Self>() <= align_of::<u64>()) };
        // SAFETY: `Words` says that they are the key as it is in memory; every bit pattern is a key.
        unsafe { &*words.as_ptr().cast() }
    }
}

/// Implements [`Key`]'s functions of one family's own arrays: the verifier inlines a lookup only where the
/// map is known.
macro_rules! arrays {
    ($n:literal, $index:ident, $arena:ident, $find_or_make:ident) => {
        #[inline(always)]
        fn bucket(number: u32) -> Option<NonNull<Bucket>> {
            $index.get_ptr_mut(number).and_then(NonNull::new)
        }

        #[inline(always)]
        fn slot(number: u32) -> Option<NonNull<Slot>> {
            $arena.get_ptr_mut(number).and_then(NonNull::new)
        }

        #[inline(always)]
        fn find_or_make(skb: *mut __sk_buff, start: u64, now: u64) -> u32 {
            $find_or_make(skb, start, now)
        }
    };
}

impl Key<3> for FlowKey4 {
    const SEEN: &'static LruHashMap<Self, SeenFlow> = &SEEN4;
    const FAMILY: u8 = 4;
    arrays!(3, INDEX4, ARENA4, find_or_make4);

    #[inline(always)]
    fn widened(&self) -> FlowKey6 {
        let Self { interface, local: l, remote: r, local_port, remote_port, protocol, kind, vlan } = *self;
        let local = [l[0], l[1], l[2], l[3], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let remote = [r[0], r[1], r[2], r[3], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        FlowKey6 { interface, local, remote, local_port, remote_port, protocol, kind, vlan }
    }
}

impl Key<6> for FlowKey6 {
    const SEEN: &'static LruHashMap<Self, SeenFlow> = &SEEN6;
    const FAMILY: u8 = 6;
    arrays!(6, INDEX6, ARENA6, find_or_make6);

    #[inline(always)]
    fn widened(&self) -> FlowKey6 {
        *self
    }
}
