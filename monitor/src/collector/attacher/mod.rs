//! The only part that puts programs on devices, and the only one that opens a path it was given.
//!
//! Commands and answers are plain data across this one boundary, so that the attacher can move into a small
//! privileged process of its own.

mod clsact;
mod instance;
pub mod leftovers;
pub(super) mod namespace;

use super::bpf::{self, TcxHook};
use super::netlink::Netlink;
use super::programs::{Maps, Programs, RECEIVED, SENT};
use crate::model::{AttachMode, InterfaceNumber};
use clsact::{Filter, Hook};
use instance::Instance;
use monitor_common::interface::{INTERFACE_BUCKETS, InterfaceEntry};
use rustix::fd::{AsFd, OwnedFd};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, mem};

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
    /// Take both programs off a device, if it still exists.
    Detach {
        /// Which device.
        ifindex: u32,
    },
    /// Find the number of a network namespace.
    Namespace {
        /// Absolute path of a namespace file. It is Docker's word, so it may be anything.
        sandbox: String,
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
    /// The namespace's number; `None` when it has none, is our own, or the path is no namespace.
    Namespace(Option<i32>),
}

/// How the programs hang on one device.
#[derive(Debug)]
enum Attached {
    /// Two links; closing them detaches.
    Tcx { _sent: OwnedFd, _received: OwnedFd },
    /// Two filters.
    Clsact { sent: Filter, received: Filter },
}

/// What only changes one command at a time.
#[derive(Debug)]
struct State {
    netlink: Netlink,
    attached: HashMap<u32, Attached>,
    state_dir: PathBuf,
    /// This process among those that use clsact; absent until it does.
    instance: Option<Instance>,
}

/// The attacher.
#[derive(Debug)]
pub(super) struct Attacher {
    programs: Programs,
    maps: Arc<Maps>,
    state: Mutex<State>,
}

impl Attacher {
    /// An attacher that has nothing attached yet.
    ///
    /// # Errors
    /// When no netlink socket can be had or, if `mode`, the usual one, is clsact, no lock in `state_dir`.
    pub(super) fn new(
        programs: Programs,
        maps: Arc<Maps>,
        mode: AttachMode,
        state_dir: &Path,
    ) -> io::Result<Self> {
        let instance = match mode {
            AttachMode::Tcx => None,
            AttachMode::Clsact => Some(Instance::acquire(state_dir)?),
        };
        let state_dir = state_dir.to_owned();
        let state = State { netlink: Netlink::open()?, attached: HashMap::new(), state_dir, instance };
        Ok(Self { programs, maps, state: Mutex::new(state) })
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
                match self.enter(InterfaceEntry { ifindex, ..InterfaceEntry::default() }) {
                    Ok(()) => Answer::Noted,
                    Err(error) => Answer::NotAttached { reason: error.to_string() },
                }
            }
            Command::Detach { ifindex } => {
                self.lock().detach(ifindex);
                self.forget(ifindex);
                Answer::Detached
            }
            Command::Namespace { sandbox } => Answer::Namespace(namespace::number(&sandbox)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic between two steps leaves at worst a program that the kernel removes with the process.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attach(&self, entry: InterfaceEntry, mode: AttachMode) -> io::Result<()> {
        let InterfaceEntry { ifindex, slot, .. } = entry;
        self.maps.totals.zero(slot)?;
        self.enter(entry)?;
        let mut state = self.lock();
        let attached = match mode {
            AttachMode::Tcx => Attached::Tcx {
                _sent: bpf::tcx_attach(self.programs.sent.as_fd(), ifindex, TcxHook::Ingress)?,
                _received: bpf::tcx_attach(self.programs.received.as_fd(), ifindex, TcxHook::Egress)?,
            },
            AttachMode::Clsact => state.attach_clsact(&self.programs, ifindex)?,
        };
        state.attached.insert(ifindex, attached);
        Ok(())
    }

    /// Writes where the programs find the interface, before they are there to look.
    fn enter(&self, entry: InterfaceEntry) -> io::Result<()> {
        let bucket = entry.ifindex & (INTERFACE_BUCKETS - 1);
        let resident = self.maps.interfaces.lookup(&bucket)?.unwrap_or_default();
        if resident.ifindex == 0 || resident.ifindex == entry.ifindex {
            self.maps.interfaces.update(&bucket, &entry)
        } else {
            self.maps.overflow.update(&entry.ifindex, &entry)
        }
    }

    /// Removes what [`Attacher::enter`] wrote.
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

impl State {
    fn attach_clsact(&mut self, programs: &Programs, ifindex: u32) -> io::Result<Attached> {
        let Self { netlink, instance, state_dir, .. } = self;
        let instance = match instance {
            Some(instance) => instance,
            None => instance.insert(Instance::acquire(state_dir)?),
        };
        if clsact::make_qdisc(netlink, ifindex)? {
            instance.note_qdisc(ifindex)?;
        }
        let added = both_filters(netlink, instance, programs, ifindex);
        if added.is_err() {
            instance.remove_qdisc(netlink, ifindex);
        }
        added
    }

    fn detach(&mut self, ifindex: u32) {
        match self.attached.remove(&ifindex) {
            Some(Attached::Clsact { sent, received }) => {
                for filter in [sent, received] {
                    if let Err(error) = clsact::remove(&mut self.netlink, &filter) {
                        log::warn!("a filter of interface {ifindex} could not be removed: {error}");
                    }
                }
                if let Some(instance) = &mut self.instance {
                    instance.remove_qdisc(&mut self.netlink, ifindex);
                }
            }
            Some(links @ Attached::Tcx { .. }) => drop(links),
            None => (),
        }
    }
}

/// Puts a filter on each hook, or on none.
fn both_filters(
    netlink: &mut Netlink,
    instance: &Instance,
    programs: &Programs,
    ifindex: u32,
) -> io::Result<Attached> {
    let add = |netlink: &mut Netlink, hook, name: &str, program: &OwnedFd| {
        let name = instance.filter_name(name);
        clsact::add(netlink, ifindex, hook, instance.handle(), &name, program.as_fd())
    };
    let sent = add(netlink, Hook::Ingress, SENT, &programs.sent)?;
    match add(netlink, Hook::Egress, RECEIVED, &programs.received) {
        Ok(received) => Ok(Attached::Clsact { sent, received }),
        Err(error) => {
            clsact::remove(netlink, &sent)?;
            Err(error)
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for ifindex in mem::take(&mut self.attached).into_keys().collect::<Vec<_>>() {
            self.detach(ifindex);
        }
    }
}
