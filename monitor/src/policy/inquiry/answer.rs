//! What is answered: what is expected and why, what was seen, and where it stopped.

use super::super::outcome::{Evidence, Outcome};
use super::super::rules::{Expected, RuleName};
use super::Asked;
use crate::attribution::{ContainerRef, End, NetworkRef, Translated};
use crate::model::{Counts, KernelTime, Protocol, SafeText};
use std::net::IpAddr;
use std::sync::Arc;

/// Everything that is known about two ends at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked.
    pub asked: Asked,
    /// The generation that this is about.
    pub epoch: u64,
    /// Since when was watched.
    pub since: KernelTime,
    /// Until when.
    pub until: KernelTime,
    /// Who would open a conversation.
    pub from: Place,
    /// Who would be asked.
    pub to: Place,
    /// The ways by which it could be asked, each with what is expected.
    pub ways: Vec<Way>,
    /// Ways that are not listed.
    pub more_ways: usize,
    /// What is expected: of the latest conversation, else of all ways if they agree.
    pub decision: Option<Decision>,
    /// What was seen, both directions, the latest first.
    pub conversations: Vec<Conversation>,
    /// What was dropped on its way, of an opener whose packets are not seen where they are sent; at most 64 paths.
    pub stopped: Vec<Stopped>,
    /// Older conversations that are only counted.
    pub more: u64,
    /// All of it in a sentence.
    pub summary: String,
    /// How to look for oneself.
    pub look: Vec<Look>,
}

impl Answer {
    /// The conversations that were opened as asked, the latest first.
    pub fn forward(&self) -> impl Iterator<Item = &Conversation> {
        self.conversations.iter().filter(|conversation| conversation.heading == Heading::Forward)
    }

    /// Whether what became of some conversation may still be told.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.conversations.iter().any(|conversation| conversation.outcome == Outcome::Attempted)
    }
}

/// Where an end is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The container.
    pub container: Option<Arc<ContainerRef>>,
    /// Whether it uses the host's own network, so that it is seen at its sockets alone.
    pub on_host: bool,
    /// The host's number of its first process.
    pub pid: Option<u32>,
    /// Its interfaces, by the name of their network.
    pub interfaces: Vec<PlaceInterface>,
}

/// The host's end of a container's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceInterface {
    /// The device's name.
    pub interface: SafeText,
    /// Its ifindex.
    pub ifindex: u32,
    /// The network it is on.
    pub network: Option<NetworkRef>,
    /// The container's addresses there.
    pub addresses: Vec<IpAddr>,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule.
    pub rule: RuleName,
    /// What it expects.
    pub expected: Expected,
    /// Allowed, but round the isolation.
    pub crossing: bool,
    /// What the policy file says about it.
    pub comment: Option<SafeText>,
    /// Why it decides, in a few words.
    pub because: String,
}

/// One way by which the destination could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The address it would be asked from, where only one would be used.
    pub from: Option<IpAddr>,
    /// The network of that address.
    pub from_network: Option<NetworkRef>,
    /// The address that would be used; absent for anybody outside, and for any address of the host.
    pub address: Option<IpAddr>,
    /// The network of that address.
    pub network: Option<NetworkRef>,
    /// The port, if one is known.
    pub port: Option<u16>,
    /// The container's port, where it is asked by a published port of the host.
    pub published: Option<u16>,
    /// What is expected; absent where no rule says anything.
    pub decision: Option<Decision>,
}

/// Which way a conversation was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// As it was asked.
    Forward,
    /// The other way round.
    Backward,
}

impl Heading {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        }
    }
}

/// A conversation that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Which way it was opened.
    pub heading: Heading,
    /// Who opened it.
    pub source: End,
    /// Whom it addressed.
    pub destination: End,
    /// The protocol.
    pub protocol: Protocol,
    /// What is expected of it.
    pub decision: Decision,
    /// What became of it.
    pub outcome: Outcome,
    /// Why that is unknown; one of [`super::super::why`].
    pub reason: Option<&'static str>,
    /// The kernel's reason for a drop.
    pub drop_reason: Option<SafeText>,
    /// Whether the destination itself answered with a reset, to the opener or to the host's proxy: nobody listens.
    pub refused: bool,
    /// What its opener sent.
    pub sent: Counts,
    /// What came back to its opener.
    pub came_back: Counts,
    /// What was seen, hook by hook.
    pub evidence: Vec<Evidence>,
    /// How the host changed it.
    pub translated: Option<Translated>,
    /// How the host's proxy went on.
    pub leg: Option<Leg>,
    /// Its first packet.
    pub first_seen: KernelTime,
    /// Its last packet.
    pub last_seen: KernelTime,
    /// Where it stopped, in a sentence.
    pub course: String,
}

impl Conversation {
    /// Whether it goes to a published port that the host's proxy serves.
    #[must_use]
    pub fn is_proxied(&self) -> bool {
        self.translated.as_ref().is_some_and(|translated| translated.reply.is_none())
    }

    /// Whether it was the host that had nobody to listen.
    pub(super) fn refused_by_host(&self) -> bool {
        self.refused && self.leg.as_ref().is_none_or(|leg| !leg.refused)
    }
}

/// The connection that the host's proxy made to a container for somebody else. That they belong together is known by
/// their time alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The container's interface.
    pub device: SafeText,
    /// The host's address there.
    pub from: IpAddr,
    /// The container's port.
    pub port: u16,
    /// Packets that were delivered.
    pub delivered: u64,
    /// Packets of the answer.
    pub answered: u64,
    /// Whether the container refused it.
    pub refused: bool,
}

/// Packets that were dropped before they reached an interface that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Their source.
    pub source: IpAddr,
    /// Where they were to go.
    pub destination: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The smaller of the two ports.
    pub port: Option<u16>,
    /// The kernel's reason.
    pub reason: SafeText,
    /// Where: a device's name, or `host`.
    pub at: SafeText,
    /// How many.
    pub packets: u64,
    /// The last.
    pub last_seen: KernelTime,
}

/// A command to look for oneself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it shows.
    pub shows: String,
    /// The command, safe to paste into a shell.
    pub command: String,
}
