//! Segments of TCP that are sent again, by connection: of the sockets of all namespaces, since a container's is known by its
//! namespace.
//!
//! It runs for segments that are sent again and for no others. Kernel structures are read where
//! [`monitor_common::retransmits::RetransmitSettings`] says.

use super::drops::read;
use crate::{
    atomic, losses,
    maps::{ACTIVE, RETRANSMITS},
    options::retransmits as at,
};
use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_ktime_get_ns, programs::RawTracePointContext};
use monitor_common::{
    loss::Loss,
    retransmits::{RetransmitEntry, RetransmitKey},
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Errors with which the kernel gives a buffer up before it counts it as sent again: there is no memory, or the buffer is still
/// in a queue of the host, was acknowledged meanwhile, has no route, or is beyond what the other end has room for. With any
/// other it is counted, though something refused it further down.
const NOT_COUNTED: [i32; 5] = [EAGAIN, ENOMEM, EBUSY, EINVAL, EHOSTUNREACH];
const EAGAIN: i32 = -11;
const ENOMEM: i32 = -12;
const EBUSY: i32 = -16;
const EINVAL: i32 = -22;
const EHOSTUNREACH: i32 = -113;

/// Notes a buffer that a connection sends again.
#[inline(always)]
pub fn note(context: &RawTracePointContext) {
    let (socket, skb) = (context.arg::<u64>(0), context.arg::<u64>(1));
    if at::has_error() != 0 && NOT_COUNTED.contains(&context.arg::<i32>(2)) {
        return;
    }
    let segments: u16 = read(skb + at::skb_segments()).unwrap_or(0);
    note_segments(socket, u64::from(segments.max(1)));
}

/// Notes a SYN-ACK that is sent again, for a connection that has no socket of its own yet: its request begins as one does.
#[inline(always)]
pub fn note_answer(context: &RawTracePointContext) {
    note_segments(context.arg::<u64>(1), 1);
}

#[inline(always)]
fn note_segments(socket: u64, segments: u64) {
    match key_of(socket) {
        Some(key) => add(&key, segments),
        None => losses::lose_anywhere(Loss::RetransmitMapFull),
    }
}

/// The connection of a socket, or of a request for one.
#[inline(always)]
fn key_of(socket: u64) -> Option<RetransmitKey> {
    let family: u16 = read(socket + at::socket_family())?;
    let namespace: u64 = read(socket + at::socket_namespace())?;
    let remote_port: u16 = read(socket + at::socket_remote_port())?;
    let mut key = RetransmitKey {
        namespace: read(namespace + at::namespace_number())?,
        local_port: read(socket + at::socket_port())?,
        remote_port: u16::from_be(remote_port),
        generation: (ACTIVE.get(0).copied().unwrap_or(0) & 1) as u8,
        ..RetransmitKey::default()
    };
    match family {
        AF_INET => {
            let [a, b, c, d]: [u8; 4] = read(socket + at::socket_address4())?;
            let [e, f, g, h]: [u8; 4] = read(socket + at::socket_remote4())?;
            key.family = 4;
            key.local = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            key.remote = [e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        }
        AF_INET6 => {
            key.family = 6;
            key.local = read(socket + at::socket_address6())?;
            key.remote = read(socket + at::socket_remote6())?;
        }
        _ => return None,
    }
    Some(key)
}

/// Adds to the connection's entry, which is made if there is none.
#[inline(never)]
fn add(key: &RetransmitKey, segments: u64) {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let fresh = RetransmitEntry { segments, last_seen: now };
    let entry = match RETRANSMITS.get_ptr_mut(key) {
        Some(entry) => entry,
        None if RETRANSMITS.insert(key, &fresh, u64::from(BPF_NOEXIST)).is_ok() => return,
        // Another CPU has just made it, or there is no room.
        None => match RETRANSMITS.get_ptr_mut(key) {
            Some(entry) => entry,
            None => return losses::lose_anywhere(Loss::RetransmitMapFull),
        },
    };
    // SAFETY: a map lookup gives a valid value. `last_seen` is a plain store: whichever CPU's comes last is right.
    unsafe {
        atomic::add(&raw mut (*entry).segments, segments);
        (*entry).last_seen = now;
    }
}
