//! Packets of which more is told than that they were there: DNS messages, and what tells of a failure.

use crate::{failures, names, options::enabled};
use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_cgroup_id};
use monitor_common::{
    counters::Direction,
    dns::is_wanted,
    interface::{InterfaceEntry, interface_flag, place_kind},
    packet::{Transport, protocol},
    settings::feature,
};

/// Where a packet is seen.
pub struct Spot<'a> {
    pub skb: *mut __sk_buff,
    pub interface: &'a InterfaceEntry,
    /// One of [`place_kind`]; a constant at each call.
    pub place_kind: u8,
    pub direction: Direction,
}

/// Copies the packet where it is one of these and they are looked at. `length` is the packet's, in bytes.
#[inline(always)]
pub fn copy(spot: &Spot<'_>, transport: &Transport, length: u32) {
    let Spot { skb, interface, place_kind, direction } = *spot;
    if enabled(feature::DNS)
        && is_wanted(transport, direction, length)
        && interface.flags & interface_flag::DNS != 0
    {
        let cgroup = match direction {
            // Whose socket it is: Docker's resolver asks on from a container's namespace.
            // SAFETY: the helper has no preconditions.
            Direction::Sent if place_kind != place_kind::GROUP => unsafe { bpf_skb_cgroup_id(skb) },
            _ => 0,
        };
        names::message(skb, interface.number, place_kind.into(), direction as u32, cgroup);
    }
    if enabled(feature::FAILURES)
        && transport.tells_failure()
        // A socket gets errors of ICMP only if it listens for all of them, and then those of everybody.
        && (place_kind != place_kind::GROUP || transport.protocol == protocol::TCP)
        && interface.flags & interface_flag::FAILURES != 0
    {
        failures::note_failure(skb, interface.number, place_kind.into(), direction as u32);
    }
}
