//! A TCP connection, as far as the flags of its packets tell.
//!
//! A tick hands over the flags of all its packets ORed, so the order inside a tick is not known; what follows is
//! only what the whole set allows to say.

use crate::model::{Direction, FlowDelta, Initiator, KernelTime, TcpFlags, TcpObserved};
use std::time::Duration;

/// State of a TCP connection, as far as its flags tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpState {
    /// A SYN was seen, no answer yet.
    SynSent,
    /// SYN and SYN-ACK were seen, no ACK yet.
    SynReceived,
    /// Established: the handshake was seen to end, or traffic flows on a connection older than the watch.
    Established,
    /// One end has sent FIN.
    Closing,
    /// Both ends have sent FIN.
    Closed,
    /// Reset.
    Reset,
    /// A SYN was answered by a reset: nobody listens there, or something refuses in its name.
    Refused,
}

impl TcpState {
    /// Whether the connection is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Reset | Self::Refused)
    }
}

/// What is known of a flow's TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Flags of all sent packets of this tick, ORed.
    pub sent_flags: TcpFlags,
    /// Flags of all received packets of this tick, ORed.
    pub received_flags: TcpFlags,
    /// State after this tick.
    pub state: TcpState,
    /// From the first SYN to the first SYN-ACK at this interface; told once, in the tick that completed it.
    pub handshake: Option<Duration>,
}

/// A connection over its ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    sent: TcpFlags,
    received: TcpFlags,
    handshake_told: bool,
    initiator: Option<Direction>,
    syn_at: Option<KernelTime>,
    syn_ack_at: Option<KernelTime>,
}

impl Connection {
    /// Takes in one tick.
    pub(super) fn observe(&mut self, delta: &FlowDelta, seen: &TcpObserved) -> Tcp {
        let reopened = self.handshake_told || (self.has_flags() && self.state().is_over());
        if seen.syn_at.is_some() && reopened {
            // The same ports were used again.
            *self = Self::default();
        }
        self.sent = TcpFlags(self.sent.0 | seen.sent_flags.0);
        self.received = TcpFlags(self.received.0 | seen.received_flags.0);
        self.syn_at = self.syn_at.or(seen.syn_at);
        self.syn_ack_at = self.syn_ack_at.or(seen.syn_ack_at);
        if self.initiator.is_none() {
            self.initiator = self.opener(delta, seen);
        }
        Tcp {
            sent_flags: seen.sent_flags,
            received_flags: seen.received_flags,
            state: self.state(),
            handshake: self.handshake(),
        }
    }

    /// Who opened it, once a SYN told.
    pub(super) fn initiator(&self) -> Initiator {
        match self.initiator {
            Some(Direction::Sent) => Initiator::Local,
            Some(Direction::Received) => Initiator::Remote,
            None => Initiator::Unknown,
        }
    }

    /// The state without a new tick.
    pub(super) fn state(&self) -> TcpState {
        let any = |flag| self.sent.has(flag) || self.received.has(flag);
        let both = |flag| self.sent.has(flag) && self.received.has(flag);
        if both(TcpFlags::FIN) {
            return TcpState::Closed;
        }
        if any(TcpFlags::RST) {
            let refused = any(TcpFlags::SYN) && !both(TcpFlags::SYN) && self.syn_ack_at.is_none();
            return if refused { TcpState::Refused } else { TcpState::Reset };
        }
        if any(TcpFlags::FIN) {
            return TcpState::Closing;
        }
        let (opener, answerer) = match self.initiator {
            Some(Direction::Sent) => (self.sent, self.received),
            Some(Direction::Received) => (self.received, self.sent),
            None => return TcpState::Established,
        };
        if opener.has(TcpFlags::ACK) {
            TcpState::Established
        } else if answerer.has(TcpFlags::SYN) || self.syn_ack_at.is_some() {
            TcpState::SynReceived
        } else {
            TcpState::SynSent
        }
    }

    fn has_flags(&self) -> bool {
        self.sent.0 | self.received.0 != 0
    }

    /// The side that sent the SYN. When both sides have a SYN flag, the first packet tells.
    fn opener(&self, delta: &FlowDelta, seen: &TcpObserved) -> Option<Direction> {
        let sent = seen.sent_flags.has(TcpFlags::SYN);
        let received = seen.received_flags.has(TcpFlags::SYN);
        match (sent, received) {
            (true, true) => Some(delta.first_direction),
            (false, false) => None,
            (one_sent, _) => {
                // A SYN comes from the opener, a SYN-ACK alone from the other.
                let with_syn = if one_sent { Direction::Sent } else { Direction::Received };
                Some(if seen.syn_at.is_some() { with_syn } else { opposite(with_syn) })
            }
        }
    }

    fn handshake(&mut self) -> Option<Duration> {
        let (syn, answer) = (self.syn_at?, self.syn_ack_at?);
        if self.handshake_told || answer < syn {
            return None;
        }
        self.handshake_told = true;
        Some(answer.since(syn))
    }
}

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Sent => Direction::Received,
        Direction::Received => Direction::Sent,
    }
}
