//! Devices that are watched: programs are put on them and taken off, and what is known of them is told.

use super::{Links, TRY_AGAIN};
use crate::collector::attacher::{Answer, Command};
use crate::collector::device::{DeviceKind, Link, can_follow};
use crate::collector::flags::flags;
use crate::collector::losses::Lost;
use crate::collector::pins::book::Kept;
use crate::collector::{clock, decode};
use crate::model::{
    DeviceCounters, Interface, InterfaceKind, InterfaceNumber, NotWatched, Observation, PeerDevice, Reading,
};

impl Links {
    pub(super) fn attach(&mut self, link: &Link) {
        let ifindex = link.ifindex;
        let Some(entry) = self.parts.table.watch(ifindex) else {
            self.try_again.get_or_insert(clock::kernel_now().plus(TRY_AGAIN));
            return self.not_watched(link, "all interface slots are in use; raise --max-interfaces".into());
        };
        self.note_number(entry.number);
        let before = self.netlink.counters(ifindex);
        let mode = self.mode_for(link);
        let flags = flags(kind(link), self.parts.capture);
        let command = Command::Attach { ifindex, number: entry.number, slot: entry.slot, mode, flags };
        let reason = match self.parts.attacher.handle(command) {
            Answer::Attached => {
                let after = self.netlink.counters(ifindex);
                let at = clock::kernel_now();
                let interface = self.describe(link, entry.number, None);
                self.refused.remove(&ifindex);
                self.noted.remove(&ifindex);
                self.watched.insert(ifindex, interface.clone());
                self.keep(&Kept {
                    interface: interface.clone(),
                    slot: entry.slot,
                    mode,
                    at,
                    before,
                    after,
                    owner: None,
                    base: None,
                    fold: Vec::new(),
                });
                return self.parts.out.push(Observation::Attached { interface, at, mode, before, after });
            }
            Answer::NotAttached { reason } => Some(reason),
            // A device that is gone is not missed.
            _ => None,
        };
        self.parts.table.forget(entry.number);
        if let Some(reason) = reason {
            self.not_watched(link, reason);
        }
    }

    fn not_watched(&mut self, link: &Link, reason: String) {
        if self.refused.get(&link.ifindex) != Some(&reason) {
            self.refused.insert(link.ifindex, reason.clone());
            let (ifindex, name) = (link.ifindex, link.name.clone());
            self.parts.out.push(Observation::NotWatched(NotWatched { ifindex, name, reason }));
        }
    }

    pub(super) fn try_refused(&mut self) {
        let refused: Vec<Link> =
            self.refused.keys().filter_map(|ifindex| self.known.get(ifindex)).cloned().collect();
        for link in refused {
            if self.is_wanted(&link) && self.try_again.is_none() {
                self.attach(&link);
            }
        }
    }

    /// What is known of a device. `peer` is what is known of its other end already and need not be read again.
    fn describe(&mut self, link: &Link, number: InterfaceNumber, peer: Option<PeerDevice>) -> Interface {
        let master = link.master.and_then(|master| Some((master, self.known.get(&master)?.name.clone())));
        Interface {
            number,
            ifindex: link.ifindex,
            name: link.name.clone(),
            kind: kind(link),
            mac: link.mac,
            master,
            peer: peer.or_else(|| self.read_peer(link)),
        }
    }

    fn read_peer(&mut self, link: &Link) -> Option<PeerDevice> {
        let ifindex = link.peer.filter(|_| link.kind == DeviceKind::Veth)?;
        let end = match link.peer_namespace {
            None => self.known.get(&ifindex).cloned(),
            // The kernel knows that it is elsewhere but has no number for where.
            Some(namespace) if namespace < 0 => return None,
            Some(namespace) => {
                let attacher = &self.parts.attacher;
                self.netlink.peer_by(|number| attacher.ask_peer(namespace, ifindex, number)).ok().flatten()
            }
        };
        Some(PeerDevice {
            namespace: link.peer_namespace,
            ifindex,
            name: end.as_ref().map(|end| end.name.clone()),
            mac: end.and_then(|end| end.mac),
        })
    }

    /// A watched device changed, or its other end did (`moved`: then it is read again).
    pub(super) fn update(&mut self, link: &Link, moved: bool) {
        let Some(known) = self.watched.get(&link.ifindex).cloned() else { return };
        let peer = known.peer.clone().filter(|peer| !moved && peer.mac.is_some());
        let interface = self.describe(link, known.number, peer);
        if interface != known {
            self.watched.insert(link.ifindex, interface.clone());
            self.change_note(&interface);
            self.parts.out.push(Observation::Changed { interface, at: clock::kernel_now() });
        }
    }

    pub(super) fn on_gone(&mut self, link: &Link) {
        if self.known.remove(&link.ifindex).is_some() {
            self.host_changed();
        }
        self.refused.remove(&link.ifindex);
        if self.noted.remove(&link.ifindex) {
            self.parts.attacher.handle(Command::Detach { ifindex: link.ifindex });
        }
        self.detach(link.ifindex, link.counters);
    }

    /// Takes the programs off and tells the last reading. `farewell` is what the device counted at its end.
    fn detach(&mut self, ifindex: u32, farewell: Option<DeviceCounters>) {
        if let Some(last) = self.take_off(ifindex, farewell) {
            self.parts.out.push(Observation::Detached {
                number: last.number,
                at: last.at,
                last: Box::new(last),
            });
        }
    }

    /// Takes the programs off; what was counted to the end.
    fn take_off(&mut self, ifindex: u32, farewell: Option<DeviceCounters>) -> Option<Reading> {
        let interface = self.watched.remove(&ifindex)?;
        let alive = self.netlink.counters(ifindex);
        if !(self.is_ending && self.parts.attacher.stays()) {
            self.parts.attacher.handle(Command::Detach { ifindex });
            self.forget(ifindex);
        }
        let entry = self.parts.table.get(interface.number)?;
        let read = self.parts.maps.totals.read(entry.slot, &mut self.totals);
        let at = clock::kernel_now();
        let device_before = alive.or(entry.device);
        let device_after = farewell
            .or_else(|| self.netlink.counters(ifindex))
            .filter(|after| device_before.is_none_or(|before| can_follow(after, &before)));
        self.parts.table.forget(interface.number);
        if read.is_err() {
            self.parts.losses.add(Lost::Totals, 1);
            return None;
        }
        let totals = decode::totals_over(&self.totals, entry.base.as_deref());
        Some(Reading { number: interface.number, at, totals, device_before, device_after })
    }

    /// The end. No interface is told to be gone: what is still to be told of them is of when they were watched.
    pub(super) fn detach_all(&mut self) {
        self.is_ending = true;
        let mut watched: Vec<u32> = self.watched.keys().copied().collect();
        watched.sort_unstable();
        let last = watched.into_iter().filter_map(|ifindex| self.take_off(ifindex, None)).collect();
        self.parts.out.push(Observation::Totals(last));
    }
}

fn kind(link: &Link) -> InterfaceKind {
    if link.kind == DeviceKind::Bridge { InterfaceKind::Bridge } else { InterfaceKind::Veth }
}
