//! Devices in the network namespaces of containers, watched there because the host has no end of them: of macvlan, ipvlan
//! and overlay networks, of plugins, or moved in by somebody.
//!
//! A namespace is looked into again at every tick, as long as it is there. It is never held: what is watched goes with it.

use super::attacher::Attacher;
use super::attacher::inside::{Device, Held};
use super::attacher::namespace::Found;
use super::device::DeviceKind;
use super::losses::{Lost, OwnLosses};
use super::netlink::Netlink;
use super::pins::book::Book;
use super::programs::Maps;
use super::table::{Table, Watched};
use super::{clock, decode};
use crate::model::{
    AttachMode, ContainerId, Interface, InterfaceKind, InterfaceNumber, KernelTime, Observation, PeerDevice,
    Reading, SafeText,
};
use monitor_common::interface::InterfaceTotals;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The most namespaces that are looked into.
const MOST: usize = 1_024;
/// How soon a device that was refused is tried again: each time takes a number.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// How long a namespace may be missing at its path before that is told: Docker tells of a container while it starts, and
/// whoever is short of descriptors has some a moment later.
const MAY_BE_MISSING: Duration = Duration::from_secs(2);

/// A device that is watched.
struct Inside {
    number: InterfaceNumber,
    held: Held,
}

/// A namespace that is looked into.
struct Place {
    container: ContainerId,
    /// When it was found last, or began to be looked for.
    seen: KernelTime,
    found: Found,
    devices: BTreeMap<u32, Inside>,
    /// Why not all of them are watched.
    refused: Option<SafeText>,
    /// When one was refused last.
    refused_at: Option<KernelTime>,
}

/// All of them, by the paths that Docker gave.
pub(super) struct Insides {
    attacher: Arc<Attacher>,
    maps: Arc<Maps>,
    table: Arc<Table>,
    losses: Arc<OwnLosses>,
    /// Where it is noted which numbers are given, if anything is pinned.
    book: Option<Arc<Book>>,
    netlink: Netlink,
    totals: Vec<InterfaceTotals>,
    places: BTreeMap<String, Place>,
}

impl Insides {
    /// None is yet.
    ///
    /// # Errors
    /// When no netlink socket can be had.
    pub(super) fn new(
        attacher: Arc<Attacher>,
        maps: Arc<Maps>,
        table: Arc<Table>,
        losses: Arc<OwnLosses>,
        book: Option<Arc<Book>>,
    ) -> io::Result<Self> {
        let totals = maps.totals.buffer();
        let (netlink, places) = (Netlink::open()?, BTreeMap::new());
        Ok(Self { attacher, maps, table, losses, book, netlink, totals, places })
    }

    /// Whether there is nothing to look into.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Looks into a namespace from now on; what came of it, as far as that is news.
    pub(super) fn watch(&mut self, container: ContainerId, sandbox: String) -> Vec<Observation> {
        if self.places.contains_key(&sandbox) {
            return Vec::new();
        }
        // One that was never there is looked for no longer where Docker tells of another.
        self.places.retain(|_, place| place.container != container || place.found.inode.is_some());
        if self.places.len() >= MOST {
            let reason = Some(SafeText::new(&format!("{MOST} namespaces are looked into already")));
            return vec![Observation::InsideNotWatched { container, reason }];
        }
        let (seen, found, devices) = (clock::kernel_now(), Found::default(), BTreeMap::new());
        let place = Place { container, seen, found, devices, refused: None, refused_at: None };
        self.look_at(sandbox, place)
    }

    /// Looks into all namespaces; what is news.
    pub(super) fn look(&mut self) -> Vec<Observation> {
        let sandboxes: Vec<String> = self.places.keys().cloned().collect();
        let mut news = Vec::new();
        for sandbox in sandboxes {
            if let Some(place) = self.places.remove(&sandbox) {
                news.extend(self.look_at(sandbox, place));
            }
        }
        news
    }

