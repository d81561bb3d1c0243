//! What was counted in one span of time: of a container, a pair, two services, a name.

use crate::flows::Spread;
use crate::model::{ContainerId, DnsExchange, DnsOutcome, KernelTime, Protocol, SafeText, Traffic};
use crate::snapshot::latencies::ServicePair;
use crate::snapshot::pairs::Key;
use crate::snapshot::{
    Answers, ContainerRef, End, IcmpRow, NetworkRef, NetworkTraits, Outcomes, Reach, Retransmits, Service,
    Share, Verdict, ZeroWindows, icmp, shares,
};
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use std::sync::Arc;

/// TCP connections, and how they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Those that were opened.
    pub opened: u64,
    /// How they went.
    pub answers: Answers,
}

impl AddAssign for Connections {
    fn add_assign(&mut self, other: Self) {
        self.opened += other.opened;
        self.answers += other.answers;
    }
}

/// A container's share of a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpan {
    /// Who.
    pub container: Arc<ContainerRef>,
    /// By the totals of its interfaces.
    pub traffic: Traffic,
    /// TCP connections that it opened.
    pub asked: Connections,
    /// TCP connections that were opened to it.
    pub served: Connections,
    /// Packets from or to it that the kernel dropped.
    pub dropped: u64,
    /// What came of the names that it asked for.
    pub names: Outcomes,
    /// How long the answers to these took.
    pub names_took: Spread,
}

impl ContainerSpan {
    /// One in which nothing was counted.
    #[must_use]
    pub fn nothing(container: Arc<ContainerRef>) -> Self {
        Self {
            container,
            traffic: Traffic::default(),
            asked: Connections::default(),
            served: Connections::default(),
            dropped: 0,
            names: Outcomes::default(),
            names_took: Spread::default(),
        }
    }

    /// Names that it asked for without getting what it asked for.
    #[must_use]
    pub fn names_failed(&self) -> u64 {
        self.names.sum().saturating_sub(self.names.of(DnsOutcome::Answered))
    }

    /// Adds what came of a question for a name.
    pub(in crate::snapshot) fn name(&mut self, told: &DnsExchange) {
        self.names.add(told.outcome());
        if let Some(took) = told.took() {
            self.names_took.record(took);
        }
    }

    /// Adds what was counted later.
    pub(super) fn add(&mut self, later: &Self) {
        self.container = Arc::clone(&later.container);
        self.traffic += later.traffic;
        self.asked += later.asked;
        self.served += later.served;
        self.dropped = self.dropped.saturating_add(later.dropped);
        self.names += later.names;
        self.names_took.merge(&later.names_took);
    }
}

/// The two ends of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairEnds {
    /// Who opens conversations; without a port.
    pub client: End,
    /// Who is asked; its port is the service's.
    pub server: End,
    /// Protocol.
    pub protocol: Protocol,
    /// The Docker network they were seen on.
    pub network: Option<NetworkRef>,
    /// The interfaces at which they were seen last: the client's, and the server's.
    pub devices: [Option<SafeText>; 2],
}

/// What is counted of a pair; it only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounts {
    /// What the client sent and received.
    pub traffic: Traffic,
    /// Conversations that were opened.
    pub conversations: u64,
    /// How its TCP connections went.
    pub answers: Answers,
    /// What they sent again.
    pub retransmits: Retransmits,
    /// Segments that said that there is no room for more.
    pub zero_windows: ZeroWindows,
    /// Errors of ICMP about packets of either end.
    pub icmp_errors: u64,
    /// Packets that arrived at the server's interface, where that is watched.
    pub delivered: u64,
    /// Packets that arrived at the client's.
    pub came_back: u64,
}

impl PairCounts {
    /// What failed of it, apart from what nobody answered.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let Answers { refused, reset, half_open, silent_client, silent_server, .. } = self.answers;
        let all = [refused, reset, half_open, silent_client, silent_server, self.icmp_errors];
        all.into_iter().fold(0, u64::saturating_add)
    }

    /// What came on top of an earlier state of the same.
    pub(in crate::snapshot) fn since(&self, before: &Self) -> Self {
        Self {
            traffic: self.traffic.since(&before.traffic).unwrap_or_default(),
            conversations: self.conversations.saturating_sub(before.conversations),
            answers: self.answers.since(before.answers),
            retransmits: self.retransmits.since(before.retransmits),
            zero_windows: self.zero_windows.since(before.zero_windows),
            icmp_errors: self.icmp_errors.saturating_sub(before.icmp_errors),
            delivered: self.delivered.saturating_sub(before.delivered),
            came_back: self.came_back.saturating_sub(before.came_back),
        }
    }
}

