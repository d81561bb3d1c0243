//! The link thread: hears of devices, and attaches to those that are to be watched at once.
//!
//! It commands the attacher directly and never waits for the engine: a container's first packet may come within
//! 40 ms of its veth.

mod kept;
mod watched;

pub(super) use kept::Before;

use super::attacher::{Answer, Attacher, Command};
use super::clock;
use super::device::{DeviceKind, Link, link};
use super::losses::{Lost, OwnLosses};
use super::netlink::{Netlink, Notifications, Quiet, group, kind};
use super::outbox::Backlog;
use super::pins::book::Book;
use super::programs::Maps;
use super::table::Table;
use super::wake::{Bell, wait};
use crate::model::{AttachMode, HostAddresses, Interface, KernelTime, Observation};
use monitor_common::interface::InterfaceTotals;
use rustix::fd::{AsFd, BorrowedFd};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Changes of the host's addresses and devices are told together, this long after the first.
const SETTLE: Duration = Duration::from_millis(200);
/// How soon what the engine had no room for is offered again.
const OFFER_AGAIN: Duration = Duration::from_millis(5);
/// As many devices as may wait for each other: a container's first packet comes 38 ms after its veth at the earliest,
/// and a TCX link takes up to 15 ms (it waits for an RCU grace period, under the lock that all network
/// configuration of the host needs).
const FEW: usize = 2;
/// How soon devices that found all slots taken are tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How devices are attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modes {
    /// All but those below.
    pub(super) usual: AttachMode,
    /// New ones that come together and have no traffic yet: what one takes, the others wait. Never one that is in use:
    /// the kernel drops what is sent on a device while it is given a qdisc.
    pub(super) unused: AttachMode,
}

/// What a notification says.
enum News {
    Link(Link),
    Gone(Link),
    Addresses,
}

/// What the thread is given.
pub(super) struct Parts {
    pub(super) attacher: Arc<Attacher>,
    pub(super) maps: Arc<Maps>,
    pub(super) table: Arc<Table>,
    pub(super) losses: Arc<OwnLosses>,
    pub(super) out: Backlog,
    pub(super) modes: Modes,
    pub(super) watch_bridges: bool,
    /// Whether packets are captured.
    pub(super) capture: bool,
    /// Where the next agent finds what it has to know, if anything is pinned.
    pub(super) book: Option<Arc<Book>>,
}

/// By which the thread asks and hears of devices.
pub(super) struct Ears {
    netlink: Netlink,
    notifications: Notifications,
}

impl Ears {
    /// Begins to listen.
    ///
    /// # Errors
    /// When no netlink sockets can be had.
    pub(super) fn open() -> io::Result<Self> {
        let groups = group::LINK | group::IPV4_ADDRESS | group::IPV6_ADDRESS;
        Ok(Self { netlink: Netlink::open()?, notifications: Notifications::open(groups)? })
    }
}

impl AsFd for Ears {
    /// Where it asks.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

/// The thread's state.
pub(super) struct Links {
    parts: Parts,
    before: Option<Before>,
    netlink: Netlink,
    notifications: Notifications,
    totals: Vec<InterfaceTotals>,
    /// Whether more devices are being told of now than may wait for each other.
    crowded: bool,
    /// Bridges to look at when the containers' devices have been: they can wait.
    bridges_due: BTreeSet<u32>,
    /// All devices of the host's namespace.
    known: BTreeMap<u32, Link>,
    watched: HashMap<u32, Interface>,
    /// Devices that should be watched and are not, with the reason told.
    refused: HashMap<u32, String>,
    /// Bridges of watched ports that are not watched themselves: what is dropped there is still the ports'.
    noted: HashSet<u32>,
    /// When to tell the host's addresses and devices.
    host_due: Option<KernelTime>,
    try_again: Option<KernelTime>,
    /// Whether all is taken off, but for what stays.
    is_ending: bool,
}

impl Links {
    /// Nothing is attached yet.
    pub(super) fn new(parts: Parts, ears: Ears, before: Before) -> Self {
        let Ears { netlink, notifications } = ears;
        Self {
            netlink,
            notifications,
            totals: parts.maps.totals.buffer(),
            crowded: false,
            bridges_due: BTreeSet::new(),
            parts,
            before: Some(before),
            known: BTreeMap::new(),
            watched: HashMap::new(),
            refused: HashMap::new(),
            noted: HashSet::new(),
            host_due: None,
            try_again: None,
            is_ending: false,
        }
    }

