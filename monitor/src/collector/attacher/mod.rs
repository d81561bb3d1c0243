//! Puts programs on devices, and tells them where they find the interface. What needs a right for that is done by
//! [`rights`], in this process or in another.

mod clsact;
mod group;
pub(super) mod inside;
mod instance;
pub mod leftovers;
pub(super) mod namespace;
pub(super) mod resolver;
pub(super) mod rights;

use super::programs::Maps;
use crate::model::{AttachMode, InterfaceNumber};
use monitor_common::interface::{INTERFACE_BUCKETS, InterfaceEntry, interface_flag::CAPTURE};
use rights::{Call, Request};
use rustix::fd::OwnedFd;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use group::Group;

/// What the attacher is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Put both programs on a device and count it under `number`, in the totals' `slot`.
    Attach {
        /// Which device.
        ifindex: u32,
        /// The agent's number for it.
        number: InterfaceNumber,
        /// Where its totals go; zeroed first.
        slot: u32,
        /// How.
        mode: AttachMode,
        /// Bits of [`interface_flag`](monitor_common::interface::interface_flag).
        flags: u32,
    },
    /// Tell the drop watcher of a device that no program is put on.
    Note {
        /// Which device.
        ifindex: u32,
    },
    /// Capture at a device that both programs are on, or do so no more.
    Capture {
        /// Which device.
        ifindex: u32,
        /// Whether.
        on: bool,
    },
    /// Take both programs off a device, if it still exists.
    Detach {
        /// Which device.
        ifindex: u32,
    },
}

/// What came of a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Both programs are in place.
    Attached,
    /// The device went away meanwhile.
    Gone,
    /// They are not, and nothing was left behind.
    NotAttached {
        /// Why, for a person.
        reason: String,
    },
    /// It is told.
    Noted,
    /// They are off.
    Detached,
}

/// How the programs hang on one device.
#[derive(Debug)]
enum Attached {
    /// Links; closing them detaches, unless they are pinned.
    Tcx { _links: Vec<OwnedFd> },
    /// Filters.
    Clsact,
}

/// Writes where the programs find an interface, before they are there to look.
///
/// # Errors
/// What the kernel says.
pub(super) fn enter(maps: &Maps, entry: InterfaceEntry) -> io::Result<()> {
    let bucket = entry.ifindex & (INTERFACE_BUCKETS - 1);
    let resident = maps.interfaces.lookup(&bucket)?.unwrap_or_default();
    if resident.ifindex == 0 || resident.ifindex == entry.ifindex {
        maps.interfaces.update(&bucket, &entry)
    } else {
        maps.overflow.update(&entry.ifindex, &entry)
    }
}

/// Removes what [`enter`] wrote of all interfaces but those that live, by their ifindex and number.
///
/// # Errors
/// What the kernel says.
pub(super) fn sweep(maps: &Maps, live: &HashMap<u32, u32>) -> io::Result<()> {
    let is_live = |entry: &InterfaceEntry| live.get(&entry.ifindex) == Some(&entry.number);
    for bucket in 0..INTERFACE_BUCKETS {
        let resident = maps.interfaces.lookup(&bucket)?.unwrap_or_default();
        if resident.ifindex != 0 && !is_live(&resident) {
            maps.interfaces.update(&bucket, &InterfaceEntry::default())?;
        }
    }
    for ifindex in maps.overflow.keys(INTERFACE_BUCKETS)? {
        if maps.overflow.lookup(&ifindex)?.is_some_and(|entry| !is_live(&entry)) {
            maps.overflow.delete(&ifindex)?;
        }
    }
    Ok(())
}

/// The attacher.
pub(super) struct Attacher {
    call: Call,
    maps: Arc<Maps>,
    attached: Mutex<HashMap<u32, Attached>>,
    pinning: Pinning,
}

/// What becomes of programs on devices when this process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pinning {
    /// They are not pinned.
    Off,
    /// They are pinned, and taken off at a clean stop.
    UntilStop,
    /// They stay.
    Stay,
}

impl Attacher {
    /// An attacher that has nothing attached yet; what needs a right it has done by `call`.
    pub(super) fn new(call: Call, maps: Arc<Maps>, pinning: Pinning) -> Self {
        Self { call, maps, attached: Mutex::default(), pinning }
    }

    /// Takes over a device that both programs are on, and the links that it is attached by.
    pub(super) fn adopt(&self, ifindex: u32, mode: AttachMode, links: Vec<OwnedFd>) {
        self.hold(ifindex, mode, links);
    }

    /// Whether programs stay on devices when this process ends.
    pub(super) fn stays(&self) -> bool {
        self.pinning == Pinning::Stay
    }

