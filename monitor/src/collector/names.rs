//! The names thread: reads DNS messages that the programs copied, has them matched, and hands over what came of each
//! question. It never waits for the engine. It also has the programs kept where Docker's resolver is heard: its engine may be
//! another one in a moment.

use super::attacher::rights::{Answer, Call, Request};
use super::losses::{Lost, OwnLosses};
use super::wake::{Bell, wait};
use super::{bpf, clock, decode};
use crate::dns::{self, Listener};
use crate::model::{DnsExchange, KernelTime, Observation, SafeText};
use aya::maps::{MapData, RingBuf};
use rustix::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, error::TrySendError};

/// The pause between two readings: each message would wake this thread and the engine's task otherwise.
const PAUSE: Duration = Duration::from_millis(20);
/// How often questions without an answer are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked whether the programs are where Docker's resolver is heard.
const LOOK_AT_LINKS: Duration = Duration::from_secs(2);
/// Messages that are taken in before what is known is handed over.
const MOST_AT_ONCE: usize = 4_096;

/// What the thread works with.
pub(super) struct Names {
    messages: RingBuf<MapData>,
    call: Call,
    /// By which the programs are on the sockets of the engine, or of its containers.
    links: Vec<OwnedFd>,
    /// The cgroup id of the engine, while they are.
    engine: Option<u64>,
    /// Whether they are on the engine's, which are all that there are.
    on_engine: bool,
    /// What was told last of them.
    heard: Option<Result<(), SafeText>>,
    looked: KernelTime,
    out: Sender<Observation>,
    losses: Arc<OwnLosses>,
    listener: Listener,
    /// What of the listener's losses is told.
    told: dns::Lost,
}

impl Names {
    pub(super) fn new(
        messages: RingBuf<MapData>,
        call: Call,
        out: Sender<Observation>,
        losses: Arc<OwnLosses>,
    ) -> Self {
        Self {
            messages,
            call,
            links: Vec::new(),
            engine: None,
            on_engine: false,
            heard: None,
            looked: KernelTime::default(),
            out,
            losses,
            listener: Listener::default(),
            told: dns::Lost::default(),
        }
    }

    /// Hands over until `stop` rings, and then what is left. No program may run any more when it rings.
    pub(super) fn run(mut self, stop: &Bell) {
        let mut stopping = false;
        while !stopping {
            self.look_after_links();
            stopping = wait([stop.as_fd(), self.messages.as_fd()], Some(LOOK))[0];
            if stopping {
                self.links.clear();
            }
            loop {
                let mut told = Vec::new();
                let is_rest = self.take_in(&mut told);
                if is_rest {
                    self.listener.expire(clock::kernel_now(), &mut told);
                    if stopping {
                        self.listener.finish(&mut told);
                    }
                }
                self.count_losses();
                if !self.hand_over(told) {
                    return;
                }
                if is_rest {
                    break;
                }
            }
            stop.wait(PAUSE);
        }
    }

    /// Puts the programs where the resolver is heard, if they are not there: the engine may have been started just now, or
    /// the first container of a group.
    fn look_after_links(&mut self) {
        let now = clock::kernel_now();
        if now.since(self.looked) < LOOK_AT_LINKS {
            return;
        }
        self.looked = now;
        // Where it cannot be asked, they are taken to be there.
        let is_there = |link: &OwnedFd| !matches!(bpf::group_of(link.as_fd()), Ok(None));
        self.links.retain(is_there);
        let is_more_sought = |names: &Self| names.links.is_empty() || !names.on_engine;
        let mut heard = Ok(());
        while is_more_sought(self) {
            let known: Vec<u64> = self.links.iter().filter_map(group_of).collect();
            if known.len() < self.links.len() {
                break;
            }
            let (answer, links) = (self.call)(Request::Resolver { known });
            match answer {
                Answer::Group(engine) => {
                    self.engine = Some(engine);
                    self.on_engine = links.first().and_then(group_of) == self.engine;
                }
                other => heard = other.done().map_err(|error| SafeText::new(&error.to_string())),
            }
            if links.is_empty() {
                break;
            }
            self.links.extend(links);
        }
        // What finds no room is told the next time.
        if self.heard.as_ref() != Some(&heard)
            && self.out.try_send(Observation::Resolver(heard.clone())).is_ok()
        {
            self.heard = Some(heard);
        }
    }

    /// Takes in what is in the ring. Whether that was all.
    fn take_in(&mut self, told: &mut Vec<DnsExchange>) -> bool {
        for _ in 0..MOST_AT_ONCE {
            let Some(record) = self.messages.next() else { return true };
            match decode::dns(&record, self.engine) {
                Ok(Some(heard)) => self.listener.hear(&heard, told),
                // An empty packet.
                Ok(None) => {}
                Err(decode::Malformed) => self.losses.add(Lost::MalformedRecord, 1),
            }
        }
        false
    }

    fn count_losses(&mut self) {
        let lost = self.listener.lost();
        let told = std::mem::replace(&mut self.told, lost);
        for (kind, now, before) in [
            (Lost::DnsMalformed, lost.malformed, told.malformed),
            (Lost::DnsCut, lost.cut, told.cut),
            (Lost::DnsQuestions, lost.not_kept, told.not_kept),
            (Lost::DnsUnasked, lost.unasked, told.unasked),
            (Lost::DnsStreams, lost.streams, told.streams),
        ] {
            self.losses.add(kind, now - before);
        }
    }

    /// `false`: nobody listens.
    fn hand_over(&self, told: Vec<DnsExchange>) -> bool {
        if told.is_empty() {
            return true;
        }
        let count = told.len() as u64;
        match self.out.try_send(Observation::Names(told)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.losses.add(Lost::DnsExchanges, count);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

/// The control group at which a link holds its program, if that can be asked.
fn group_of(link: &OwnedFd) -> Option<u64> {
    bpf::group_of(link.as_fd()).ok().flatten()
}