    /// Attaches to what is there, follows what changes until `stop` rings, and takes everything off that is not to stay.
    pub(super) fn run(mut self, stop: &Bell) {
        let comes_after = self.go_on();
        let before = self.watched.len();
        self.read_all(stop);
        if comes_after {
            let came = self.watched.len().saturating_sub(before);
            self.parts.losses.add(Lost::CameWithoutAgent, came as u64);
        }
        self.tell_host();
        loop {
            let patience = self.patience();
            let [stopped, _] = wait([stop.as_fd(), self.notifications.as_fd()], patience);
            if stopped {
                break;
            }
            self.hear(stop);
            let now = clock::kernel_now();
            if self.host_due.is_some_and(|due| due <= now) {
                self.tell_host();
            }
            if self.try_again.is_some_and(|due| due <= now) {
                self.try_again = None;
                self.try_refused();
            }
            self.parts.out.flush();
        }
        self.detach_all();
        self.parts.out.finish();
    }

    /// How long there is nothing to do but to listen.
    fn patience(&mut self) -> Option<Duration> {
        let now = clock::kernel_now();
        let due = [self.host_due, self.try_again].into_iter().flatten().min();
        let patience = due.map(|due| due.since(now));
        if self.parts.out.flush() {
            Some(patience.map_or(OFFER_AGAIN, |p| p.min(OFFER_AGAIN)))
        } else {
            patience
        }
    }

    fn hear(&mut self, stop: &Bell) {
        let mut news = Vec::new();
        let quiet = self.notifications.read(|message| match message.kind {
            kind::NEW_LINK => news.extend(link(message.body).map(News::Link)),
            kind::DELETE_LINK => news.extend(link(message.body).map(News::Gone)),
            kind::NEW_ADDRESS | kind::DELETE_ADDRESS => news.push(News::Addresses),
            _ => (),
        });
        self.count_new(news.iter().filter_map(|news| match news {
            News::Link(link) => Some(link),
            News::Gone(_) | News::Addresses => None,
        }));
        for news in news {
            match news {
                News::Link(link) => self.on_link(link),
                News::Gone(link) => self.on_gone(&link),
                News::Addresses => self.host_changed(),
            }
        }
        self.attach_bridges();
        match quiet {
            Ok(Quiet::Empty) => (),
            Ok(Quiet::Overrun) => {
                self.parts.losses.add(Lost::NetlinkOverrun, 1);
                self.read_all(stop);
                self.host_changed();
            }
            Err(error) => log::warn!("notifications about links could not be read: {error}"),
        }
    }

    /// Asks for all devices, and treats the answer as news until `stop` rings.
    fn read_all(&mut self, stop: &Bell) {
        let links = match self.netlink.links() {
            Ok(links) => links,
            Err(error) => return log::warn!("the list of links could not be read: {error}"),
        };
        let gone: Vec<Link> = self
            .known
            .values()
            .filter(|known| !links.iter().any(|link| link.ifindex == known.ifindex))
            .map(|known| Link { counters: None, ..known.clone() })
            .collect();
        gone.iter().for_each(|link| self.on_gone(link));
        // A port names its bridge, so the names must be known before the first is told.
        self.known.extend(links.iter().map(|link| (link.ifindex, link.clone())));
        self.count_new(links.iter());
        for link in links {
            if stop.wait(Duration::ZERO) {
                return;
            }
            self.on_link(link);
        }
        self.attach_bridges();
    }

    /// Counts how many of these are to be attached to.
    fn count_new<'a>(&mut self, links: impl Iterator<Item = &'a Link>) {
        let new: BTreeSet<u32> = links
            .filter(|link| !self.watched.contains_key(&link.ifindex) && self.is_wanted(link))
            .map(|link| link.ifindex)
            .collect();
        self.crowded = new.len() > FEW;
    }

