//! Questions of the engine that only the attacher can answer, on a thread of their own: a path may lead to a file
//! system that hangs. What is watched because the engine asks for it is the same thread's.

use super::attacher::namespace::Found;
use super::attacher::{self, Attacher};
use super::clock;
use super::groups::Groups;
use super::inside::Insides;
use super::outbox::Waiting;
use super::pins::book::Book;
use super::wake::Bell;
use crate::model::{Container, ContainerId, InterfaceNumber, Observation};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Questions that can wait.
const LONGEST_QUEUE: usize = 1_024;
/// How long a stop waits for a question that hangs: this many times, this long each. Taking programs off is none.
const LOOKS_AT_STOP: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Something to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The number of the network namespace at a path; answered by [`Observation::Namespace`].
    Namespace {
        /// The path, as Docker tells it (`NetworkSettings.SandboxKey`, or `/proc/<pid>/ns/net`).
        sandbox: String,
    },
    /// Watch a container at its control group; answered by [`Observation::GroupAttached`] or
    /// [`Observation::GroupNotWatched`], unless it is watched already.
    WatchGroup {
        /// Which container.
        container: ContainerId,
    },
    /// Do so no more; answered by [`Observation::Detached`], unless it was not watched.
    LeaveGroup {
        /// Which container.
        container: ContainerId,
    },
    /// Watch devices in a container's network namespace that have no end on the host, as long as it is there; answered by
    /// [`Observation::Attached`] or [`Observation::InsideNotWatched`] for each, unless it is done already.
    WatchInside {
        /// Which container.
        container: ContainerId,
        /// The path of its namespace, as Docker tells it.
        sandbox: String,
    },
    /// Capture at an interface, or do so no more; not answered. All containers' interfaces are captured until they are
    /// told otherwise.
    Capture {
        /// Which.
        ifindex: u32,
        /// Whether.
        on: bool,
    },
    /// Note for the next agent whose an interface is; not answered.
    Keep {
        /// The device.
        ifindex: u32,
        /// The interface.
        number: InterfaceNumber,
        /// The container behind it.
        owner: Box<Container>,
    },
}

enum Item {
    Ask(Command),
    Stop,
}

/// Where questions can be asked, from any thread.
#[derive(Clone, Debug)]
pub struct Asker(SyncSender<Item>);

impl Asker {
    /// Asks; the answer comes as an observation. Never waits. `false`: too many questions are waiting, or the
    /// collector has stopped, and there will be no answer.
    pub fn ask(&self, command: Command) -> bool {
        self.0.try_send(Item::Ask(command)).is_ok()
    }
}

/// The thread.
#[derive(Debug)]
pub(super) struct Asks {
    asker: Asker,
    stop: Bell,
    /// Counted up while programs are taken off, which takes its time.
    progress: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Asks {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread or descriptor can be had.
    pub(super) fn start(
        attacher: Arc<Attacher>,
        (groups, insides): (Groups, Insides),
        book: Option<Arc<Book>>,
        tick: Duration,
        out: Sender<Observation>,
    ) -> io::Result<Self> {
        let (questions, asked) = sync_channel(LONGEST_QUEUE);
        let stop = Bell::new()?;
        let out = Waiting::new(out, stop.clone());
        let progress = Arc::new(AtomicU64::new(0));
        let goes_on = Arc::clone(&progress);
        let thread = Builder::new().name("vw-asks".into()).spawn(move || {
            answer(&asked, &attacher, (groups, insides), book.as_deref(), tick, &out, &goes_on);
        })?;
        Ok(Self { asker: Asker(questions), stop, progress, thread: Some(thread) })
    }

    /// Where to ask.
    pub(super) fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Stops the thread. One that hangs in a path is left to itself.
    pub(super) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.ring();
        let (mut looks, mut seen) = (0, 0);
        while looks < LOOKS_AT_STOP {
            let now = self.progress.load(Ordering::Relaxed);
            looks = if now == seen { looks + 1 } else { 0 };
            seen = now;
            // It may not fit at once; a thread that has ended takes nothing any more.
            let _ = self.asker.0.try_send(Item::Stop);
            if thread.is_finished() {
                if thread.join().is_err() {
                    log::error!("a thread of the collector panicked");
                }
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        log::warn!("a question about a path hangs; its thread is left behind");
    }
}

fn answer(
    asked: &Receiver<Item>,
    attacher: &Attacher,
    (mut groups, mut insides): (Groups, Insides),
    book: Option<&Book>,
    tick: Duration,
    out: &Waiting,
    progress: &AtomicU64,
) {
    let mut due = clock::kernel_now();
    loop {
        let patience = due.since(clock::kernel_now());
        let asked = if insides.is_empty() {
            asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            asked.recv_timeout(patience)
        };
        let command = match asked {
            Ok(Item::Ask(command)) => Some(command),
            Ok(Item::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => None,
        };
        let mut seen = match command {
            None => Vec::new(),
            Some(Command::WatchInside { container, sandbox }) => insides.watch(container, sandbox),
            Some(command) => do_one(command, attacher, &mut groups, book).into_iter().collect(),
        };
        if due <= clock::kernel_now() {
            seen.extend(insides.look());
            due = clock::kernel_now().plus(tick);
        }
        if seen.into_iter().any(|seen| !out.send(seen)) {
            break;
        }
    }
    let goes_on = || {
        progress.fetch_add(1, Ordering::Relaxed);
    };
    for last in [groups.leave_all(), insides.leave_all(goes_on)].into_iter().flatten() {
        out.send(last);
    }
}

/// Does what is asked for; what is seen by that.
fn do_one(
    command: Command,
    attacher: &Attacher,
    groups: &mut Groups,
    book: Option<&Book>,
) -> Option<Observation> {
    match command {
        Command::Namespace { sandbox } => Some(namespace(attacher, sandbox)),
        Command::WatchGroup { container } => groups.watch(container),
        Command::LeaveGroup { container } => groups.leave(&container),
        Command::Capture { ifindex, on } => {
            attacher.handle(attacher::Command::Capture { ifindex, on });
            None
        }
        Command::Keep { ifindex, number, owner } => {
            let changed = book.map(|book| book.change((ifindex, number), |kept| kept.owner = Some(owner)));
            if let Some(Err(error)) = changed {
                log::warn!("a container could not be noted for the next agent: {error}");
            }
            None
        }
        Command::WatchInside { .. } => None,
    }
}

fn namespace(attacher: &Attacher, sandbox: String) -> Observation {
    // One that could not be found is asked for again.
    let Found { number: namespace, inode } = attacher.namespace(sandbox.clone()).unwrap_or_default();
    Observation::Namespace { sandbox, namespace, inode }
}
