//! What the views see: an immutable picture of everything, and the records that stream past it.
//!
//! These types name both ends; nothing above them asks the inventory. A [`Snapshot`] is shared as
//! `Arc<Snapshot>`; a [`Record`] goes to each subscriber's own bounded queue. [`Books`] is where the figures of a
//! snapshot are kept.

mod books;
mod bracket;
mod build;
mod failures;
mod findings;
mod gaps;
mod history;
mod icmp;
mod interfaces;
mod latencies;
mod lookups;
mod meant;
mod networks;
mod pairs;
mod peers;
mod recent;
mod records;
mod replicas;
mod rows;
mod service;
mod services;
mod shared;
mod shares;
mod talk;
mod window;

pub use crate::attribution::{
    Alias, ContainerRef, End, EndKind, Identity, NetworkRef, ObservedAt, OriginEnd, OriginKind, SwarmRef,
    Translated, reason,
};
pub use crate::document::nearest;
pub use crate::flows::{Percentiles, Spread, Steps, Tcp, TcpState};
pub use crate::policy::posture::{PostureRule, Standing, Subject};
pub use crate::policy::{
    Answer, Asked, AskedEnd, ByHand, Conversation, Decision, Heading, Leg, Look, Place, PlaceInterface, Rule,
    RuleName, Stopped, Way,
};
pub use crate::policy::{Evidence, Expected, Finding, Kind, Outcome, Severity, Verdict};
pub use books::{Books, Settings};
pub use bracket::{Difference, difference};
pub use build::Rows;
pub use failures::{FailureRow, failures};
pub use findings::findings;
pub use gaps::GAPS;
pub use history::{
    AskedPast, Connections, ContainerSpan, History, Interval, Kept, LatencySpan, Moment, NameSpan,
    NetworkSpan, NotKept, Others, PairCounts, PairEnds, PairSpan, Past, Point, Told, Traced, look_back,
};
pub use icmp::{IcmpRow, Told as IcmpTold};
pub use latencies::{FirstByte, Handshake, Latencies, LatencyRow, Measured, ServicePair};
pub use lookups::{AskerRow, LookedUp, Lookups, NameRow, Outcomes};
pub use meant::Meant;
pub use pairs::Sign;
pub use records::{FlowRecord, NameRecord, Record, SampleRecord};
pub use rows::{
    Answers, BridgeRow, ContainerRow, Conversations, Hooks, Membership, NetworkRow, NetworkTraits, PairRow,
    Peer, Reach, Retransmits, UnattributedRow, ZeroWindows,
};
pub use service::Service;
pub use services::{Replica, ReplicaRow, ServiceRow, services};
pub use shared::Shared;
pub use shares::{Part, Share};
pub use talk::Talk;

use crate::model::{
    AttachedBy, DockerState, HostId, KernelTime, Losses, NotWatched, Resources, SafeText, Word, word,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The host.
    pub host: HostId,
    /// When, on the kernel's clock.
    pub taken_at: KernelTime,
    /// The end of the latest generation whose flows are all in, if there was none yet the beginning: until when all is
    /// counted. Snapshots are made of other news too, so their own time does not tell that it goes on.
    pub counted_at: KernelTime,
    /// The window that `window` fields are about; zero until two readings exist.
    pub window: Duration,
    /// Since when it is watched.
    pub watching_since: KernelTime,
    /// Whether the agent watches, for all who ask it; else a command does for itself.
    pub by_agent: bool,
    /// Docker's state.
    pub docker: DockerState,
    /// Why the last of its answers that made no sense was refused, if one was.
    pub docker_refused: Option<SafeText>,
    /// Running containers, and stopped ones that still have traffic in the window; busiest first.
    pub containers: Vec<ContainerRow>,
    /// Watched interfaces without a container.
    pub unattributed: Vec<UnattributedRow>,
    /// Watched bridges.
    pub bridges: Vec<BridgeRow>,
    /// Docker networks, by name.
    pub networks: Arc<[NetworkRow]>,
    /// Who talks to whom, busiest first; at most 4,096.
    pub pairs: Arc<[PairRow]>,
    /// How long services took to answer each other, those with the most connections first; at most 128.
    pub latencies: Arc<[LatencyRow]>,
    /// Names that containers asked for.
    pub asked: Arc<LookedUp>,
    /// Devices that should be watched and are not.
    pub not_watched: Vec<NotWatched>,
    /// What this host does not let us see, and why: `drops`, `translations`, `resolver`, `retransmits`. Fixed words: they
    /// are part of the JSON.
    #[serde(deserialize_with = "word::read_keys")]
    pub missing: BTreeMap<Word, SafeText>,
    /// How the programs are attached to those watched now.
    pub attached: AttachedBy,
    /// Interfaces watched now.
    pub interfaces_watched: usize,
    /// Flows the engine keeps now.
    pub flows_kept: usize,
    /// What is to be told to a person and goes on, worst first; at most 100.
    pub findings: Vec<Finding>,
    /// What the configuration itself says, worst first; at most 1,024.
    pub standing: Vec<Arc<Standing>>,
    /// Running containers of which Docker has not told rights and mounts.
    pub rights_unknown: usize,
    /// Packets from or to what is watched that the kernel dropped, by its reason, since the start; not measured where
    /// drops are not watched (`drops` in `missing`).
    pub drops: BTreeMap<SafeText, u64>,
    /// Losses since the start.
    pub losses: Losses,
    /// How full the maps are.
    pub resources: Resources,
    /// How much is kept of the last hour.
    pub history: Kept,
    /// The time that pairs, latencies and findings are about, where that is over.
    pub past: Option<Told>,
}

impl Snapshot {
    /// Whether what TCP connections send again is seen here.
    #[must_use]
    pub fn sees_retransmits(&self) -> bool {
        !self.missing.keys().any(|what| **what == *"retransmits")
    }
}
