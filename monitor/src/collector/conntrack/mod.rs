//! The conntrack thread: learns from the kernel which conversations the host translates, and never waits for the
//! engine.
//!
//! It listens first and asks for the list then, so that what changes meanwhile is heard of afterwards. While the
//! engine has no room it reads nothing; what the kernel then cannot keep is an overrun, after which everything is
//! listed anew. So all that it keeps is one list at most.

mod filter;
mod message;
mod silent;

use super::attacher::rights::{Call, Request};
use super::clock;
use super::losses::{Lost, OwnLosses};
use super::netlink::{self, Message, Netlink, Notifications, Quiet};
use super::outbox::Backlog;
use super::wake::{Bell, wait};
use crate::model::{Conntrack, KernelTime, Observation, SafeText, Translation, TranslationChange};
use message::Entry;
use rustix::fd::{AsFd, BorrowedFd};
use silent::Silent;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The pause between two readings. Each event would wake this thread and the engine's task otherwise.
const PAUSE: Duration = Duration::from_millis(20);
/// The most changes that are told together.
const MOST_TOGETHER: usize = 1_024;
/// The most translations that are told from one list.
const MOST_LISTED: usize = 65_536;
/// The most events between two looks at the clock and at the bell.
const MOST_READ: usize = 65_536;
/// How soon those whose end may go unannounced are looked for, if there are any. Each time it is twice as long as
/// before: most end soon, and a list costs the kernel a walk over its whole table (32 ms for 262,144 buckets).
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// At most so long.
const LONGEST_LOOK: Duration = Duration::from_secs(160);
/// How soon after a list the next one is asked for when news were lost.
const NOT_SOONER: Duration = Duration::from_secs(5);
/// Whether the kernel announces changes, in the namespace of who reads it: 0 no, 1 yes, 2 to whom it listens.
const SETTING: &str = "/proc/sys/net/netfilter/nf_conntrack_events";

/// Asks for one of the lists at the socket where it is to be read.
///
/// # Errors
/// What the kernel says, or that there is no such list.
pub(super) fn ask_list(socket: impl AsFd, list: u8, sequence: u32) -> io::Result<()> {
    let request = message::lists().into_iter().nth(list.into()).ok_or(io::ErrorKind::InvalidInput)?;
    netlink::dump_at(socket, request, sequence)
}

/// What it learns from, or why it cannot.
pub(super) struct Opened(Result<Sources, String>);

impl Opened {
    /// Begins to listen.
    pub(super) fn new() -> Self {
        let why = || objection(std::fs::read_to_string(SETTING));
        Self(Sources::open().and_then(|sources| why().map_or(Ok(sources), Err)))
    }

    /// Where lists are read, if they can be had.
    pub(super) fn lists(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().ok().map(|sources| sources.netlink.as_fd())
    }
}

/// Learns until `stop` rings, or says why it cannot.
pub(super) fn run(opened: Opened, call: Call, mut out: Backlog, losses: Arc<OwnLosses>, stop: &Bell) {
    let followed = opened.0.and_then(|sources| Tracker::new(sources, call, &mut out, losses).follow(stop));
    if let Err(why) = followed {
        log::warn!("translations are not learned: {why}");
        out.push(Observation::Conntrack(Conntrack::Off(SafeText::new(&why))));
        while out.flush() && !stop.wait(PAUSE) {}
    }
    out.finish();
}

/// Where it learns from.
struct Sources {
    netlink: Netlink,
    notifications: Notifications,
}

impl Sources {
    /// Begins to listen. The error is why it cannot.
    fn open() -> Result<Self, String> {
        let notifications =
            Notifications::open_netfilter(message::GROUPS).map_err(|error| explain("listening", &error))?;
        if let Err(error) = filter::attach(notifications.as_fd()) {
            log::warn!("all connections are heard of, not only translated ones: {error}");
        }
        let netlink = Netlink::open_netfilter().map_err(|error| explain("asking", &error))?;
        Ok(Self { netlink, notifications })
    }

