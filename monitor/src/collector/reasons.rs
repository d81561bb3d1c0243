//! What the programs at tracepoints are told at load time: where things are in this kernel, which namespace is watched, and
//! which of its reasons are no drops of traffic. And the names of the reasons.

use super::btf::{Btf, BtfError};
use crate::model::SafeText;
use anyhow::{Context as _, Result};
use monitor_common::drops::{DropSettings, NO_REASON, ignore};
use monitor_common::retransmits::RetransmitSettings;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;

/// Where the kernel describes its types.
const DESCRIPTION: &str = "/sys/kernel/btf/vmlinux";
/// The most bytes of it that are read; it has some six million.
const LONGEST: u64 = 64 << 20;
/// The namespace of the calling thread.
const NAMESPACE: &str = "/proc/thread-self/ns/net";

/// Ends of packets that are no drops of traffic: of copies that were not for who got them, and of what a socket had
/// already when it was closed or its connection moved on.
const NOISE: [&str; 4] = ["CONSUMED", "OTHERHOST", "SOCKET_CLOSE", "QUEUE_PURGE"];
/// Ends of packets to groups that are none either: of copies that nobody here wanted, and of what the host itself tells
/// the neighbours of a device that is not up yet, as it does for each new one.
const NOISE_TO_MANY: [&str; 5] = [NOT_SPECIFIED, NO_SOCKET, "UNHANDLED_PROTO", "NO_TX_TARGET", "QDISC_DROP"];
/// Nobody listens.
const NO_SOCKET: &str = "NO_SOCKET";
/// What a kernel that says no reasons would say.
const NOT_SPECIFIED: &str = "NOT_SPECIFIED";

/// Names of reasons.
#[derive(Debug, Default)]
pub(super) struct Reasons(HashMap<u32, SafeText>);

impl Reasons {
    /// The name of a reason.
    pub(super) fn name(&self, reason: u32) -> SafeText {
        match self.0.get(&reason) {
            Some(name) => name.clone(),
            None if reason == NO_REASON => SafeText::new(NOT_SPECIFIED),
            None => SafeText::new(&format!("REASON_{reason}")),
        }
    }
}

/// Where things are in this kernel.
pub(super) struct Found {
    /// For the drop watcher, with the names of reasons.
    pub(super) drops: Result<(DropSettings, Reasons)>,
    /// For what is sent again.
    pub(super) retransmits: Result<RetransmitSettings>,
    /// Number of the namespace that is watched.
    pub(super) namespace: u32,
}

/// Finds everything out, for the namespace of the calling thread.
///
/// # Errors
/// When the kernel does not describe its types, or the namespace has no number.
pub(super) fn find() -> Result<Found> {
    let mut bytes = Vec::new();
    File::open(DESCRIPTION)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
        .with_context(|| format!("read {DESCRIPTION}"))?;
    let btf = Btf::parse(&bytes)?;
    let namespace = rustix::fs::stat(NAMESPACE).with_context(|| format!("look at {NAMESPACE}"))?.st_ino;
    let namespace = u32::try_from(namespace).context("the namespace has a number of an unknown kind")?;
    let drops = drops(&btf).map(|(settings, reasons)| (DropSettings { namespace, ..settings }, reasons));
    Ok(Found {
        drops: drops.map_err(Into::into),
        retransmits: retransmits(&btf).map_err(Into::into),
        namespace,
    })
}

/// Where the program for what is sent again finds things.
fn retransmits(btf: &Btf<'_>) -> Result<RetransmitSettings, BtfError> {
    let socket = |member| btf.offset("sock_common", &[member]);
    Ok(RetransmitSettings {
        socket_family: socket("skc_family")?,
        socket_port: socket("skc_num")?,
        socket_remote_port: socket("skc_dport")?,
        socket_address4: socket("skc_rcv_saddr")?,
        socket_remote4: socket("skc_daddr")?,
        // A kernel without IPv6 has neither these nor such sockets.
        socket_address6: socket("skc_v6_rcv_saddr").unwrap_or_default(),
        socket_remote6: socket("skc_v6_daddr").unwrap_or_default(),
        socket_namespace: socket("skc_net")?,
        namespace_number: btf.offset("net", &["ns", "inum"])?,
        skb_segments: btf.offset("sk_buff", &["cb"])? + btf.offset("tcp_skb_cb", &["tcp_gso_segs"])?,
        // Data that every tracepoint's function gets, the socket, the buffer, and since Linux 6.17 the error.
        has_error: u32::from(btf.parameters("btf_trace_tcp_retransmit_skb")? >= 4),
        reserved: 0,
    })
}

/// What the drop watcher is told, but the namespace.
fn drops(btf: &Btf<'_>) -> Result<(DropSettings, Reasons), BtfError> {
    let skb = |member| btf.offset("sk_buff", &[member]);
    // Data that every tracepoint's function gets, the packet, the place, and since Linux 5.17 the reason.
    let has_reason = btf.parameters("btf_trace_kfree_skb")? >= 4;
    let reasons = if has_reason { names(btf)? } else { Reasons::default() };
    let mut settings = DropSettings {
        has_reason: u32::from(has_reason),
        skb_device: skb("dev")?,
        skb_ingress: skb("skb_iif")?,
        skb_route: skb("_skb_refdst")?,
        skb_protocol: skb("protocol")?,
        skb_length: skb("len")?,
        skb_head: skb("head")?,
        skb_data: skb("data")?,
        skb_tail: skb("tail")?,
        skb_end: skb("end")?,
        skb_network: skb("network_header")?,
        shared_segments: btf.offset("skb_shared_info", &["gso_segs"])?,
        route_device: btf.offset("dst_entry", &["dev"])?,
        device_index: btf.offset("net_device", &["ifindex"])?,
        device_namespace: btf.offset("net_device", &["nd_net"])?,
        namespace_number: btf.offset("net", &["ns", "inum"])?,
        ..DropSettings::NONE
    };
    for (reason, name) in &reasons.0 {
        if NOISE.contains(&name.as_str()) {
            ignore(&mut settings.ignored, *reason);
        }
        if NOISE_TO_MANY.contains(&name.as_str()) {
            ignore(&mut settings.ignored_to_many, *reason);
        }
        if name.as_str() == NO_SOCKET {
            settings.no_socket = *reason;
        }
    }
    Ok((settings, reasons))
}

fn names(btf: &Btf<'_>) -> Result<Reasons, BtfError> {
    let short = |name: &str| {
        let rest = name.strip_prefix("SKB_DROP_REASON_").or_else(|| name.strip_prefix("SKB_"));
        SafeText::new(rest.unwrap_or(name))
    };
    let all = btf.enumeration("skb_drop_reason")?;
    Ok(Reasons(all.into_iter().map(|(value, name)| (value, short(name))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reasons: &Reasons, reason: u32, name: &str) {
        assert_eq!(reasons.name(reason).as_str(), name);
    }

    #[test]
    fn a_reason_without_a_name_is_told_by_its_number() {
        let reasons = Reasons(HashMap::from([(7, SafeText::new("NETFILTER_DROP"))]));
        check(&reasons, 7, "NETFILTER_DROP");
        check(&reasons, 8, "REASON_8");
        check(&reasons, 196_610, "REASON_196610");
        check(&reasons, NO_REASON, "NOT_SPECIFIED");
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for bytes in [&b""[..], b"\x9f\xeb", b"nothing of the kind, but long enough to be read"] {
            assert!(Btf::parse(bytes).and_then(|btf| drops(&btf)).is_err());
            assert!(Btf::parse(bytes).and_then(|btf| retransmits(&btf)).is_err());
        }
    }
}
