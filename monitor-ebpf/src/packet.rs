//! The packet as a [`ByteSource`]: straight from the skb's linear part, else by copying out of its fragments.

use aya_ebpf::{bindings::__sk_buff, helpers::bpf_skb_load_bytes};
use core::{arch::asm, mem::MaybeUninit, ptr};
use monitor_common::{
    counters::Counters,
    packet::{ByteSource, Walked, walk_extension_headers},
};

/// The verifier wants to know that offsets stay far below 64 KiB; the parser's longest walk ends at 8,254.
const MAX_OFFSET: usize = 0x3fff;

/// A packet under a TC hook, from its Ethernet header on.
pub struct Packet {
    skb: *mut __sk_buff,
}

impl Packet {
    /// The packet of `skb`, the context of a TC program.
    #[inline(always)]
    pub const fn new(skb: *mut __sk_buff) -> Self {
        Self { skb }
    }

    /// The VLAN tag the kernel keeps beside the packet.
    #[inline(always)]
    pub fn tag(&self) -> Option<u16> {
        // SAFETY: the context is valid while the program runs.
        unsafe { ((*self.skb).vlan_present != 0).then(|| (*self.skb).vlan_tci as u16) }
    }

    /// What the packet adds to counters.
    #[inline(always)]
    pub fn counted(&self, header_length: u16) -> Counters {
        // SAFETY: the context is valid while the program runs.
        let (length, gso_segs, gso_size) =
            unsafe { ((*self.skb).len, (*self.skb).gso_segs, (*self.skb).gso_size) };
        Counters::of_skb(length, gso_segs, gso_size, u32::from(header_length))
    }

    /// Reads from the linear part; `None` if the bytes are not all in it.
    #[inline(always)]
    fn linear<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        // SAFETY: the context is valid while the program runs; the verifier turns these into packet pointers.
        let (data, end) = unsafe { ((*self.skb).data as usize, (*self.skb).data_end as usize) };
        let mut start = data;
        // SAFETY: an addition. Written out, so that LLVM cannot compute the address anew for the loads below: the
        // verifier has checked the one in this register, not an equal one.
        unsafe {
            asm!("{start} += {offset}", start = inout(reg) start, offset = in(reg) offset,
                options(pure, nomem, nostack));
        }
        if start + N > end {
            return None;
        }
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        let to = bytes.as_mut_ptr().cast::<u8>();
        const { assert!(N < 48, "longer reads need more steps below") };
        // Not a loop: LLVM would keep one, and the bytes in memory. The conditions are constants.
        // SAFETY: `start + N` is within the packet, and `to` has `N` bytes; each step stays below `N`.
        unsafe {
            if N >= 8 {
                copy_u64(start, to);
            }
            if N >= 16 {
                copy_u64(start + 8, to.add(8));
            }
            if N >= 24 {
                copy_u64(start + 16, to.add(16));
            }
            if N >= 32 {
                copy_u64(start + 24, to.add(24));
            }
            if N >= 40 {
                copy_u64(start + 32, to.add(32));
            }
            if N & 4 != 0 {
                copy_u32(start + (N & !7), to.add(N & !7));
            }
            if N & 2 != 0 {
                copy_u16(start + (N & !3), to.add(N & !3));
            }
            if N & 1 != 0 {
                copy_u8(start + (N & !1), to.add(N & !1));
            }
        }
        // SAFETY: the steps have written all `N` bytes.
        Some(unsafe { bytes.assume_init() })
    }

    /// Copies out of a packet whose bytes are in fragments; `None` if it is too short.
    #[inline(always)]
    fn copied<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = MaybeUninit::<Aligned<N>>::uninit();
        // SAFETY: the helper writes all `N` bytes or fails.
        unsafe {
            let result =
                bpf_skb_load_bytes(self.skb.cast(), offset as u32, bytes.as_mut_ptr().cast(), N as u32);
            (result == 0).then(|| bytes.assume_init().0)
        }
    }
}

impl ByteSource for Packet {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset > MAX_OFFSET {
            return None;
        }
        match self.linear(offset) {
            Some(bytes) => Some(bytes),
            None => self.copied(offset),
        }
    }

    #[inline(always)]
    fn walk(&self, offset: usize, next: u8) -> Walked {
        Walked::unpack(behind_extension_headers(self.skb, offset as u64, u64::from(next)))
    }
}

/// [`walk_extension_headers`] of a packet, as [`Walked::pack`]. Global, so that the verifier goes through it once, and
/// comes back with one state for all the ways there are.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn behind_extension_headers(skb: *mut __sk_buff, offset: u64, next: u64) -> u64 {
    walk_extension_headers(&Packet::new(skb), offset as usize, next as u8).pack()
}

/// Aligned as the verifier wants the stack.
#[repr(C, align(8))]
pub struct Aligned<const N: usize>(pub [u8; N]);

/// A copy with one load of a packet address: written out because such addresses are unaligned, which LLVM would
/// take for a reason to load byte by byte, and the verifier does not mind.
macro_rules! copy {
    ($name:ident, $type:ty, $load:literal) => {
        /// # Safety
        /// `from` is a readable address and `to` writable for the type's size.
        #[inline(always)]
        unsafe fn $name(from: usize, to: *mut u8) {
            let value: u64;
            // SAFETY: the caller's promise.
            unsafe {
                asm!($load, value = out(reg) value, from = in(reg) from, options(pure, readonly, nostack));
                ptr::write_unaligned(to.cast::<$type>(), value as $type);
            }
        }
    };
}

copy!(copy_u64, u64, "{value} = *(u64 *)({from} + 0)");
copy!(copy_u32, u32, "{value} = *(u32 *)({from} + 0)");
copy!(copy_u16, u16, "{value} = *(u16 *)({from} + 0)");
copy!(copy_u8, u8, "{value} = *(u8 *)({from} + 0)");
