//! Network devices as rtnetlink tells them, and what they count themselves.

use super::netlink::{
    Message, Netlink, Request, ask_at, attributes, attributes_after, i32_at, kind, text, u32_at, u64_at,
};
use crate::model::{DeviceCounters, Mac, SafeText};
use rustix::fd::AsFd;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_STATS64: u16 = 23;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_TARGET_NETNSID: u16 = 46;
/// `IFF_UP` and `IFF_LOWER_UP`: it is up and has a carrier, so that packets may be sent on it.
const IN_USE: u32 = 1 | 1 << 16;

/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
/// `IFF_LOOPBACK`.
const LOOPBACK: u32 = 1 << 3;

/// Length of `struct if_stats_msg`.
const STATS_HEADER: usize = 12;
const IFLA_STATS_LINK_64: u16 = 1;
/// Length of `struct tcmsg`.
const QDISC_HEADER: usize = 20;
const QDISC_ROOT: u32 = 0xffff_ffff;
const TCA_STATS2: u16 = 7;
const TCA_STATS_QUEUE: u16 = 3;
/// Length of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Kinds of device that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceKind {
    /// One end of a veth pair.
    Veth,
    /// A bridge.
    Bridge,
    /// None in particular: hardware, or the loopback device.
    Plain,
    /// Anything else.
    Other,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) ifindex: u32,
    /// `ARPHRD_*`: what its headers are.
    pub(super) hardware: u16,
    /// `IFF_*`.
    pub(super) flags: u32,
    pub(super) kind: DeviceKind,
    pub(super) name: SafeText,
    pub(super) mac: Option<Mac>,
    /// ifindex of what it is a port of.
    pub(super) master: Option<u32>,
    /// ifindex of the other end, of a veth.
    pub(super) peer: Option<u32>,
    /// The namespace the other end is in, if not the same.
    pub(super) peer_namespace: Option<i32>,
    /// What it counted when the message was made.
    pub(super) counters: Option<DeviceCounters>,
}

/// Reads a link message; `None` for a message about a port (family bridge) and for one that makes no sense.
pub(super) fn link(body: &[u8]) -> Option<Link> {
    if body.first() != Some(&0) {
        return None;
    }
    let mut link = Link {
        ifindex: u32_at(body, 4)?,
        hardware: u16::from_ne_bytes(*body.get(2..)?.first_chunk()?),
        flags: u32_at(body, 8)?,
        kind: DeviceKind::Plain,
        name: SafeText::new(""),
        mac: None,
        master: None,
        peer: None,
        peer_namespace: None,
        counters: None,
    };
    let mut counts_headers_twice = false;
    for (kind, value) in attributes_after(body, LINK_HEADER) {
        match kind {
            IFLA_ADDRESS => link.mac = value.try_into().ok().map(Mac),
            IFLA_IFNAME => link.name = SafeText::from_bytes(text(value)),
            IFLA_LINK => link.peer = u32_at(value, 0).filter(|peer| *peer != 0),
            IFLA_MASTER => link.master = u32_at(value, 0).filter(|master| *master != 0),
            IFLA_LINKINFO => (link.kind, counts_headers_twice) = (device_kind(value), is_ipvlan(value)),
            IFLA_STATS64 => link.counters = counters(value),
            IFLA_LINK_NETNSID => link.peer_namespace = i32_at(value, 0),
            _ => (),
        }
    }
    if let Some(counters) = link.counters.as_mut().filter(|_| counts_headers_twice) {
        // Its own end, so what it received is turned round.
        counters.headers_twice = counters.sent_skbs;
    }
    Some(link)
}

fn info_kind(info: &[u8]) -> Option<&[u8]> {
    attributes(info).find(|(kind, _)| *kind == IFLA_INFO_KIND).map(|(_, value)| text(value))
}

/// By `ipvlan_count_rx` of the kernel, which is given the length with the header already.
fn is_ipvlan(info: &[u8]) -> bool {
    info_kind(info) == Some(b"ipvlan")
}

fn device_kind(info: &[u8]) -> DeviceKind {
    match info_kind(info) {
        Some(b"veth") => DeviceKind::Veth,
        Some(b"bridge") => DeviceKind::Bridge,
        _ => DeviceKind::Other,
    }
}

