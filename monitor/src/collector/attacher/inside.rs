//! Devices in the network namespaces of containers: which there are, and the programs on them.
//!
//! Nothing here keeps a namespace: the kernel is asked about its devices from the host's, and a link goes with its device.

use super::Attacher;
use super::namespace::{self, Found};
use super::rights::{Answer, Request};
use crate::collector::bpf::{self, TcxHook};
use crate::collector::device::{DeviceKind, Link};
use crate::collector::flags::flags;
use crate::collector::netlink::Netlink;
use crate::collector::programs::ProgramPair;
use crate::collector::table::Watched;
use crate::model::{DeviceCounters, InterfaceKind, Mac, SafeText};
use monitor_common::interface::{InterfaceEntry, inside_key};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::fstat;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The most devices of one namespace that are looked at.
const MOST_DEVICES: usize = 16;

/// A device of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its ifindex in its namespace.
    pub ifindex: u32,
    /// Its name there.
    pub name: SafeText,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// ifindex of its other end, of a veth.
    pub peer: Option<u32>,
    /// Whether it is up and has a carrier.
    pub in_use: bool,
    /// What it counts.
    pub counters: Option<DeviceCounters>,
}

impl From<Link> for Device {
    fn from(link: Link) -> Self {
        Self {
            in_use: link.is_in_use(),
            ifindex: link.ifindex,
            name: link.name,
            mac: link.mac,
            peer: link.peer.filter(|_| link.kind == DeviceKind::Veth),
            counters: link.counters.map(DeviceCounters::turned_round),
        }
    }
}

/// The devices of a namespace that are a container's own, at most [`MOST_DEVICES`] and one more, which says so.
///
/// # Errors
/// What the kernel says; `EINVAL` where there is no such namespace any more.
pub(super) fn devices(netlink: &mut Netlink, namespace: i32) -> io::Result<Vec<Device>> {
    let links = netlink.links_in(namespace)?.into_iter();
    Ok(links.filter(Link::is_from_elsewhere).take(MOST_DEVICES + 1).map(Device::from).collect())
}

/// Puts both programs on a device of the namespace at a path, if that is the one with this number.
///
/// # Errors
/// When it is not, or the kernel refuses.
pub(super) fn attach(
    programs: &Result<ProgramPair, String>,
    sandbox: &str,
    inode: u32,
    ifindex: u32,
) -> io::Result<Vec<OwnedFd>> {
    let programs = programs.as_ref().map_err(|reason| io::Error::other(reason.clone()))?;
    let namespace = namespace::open_other(Path::new(sandbox))?;
    if fstat(&namespace)?.st_ino != u64::from(inode) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let put = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|error| {
            io::Error::other(format!("it cannot be entered without CAP_SYS_ADMIN: {error}"))
        })?;
        // What a container sends leaves its own end.
        let hooks = [(&programs.sent, TcxHook::Egress), (&programs.received, TcxHook::Ingress)];
        let links = hooks.map(|(program, hook)| bpf::tcx_attach(program.as_fd(), ifindex, hook));
        links.into_iter().collect::<io::Result<_>>().map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => io::Error::other("this kernel has no TCX, which Linux 6.6 has"),
            _ => error,
        })
    };
    // Which namespace one is in is a property of the thread, and ends with it.
    std::thread::scope(|scope| {
        let there = std::thread::Builder::new().name("vw-inside".into()).spawn_scoped(scope, put)?;
        there.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

/// The programs on a device of a container; dropped without [`Attacher::detach_inside`], they go, but not what tells them
/// which device it is.
#[derive(Debug)]
pub(in crate::collector) struct Held {
    key: u64,
    /// Our number of it.
    number: u32,
    links: Vec<OwnedFd>,
}

impl Held {
    /// Whether the device is there.
    pub(in crate::collector) fn is_there(&self) -> bool {
        let egress = self.links.first().map(|link| bpf::tcx_device(link.as_fd(), TcxHook::Egress));
        !matches!(egress, Some(Ok(None)) | None)
    }
}

impl Attacher {
    /// What the network namespace at a path is known by.
    ///
    /// # Errors
    /// `ENOENT` when nothing is there; else why what is there is not looked into.
    pub(in crate::collector) fn namespace(&self, sandbox: String) -> io::Result<Found> {
        match (self.call)(Request::Namespace { sandbox }).0 {
            Answer::Namespace(found) => Ok(found),
            other => Err(other.done().err().unwrap_or_else(|| io::ErrorKind::InvalidData.into())),
        }
    }

    /// The devices of a namespace that are a container's own, and whether there are more.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn devices(&self, namespace: i32) -> io::Result<(Vec<Device>, bool)> {
        match (self.call)(Request::Devices { namespace }).0 {
            Answer::Devices(mut devices) => {
                let are_more = devices.len() > MOST_DEVICES;
                devices.truncate(MOST_DEVICES);
                Ok((devices, are_more))
            }
            other => Err(other.done().err().unwrap_or_else(|| io::ErrorKind::InvalidData.into())),
        }
    }

    /// Puts both programs on a device of the namespace at a path, and counts it as the table says. It must not be watched
    /// already: there is one entry of each.
    ///
    /// # Errors
    /// When the kernel refuses. Nothing is left behind.
    pub(in crate::collector) fn attach_inside(
        &self,
        sandbox: &str,
        inode: u32,
        watched: &Watched,
    ) -> io::Result<Held> {
        let Watched { number, ifindex, slot, .. } = *watched;
        self.maps.totals.zero(slot)?;
        // Before the programs are there to look.
        let key = inside_key(inode, ifindex);
        let flags = flags(InterfaceKind::Inside, false);
        self.maps.inside.update(&key, &InterfaceEntry { ifindex, number: number.0, slot, flags })?;
        let request = Request::AttachInside { sandbox: sandbox.to_owned(), inode, ifindex };
        let (answer, links) = (self.call)(request);
        let held = Held { key, number: number.0, links };
        match answer.done() {
            Ok(()) => Ok(held),
            Err(error) => {
                self.detach_inside(held);
                Err(error)
            }
        }
    }

    /// Takes both programs off.
    pub(in crate::collector) fn detach_inside(&self, held: Held) {
        let Held { key, number, links } = held;
        drop(links);
        // Another device may have the numbers of one that is gone.
        let removed = match self.maps.inside.lookup(&key) {
            Ok(Some(entry)) if entry.number == number => self.maps.inside.delete(&key),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            log::warn!("the entry of a device in a container's namespace could not be removed: {error}");
        }
    }
}