impl AddAssign for PairCounts {
    fn add_assign(&mut self, other: Self) {
        self.traffic += other.traffic;
        self.conversations += other.conversations;
        self.answers += other.answers;
        self.retransmits += other.retransmits;
        self.zero_windows += other.zero_windows;
        self.icmp_errors = self.icmp_errors.saturating_add(other.icmp_errors);
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.came_back = self.came_back.saturating_add(other.came_back);
    }
}

/// A pair's share of a span of time.
#[derive(Clone, Debug)]
pub struct PairSpan {
    /// Its ends.
    pub ends: Arc<PairEnds>,
    /// What was counted.
    pub counts: PairCounts,
    /// What of it the client came to by which shared name.
    pub shares: Vec<Share>,
    /// Errors of ICMP about its packets.
    pub icmp: Vec<IcmpRow>,
    /// How long its TCP connections took to be answered.
    pub handshakes: Spread,
    /// What is expected of the latest of its conversations, and what became of it.
    pub verdict: Option<Verdict>,
    /// The last packet.
    pub last_seen: KernelTime,
}

impl PairSpan {
    /// Memory it takes beside itself, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let shares = self.shares.capacity() * size_of::<Share>();
        shares + self.icmp.capacity() * size_of::<IcmpRow>() + self.handshakes.bytes()
    }

    /// Gives back memory that it does not need.
    pub(super) fn shrink(&mut self) {
        self.shares.shrink_to_fit();
        self.icmp.shrink_to_fit();
        self.handshakes.shrink();
    }

    /// What makes it the same pair as another.
    pub(super) fn key(&self) -> Key {
        Key::of(&self.ends)
    }

    /// What makes one worth its room more than another: what failed in whatever way, then bytes.
    pub(super) fn weight(&self) -> Weight {
        let PairCounts { traffic, conversations, answers, .. } = self.counts;
        let bytes = traffic.sent.bytes.saturating_add(traffic.received.bytes);
        let weight = Weight::of(self.counts.failed(), bytes);
        // Of what is no TCP nobody is known to answer.
        if self.ends.protocol != Protocol::TCP {
            return weight;
        }
        Weight { opened: conversations, settled: answers.answered.saturating_add(answers.refused), ..weight }
    }

    pub(super) fn add(&mut self, later: &Self) {
        self.ends = Arc::clone(&later.ends);
        self.counts += later.counts;
        shares::merge(&mut self.shares, &later.shares);
        icmp::merge(&mut self.icmp, &later.icmp);
        self.handshakes.merge(&later.handshakes);
        self.verdict = later.verdict.clone().or(self.verdict.take());
        self.last_seen = self.last_seen.max(later.last_seen);
    }
}

/// How long two services took to answer each other in a span of time: at the client's and at the server's interface,
/// between the two, and to the first byte at the server's and at the client's.
#[derive(Clone, Debug)]
pub struct LatencySpan {
    /// The services.
    pub services: Arc<ServicePair>,
    /// What was measured.
    pub seen: [Spread; 5],
}

impl LatencySpan {
    /// Whether the server is a name that several containers share: these have the same connections in rows of their own.
    pub(super) fn is_of_name(&self) -> bool {
        matches!(self.services.server, Service::Alias(_))
    }

    /// Connections whose handshakes were seen, at the end that saw more of them.
    pub(super) fn handshakes(&self) -> u64 {
        let [at_client, at_server, _, first_bytes @ ..] = self.seen.each_ref().map(Spread::count);
        first_bytes.into_iter().fold(at_client.max(at_server), u64::max)
    }
}

/// What makes two names the same: who asks, what for, of which type, and whether Docker's resolver asks on.
pub(super) type NameKey = (ContainerId, SafeText, SafeText, bool);