    fn look_at(&mut self, sandbox: String, mut place: Place) -> Vec<Observation> {
        let mut news = Vec::new();
        let found = self.attacher.namespace(sandbox.clone());
        let found = found.and_then(|found| Ok((found, found.inode.ok_or(io::ErrorKind::InvalidData)?)));
        let (found, inode) = match found {
            Ok(found) => found,
            Err(error) => {
                self.miss(sandbox, place, &error, &mut news);
                return news;
            }
        };
        place.seen = clock::kernel_now();
        if place.found.inode != Some(inode) {
            self.leave(&mut place, |_, _| false, &mut news);
        }
        if place.found.inode.is_none() {
            let container = place.container.clone();
            news.push(Observation::InsideNotWatched { container, reason: None });
        }
        if found != place.found && found.number.is_some() {
            let Found { number: namespace, inode } = found;
            news.push(Observation::Namespace { sandbox: sandbox.clone(), namespace, inode });
        }
        place.found = found;
        // As long as it has no number nothing came to it from the host.
        let listed = found.number.map(|number| (number, self.attacher.devices(number)));
        match listed {
            Some((number, Ok((devices, are_more)))) => {
                let is_watched = |device: &Device| place.devices.contains_key(&device.ifindex);
                let devices: Vec<Device> = devices
                    .into_iter()
                    .filter(|device| self.is_wanted(number, device, is_watched(device)))
                    .collect();
                let is_listed = |ifindex: u32, inside: &Inside| {
                    inside.held.is_there() && devices.iter().any(|device| device.ifindex == ifindex)
                };
                self.leave(&mut place, is_listed, &mut news);
                self.attach_new(&sandbox, (number, inode), &mut place, (devices, are_more), &mut news);
            }
            None => Self::refuse(&mut place, None, &mut news),
            // It has gone meanwhile.
            Some((_, Err(error))) if error.raw_os_error() == Some(libc::EINVAL) => (),
            Some((_, Err(error))) => {
                let reason = format!("its devices could not be listed: {error}");
                Self::refuse(&mut place, Some(reason), &mut news);
            }
        }
        self.places.insert(sandbox, place);
        news
    }

    /// A namespace could not be found. One that was there and is not has ended with its container, or is asked for again. Else it
    /// is told after a while: of what is watched, which goes on, once; where nothing is, the namespace is asked for again.
    fn miss(&mut self, sandbox: String, mut place: Place, error: &io::Error, news: &mut Vec<Observation>) {
        let is_absent = error.raw_os_error() == Some(libc::ENOENT);
        self.leave(&mut place, |_, inside| !is_absent && inside.held.is_there(), news);
        if is_absent && place.found.inode.is_some() {
            return;
        }
        if clock::kernel_now().since(place.seen) >= MAY_BE_MISSING {
            let reason = if is_absent {
                format!("there is no network namespace at {sandbox}, as Docker has it")
            } else {
                format!("the network namespace at {sandbox} could not be looked into: {error}")
            };
            Self::refuse(&mut place, Some(reason), news);
            if place.devices.is_empty() {
                return;
            }
        }
        self.places.insert(sandbox, place);
    }

    /// Watches those of a namespace's devices that are not yet; after a refusal only when some time has passed.
    fn attach_new(
        &mut self,
        sandbox: &str,
        namespace: (i32, u32),
        place: &mut Place,
        (devices, are_more): (Vec<Device>, bool),
        news: &mut Vec<Observation>,
    ) {
        let now = clock::kernel_now();
        if place.refused_at.is_some_and(|at| now.since(at) < TRY_AGAIN) {
            return;
        }
        place.refused_at = None;
        let mut refused = are_more.then(|| "it has more devices than are looked at".to_owned());
        for device in devices {
            if place.devices.contains_key(&device.ifindex) {
                continue;
            }
            match self.attach(sandbox, namespace, place, device) {
                Ok(attached) => news.push(attached),
                // One that has gone meanwhile is not missed.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => (),
                Err(error) => {
                    place.refused_at = Some(now);
                    refused = Some(error.to_string());
                }
            }
        }
        Self::refuse(place, refused, news);
    }

    /// Tells why not all devices are watched, if that is news.
    fn refuse(place: &mut Place, reason: Option<String>, news: &mut Vec<Observation>) {
        let reason = reason.map(|reason| SafeText::new(&reason));
        if reason != place.refused {
            let container = place.container.clone();
            news.push(Observation::InsideNotWatched { container, reason: reason.clone() });
            place.refused = reason;
        }
    }

    /// Whether a device is to be watched here: nothing crosses a veth before it is in use, and the host's end of one is
    /// watched as soon as it is a port of a bridge. One that is watched and goes down stays: it goes on counting where it was.
    fn is_wanted(&mut self, namespace: i32, device: &Device, is_watched: bool) -> bool {
        let Some(peer) = device.peer else { return true };
        let is_its_end = self.netlink.link(peer).is_some_and(|link| {
            link.kind == DeviceKind::Veth
                && link.master.is_some()
                && (link.peer, link.peer_namespace) == (Some(device.ifindex), Some(namespace))
        });
        (device.in_use || is_watched) && !is_its_end
    }

