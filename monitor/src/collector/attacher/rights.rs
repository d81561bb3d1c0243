//! What needs a right: programs on devices, namespaces of others, and questions that the kernel answers to nobody else.
//!
//! Requests and answers are plain data, and what is done hangs on nothing but them and what was opened at the start: so
//! it can be done by a process of its own, which may die and begin anew at any time. An answer of the kernel's to a
//! question goes to the socket of who wants to read it: asking is all that needs the right.

use super::clsact::{self, Filter, Hook};
use super::group;
use super::instance::{Instance, WhenInUse};
use super::leftovers::{self, Emptied};
use super::namespace;
use crate::collector::bpf::{self, GroupHook, TcxHook};
use crate::collector::links::Modes;
use crate::collector::netlink::Netlink;
use crate::collector::programs::{Programs, RECEIVED, SENT};
use crate::collector::{conntrack, device};
use crate::model::{AttachMode, ContainerId};
use rustix::fd::{AsFd, OwnedFd};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Put both programs on a device.
    Attach {
        /// Which device.
        ifindex: u32,
        /// Whether by TCX: two links are given back then, which hold the programs there. Else by clsact.
        by_tcx: bool,
    },
    /// Take our filters off a device, if it still exists.
    Detach {
        /// Which device.
        ifindex: u32,
    },
    /// Remove what killed processes left.
    Leftovers,
    /// Find the number of a network namespace.
    Namespace {
        /// Absolute path of a namespace file. It is Docker's word, so it may be anything.
        sandbox: String,
    },
    /// Ask for a device of another namespace; the kernel answers at the link thread's socket.
    Peer {
        /// The number that the host's namespace knows it by.
        namespace: i32,
        /// Which device.
        ifindex: u32,
        /// The request's number, which the answer carries.
        sequence: u32,
    },
    /// Find the control group of a container.
    Group {
        /// Which container.
        container: ContainerId,
    },
    /// Put both programs on that control group: two links are given back, which hold them there.
    AttachGroup {
        /// Which container.
        container: ContainerId,
        /// The group that was found; it may be another one by now.
        group: u64,
    },
    /// Ask for a list of translations; the kernel answers at the conntrack thread's socket.
    Translations {
        /// Which of the lists that there are.
        list: u8,
        /// The request's number, which the answer carries.
        sequence: u32,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done. Links, if there are any, come with it.
    Done,
    /// The system refuses.
    Refused {
        /// The number of its error, if it has one.
        code: Option<i32>,
        /// Why, for a person.
        reason: String,
    },
    /// The namespace's number; `None` when it has none, is our own, or the path is no namespace.
    Namespace(Option<i32>),
    /// The control group's id.
    Group(u64),
}

impl Answer {
    fn of(result: io::Result<()>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::refused(&error),
        }
    }

    /// That the system refuses.
    #[must_use]
    pub fn refused(error: &io::Error) -> Self {
        Self::Refused { code: error.raw_os_error(), reason: error.to_string() }
    }

    /// Whether it was done.
    pub(in crate::collector) fn done(self) -> io::Result<()> {
        match self {
            Self::Refused { code: Some(code), .. } => Err(io::Error::from_raw_os_error(code)),
            Self::Refused { code: None, reason } => Err(io::Error::other(reason)),
            Self::Done | Self::Namespace(_) | Self::Group(_) => Ok(()),
        }
    }
}

/// Has a request done, here or elsewhere; gives back the answer and what came with it.
pub type Call = Arc<dyn Fn(Request) -> (Answer, Vec<OwnedFd>) + Send + Sync>;

/// What only changes one request at a time.
#[derive(Debug)]
struct State {
    netlink: Netlink,
    /// This process among those that use clsact; absent if it does not.
    instance: Option<Instance>,
}

/// Who can do it.
#[derive(Debug)]
pub struct Rights {
    programs: Programs,
    state_dir: PathBuf,
    /// Where answers about devices are read.
    peers: OwnedFd,
    /// Where lists of translations are read, where there are any.
    translations: Option<OwnedFd>,
    state: Mutex<State>,
    /// What becomes of the clsact qdiscs that it makes.
    when_in_use: WhenInUse,
    /// Whether somebody did it before, of whom it is not known how far it came.
    succeeds: bool,
}

impl Rights {
    /// Nothing is attached yet. Where clsact is not the usual mode, it is for devices without traffic, and the qdiscs that
    /// are made then are not taken from devices in use.
    ///
    /// # Errors
    /// When no netlink socket can be had or, where clsact is used, no lock in `state_dir`.
    pub(in crate::collector) fn new(
        programs: Programs,
        state_dir: &Path,
        modes: Modes,
        peers: OwnedFd,
        translations: Option<OwnedFd>,
    ) -> io::Result<Self> {
        let when_in_use = match modes.usual {
            AttachMode::Tcx => WhenInUse::Stays,
            AttachMode::Clsact => WhenInUse::Removed,
        };
        let with_clsact = [modes.usual, modes.unused].contains(&AttachMode::Clsact);
        let instance = with_clsact.then(|| Instance::acquire(state_dir)).transpose()?;
        let state = Mutex::new(State { netlink: Netlink::open()?, instance });
        let state_dir = state_dir.to_owned();
        Ok(Self { programs, state_dir, peers, translations, state, when_in_use, succeeds: false })
    }

