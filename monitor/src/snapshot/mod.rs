//! What the views see: an immutable picture of everything, and the records that stream past it.
//!
//! These types name both ends; nothing above them asks the inventory. A [`Snapshot`] is shared as
//! `Arc<Snapshot>`; a [`Record`] goes to each subscriber's own bounded queue. [`Books`] is where the figures of a
//! snapshot are kept.

mod books;
mod bracket;
mod build;
mod findings;
mod interfaces;
mod peers;
mod records;
mod rows;
mod window;

pub use crate::attribution::{
    ContainerRef, End, EndKind, NetworkRef, ObservedAt, OriginEnd, OriginKind, Translated, reason,
};
pub use crate::flows::{Percentiles, Tcp, TcpState};
pub use crate::policy::posture::{PostureRule, Standing, Subject};
pub use crate::policy::{
    Answer, Asked, AskedEnd, Conversation, Decision, Heading, Leg, Look, Place, PlaceInterface, Rule,
    RuleName, Stopped, Way,
};
pub use crate::policy::{Evidence, Expected, Finding, Kind, Outcome, Severity, Verdict};
pub use books::{Books, Settings};
pub use bracket::{Difference, difference};
pub use build::Rows;
pub use findings::findings;
pub use records::{FlowRecord, Record, SampleRecord};
pub use rows::{BridgeRow, ContainerRow, Membership, Peer, UnattributedRow};

use crate::model::{AttachedBy, DockerState, HostId, KernelTime, Losses, NotWatched, Resources, SafeText};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The host.
    pub host: HostId,
    /// When, on the kernel's clock.
    pub taken_at: KernelTime,
    /// The window that `window` fields are about; zero until two readings exist.
    pub window: Duration,
    /// Since when the agent watches.
    pub watching_since: KernelTime,
    /// Docker's state.
    pub docker: DockerState,
    /// Running containers, and stopped ones that still have traffic in the window; busiest first.
    pub containers: Vec<ContainerRow>,
    /// Watched interfaces without a container.
    pub unattributed: Vec<UnattributedRow>,
    /// Watched bridges.
    pub bridges: Vec<BridgeRow>,
    /// Devices that should be watched and are not.
    pub not_watched: Vec<NotWatched>,
    /// What this kernel does not let us see, and why: `drops`, `translations`. Fixed words: they are part of the JSON.
    pub missing: BTreeMap<&'static str, SafeText>,
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
    /// Losses since the start.
    pub losses: Losses,
    /// How full the maps are.
    pub resources: Resources,
}
