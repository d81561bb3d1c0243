//! What needs a right: programs on devices, namespaces of others, and questions that the kernel answers to nobody else.
//!
//! Requests and answers are plain data, and what is done hangs on nothing but them and what was opened at the start: so
//! it can be done by a process of its own, which may die and begin anew at any time. An answer of the kernel's to a
//! question goes to the socket of who wants to read it: asking is all that needs the right.

use super::clsact::{self, Filter, Hook};
use super::group;
use super::instance::{Instance, WhenInUse};
use super::leftovers::{self, Emptied};
use super::{inside, namespace, resolver};
use crate::collector::bpf::{self, GroupHook, TcxHook};
use crate::collector::links::Modes;
use crate::collector::netlink::Netlink;
use crate::collector::pins::folder::Folder;
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
    /// Take our filters off a device, if it still exists, and remove the pins of its links.
    Detach {
        /// Which device.
        ifindex: u32,
    },
    /// Remove what killed processes left.
    Leftovers,
    /// Remove all that this agent has pinned.
    Unpin,
    /// Find the number of a network namespace.
    Namespace {
        /// Absolute path of a namespace file. It is Docker's word, so it may be anything.
        sandbox: String,
    },
    /// Put programs on a control group where they see what the resolver of Docker's engine is asked: two links are given back,
    /// which hold them there, or none if there is no further group.
    Resolver {
        /// Control groups at which they are.
        known: Vec<u64>,
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
    /// List the devices in another namespace that came there from elsewhere.
    Devices {
        /// The number that the host's namespace knows it by.
        namespace: i32,
    },
    /// Put both programs on a device in another namespace: two links are given back, which hold them there.
    AttachInside {
        /// Absolute path of the namespace's file. It is Docker's word, so it may be anything.
        sandbox: String,
        /// The namespace that was found; it may be another one by now.
        inode: u32,
        /// Which device there.
        ifindex: u32,
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
    /// What the namespace is known by.
    Namespace(namespace::Found),
    /// A control group's id: the container's that was looked for, or that of Docker's engine.
    Group(u64),
    /// Devices of a namespace.
    Devices(Vec<inside::Device>),
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
            Self::Done | Self::Namespace(_) | Self::Group(_) | Self::Devices(_) => Ok(()),
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
    /// The socket of Docker's engine.
    engine: Option<PathBuf>,
    /// Where answers about devices are read.
    peers: OwnedFd,
    /// Where lists of translations are read, where there are any.
    translations: Option<OwnedFd>,
    state: Mutex<State>,
    /// What becomes of the clsact qdiscs that it makes.
    when_in_use: WhenInUse,
    /// Whether somebody did it before, of whom it is not known how far it came.
    succeeds: bool,
    /// Where links are pinned, if they are.
    pins: Option<Folder>,
}

impl Rights {
    /// Nothing is attached yet. Where clsact is not the usual mode, it is for devices without traffic, and the qdiscs that
    /// are made then are not taken from devices in use.
    ///
    /// # Errors
    /// When no netlink socket can be had or, where clsact is used, no lock in `state_dir`.
    pub(in crate::collector) fn new(
        programs: Programs,
        (state_dir, engine): (&Path, Option<&Path>),
        modes: Modes,
        peers: OwnedFd,
        translations: Option<OwnedFd>,
        pins: Option<(Folder, u16)>,
    ) -> io::Result<Self> {
        let when_in_use = match modes.usual {
            AttachMode::Tcx => WhenInUse::Stays,
            AttachMode::Clsact => WhenInUse::Removed,
        };
        let number = pins.as_ref().map_or(0, |(_, number)| *number);
        let with_clsact = [modes.usual, modes.unused].contains(&AttachMode::Clsact) || number != 0;
        let acquire = || match &pins {
            Some((folder, number)) => Instance::acquire_again(state_dir, *number, folder.path()),
            None => Instance::acquire(state_dir),
        };
        let instance = with_clsact.then(acquire).transpose()?;
        let pins = pins.map(|(folder, _)| folder);
        let state = Mutex::new(State { netlink: Netlink::open()?, instance });
        let (state_dir, engine) = (state_dir.to_owned(), engine.map(Path::to_owned));
        Ok(Self {
            programs,
            state_dir,
            engine,
            peers,
            translations,
            state,
            when_in_use,
            succeeds: false,
            pins,
        })
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
            Request::Resolver { known } => match self.attach_resolver(&known) {
                Ok((engine, links)) => return (Answer::Group(engine), links),
                Err(error) => Answer::refused(&error),
            },
            Request::Attach { ifindex, by_tcx: false } => Answer::of(self.attach_clsact(ifindex)),
            Request::Detach { ifindex } => Answer::of(self.detach(ifindex)),
            Request::Leftovers => {
                Answer::of(leftovers::remove_all(&self.state_dir, Emptied::LetBe).map(drop))
            }
            Request::Unpin => Answer::of(self.unpin()),
            Request::Namespace { sandbox } => match namespace::find(&sandbox) {
                Ok(found) => Answer::Namespace(found),
                Err(error) => Answer::refused(&error),
            },
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
            Request::Devices { namespace } => match inside::devices(&mut self.lock().netlink, namespace) {
                Ok(devices) => Answer::Devices(devices),
                Err(error) => Answer::refused(&error),
            },
            Request::AttachInside { sandbox, inode, ifindex } => {
                match inside::attach(&self.programs.inside, &sandbox, inode, ifindex) {
                    Ok(links) => return (Answer::Done, links),
                    Err(error) => Answer::refused(&error),
                }
            }
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

    /// The number of the lock that filters carry; 0 where there are none.
    pub(in crate::collector) fn instance(&self) -> u16 {
        self.lock().instance.as_ref().map_or(0, Instance::number)
    }

    /// Where links are pinned, if they are.
    pub(in crate::collector) fn pins(&self) -> Option<&Folder> {
        self.pins.as_ref()
    }

    fn attach_tcx(&self, ifindex: u32) -> io::Result<Vec<OwnedFd>> {
        if let Some(folder) = &self.pins {
            folder.unpin_links(ifindex)?;
        }
        self.hooks().into_iter().map(|(hook, program)| self.attach_link(program, ifindex, hook)).collect()
    }

    fn attach_link(&self, program: &OwnedFd, ifindex: u32, hook: TcxHook) -> io::Result<OwnedFd> {
        let link = bpf::tcx_attach(program.as_fd(), ifindex, hook)?;
        if let Some(folder) = &self.pins {
            folder.pin_link(link.as_fd(), ifindex, hook)?;
        }
        Ok(link)
    }

    fn hooks(&self) -> [(TcxHook, &OwnedFd); 2] {
        [(TcxHook::Ingress, &self.programs.sent), (TcxHook::Egress, &self.programs.received)]
    }

    /// Puts our programs in the place of those that another agent left on a device; gives back the links, if it is attached
    /// by some.
    ///
    /// # Errors
    /// `ENOLINK` or `ENODEV` when the device is gone, `ENOENT` when they are not there.
    pub(in crate::collector) fn adopt(&self, ifindex: u32, mode: AttachMode) -> io::Result<Vec<OwnedFd>> {
        if mode == AttachMode::Clsact {
            return self.adopt_filters(ifindex).map(|()| Vec::new());
        }
        let folder = self.pins.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let links = [TcxHook::Ingress, TcxHook::Egress].map(|hook| folder.pinned_link(ifindex, hook));
        let links: Vec<OwnedFd> = links.into_iter().collect::<io::Result<_>>()?;
        for (link, (_, program)) in links.iter().zip(self.hooks()) {
            bpf::link_update(link.as_fd(), program.as_fd())?;
        }
        Ok(links)
    }

    fn adopt_filters(&self, ifindex: u32) -> io::Result<()> {
        let mut state = self.lock();
        let State { netlink, instance } = &mut *state;
        let instance = instance.as_mut().ok_or(io::ErrorKind::Unsupported)?;
        let ours = ours(netlink, instance, ifindex)?;
        for (hook, name, program) in
            [(Hook::Ingress, SENT, &self.programs.sent), (Hook::Egress, RECEIVED, &self.programs.received)]
        {
            let filter = ours.iter().find(|filter| filter.hook == hook);
            let filter = filter.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
            clsact::replace(netlink, filter, &instance.filter_name(name), program.as_fd())?;
        }
        Ok(())
    }

    fn unpin(&self) -> io::Result<()> {
        self.pins.as_ref().map_or(Ok(()), Folder::remove)
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

    fn attach_resolver(&self, known: &[u64]) -> io::Result<(u64, Vec<OwnedFd>)> {
        let programs = self.programs.resolver.as_ref().map_err(|why| io::Error::other(why.clone()))?;
        resolver::attach(programs, self.engine.as_deref(), known)
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

    /// Takes our filters off a device, and removes the pins of its links.
    ///
    /// # Errors
    /// What the system says.
    pub(in crate::collector) fn detach(&self, ifindex: u32) -> io::Result<()> {
        let unpinned = self.pins.as_ref().map_or(Ok(()), |folder| folder.unpin_links(ifindex));
        let removed = self.remove_filters(ifindex);
        unpinned.and(removed)
    }

    fn remove_filters(&self, ifindex: u32) -> io::Result<()> {
        let mut state = self.lock();
        let State { netlink, instance } = &mut *state;
        let Some(instance) = instance else { return Ok(()) };
        let removed = remove_ours(netlink, instance, ifindex);
        instance.remove_qdisc(netlink, ifindex);
        removed
    }
}

/// The filters of this instance on a device.
fn ours(netlink: &mut Netlink, instance: &Instance, ifindex: u32) -> io::Result<Vec<Filter>> {
    let names = [instance.filter_name(SENT), instance.filter_name(RECEIVED)];
    let ours = clsact::filters(netlink, ifindex)?
        .into_iter()
        .filter(|listed| listed.filter.handle == instance.handle() && names.contains(&listed.name))
        .map(|listed| listed.filter);
    Ok(ours.collect())
}

/// Takes the filters of this instance off a device.
fn remove_ours(netlink: &mut Netlink, instance: &Instance, ifindex: u32) -> io::Result<()> {
    match ours(netlink, instance, ifindex) {
        Ok(ours) => ours.iter().try_for_each(|filter| clsact::remove(netlink, filter)),
        // It has no qdisc, or is gone, and its filters with it.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EINVAL | libc::ENOENT)) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
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
