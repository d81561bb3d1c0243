//! Records that carry a packet's bytes.

use aya_ebpf::{bindings::__sk_buff, helpers::bpf_skb_load_bytes, maps::RingBuf};
use core::arch::asm;

/// A record with room for `N` bytes of the packet behind its header.
#[repr(C)]
struct Record<H, const N: usize> {
    header: H,
    bytes: [u8; N],
}

/// Hands over the packet's first `captured` bytes in a record of this size. Whether it could.
#[inline(always)]
pub fn hand_over<H: Copy + 'static, const N: usize>(
    ring: &RingBuf,
    skb: *mut __sk_buff,
    header: &H,
    captured: u32,
) -> bool {
    let Some(mut record) = ring.reserve::<Record<H, N>>(0) else { return false };
    // The verifier has to know that the length is neither 0 nor more than there is room for. Before Linux 6.8 it
    // learns nothing from a comparison with 0, so that it is told by the length less one, which has an upper bound alone.
    let mut last = u64::from(captured).wrapping_sub(1);
    // SAFETY: an instruction without effect. After it LLVM knows nothing of the value, so that the bound is
    // checked below on this very register, as the verifier wants it.
    unsafe { asm!("{0} += 0", inout(reg) last, options(pure, nomem, nostack)) };
    let to = record.as_mut_ptr();
    // SAFETY: `to` is the reserved record; the helper writes `captured` bytes, at most its buffer, or fails.
    let done = unsafe {
        (&raw mut (*to).header).write(*header);
        last < N as u64
            && bpf_skb_load_bytes(skb.cast(), 0, (&raw mut (*to).bytes).cast(), (last + 1) as u32) == 0
    };
    if done {
        record.submit(0);
    } else {
        record.discard(0);
    }
    done
}
