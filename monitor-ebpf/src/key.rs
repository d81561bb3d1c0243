//! The keys of the two families, each with the maps it is for.

use crate::maps::{FLOWS4_A, FLOWS4_B, FLOWS6_A, FLOWS6_B, FRONT4, FRONT6, SEEN4, SEEN6};
use aya_ebpf::{bindings::BPF_NOEXIST, maps::LruHashMap};
use core::{arch::asm, ptr::NonNull};
use monitor_common::{
    flow::{FlowEntry, FlowKey4, FlowKey6, SeenFlow},
    front::{Slot, Words},
};

/// A key of one of the two families, which knows the maps it is for.
pub trait Key<const N: usize>: Copy + Words<N> + 'static {
    /// Flows that are not new.
    const SEEN: &'static LruHashMap<Self, SeenFlow>;
    /// The IP version.
    const FAMILY: u8;
    /// A slot of the front table.
    fn front(slot: u32) -> Option<NonNull<Slot<N>>>;
    /// The entry in a generation's hash map.
    fn find(&self, generation: u32) -> Option<NonNull<FlowEntry>>;
    /// Puts an entry into a generation's hash map, unless there is one or no room.
    fn insert(&self, generation: u32, entry: &FlowEntry);
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

/// Implements [`Key::front`], [`Key::find`] and [`Key::insert`] for a family's maps.
///
/// The empty assembly keeps LLVM from merging the two calls into one with a chosen map: the verifier inlines a
/// lookup only where the map is known.
macro_rules! generations {
    ($front:ident, $n:literal, $a:ident, $b:ident) => {
        #[inline(always)]
        fn front(slot: u32) -> Option<NonNull<Slot<$n>>> {
            $front.get_ptr_mut(slot).and_then(NonNull::new)
        }

        #[inline(always)]
        fn find(&self, generation: u32) -> Option<NonNull<FlowEntry>> {
            let found = if generation == 0 {
                let found = $a.get_ptr_mut(self);
                // SAFETY: no instruction.
                unsafe { asm!("", options(nomem, nostack, preserves_flags)) };
                found
            } else {
                let found = $b.get_ptr_mut(self);
                // SAFETY: no instruction.
                unsafe { asm!("", options(nomem, nostack, preserves_flags)) };
                found
            };
            found.and_then(NonNull::new)
        }

        #[inline(always)]
        fn insert(&self, generation: u32, entry: &FlowEntry) {
            // What went wrong, if anything, shows when the entry is looked up.
            let _ = if generation == 0 {
                $a.insert(self, entry, u64::from(BPF_NOEXIST))
            } else {
                $b.insert(self, entry, u64::from(BPF_NOEXIST))
            };
        }
    };
}

impl Key<3> for FlowKey4 {
    const SEEN: &'static LruHashMap<Self, SeenFlow> = &SEEN4;
    const FAMILY: u8 = 4;
    generations!(FRONT4, 3, FLOWS4_A, FLOWS4_B);

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
    generations!(FRONT6, 6, FLOWS6_A, FLOWS6_B);

    #[inline(always)]
    fn widened(&self) -> FlowKey6 {
        *self
    }
}