    fn attach(
        &mut self,
        sandbox: &str,
        (namespace, inode): (i32, u32),
        place: &mut Place,
        device: Device,
    ) -> io::Result<Observation> {
        if let Some(path) = self.watched_at(inode, device.ifindex) {
            return Err(io::Error::other(format!("it is watched already, in the namespace at {path}")));
        }
        let entry = self.table.watch_in(Some(namespace), device.ifindex);
        let entry = entry
            .ok_or_else(|| io::Error::other("all interface slots are in use; raise --max-interfaces"))?;
        if let Some(Err(error)) = self.book.as_ref().map(|book| book.give(entry.number)) {
            log::warn!("a number could not be noted for the next agent: {error}");
        }
        let held = self.attacher.attach_inside(sandbox, inode, &entry).inspect_err(|_| {
            self.table.forget(entry.number);
        })?;
        let at = clock::kernel_now();
        let after =
            self.attacher.devices(namespace).ok().and_then(|(devices, _)| {
                devices.into_iter().find(|now| now.ifindex == device.ifindex)?.counters
            });
        let interface = describe(&entry, &place.container, namespace, &device);
        place.devices.insert(device.ifindex, Inside { number: entry.number, held });
        let (mode, before) = (AttachMode::Tcx, device.counters);
        Ok(Observation::Attached { interface, at, mode, before, after })
    }

    /// Through which other path a device is watched.
    fn watched_at(&self, inode: u32, ifindex: u32) -> Option<&str> {
        let is_it = |place: &Place| {
            place.found.inode == Some(inode)
                && place.devices.get(&ifindex).is_some_and(|inside| inside.held.is_there())
        };
        self.places.iter().find(|(_, place)| is_it(place)).map(|(path, _)| path.as_str())
    }

    /// Watches those devices of a namespace no longer that are not to stay.
    fn leave(
        &mut self,
        place: &mut Place,
        stays: impl Fn(u32, &Inside) -> bool,
        news: &mut Vec<Observation>,
    ) {
        let (stay, go) =
            std::mem::take(&mut place.devices).into_iter().partition(|(ifindex, it)| stays(*ifindex, it));
        place.devices = stay;
        let go: BTreeMap<u32, Inside> = go;
        news.extend(go.into_values().filter_map(|inside| {
            let last = self.take_off(inside)?;
            Some(Observation::Detached { number: last.number, at: last.at, last: Box::new(last) })
        }));
    }

    /// The end. None is told to be gone: what is still to be told of them is of when they were watched.
    /// `goes_on` is called after each: a device takes 28 ms.
    pub(super) fn leave_all(&mut self, goes_on: impl Fn()) -> Option<Observation> {
        let places = std::mem::take(&mut self.places);
        let devices = places.into_values().flat_map(|place| place.devices.into_values());
        let last = devices.filter_map(|inside| {
            let last = self.take_off(inside);
            goes_on();
            last
        });
        let mut last: Vec<Reading> = last.collect();
        last.sort_unstable_by_key(|reading| reading.number);
        (!last.is_empty()).then_some(Observation::Totals(last))
    }

    /// Takes the programs off; what was counted to the end, which the device itself does not tell any more.
    fn take_off(&mut self, inside: Inside) -> Option<Reading> {
        let Inside { number, held } = inside;
        self.attacher.detach_inside(held);
        let entry = self.table.get(number)?;
        let read = self.maps.totals.read(entry.slot, &mut self.totals);
        self.table.forget(number);
        if read.is_err() {
            self.losses.add(Lost::Totals, 1);
            return None;
        }
        let totals = decode::totals(&self.totals);
        Some(Reading { number, at: clock::kernel_now(), totals, device_before: None, device_after: None })
    }
}

fn describe(entry: &Watched, container: &ContainerId, namespace: i32, device: &Device) -> Interface {
    Interface {
        number: entry.number,
        ifindex: 0,
        name: SafeText::new(&format!("{} of {}", device.name, container.short())),
        kind: InterfaceKind::Inside,
        mac: device.mac,
        master: None,
        peer: Some(PeerDevice {
            namespace: Some(namespace),
            ifindex: device.ifindex,
            name: Some(device.name.clone()),
            mac: device.mac,
        }),
    }
}
