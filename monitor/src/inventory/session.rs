//! One connection to Docker, from the first question to the moment it is lost.
//!
//! The event stream is begun before anything is listed, so nothing that happens in between is missed. After that the
//! loop only waits, tells, and starts questions; it waits for no answer itself, except where a list made no sense and
//! is asked for again.

use super::api::{Answer, Api, Failure, NetworkAnswer};
use super::book::{Book, MOST_CONTAINERS, MOST_NETWORKS};
use super::chases::Chases;
use super::mapping::{ContainerEvent, Event, EventKind, ListedEndpoint, NetworkEvent};
use super::queries::{Answered, Queries};
use super::surroundings::{End, Surroundings};
use crate::model::{Change, Container, ContainerId, DockerState, KernelTime, NetworkId, SafeText};
use futures_util::StreamExt as _;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Events that wait to be looked at; more wait in the connection.
const EVENTS: usize = 256;
/// Inspects of containers at once. Each can wait long for a start to be over.
const INSPECTS: usize = 8;
/// Questions about networks at once; apart from the inspects, so that names do not wait for them.
const NETWORK_QUESTIONS: usize = 4;
/// Answers about one container that are dropped in a row because of a newer event.
const MOST_DROPPED: u32 = 3;
/// How often refusals are told, if there are new ones.
const REFUSALS_TOLD: Duration = Duration::from_millis(250);
/// How long Podman takes to connect a container that it has told of.
const PODMAN_CONNECTS: Duration = Duration::from_millis(200);
/// How often a swarm's networks are asked who is on them: no event tells of another node's tasks.
const SWARM: Duration = Duration::from_secs(15);
/// How many of them are asked each time, if there are no more than four times as many; the others come the next times.
const SWARM_AT_ONCE: usize = 8;
/// Each is asked at one of so many times, however many there are: an answer is good for twice as long as that takes.
const SWARM_TIMES: usize = 4;
/// When a list that made no sense is asked for again.
const LIST_AGAIN: Duration = Duration::from_secs(5);

/// One connection.
pub(super) struct Session<'a> {
    around: &'a mut Surroundings,
    api: Api,
    /// How long the stream may be silent before Docker is asked whether it is there.
    quiet: Duration,
    begun: KernelTime,
    /// Whether it is Podman, which tells neither by events nor of a container to which networks it belongs: only the networks
    /// list it.
    is_podman: bool,
    book: Book,
    containers: Queries<ContainerId, Container>,
    networks: Queries<NetworkId, NetworkAnswer>,
    chases: Chases,
    list_again: Option<Instant>,
    /// The network of a swarm that was asked last.
    swarm_asked: Option<NetworkId>,
    /// When everything was told.
    completed: Option<KernelTime>,
}

impl<'a> Session<'a> {
    /// A session that has not begun.
    pub(super) fn new(around: &'a mut Surroundings, api: Api, quiet: Duration) -> Self {
        let begun = (around.clocks.now)();
        Self {
            around,
            api,
            quiet,
            begun,
            is_podman: false,
            book: Book::default(),
            containers: Queries::new(INSPECTS, MOST_DROPPED),
            networks: Queries::new(NETWORK_QUESTIONS, 0),
            chases: Chases::default(),
            list_again: None,
            swarm_asked: None,
            completed: None,
        }
    }

    /// Runs until Docker is away. Returns why it ended and when everything had been told, if it came so far.
    pub(super) async fn run(mut self, host: &str) -> (End, Option<KernelTime>) {
        let end = match self.follow(host).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        (end, self.completed)
    }

    async fn follow(&mut self, host: &str) -> Result<Infallible, End> {
        let Answer { value: about, refusals } = self.api.agree().await?;
        self.around.refusals.absorb(refusals);
        self.is_podman = about.is_podman;
        let mut guards = JoinSet::new();
        let (sender, mut events) = mpsc::channel(EVENTS);
        guards.spawn(pump(self.api.clone(), (self.around.clocks.wall_now)().0, sender));
        tokio::select! {
            biased;
            begun = self.api.subscribed() => begun?,
            failure = guards.join_next() => return Err(over(failure)),
        }
        guards.spawn(watch(self.api.clone(), self.quiet));
        let up = DockerState::Up {
            version: about.version,
            api: about.api,
            host: SafeText::new(host),
            rootless: about.rootless,
            experimental: about.experimental,
        };
        self.list(Some(up)).await?;
        let mut refusals = tokio::time::interval(REFUSALS_TOLD);
        // All networks were just asked.
        let mut swarm = tokio::time::interval_at(Instant::now() + SWARM, SWARM);
        swarm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let hints = Arc::clone(&self.around.hints);
        loop {
            self.start_questions();
            tokio::select! {
                Some(event) = events.recv() => self.happened(event).await?,
                failure = guards.join_next() => return Err(over(failure)),
                answered = self.networks.next() => self.network_answered(answered).await?,
                answered = self.containers.next() => self.container_answered(answered).await?,
                hints = hints.take() => {
                    for (bridge, veths) in hints {
                        self.chases.begin(bridge, veths, Instant::now());
                    }
                }
                () = reached(self.chases.next_due()) => self.chase(),
                () = reached(self.list_again) => self.list(None).await?,
                _ = swarm.tick() => self.ask_swarm(),
                _ = refusals.tick() => self.around.tell_refusals().await?,
            }
        }
    }

