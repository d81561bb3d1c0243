//! One tick of one flow at a container's interface, as the books take it.

use super::{Alias, End, EndKind, NetworkRef, Reach, Tcp, Verdict};
use crate::model::{Counts, Initiator, KernelTime, Protocol, SafeText, Traffic};
use std::time::Duration;

/// What a container and a peer exchanged in one tick of one flow.
#[derive(Clone, Copy, Debug)]
pub struct Talk<'a> {
    /// The container that the interface belongs to, with its port.
    pub local: &'a End,
    /// The other end, with its port.
    pub remote: &'a End,
    /// Who opened it.
    pub initiator: Initiator,
    /// Protocol.
    pub protocol: Protocol,
    /// The Docker network of the interface.
    pub network: Option<&'a NetworkRef>,
    /// The interface's name.
    pub device: Option<&'a SafeText>,
    /// What crossed the interface.
    pub traffic: Traffic,
    /// The last packet.
    pub at: KernelTime,
    /// The tick's end.
    pub tick_end: KernelTime,
    /// Whether it was opened in this tick.
    pub opened: bool,
    /// What its flags told in this tick.
    pub tcp: Option<Tcp>,
    /// Whether what was received is counted at the peer's own interface as well.
    pub sender_counts: bool,
    /// Whether the peer is a container on the same network, by the address that was used.
    pub is_inside: bool,
    /// The name by which the client came, where it is known and the server shares names with others.
    pub asked: Option<&'a SafeText>,
    /// What is expected of it, and what became of it.
    pub verdict: Option<&'a Verdict>,
}

impl Talk<'_> {
    /// The part that is counted here and nowhere else.
    pub(super) fn own_share(&self) -> Traffic {
        let received = if self.sender_counts { Counts::default() } else { self.traffic.received };
        Traffic { sent: self.traffic.sent, received }
    }

    /// How long it took to be answered, if it was in this tick.
    pub(super) fn handshake(&self) -> Option<Duration> {
        self.tcp.and_then(|tcp| tcp.handshake)
    }

    /// From the first data of who opened it to the first of the other end, if that came in this tick.
    pub(super) fn first_byte(&self) -> Option<Duration> {
        self.tcp.and_then(|tcp| tcp.first_byte)
    }

    /// The name that the server shares with others, if the client came by that.
    pub(super) fn alias<'end>(&self, server: &'end End) -> Option<&'end Alias> {
        let (container, network) = (server.container.as_ref()?, self.network?);
        container.alias(self.asked?.as_str(), &network.id)
    }

    /// Whether it is counted here how many connections there were and how they went: at the client's interface, where
    /// that is watched.
    pub(super) fn counts_connections(&self) -> bool {
        self.initiator == Initiator::Local || !self.sender_counts
    }

    /// Where it went, for the network's row.
    pub(super) fn reach(&self) -> Reach {
        let mut reach = Reach::default();
        match self.remote.kind {
            EndKind::Container if self.is_inside => {
                let Traffic { sent, received } = self.own_share();
                reach.inside = sent + received;
            }
            EndKind::Container => reach.networks = self.traffic,
            EndKind::Host => reach.host = self.traffic,
            EndKind::External => reach.outside = self.traffic,
            EndKind::Multicast | EndKind::Unknown => reach.other = self.traffic,
        }
        reach
    }
}