/// Reads `struct rtnl_link_stats64`, turned round.
fn counters(stats: &[u8]) -> Option<DeviceCounters> {
    let word = |index: usize| u64_at(stats, index * 8);
    Some(DeviceCounters {
        sent_skbs: word(0)?,
        received_skbs: word(1)?,
        sent_bytes: word(2)?,
        received_bytes: word(3)?,
        sent_dropped: word(6)?,
        received_dropped: word(7)?,
        qdisc_dropped: None,
        headers_twice: word(8)?,
    })
}

fn link_header(ifindex: u32) -> [u8; LINK_HEADER] {
    let mut header = [0; LINK_HEADER];
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    header
}

fn stats_request(ifindex: u32) -> Request {
    let mut header = [0; STATS_HEADER];
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    header[8..].copy_from_slice(&(1_u32 << (IFLA_STATS_LINK_64 - 1)).to_ne_bytes());
    Request::new(kind::GET_STATS, 0, &header)
}

fn stats(message: &Message<'_>) -> Option<(u32, DeviceCounters)> {
    let stats = attributes_after(message.body, STATS_HEADER).find(|(kind, _)| *kind == IFLA_STATS_LINK_64)?;
    (message.kind == kind::NEW_STATS).then_some((u32_at(message.body, 4)?, counters(stats.1)?))
}

/// Drops of a root qdisc.
fn qdisc_drops(message: &Message<'_>) -> Option<(u32, u64)> {
    let is_root = message.kind == kind::NEW_QDISC && u32_at(message.body, 12) == Some(QDISC_ROOT);
    let stats = attributes_after(message.body, QDISC_HEADER).find(|(kind, _)| *kind == TCA_STATS2)?.1;
    let queue = attributes(stats).find(|(kind, _)| *kind == TCA_STATS_QUEUE)?.1;
    let is_queue = attributes_after(message.body, QDISC_HEADER)
        .any(|(kind, value)| kind == 1 && text(value) != b"noqueue");
    (is_root && is_queue).then_some((u32_at(message.body, 4)?, u32_at(queue, 8)?.into()))
}

fn address(message: &Message<'_>) -> Option<(u32, IpAddr)> {
    let value = |wanted| attributes_after(message.body, ADDRESS_HEADER).find(|(kind, _)| *kind == wanted);
    // On a point-to-point device IFA_ADDRESS is the other end's.
    let (_, bytes) = value(IFA_LOCAL).or_else(|| value(IFA_ADDRESS))?;
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    (message.kind == kind::NEW_ADDRESS).then_some((u32_at(message.body, 4)?, address))
}