    /// How to attach to a device.
    fn mode_for(&mut self, link: &Link) -> AttachMode {
        let Modes { usual, unused } = self.parts.modes;
        let waits_for_others = usual != unused && self.crowded && link.kind == DeviceKind::Veth;
        if waits_for_others && !self.netlink.is_in_use(link.ifindex) { unused } else { usual }
    }

    fn on_link(&mut self, link: Link) {
        let before = self.known.insert(link.ifindex, link.clone());
        if before.as_ref().is_none_or(|before| before.name != link.name) {
            self.host_changed();
        }
        // Before the port itself: whoever sees it watched may count on being told what is dropped on the way to it.
        if let Some(bridge) = link.master.filter(|_| self.is_wanted(&link)) {
            self.note(bridge);
        }
        if self.watched.contains_key(&link.ifindex) {
            let moved = before.is_none_or(|before| {
                (before.flags, before.peer_namespace) != (link.flags, link.peer_namespace)
            });
            self.update(&link, moved);
        } else if link.kind == DeviceKind::Bridge {
            self.bridges_due.insert(link.ifindex);
        } else if self.is_wanted(&link) {
            self.attach(&link);
        }
        // A bridge is wanted once it has a watched port.
        self.bridges_due.extend(link.master);
    }

    fn attach_bridges(&mut self) {
        for ifindex in std::mem::take(&mut self.bridges_due) {
            if !self.watched.contains_key(&ifindex)
                && let Some(bridge) = self.known.get(&ifindex).cloned()
                && self.is_wanted(&bridge)
            {
                self.attach(&bridge);
            }
        }
    }

    /// Makes what is dropped at a bridge known that is not watched.
    fn note(&mut self, bridge: u32) {
        if self.watched.contains_key(&bridge) || self.noted.contains(&bridge) {
            return;
        }
        match self.parts.attacher.handle(Command::Note { ifindex: bridge }) {
            Answer::NotAttached { reason } => {
                log::warn!("drops at the bridge {bridge} will not be told: {reason}");
            }
            _ => {
                self.noted.insert(bridge);
            }
        }
    }

    fn is_wanted(&self, link: &Link) -> bool {
        match link.kind {
            DeviceKind::Veth => link.master.is_some(),
            DeviceKind::Bridge => {
                let has_port = || {
                    let bridge = |port: &Interface| port.master.as_ref().map(|(ifindex, _)| *ifindex);
                    self.watched.values().any(|port| bridge(port) == Some(link.ifindex))
                };
                self.parts.watch_bridges && (is_docker_bridge(link.name.as_str()) || has_port())
            }
            DeviceKind::Plain | DeviceKind::Other => false,
        }
    }

    fn host_changed(&mut self) {
        self.host_due.get_or_insert_with(|| clock::kernel_now().plus(SETTLE));
    }

    fn tell_host(&mut self) {
        self.host_due = None;
        let addresses = match self.netlink.addresses() {
            Ok(addresses) => addresses,
            Err(error) => return log::warn!("the host's addresses could not be read: {error}"),
        };
        let name = |ifindex: u32| self.known.get(&ifindex).map(|link| link.name.clone());
        let host = HostAddresses {
            addresses: addresses
                .into_iter()
                .filter_map(|(ifindex, address)| Some((ifindex, name(ifindex)?, address)))
                .collect(),
            devices: self.known.values().map(|link| (link.ifindex, link.name.clone())).collect(),
        };
        self.parts.out.push(Observation::Host(host));
    }
}

/// Whether Docker gives bridges such a name: `docker0`, or `br-` and twelve hexadecimal digits.
fn is_docker_bridge(name: &str) -> bool {
    let is_id = |id: &str| id.len() == 12 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    name == "docker0" || name.strip_prefix("br-").is_some_and(is_id)
}

#[cfg(test)]
mod tests {
    use super::is_docker_bridge;

    fn check(name: &str, expected: bool) {
        assert_eq!(is_docker_bridge(name), expected, "{name}");
    }

    #[test]
    fn docker_bridges_are_known_by_their_names() {
        check("docker0", true);
        check("br-0123456789ab", true);
        check("br-0123456789a", false);
        check("br-0123456789ag", false);
        check("br-lan", false);
        check("docker1", false);
        check("virbr0", false);
    }
}