    /// Goes on where another one ended, in a process that shares its descriptors. That one may have done what nobody was
    /// told of.
    ///
    /// # Errors
    /// When no netlink socket can be had.
    pub fn succeed(&mut self) -> io::Result<()> {
        self.succeeds = true;
        let mut state = self.lock();
        // Half an answer may wait at the old one.
        state.netlink = Netlink::open()?;
        if let Some(instance) = &mut state.instance {
            instance.read_again();
        }
        Ok(())
    }

    /// By which it is done in this process.
    #[must_use]
    pub fn call(self) -> Call {
        Arc::new(move |request| self.handle(request))
    }

    /// Does what it is asked for.
    pub fn handle(&self, request: Request) -> (Answer, Vec<OwnedFd>) {
        let answer = match request {
            Request::Attach { ifindex, by_tcx: true } => match self.attach_tcx(ifindex) {
                Ok(links) => return (Answer::Done, links),
                Err(error) => Answer::refused(&error),
            },
            Request::Attach { ifindex, by_tcx: false } => Answer::of(self.attach_clsact(ifindex)),
            Request::Detach { ifindex } => Answer::of(self.detach(ifindex)),
            Request::Leftovers => {
                Answer::of(leftovers::remove_all(&self.state_dir, Emptied::LetBe).map(drop))
            }
            Request::Namespace { sandbox } => Answer::Namespace(namespace::number(&sandbox)),
            Request::Peer { namespace, ifindex, sequence } => {
                Answer::of(device::ask_peer(&self.peers, namespace, ifindex, sequence))
            }
            Request::Group { container } => match group::open(&container) {
                Ok(group) => Answer::Group(group.id),
                Err(error) => Answer::refused(&error),
            },
            Request::AttachGroup { container, group } => match self.attach_group(&container, group) {
                Ok(links) => return (Answer::Done, links),
                Err(error) => Answer::refused(&error),
            },
            Request::Translations { list, sequence } => Answer::of(match &self.translations {
                Some(socket) => conntrack::ask_list(socket, list, sequence),
                None => Err(io::ErrorKind::Unsupported.into()),
            }),
        };
        (answer, Vec::new())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two steps leaves at worst a filter that the next look for leftovers removes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attach_tcx(&self, ifindex: u32) -> io::Result<Vec<OwnedFd>> {
        Ok(vec![
            bpf::tcx_attach(self.programs.sent.as_fd(), ifindex, TcxHook::Ingress)?,
            bpf::tcx_attach(self.programs.received.as_fd(), ifindex, TcxHook::Egress)?,
        ])
    }

    fn attach_group(&self, container: &ContainerId, found: u64) -> io::Result<Vec<OwnedFd>> {
        let programs = self.programs.groups.as_ref().map_err(|reason| io::Error::other(reason.clone()))?;
        let group = group::open(container)?;
        if group.id != found {
            return Err(io::ErrorKind::NotFound.into());
        }
        let directory = group.directory.as_fd();
        Ok(vec![
            bpf::group_attach(programs.sent.as_fd(), directory, GroupHook::Sent)?,
            bpf::group_attach(programs.received.as_fd(), directory, GroupHook::Received)?,
        ])
    }

    fn attach_clsact(&self, ifindex: u32) -> io::Result<()> {
        let mut state = self.lock();
        let State { netlink, instance } = &mut *state;
        let instance = instance.as_mut().ok_or(io::ErrorKind::Unsupported)?;
        if self.succeeds {
            remove_ours(netlink, instance, ifindex)?;
        }
        if clsact::make_qdisc(netlink, ifindex)? {
            instance.note_qdisc(ifindex, self.when_in_use)?;
        }
        let added = both_filters(netlink, instance, &self.programs, ifindex);
        if added.is_err() {
            instance.remove_qdisc(netlink, ifindex);
        }
        added
    }

    fn detach(&self, ifindex: u32) -> io::Result<()> {
        let mut state = self.lock();
        let State { netlink, instance } = &mut *state;
        let Some(instance) = instance else { return Ok(()) };
        let removed = remove_ours(netlink, instance, ifindex);
        instance.remove_qdisc(netlink, ifindex);
        removed
    }
}

/// Takes the filters of this instance off a device.
fn remove_ours(netlink: &mut Netlink, instance: &Instance, ifindex: u32) -> io::Result<()> {
    let listed = match clsact::filters(netlink, ifindex) {
        Ok(listed) => listed,
        // It has no qdisc, or is gone, and its filters with it.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EINVAL | libc::ENOENT)) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let names = [instance.filter_name(SENT), instance.filter_name(RECEIVED)];
    let ours: Vec<Filter> = listed
        .into_iter()
        .filter(|listed| listed.filter.handle == instance.handle() && names.contains(&listed.name))
        .map(|listed| listed.filter)
        .collect();
    ours.iter().try_for_each(|filter| clsact::remove(netlink, filter))
}

/// Puts a filter on each hook, or on none.
fn both_filters(
    netlink: &mut Netlink,
    instance: &Instance,
    programs: &Programs,
    ifindex: u32,
) -> io::Result<()> {
    let add = |netlink: &mut Netlink, hook, name: &str, program: &OwnedFd| {
        let name = instance.filter_name(name);
        clsact::add(netlink, ifindex, hook, instance.handle(), &name, program.as_fd())
    };
    let sent = add(netlink, Hook::Ingress, SENT, &programs.sent)?;
    if let Err(error) = add(netlink, Hook::Egress, RECEIVED, &programs.received) {
        clsact::remove(netlink, &sent)?;
        return Err(error);
    }
    Ok(())
}