/// Questions about devices.
impl Netlink {
    /// All devices of the host's namespace.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn links(&mut self) -> io::Result<Vec<Link>> {
        let request = Request::new(kind::GET_LINK, 0, &link_header(0));
        self.dump(&request, |message| (message.kind == kind::NEW_LINK).then(|| link(message.body)).flatten())
    }

    /// A device of the host's namespace; `None` when there is none.
    pub(super) fn link(&mut self, ifindex: u32) -> Option<Link> {
        let mut found = None;
        self.ask(Request::new(kind::GET_LINK, 0, &link_header(ifindex)), |message| {
            found = link(message.body);
        })
        .ok()?;
        found
    }

    /// All devices of another namespace, which the host's knows by a number.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn links_in(&mut self, namespace: i32) -> io::Result<Vec<Link>> {
        let request = Request::new(kind::GET_LINK, 0, &link_header(0))
            .attribute(IFLA_TARGET_NETNSID, &namespace.to_ne_bytes());
        self.dump(&request, |message| (message.kind == kind::NEW_LINK).then(|| link(message.body)).flatten())
    }

    /// A device of another namespace, as [`ask_peer`] asks for it; `ask` gets the request's number.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn peer_by(&mut self, ask: impl FnOnce(u32) -> io::Result<()>) -> io::Result<Option<Link>> {
        let mut found = None;
        self.ask_by(ask, |message| found = link(message.body))?;
        Ok(found)
    }

    /// Whether packets may be on their way through a device: it is up and has a carrier. One that cannot be asked about
    /// counts as such.
    pub(super) fn is_in_use(&mut self, ifindex: u32) -> bool {
        let mut found = None;
        let asked = self.ask(Request::new(kind::GET_LINK, 0, &link_header(ifindex)), |message| {
            found = link(message.body);
        });
        asked.is_err() || found.is_none_or(|link: Link| link.is_in_use())
    }

    /// What one device counts; `None` when it is gone.
    pub(super) fn counters(&mut self, ifindex: u32) -> Option<DeviceCounters> {
        let mut counters = None;
        self.ask(stats_request(ifindex), |message| counters = stats(&message)).ok()?;
        counters.map(|(_, counters)| counters)
    }

    /// What every device counts, by ifindex.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn all_counters(&mut self) -> io::Result<HashMap<u32, DeviceCounters>> {
        Ok(self.dump(&stats_request(0), |message| stats(&message))?.into_iter().collect())
    }

    /// Drops of the queueing disciplines of all devices that have one, by ifindex.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn all_qdisc_drops(&mut self) -> io::Result<HashMap<u32, u64>> {
        let request = Request::new(kind::GET_QDISC, 0, &[0; QDISC_HEADER]);
        Ok(self.dump(&request, |message| qdisc_drops(&message))?.into_iter().collect())
    }

    /// All addresses of the host's namespace, with the ifindex.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn addresses(&mut self) -> io::Result<Vec<(u32, IpAddr)>> {
        let request = Request::new(kind::GET_ADDRESS, 0, &[0; ADDRESS_HEADER]);
        self.dump(&request, |message| address(&message))
    }
}

impl Link {
    /// Whether packets may be on their way through it.
    pub(super) fn is_in_use(&self) -> bool {
        self.flags & IN_USE == IN_USE
    }

    /// Whether it is a device of a container that came to its namespace from elsewhere, or whose other end is elsewhere, and
    /// whose frames are Ethernet's: not loopback, tunnels that are everywhere, or what a container makes inside.
    pub(super) fn is_from_elsewhere(&self) -> bool {
        self.hardware == ETHERNET
            && self.flags & LOOPBACK == 0
            && self.master.is_none()
            && match self.kind {
                DeviceKind::Bridge => false,
                DeviceKind::Plain => true,
                DeviceKind::Veth | DeviceKind::Other => self.peer_namespace.is_some(),
            }
    }
}

/// Asks for a device of another namespace, which the host's knows by a number.
///
/// # Errors
/// What the kernel says.
pub(super) fn ask_peer(socket: impl AsFd, namespace: i32, ifindex: u32, sequence: u32) -> io::Result<()> {
    let request = Request::new(kind::GET_LINK, 0, &link_header(ifindex))
        .attribute(IFLA_TARGET_NETNSID, &namespace.to_ne_bytes());
    ask_at(socket, request, sequence)
}

