//! vethwatch's kernel programs.
//!
//! They count packets of watched interfaces and let every one of them pass: whatever happens inside, a hook
//! returns [`NEXT`] or [`PASS`], so the programs behind ours still run and the packet goes its way.
//! Built by `cargo xtask ebpf`; the object it makes is committed, and the agent embeds that.
#![no_std]
#![no_main]
#![feature(core_intrinsics, asm_experimental_arch)]
#![expect(
    internal_features,
    reason = "atomic adds on map values: aya-ebpf has no wrapper and the target no AtomicU64"
)]

mod atomic;
mod capture;
mod claims;
mod clock;
mod entry;
mod events;
mod failures;
mod flows;
mod hooks;
mod key;
mod losses;
mod maps;
mod names;
mod options;
mod packet;
mod pending;
mod rate;
mod record;
mod told;

use aya_ebpf::{
    macros::{cgroup_skb, classifier, raw_tracepoint},
    programs::{RawTracePointContext, SkBuffContext, TcContext},
};
use monitor_common::counters::Direction;

/// `TC_ACT_UNSPEC` on clsact, `TCX_NEXT` on TCX: go on with the next program.
const NEXT: i32 = -1;
/// What a control group's program says of a packet that goes on.
const PASS: i32 = 1;

/// TC ingress of the host end of a container's interface, or of a bridge: what containers send.
#[classifier]
pub fn vethwatch_in(context: TcContext) -> i32 {
    hooks::traffic::count(&context, Direction::Sent);
    NEXT
}

/// TC egress of the host end of a container's interface, or of a bridge: what containers receive.
#[classifier]
pub fn vethwatch_out(context: TcContext) -> i32 {
    hooks::traffic::count(&context, Direction::Received);
    NEXT
}

/// TC egress of a device in a container's own network namespace: what it sends.
#[classifier]
pub fn vethwatch_i_out(context: TcContext) -> i32 {
    hooks::inside::count(&context, Direction::Sent);
    NEXT
}

/// TC ingress of a device in a container's own network namespace: what it receives.
#[classifier]
pub fn vethwatch_i_in(context: TcContext) -> i32 {
    hooks::inside::count(&context, Direction::Received);
    NEXT
}

/// What the sockets of a control group send.
#[cgroup_skb(egress)]
pub fn vethwatch_c_out(context: SkBuffContext) -> i32 {
    hooks::cgroup::count(&context, Direction::Sent);
    PASS
}

/// What the sockets of a control group receive.
#[cgroup_skb(ingress)]
pub fn vethwatch_c_in(context: SkBuffContext) -> i32 {
    hooks::cgroup::count(&context, Direction::Received);
    PASS
}

/// Every packet that the kernel throws away, wherever that is.
#[raw_tracepoint(tracepoint = "kfree_skb")]
pub fn vethwatch_drop(context: RawTracePointContext) -> i32 {
    hooks::drops::note(&context);
    0
}

/// Every buffer that a TCP connection sends again.
#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
pub fn vethwatch_again(context: RawTracePointContext) -> i32 {
    hooks::retransmits::note(&context);
    0
}

/// Every SYN-ACK that is sent again.
#[raw_tracepoint(tracepoint = "tcp_retransmit_synack")]
pub fn vethwatch_resyn(context: RawTracePointContext) -> i32 {
    hooks::retransmits::note_answer(&context);
    0
}

/// What the sockets of Docker's engine receive: questions to its resolver among it.
#[cgroup_skb(ingress)]
pub fn vethwatch_ask(context: SkBuffContext) -> i32 {
    hooks::resolver::hear(&context, Direction::Sent);
    PASS
}

/// What the sockets of Docker's engine send: answers of its resolver among it.
#[cgroup_skb(egress)]
pub fn vethwatch_tell(context: SkBuffContext) -> i32 {
    hooks::resolver::hear(&context, Direction::Received);
    PASS
}

/// The verifier shows that nothing here can panic: a reachable panic would be an endless loop, which it refuses.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some helpers are only for programs under the GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