    /// Lists everything and tells it; `up` is told between the answers and their content.
    async fn list(&mut self, up: Option<DockerState>) -> Result<(), End> {
        self.list_again = None;
        let networks = self.listed(self.api.networks(MOST_NETWORKS).await)?;
        let containers = self.listed(self.api.containers(MOST_CONTAINERS).await)?;
        self.around.tell(up.map(Change::Docker)).await?;
        let whole = networks.is_some() && containers.is_some();
        let at = self.now();
        for network in networks.into_iter().flatten() {
            // Podman's list has another name for its default network than the network itself, which is asked below.
            if self.is_podman && self.book.network_ids().contains(&network.id) {
                continue;
            }
            let change = self.book.network(network, at, &mut self.around.refusals);
            self.around.tell(change).await?;
        }
        for mut container in containers.into_iter().flatten() {
            if self.is_podman {
                self.book.keep_endpoints(&mut container);
            }
            let change = self.book.container(container, at, &mut self.around.refusals);
            self.around.tell(change).await?;
        }
        self.around.tell_refusals().await?;
        if whole {
            self.completed = Some(at);
            self.around.tell(self.book.complete(at)).await?;
        } else {
            self.list_again = Some(Instant::now() + LIST_AGAIN);
        }
        // The list knows no processes and no namespaces, and is behind for what starts in this moment.
        for id in self.book.network_ids() {
            self.ask_network(&id, None);
        }
        for id in self.book.running() {
            self.ask_container(&id, None);
        }
        Ok(())
    }