/// Whether a reading can have come after another of the same device: a device that is being taken down forgets
/// what its other end counted.
pub(super) fn can_follow(later: &DeviceCounters, earlier: &DeviceCounters) -> bool {
    later.sent_skbs >= earlier.sent_skbs
        && later.sent_bytes >= earlier.sent_bytes
        && later.received_skbs >= earlier.received_skbs
        && later.received_bytes >= earlier.received_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link message of family 0 with the attributes given.
    fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = link_header(9).to_vec();
        for (kind, value) in attributes {
            body.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        body
    }

    #[test]
    fn a_link_is_read() {
        let kind = [9, 0, 1, 0, b'v', b'e', b't', b'h', 0];
        let body = message(&[
            (IFLA_IFNAME, b"veth\x1b1\0"),
            (IFLA_MASTER, &4_u32.to_ne_bytes()),
            (IFLA_LINK, &2_u32.to_ne_bytes()),
            (IFLA_LINK_NETNSID, &3_i32.to_ne_bytes()),
            (IFLA_LINKINFO, &kind),
            (IFLA_ADDRESS, &[1, 2, 3, 4, 5, 6]),
            (999, b"unknown"),
        ]);
        let link = link(&body).unwrap();
        assert_eq!((link.ifindex, link.kind, link.master), (9, DeviceKind::Veth, Some(4)));
        assert_eq!((link.peer, link.peer_namespace), (Some(2), Some(3)));
        assert_eq!((link.name.as_str(), link.mac), ("veth\\u{1b}1", Some(Mac([1, 2, 3, 4, 5, 6]))));
    }

    #[test]
    fn an_ipvlan_device_may_count_the_header_of_all_it_receives_twice() {
        let stats: Vec<u8> = (1..=9_u64).flat_map(u64::to_ne_bytes).collect();
        for (name, twice) in [("ipvlan", 1), ("macvlan", 9), ("ipvlanx", 9)] {
            let mut kind = Vec::from(u16::try_from(name.len() + 5).unwrap().to_ne_bytes());
            kind.extend(IFLA_INFO_KIND.to_ne_bytes());
            kind.extend(name.as_bytes());
            kind.push(0);
            // In either order.
            for attributes in [
                [(IFLA_LINKINFO, &*kind), (IFLA_STATS64, &stats)],
                [(IFLA_STATS64, &stats), (IFLA_LINKINFO, &kind)],
            ] {
                let link = link(&message(&attributes)).unwrap();
                assert_eq!(link.counters.unwrap().headers_twice, twice, "{name}");
            }
        }
    }

    /// Whether a device of this kind (none if empty), with some attribute, is a container's own that came from elsewhere.
    fn check_elsewhere(kind: &str, attribute: Option<(u16, i32)>, hardware: u8, flags: u8, expected: bool) {
        let length = u8::try_from(kind.len() + 5).unwrap();
        let info = [&[length, 0, 1, 0], kind.as_bytes(), &[0]].concat();
        let value = attribute.map(|(attribute, value)| (attribute, value.to_ne_bytes()));
        let mut attributes: Vec<(u16, &[u8])> = Vec::new();
        attributes.extend(value.as_ref().map(|(attribute, value)| (*attribute, &value[..])));
        attributes.extend((!kind.is_empty()).then_some((IFLA_LINKINFO, &info[..])));
        let mut body = message(&attributes);
        (body[2], body[8]) = (hardware, flags);
        assert_eq!(link(&body).unwrap().is_from_elsewhere(), expected, "{kind} {attribute:?}");
    }

    #[test]
    fn a_device_from_elsewhere_is_told_from_what_a_container_makes() {
        let elsewhere = Some((IFLA_LINK_NETNSID, 0));
        for kind in ["macvlan", "ipvlan", "veth", "vlan", "a-plugins"] {
            check_elsewhere(kind, elsewhere, 1, 0, true);
            check_elsewhere(kind, None, 1, 0, false);
            check_elsewhere(kind, Some((IFLA_MASTER, 3)), 1, 0, false);
        }
        check_elsewhere("", None, 1, 0, true);
        check_elsewhere("", None, 1, 8, false);
        check_elsewhere("bridge", elsewhere, 1, 0, false);
        check_elsewhere("sit", elsewhere, 0, 0, false);
    }

    #[test]
    fn messages_about_ports_and_cut_off_ones_are_no_links() {
        let mut port = message(&[]);
        port[0] = 7;
        assert_eq!(link(&port), None);
        assert_eq!(link(&[]), None);
        assert_eq!(link(&[0; 8]), None);
    }

    #[test]
    fn counters_are_turned_round() {
        let stats: Vec<u8> = (1..=9_u64).flat_map(u64::to_ne_bytes).collect();
        let read = counters(&stats).unwrap();
        assert_eq!((read.sent_skbs, read.received_skbs), (1, 2));
        assert_eq!((read.sent_bytes, read.received_bytes), (3, 4));
        assert_eq!((read.sent_dropped, read.received_dropped), (7, 8));
        assert_eq!(read.headers_twice, 9);
        assert_eq!(counters(&stats[..60]), None);
    }

    #[test]
    fn counters_that_went_back_cannot_follow() {
        let earlier = DeviceCounters { sent_skbs: 5, received_skbs: 5, ..DeviceCounters::default() };
        assert!(can_follow(&earlier, &earlier));
        assert!(!can_follow(&DeviceCounters { sent_skbs: 0, ..earlier }, &earlier));
    }
}
