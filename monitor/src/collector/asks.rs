//! Questions of the engine that only the attacher can answer, on a thread of their own: a path may lead to a file
//! system that hangs. What is watched because the engine asks for it is the same thread's.

use super::attacher::namespace::Found;
use super::attacher::{self, Answer, Attacher};
use super::groups::Groups;
use super::outbox::Waiting;
use super::pins::book::Book;
use super::wake::Bell;
use crate::model::{Container, ContainerId, InterfaceNumber, Observation};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Questions that can wait.
const LONGEST_QUEUE: usize = 1_024;
/// How long a stop waits for a question that hangs: this many times, this long each.
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
    thread: Option<JoinHandle<()>>,
}

impl Asks {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread or descriptor can be had.
    pub(super) fn start(
        attacher: Arc<Attacher>,
        groups: Groups,
        book: Option<Arc<Book>>,
        out: Sender<Observation>,
    ) -> io::Result<Self> {
        let (questions, asked) = sync_channel(LONGEST_QUEUE);
        let stop = Bell::new()?;
        let out = Waiting::new(out, stop.clone());
        let thread = Builder::new()
            .name("vw-asks".into())
            .spawn(move || answer(&asked, &attacher, groups, book.as_deref(), &out))?;
        Ok(Self { asker: Asker(questions), stop, thread: Some(thread) })
    }

    /// Where to ask.
    pub(super) fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Stops the thread. One that hangs in a path is left to itself.
    pub(super) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.ring();
        for _ in 0..LOOKS_AT_STOP {
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
    mut groups: Groups,
    book: Option<&Book>,
    out: &Waiting,
) {
    while let Ok(Item::Ask(command)) = asked.recv() {
        let seen = match command {
            Command::Namespace { sandbox } => namespace(attacher, sandbox),
            Command::WatchGroup { container } => groups.watch(container),
            Command::LeaveGroup { container } => groups.leave(&container),
            Command::Capture { ifindex, on } => {
                attacher.handle(attacher::Command::Capture { ifindex, on });
                None
            }
            Command::Keep { ifindex, number, owner } => {
                let changed =
                    book.map(|book| book.change((ifindex, number), |kept| kept.owner = Some(owner)));
                if let Some(Err(error)) = changed {
                    log::warn!("a container could not be noted for the next agent: {error}");
                }
                None
            }
        };
        if seen.is_some_and(|seen| !out.send(seen)) {
            break;
        }
    }
    if let Some(last) = groups.leave_all() {
        out.send(last);
    }
}

fn namespace(attacher: &Attacher, sandbox: String) -> Option<Observation> {
    match attacher.handle(attacher::Command::Namespace { sandbox: sandbox.clone() }) {
        Answer::Namespace(Found { number: namespace, inode }) => {
            Some(Observation::Namespace { sandbox, namespace, inode })
        }
        _ => None,
    }
}