    /// Removes all that is pinned.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn unpin(&self) -> io::Result<()> {
        if self.pinning == Pinning::Off {
            return Ok(());
        }
        (self.call)(Request::Unpin).0.done()
    }

    /// Does what it is told.
    pub(super) fn handle(&self, command: Command) -> Answer {
        match command {
            Command::Attach { ifindex, number, slot, mode, flags } => {
                let entry = InterfaceEntry { ifindex, number: number.0, slot, flags };
                match self.attach(entry, mode) {
                    Ok(()) => Answer::Attached,
                    Err(error) => {
                        self.forget(ifindex);
                        match error.raw_os_error() {
                            Some(libc::ENODEV) => Answer::Gone,
                            _ => Answer::NotAttached { reason: error.to_string() },
                        }
                    }
                }
            }
            Command::Note { ifindex } => {
                match enter(&self.maps, InterfaceEntry { ifindex, ..InterfaceEntry::default() }) {
                    Ok(()) => Answer::Noted,
                    Err(error) => Answer::NotAttached { reason: error.to_string() },
                }
            }
            Command::Capture { ifindex, on } => match self.capture(ifindex, on) {
                Ok(()) => Answer::Noted,
                Err(error) => Answer::NotAttached { reason: error.to_string() },
            },
            Command::Detach { ifindex } => {
                self.detach(ifindex);
                self.forget(ifindex);
                Answer::Detached
            }
        }
    }

    /// Asks for a device of another namespace, by a request with this number; the answer comes at the socket that the
    /// collector was prepared with.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn ask_peer(&self, namespace: i32, ifindex: u32, sequence: u32) -> io::Result<()> {
        (self.call)(Request::Peer { namespace, ifindex, sequence }).0.done()
    }

    /// Removes what processes left that are gone.
    ///
    /// # Errors
    /// When it cannot be looked for.
    pub(super) fn remove_leftovers(&self) -> io::Result<()> {
        (self.call)(Request::Leftovers).0.done()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Attached>> {
        // A panic between two steps leaves at worst a program that the kernel removes with the process.
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attach(&self, entry: InterfaceEntry, mode: AttachMode) -> io::Result<()> {
        let InterfaceEntry { ifindex, slot, .. } = entry;
        self.maps.totals.zero(slot)?;
        enter(&self.maps, entry)?;
        let (answer, links) = (self.call)(Request::Attach { ifindex, by_tcx: mode == AttachMode::Tcx });
        answer.done()?;
        self.hold(ifindex, mode, links);
        Ok(())
    }

    fn hold(&self, ifindex: u32, mode: AttachMode, links: Vec<OwnedFd>) {
        let attached = match mode {
            AttachMode::Tcx => Attached::Tcx { _links: links },
            AttachMode::Clsact => Attached::Clsact,
        };
        self.lock().insert(ifindex, attached);
    }

    fn detach(&self, ifindex: u32) {
        // Dropped unlocked: closing a link takes its time.
        let attached = self.lock().remove(&ifindex);
        let is_asked_for = match attached {
            Some(Attached::Clsact) => true,
            Some(Attached::Tcx { .. }) => self.pinning != Pinning::Off,
            None => false,
        };
        if is_asked_for && let Err(error) = (self.call)(Request::Detach { ifindex }).0.done() {
            log::warn!("the programs of interface {ifindex} could not be taken off: {error}");
        }
    }

    /// Changes what [`enter`] wrote, of a device that is attached to and stays so meanwhile.
    fn capture(&self, ifindex: u32, on: bool) -> io::Result<()> {
        let attached = self.lock();
        if !attached.contains_key(&ifindex) {
            return Ok(());
        }
        let resident = self.maps.interfaces.lookup(&(ifindex & (INTERFACE_BUCKETS - 1)))?;
        let entry = match resident.filter(|entry| entry.ifindex == ifindex) {
            Some(entry) => Some(entry),
            None => self.maps.overflow.lookup(&ifindex)?,
        };
        let Some(entry) = entry else { return Ok(()) };
        let flags = if on { entry.flags | CAPTURE } else { entry.flags & !CAPTURE };
        enter(&self.maps, InterfaceEntry { flags, ..entry })
    }

    /// Removes what [`enter`] wrote.
    fn forget(&self, ifindex: u32) {
        let bucket = ifindex & (INTERFACE_BUCKETS - 1);
        let removed = match self.maps.interfaces.lookup(&bucket) {
            Ok(Some(resident)) if resident.ifindex == ifindex => {
                self.maps.interfaces.update(&bucket, &InterfaceEntry::default())
            }
            _ => self.maps.overflow.delete(&ifindex),
        };
        if let Err(error) = removed {
            log::warn!("the entry of interface {ifindex} could not be removed: {error}");
        }
    }
}

impl Drop for Attacher {
    fn drop(&mut self) {
        if self.stays() {
            return;
        }
        let attached: Vec<u32> = self.lock().keys().copied().collect();
        for ifindex in attached {
            self.detach(ifindex);
        }
    }
}