    /// The translations that there are.
    fn list(&mut self, call: &Call, losses: &OwnLosses) -> io::Result<Vec<Translation>> {
        let mut list = Vec::new();
        for number in 0..message::LISTS {
            let ask = |sequence| call(Request::Translations { list: number, sequence }).0.done();
            self.netlink.ask_by(ask, |message| match read(message, losses) {
                Some(TranslationChange::Known(_)) if list.len() == MOST_LISTED => {
                    losses.add(Lost::TranslationsNotListed, 1);
                }
                Some(TranslationChange::Known(translation)) => list.push(translation),
                Some(TranslationChange::Gone(_)) | None => (),
            })?;
        }
        Ok(list)
    }
}

/// The thread's state.
struct Tracker<'a> {
    sources: Sources,
    /// Who may ask for lists.
    call: Call,
    out: &'a mut Backlog,
    losses: Arc<OwnLosses>,
    /// What was read and not told yet.
    changes: Vec<TranslationChange>,
    silent: Silent,
    /// Whether news were lost since the last list.
    overrun: bool,
    listed_at: KernelTime,
    /// How long after that to look for the silent ones.
    look_again: Duration,
}

impl<'a> Tracker<'a> {
    fn new(sources: Sources, call: Call, out: &'a mut Backlog, losses: Arc<OwnLosses>) -> Self {
        Self {
            sources,
            call,
            out,
            losses,
            changes: Vec::new(),
            silent: Silent::default(),
            overrun: false,
            listed_at: KernelTime::default(),
            look_again: FIRST_LOOK,
        }
    }

    /// Follows what changes until `stop` rings. The error is why it cannot.
    fn follow(mut self, stop: &Bell) -> Result<(), String> {
        let listed =
            self.sources.list(&self.call, &self.losses).map_err(|error| explain("the first list", &error))?;
        self.tell_anew(Conntrack::Watched, &listed);
        while !stop.wait(PAUSE) {
            if self.out.flush() {
                continue;
            }
            let patience = self.list_due().map(|due| due.since(clock::kernel_now()));
            if wait([stop.as_fd(), self.sources.notifications.as_fd()], patience)[0] {
                break;
            }
            // News that were lost were lost behind those that are still to be read.
            if self.hear()? && self.list_due().is_some_and(|due| due <= clock::kernel_now()) {
                self.list();
            }
        }
        self.hear().map(drop)
    }

    /// When to ask for the list again.
    fn list_due(&self) -> Option<KernelTime> {
        if self.overrun {
            Some(self.listed_at.plus(NOT_SOONER))
        } else {
            (!self.silent.is_empty()).then(|| self.listed_at.plus(self.look_again))
        }
    }

    /// Tells what the kernel has announced, as far as the engine has room. Whether that was all.
    fn hear(&mut self) -> Result<bool, String> {
        let mut all = false;
        for _ in 0..MOST_READ {
            let Self { sources, out, losses, changes, silent, .. } = self;
            let quiet = sources.notifications.read_once(|message| {
                let Some(change) = read(message, losses) else { return };
                if let TranslationChange::Gone(translation) = &change {
                    silent.announced(translation);
                }
                changes.push(change);
                if changes.len() == MOST_TOGETHER {
                    out.push(Observation::Translations(std::mem::take(changes)));
                }
            });
            match quiet {
                Ok(None) if self.out.flush() => break,
                Ok(None) => (),
                Ok(Some(Quiet::Empty)) => {
                    all = true;
                    break;
                }
                Ok(Some(Quiet::Overrun)) => {
                    self.losses.add(Lost::ConntrackOverrun, 1);
                    self.overrun = true;
                }
                Err(error) => return Err(explain("listening", &error)),
            }
        }
        self.tell();
        Ok(all)
    }