    /// A list, or none if it made no sense.
    fn listed<T>(&mut self, answer: Result<Answer<T>, Failure>) -> Result<Option<T>, End> {
        match answer {
            Ok(Answer { value, refusals }) => {
                self.around.refusals.absorb(refusals);
                Ok(Some(value))
            }
            Err(Failure::Refused(reason)) => {
                self.around.refusals.refuse(reason);
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    fn start_questions(&mut self) {
        let (api, book) = (&self.api, &self.book);
        self.networks.start(|id| {
            let (api, in_swarm) = (api.clone(), book.is_in_swarm(&id));
            async move { api.network(&id, in_swarm).await }
        });
        self.containers.start(|id| {
            let api = api.clone();
            async move { api.container(&id).await }
        });
    }

    async fn happened(&mut self, event: Answer<Option<Event>>) -> Result<(), End> {
        self.around.refusals.absorb(event.refusals);
        let Some(event) = event.value else { return Ok(()) };
        let at = event.wall.map_or_else(|| self.now(), |wall| self.around.clocks.to_kernel(wall, self.begun));
        let change = match event.kind {
            EventKind::Container(id, what) => self.container_happened(&id, what, at),
            EventKind::Network(id, what) => self.network_happened(&id, what, at),
        };
        self.around.tell(change).await
    }

    fn container_happened(
        &mut self,
        id: &ContainerId,
        what: ContainerEvent,
        at: KernelTime,
    ) -> Option<Change> {
        match what {
            ContainerEvent::Changed => {
                self.ask_container(id, Some(at));
                if self.is_podman {
                    self.list_again.get_or_insert_with(|| Instant::now() + PODMAN_CONNECTS);
                }
                None
            }
            ContainerEvent::Died => {
                self.containers.forget(id);
                self.ask_container(id, Some(at));
                self.book.stopped(id, at)
            }
            ContainerEvent::Destroyed => {
                self.containers.forget(id);
                self.book.container_gone(id, at)
            }
        }
    }

    fn network_happened(&mut self, id: &NetworkId, what: NetworkEvent, at: KernelTime) -> Option<Change> {
        match what {
            NetworkEvent::Changed => {
                self.ask_network(id, Some(at));
                None
            }
            NetworkEvent::Destroyed => {
                self.networks.forget(id);
                self.book.network_gone(id, at)
            }
            NetworkEvent::Connected(container) => {
                self.book.connected(&container);
                self.ask_network(id, Some(at));
                if !self.book.may_be_starting(&container) {
                    self.ask_container(&container, Some(at));
                }
                None
            }
            NetworkEvent::Disconnected(container) => {
                self.networks.forget(id);
                self.ask_network(id, Some(at));
                self.ask_container(&container, Some(at));
                self.book.endpoint_gone(&container, id, at)
            }
        }
    }

    async fn network_answered(&mut self, answered: Option<Answered<NetworkAnswer>>) -> Result<(), End> {
        let Some((answer, at)) = self.usable(answered) else { return Ok(()) };
        let (bridge, id) = (answer.network.bridge.clone(), answer.network.id.clone());
        let change = self.book.network(answer.network, at, &mut self.around.refusals);
        self.around.tell(change).await?;
        for listed in answer.endpoints {
            self.endpoint_listed(listed, bridge.as_ref()).await?;
        }
        let now = self.now();
        let members = answer
            .members
            .and_then(|members| self.book.members(&id, members, now, &mut self.around.refusals));
        self.around.tell(members).await
    }

    /// An endpoint in a network's list. It begins with the answer: an event or a hint that made the network be asked
    /// may be about another endpoint and older than this one.
    async fn endpoint_listed(
        &mut self,
        listed: ListedEndpoint,
        bridge: Option<&SafeText>,
    ) -> Result<(), End> {
        if !self.book.is_news(&listed) {
            return Ok(());
        }
        if let Some(bridge) = bridge {
            self.chases.found(bridge);
        }
        if self.list_again.is_some() {
            // The list of containers made no sense: this is how they are found.
            self.ask_container(&listed.container, None);
        }
        let change = self.book.endpoint(listed, self.now(), &mut self.around.refusals);
        self.around.tell(change).await
    }

    async fn container_answered(&mut self, answered: Option<Answered<Container>>) -> Result<(), End> {
        let Some((mut container, event)) = self.usable(answered) else { return Ok(()) };
        if self.is_podman {
            self.book.keep_endpoints(&mut container);
        }
        // The event may be from before a start that the inspect waited for: new endpoints are not as old.
        let at = if self.book.has_new_endpoints(&container) { self.now() } else { event };
        let change = self.book.container(container, at, &mut self.around.refusals);
        self.around.tell(change).await
    }

    /// An answer and the moment it is about. What failed is counted, unless the object is gone or Docker is: the
    /// event stream tells these.
    fn usable<T>(&mut self, answered: Option<Answered<T>>) -> Option<(T, KernelTime)> {
        let Answered { at, answer } = answered?;
        match answer {
            Ok(Answer { value, refusals }) => {
                self.around.refusals.absorb(refusals);
                Some((value, at.unwrap_or_else(|| self.now())))
            }
            Err(Failure::Gone | Failure::Away(_)) => None,
            Err(failure) => {
                self.around.refusals.refuse(failure);
                None
            }
        }
    }

    /// Asks the networks of the bridges that are due.
    fn chase(&mut self) {
        for bridge in self.chases.due(Instant::now()) {
            if let Some(id) = self.book.network_of(&bridge).cloned() {
                self.ask_network(&id, None);
            }
        }
    }

    /// Asks who is on the networks of a swarm, each in its turn.
    fn ask_swarm(&mut self) {
        let watched = self.book.watched_in_swarm(self.swarm_asked.as_ref());
        let count = asked_at_once(watched.len());
        for id in watched.into_iter().take(count) {
            self.ask_network(&id, None);
            self.swarm_asked = Some(id);
        }
    }

    fn ask_network(&mut self, id: &NetworkId, at: Option<KernelTime>) {
        if !self.networks.ask(id, at) {
            self.around.refusals.refuse("too many networks to ask about");
        }
    }

    fn ask_container(&mut self, id: &ContainerId, at: Option<KernelTime>) {
        if !self.containers.ask(id, at) {
            self.around.refusals.refuse("too many containers to ask about");
        }
    }

    fn now(&self) -> KernelTime {
        (self.around.clocks.now)()
    }
}

/// How many of so many networks of a swarm are asked each time.
fn asked_at_once(networks: usize) -> usize {
    networks.div_ceil(SWARM_TIMES).max(SWARM_AT_ONCE)
}

/// Reads the event stream until it ends.
async fn pump(api: Api, since: i64, events: mpsc::Sender<Answer<Option<Event>>>) -> Failure {
    let mut stream = pin!(api.events(since));
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                if events.send(event).await.is_err() {
                    break;
                }
            }
            Err(failure) => return failure,
        }
    }
    Failure::Away(SafeText::new("Docker's event stream ended"))
}

/// Asks again and again whether Docker is there, until it is not.
async fn watch(api: Api, quiet: Duration) -> Failure {
    loop {
        tokio::time::sleep(quiet).await;
        if let Err(failure) = api.ping().await {
            return failure;
        }
    }
}

/// Why a guard ended.
fn over(ended: Option<Result<Failure, tokio::task::JoinError>>) -> End {
    match ended {
        Some(Ok(Failure::Refused(reason))) => End::Unreadable(reason),
        Some(Ok(failure)) => failure.into(),
        Some(Err(_)) | None => End::Unreadable(SafeText::new("an event could not be read")),
    }
}

/// Waits for a moment; for ever, if there is none.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_NETWORKS, SWARM, SWARM_TIMES, asked_at_once};
    use std::time::Duration;

    #[test]
    fn each_network_of_a_swarm_is_asked_within_a_minute_however_many_there_are() {
        let rounds = |networks: usize| networks.div_ceil(asked_at_once(networks));
        assert_eq!([1, 8, 9, 32, 33, 40].map(rounds), [1, 1, 2, 4, 4, 4]);
        assert!((1..=MOST_NETWORKS).all(|networks| rounds(networks) <= SWARM_TIMES));
        assert!(SWARM * u32::try_from(SWARM_TIMES).unwrap() <= Duration::from_mins(1));
        assert_eq!([1, 40, MOST_NETWORKS].map(asked_at_once), [8, 10, 500]);
    }
}