/// What came of one name that a container asked for in a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameSpan {
    /// Who asked.
    pub container: Arc<ContainerRef>,
    /// What for.
    pub name: SafeText,
    /// The type of record.
    pub record_type: SafeText,
    /// Whether Docker's resolver asked on for the container.
    pub forwarded: bool,
    /// What came of it how often.
    pub outcomes: Outcomes,
    /// How long the answers took.
    pub took: Spread,
}

impl NameSpan {
    /// How often it did not get what it asked for.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.outcomes.sum().saturating_sub(self.outcomes.of(DnsOutcome::Answered))
    }

    /// What makes one worth its room more than another: what failed, then how often it was asked for.
    pub(super) fn weight(&self) -> Weight {
        Weight::of(self.failed(), self.outcomes.sum())
    }

    /// What makes it the same name as another.
    pub(super) fn key(&self) -> NameKey {
        let Self { container, name, record_type, forwarded, .. } = self;
        (container.id.clone(), name.clone(), record_type.clone(), *forwarded)
    }

    pub(super) fn add(&mut self, later: &Self) {
        self.container = Arc::clone(&later.container);
        self.outcomes += later.outcomes;
        self.took.merge(&later.took);
    }
}

/// Where traffic of a network's containers went in a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpan {
    /// The network.
    pub network: NetworkRef,
    /// How it was made; absent where that was not known.
    pub traits: Option<Arc<NetworkTraits>>,
    /// Where it went.
    pub reach: Reach,
}

impl NetworkSpan {
    pub(super) fn add(&mut self, later: Self) {
        self.traits = later.traits.or(self.traits.take());
        self.reach += later.reach;
    }

    /// Memory it takes beside itself, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.traits.as_ref().map_or(0, |traits| traits.bytes())
    }

    /// What makes one worth its room more than another: bytes.
    pub(super) fn weight(&self) -> Weight {
        Weight::of(0, self.reach.bytes())
    }
}

/// What makes a row worth its room more than another, over any span: what failed in whatever way, then how much it was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    failed: u64,
    /// Connections that were opened, and of these those that were answered or refused.
    opened: u64,
    settled: u64,
    much: u64,
}

impl Weight {
    pub(super) const fn of(failed: u64, much: u64) -> Self {
        Self { failed, opened: 0, settled: 0, much }
    }

    /// Greater ones are worth more.
    pub(super) const fn rank(&self) -> (u64, u64) {
        (self.failed.saturating_add(self.opened.saturating_sub(self.settled)), self.much)
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.failed = self.failed.saturating_add(other.failed);
        self.opened = self.opened.saturating_add(other.opened);
        self.settled = self.settled.saturating_add(other.settled);
        self.much = self.much.saturating_add(other.much);
    }
}

/// What found no room of its own in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Others {
    /// Pairs, once for each interval that they were in; of those that a look back leaves out, each once.
    pub pairs: u64,
    /// What was counted of these.
    pub counts: PairCounts,
    /// Pairs of services with latency, counted in the same way.
    pub services: u64,
    /// Connections whose handshakes these are.
    pub handshakes: u64,
    /// Names, counted in the same way.
    pub names: u64,
    /// What came of these.
    pub outcomes: Outcomes,
    /// Networks, once for each interval that they were in.
    pub networks: u64,
    /// Where their traffic went.
    pub reach: Reach,
    /// Findings. An interval counts here only those whose ids it has no room for.
    pub findings: u64,
    /// Standing findings that were over.
    pub standing: u64,
}

impl Others {
    /// One more pair.
    pub(in crate::snapshot) fn pair(&mut self, counts: PairCounts) {
        self.pairs += 1;
        self.counts += counts;
    }

    /// Latency of two more services.
    pub(super) fn latency(&mut self, handshakes: u64) {
        self.services += 1;
        self.handshakes += handshakes;
    }

    /// One more network.
    pub(super) fn network(&mut self, reach: Reach) {
        self.networks += 1;
        self.reach += reach;
    }

    /// One more name.
    pub(in crate::snapshot) fn name(&mut self, outcomes: Outcomes) {
        self.names += 1;
        self.outcomes += outcomes;
    }
}

impl AddAssign for Others {
    fn add_assign(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.counts += other.counts;
        self.services += other.services;
        self.handshakes += other.handshakes;
        self.names += other.names;
        self.outcomes += other.outcomes;
        self.networks += other.networks;
        self.reach += other.reach;
        self.findings += other.findings;
        self.standing += other.standing;
    }
}