    /// Asks for the list again, after an overrun or to find what has ended without a word.
    fn list(&mut self) {
        let listed = self.sources.list(&self.call, &self.losses);
        self.listed_at = clock::kernel_now();
        self.look_again = (self.look_again * 2).min(LONGEST_LOOK);
        let listed = match listed {
            Ok(listed) if self.overrun => return self.tell_anew(Conntrack::Overrun, &listed),
            Ok(listed) => listed,
            Err(error) => return log::warn!("the list of translations could not be read: {error}"),
        };
        for ended in self.silent.ended(&listed) {
            self.changes.push(TranslationChange::Gone(ended));
            if self.changes.len() == MOST_TOGETHER {
                self.tell();
            }
        }
        self.tell();
    }

    /// Tells a whole list, and why.
    fn tell_anew(&mut self, why: Conntrack, listed: &[Translation]) {
        self.overrun = false;
        self.listed_at = clock::kernel_now();
        self.look_again = FIRST_LOOK;
        self.silent.replace(listed);
        self.out.push(Observation::Conntrack(why));
        for part in listed.chunks(MOST_TOGETHER) {
            let known = part.iter().copied().map(TranslationChange::Known);
            self.out.push(Observation::Translations(known.collect()));
        }
    }

    fn tell(&mut self) {
        if !self.changes.is_empty() {
            self.out.push(Observation::Translations(std::mem::take(&mut self.changes)));
        }
    }
}

/// What a message says of a translation. What cannot be read is counted.
fn read(message: Message<'_>, losses: &OwnLosses) -> Option<TranslationChange> {
    let change = match message.kind {
        message::ENTRY => TranslationChange::Known,
        message::GONE => TranslationChange::Gone,
        _ => return None,
    };
    match message::entry(message.body) {
        Some(Entry::Translated(translation)) => Some(change(translation)),
        Some(Entry::Plain) => None,
        None => {
            losses.add(Lost::ConntrackUnreadable, 1);
            None
        }
    }
}

/// Why nothing would be announced, by what [`SETTING`] says.
fn objection(setting: io::Result<String>) -> Option<String> {
    match setting {
        Ok(setting) if setting.trim() == "0" => Some(
            "conntrack announces nothing: `sysctl -w net.netfilter.nf_conntrack_events=2` makes it do so"
                .into(),
        ),
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("this kernel was built without events of conntrack (CONFIG_NF_CONNTRACK_EVENTS)".into())
        }
        Err(error) => {
            log::warn!("whether conntrack announces changes is not known: {SETTING}: {error}");
            None
        }
    }
}

/// Why it cannot be learned, and what to do.
fn explain(doing: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM) => "not permitted: it needs CAP_NET_ADMIN; run it as root".into(),
        Some(libc::EPROTONOSUPPORT) => {
            "this kernel has no nfnetlink: load the module `nfnetlink`, or use a kernel that has it".into()
        }
        // A subsystem of netfilter that nobody has registered.
        Some(libc::EINVAL) => "conntrack cannot be asked: load the module `nf_conntrack_netlink`".into(),
        _ => format!("conntrack cannot be asked: {doing}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(setting: io::Result<&str>, expected: Option<&str>) {
        let shown = format!("{setting:?}");
        let why = objection(setting.map(Into::into));
        assert_eq!(why.is_some(), expected.is_some(), "{shown}");
        assert!(why.unwrap_or_default().contains(expected.unwrap_or_default()), "{shown}");
    }

    #[test]
    fn only_a_kernel_that_announces_nothing_is_objected_to() {
        check(Ok("0\n"), Some("nf_conntrack_events=2"));
        check(Ok("1\n"), None);
        check(Ok("2\n"), None);
        check(Ok(""), None);
        check(Err(io::ErrorKind::NotFound.into()), Some("CONFIG_NF_CONNTRACK_EVENTS"));
        check(Err(io::ErrorKind::PermissionDenied.into()), None);
    }

    #[test]
    fn an_error_is_explained_with_what_to_do() {
        for (code, expected) in [
            (libc::EPERM, "run it as root"),
            (libc::EPROTONOSUPPORT, "`nfnetlink`"),
            (libc::EINVAL, "`nf_conntrack_netlink`"),
            (libc::ENOMEM, "the first list: "),
        ] {
            let why = explain("the first list", &io::Error::from_raw_os_error(code));
            assert!(why.contains(expected), "{why}");
        }
    }
}
