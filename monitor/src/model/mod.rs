//! Plain types that every layer shares. They import nothing but std and serde's derives.
//!
//! Text that came from outside (container names, labels, images, interface names) is a [`SafeText`] from the
//! moment it enters, so no layer above can print it raw.

mod capture;
mod change;
mod container;
mod counts;
mod dns;
mod evidence;
mod failure;
mod flow;
mod ids;
mod interface;
mod losses;
mod network;
mod observation;
mod step;
mod swarm;
mod text;
mod time;
pub(crate) mod word;

pub use capture::{CaptureCounts, CapturedPacket};
pub use change::{Change, DockerState};
pub use container::{Container, ContainerState, Details, Endpoint, NetworkMode, Rights};
pub use counts::{ClassCounts, Counts, DirectionCounts, Traffic};
pub use dns::{DnsAnswer, DnsExchange, DnsOutcome, DnsPlace, DnsRecord, DnsTransport};
pub use evidence::{
    Claim, ClaimKind, Conntrack, Drop, DropBatch, DropWatch, PinWatch, Retransmit, Translation,
    TranslationChange, Tuple,
};
pub use failure::{FailureSign, IcmpError, IcmpKind, Told};
pub use flow::{
    Direction, FlowDelta, FlowKey, FlowPorts, Initiator, Origin, Protocol, TcpFlags, TcpObserved,
};
pub use ids::{ContainerId, FlowId, HostId, InterfaceNumber, Mac, NetworkId};
pub use interface::{
    AttachMode, AttachedBy, DeviceCounters, Interface, InterfaceKind, NotWatched, PeerDevice, Reading,
};
pub use losses::Losses;
pub use network::{GatewayMode, Network, NetworkDriver};
pub use observation::{FirstPacketSeen, FlowBatch, HostAddresses, Observation, Resources, Sample};
pub use step::Step;
pub use swarm::{Overlay, SwarmKind, SwarmMember};
pub use text::SafeText;
pub(crate) use text::is_printable;
pub use time::{KernelTime, Span, WallTime};
pub use word::Word;
