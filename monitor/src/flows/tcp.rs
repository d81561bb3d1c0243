//! A TCP connection, as far as the flags of its packets tell.
//!
//! A tick hands over the flags of all its packets ORed, so the order inside a tick is not known; what follows is
//! only what the whole set allows to say.

use crate::model::{Direction, FlowDelta, Initiator, KernelTime, TcpFlags, TcpObserved};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;
use std::time::Duration;

/// State of a TCP connection, as far as its flags tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// What it is called on a screen.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SynSent => "syn sent",
            Self::SynReceived => "syn received",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Refused => "refused",
        }
    }

    /// Whether the connection is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Reset | Self::Refused)
    }
}

/// What is known of a flow's TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcp {
    /// Flags of all sent packets of this tick, ORed.
    pub sent_flags: TcpFlags,
    /// Flags of all received packets of this tick, ORed.
    pub received_flags: TcpFlags,
    /// State after this tick.
    pub state: TcpState,
    /// From the first SYN to the first SYN-ACK at this interface; told once, in the tick that completed it.
    pub handshake: Option<Duration>,
    /// Whether it was refused or reset in this tick; told once.
    pub failed: bool,
    /// From the first data of the end that opened it to the first data of the other, at this interface; told once, in the tick
    /// that completed it. Not where the other end spoke first.
    pub first_byte: Option<Duration>,
    /// Whether it has been answered for three seconds and its opener has acknowledged nothing; told once.
    pub half_open: bool,
    /// Which way nothing comes any more, while packets have gone the other way for five seconds; told once.
    pub silent: Option<Direction>,
}

/// How long an answer may be without an acknowledgement: by then it has been sent again twice.
const HALF_OPEN: Duration = Duration::from_secs(3);
/// How long an end may be silent while the other sends: four or five retransmissions, on ways that are not slow.
const SILENT: Duration = Duration::from_secs(5);
/// And how many packets the other has sent by then.
const UNHEARD: u8 = 4;
/// The longest time between two of its first packets: that after which Linux sends a segment again that was never answered, and
/// half of that. Each time later is as long as all before it, at most twice as long.
const AGAIN: Duration = Duration::from_millis(1_500);

/// A connection over its ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    sent: TcpFlags,
    received: TcpFlags,
    initiator: Option<Direction>,
    told: ToldOf,
    /// What goes one way while nothing comes the other way.
    one_way: Option<OneWay>,
    syn_at: Option<Moment>,
    syn_ack_at: Option<Moment>,
    sent_data_at: Option<Moment>,
    received_data_at: Option<Moment>,
}

/// What was told of a connection, in the bits of a byte: with many connections their size counts.
#[derive(Clone, Copy, Debug, Default)]
struct ToldOf(u8);

impl ToldOf {
    const HANDSHAKE: u8 = 1;
    const FIRST_BYTE: u8 = 1 << 1;
    const HALF_OPEN: u8 = 1 << 2;
    const SILENT: u8 = 1 << 3;
    /// That the latest tick told who opened it.
    const OPENED: u8 = 1 << 4;

    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Says whether it was told before, and that it is told if `is_told`.
    fn tell(&mut self, bit: u8, is_told: bool) -> bool {
        let before = self.has(bit);
        self.0 |= if is_told { bit } else { 0 };
        before
    }
}

/// Packets that go one way without a pause.
#[derive(Clone, Copy, Debug)]
struct OneWay {
    way: Direction,
    packets: u8,
    /// For how long, in hundredths of a second.
    lasts: u16,
}

impl OneWay {
    /// With another tick, which goes on with what was before if that went the same way and ended, at `before`, not so long ago that
    /// the end cannot have been sending all the time.
    fn with(earlier: Option<Self>, way: Direction, delta: &FlowDelta, before: KernelTime) -> Self {
        let same =
            earlier.filter(|it| it.way == way && delta.first_seen.since(before) <= AGAIN.max(2 * it.lasts()));
        let since = if same.is_some() { before } else { delta.first_seen };
        let lasts = delta.last_seen.since(since).as_millis() / 10;
        let packets = delta.sent.packets.saturating_add(delta.received.packets);
        let Self { packets: so_far, lasts: so_long, .. } = same.unwrap_or(Self { way, packets: 0, lasts: 0 });
        Self {
            way,
            packets: so_far.saturating_add(u8::try_from(packets).unwrap_or(u8::MAX)),
            lasts: so_long.saturating_add(u16::try_from(lasts).unwrap_or(u16::MAX)),
        }
    }

    fn lasts(self) -> Duration {
        Duration::from_millis(u64::from(self.lasts) * 10)
    }
}

/// A kernel time other than 0, at which nothing was sent.
type Moment = NonZeroU64;

fn moment(at: Option<KernelTime>) -> Option<Moment> {
    NonZeroU64::new(at?.0)
}

/// The time between two moments in this order.
fn between(from: Moment, to: Moment) -> Option<Duration> {
    to.get().checked_sub(from.get()).map(Duration::from_nanos)
}

impl Connection {
    /// Takes in one tick. The flow's packet before it was at `before`.
    pub(super) fn observe(&mut self, delta: &FlowDelta, seen: &TcpObserved, before: KernelTime) -> Tcp {
        self.take_back_reset(seen);
        let was_taken = self.is_taken_for_earlier();
        let is_heard = self.sent.0 != 0 && self.received.0 != 0;
        // A SYN that comes again before its answer was acknowledged is the same connection.
        let opener_acknowledged = match self.initiator {
            Some(Direction::Received) => self.received.has(TcpFlags::ACK),
            _ => self.sent.has(TcpFlags::ACK),
        };
        let reopened = self.has_flags()
            && (self.state().is_over() || (self.told.has(ToldOf::HANDSHAKE) && opener_acknowledged));
        let opened_before = self.has_flags().then_some(self.initiator);
        let mut failed_before = self.has_failed();
        let is_reopened = seen.syn_at.is_some() && reopened;
        if is_reopened {
            // The same ports were used again.
            *self = Self::default();
            failed_before = false;
        }
        self.sent = TcpFlags(self.sent.0 | seen.sent_flags.0);
        self.received = TcpFlags(self.received.0 | seen.received_flags.0);
        self.syn_at = self.syn_at.or(moment(seen.syn_at));
        self.syn_ack_at = self.syn_ack_at.or(moment(seen.syn_ack_at));
        // Data from before the SYN is of the connection that had the ports before.
        let syn_at = self.syn_at;
        let data = |at| moment(at).filter(|at| syn_at.is_none_or(|syn| *at >= syn));
        self.sent_data_at = self.sent_data_at.or(data(seen.sent_data_at));
        self.received_data_at = self.received_data_at.or(data(seen.received_data_at));
        let was_open = self.initiator.is_some();
        if !was_open {
            self.initiator = opener(delta, seen, opened_before);
        }
        self.forget_earlier(is_reopened && is_heard, was_taken && !is_reopened);
        self.told.0 &= !ToldOf::OPENED;
        self.told.tell(ToldOf::OPENED, !was_open && self.initiator.is_some());
        Tcp {
            sent_flags: seen.sent_flags,
            received_flags: seen.received_flags,
            state: self.state(),
            handshake: self.handshake(),
            failed: self.has_failed() && !failed_before,
            first_byte: self.first_byte(),
            half_open: self.half_open(delta.last_seen),
            silent: self.silent(delta, before),
        }
    }

    /// The flags of its opener and of the other end, once it is known who that is.
    const fn by_role(&self) -> Option<(TcpFlags, TcpFlags)> {
        match self.initiator {
            Some(Direction::Sent) => Some((self.sent, self.received)),
            Some(Direction::Received) => Some((self.received, self.sent)),
            None => None,
        }
    }

    /// Keeps these of its opener's flags, and these of the other end's.
    const fn keep(&mut self, of_opener: u8, of_answerer: u8) {
        let (of_sent, of_received) = match self.initiator {
            Some(Direction::Sent) => (of_opener, of_answerer),
            Some(Direction::Received) => (of_answerer, of_opener),
            None => return,
        };
        self.sent.0 &= of_sent;
        self.received.0 &= of_received;
    }

    /// Whether its opener was answered by an acknowledgement in place of a SYN-ACK: the other end still has the connection before with
    /// these ports. The opener resets that one, and its SYN comes again (RFC 9293, 3.5.1 and 3.10.7.3): what it opens goes on.
    fn is_taken_for_earlier(&self) -> bool {
        let is_acknowledged = self.by_role().is_some_and(|(_, answerer)| answerer.has(TcpFlags::ACK));
        self.is_unanswered() && is_acknowledged && !self.is_acknowledged_by_opener()
    }

    fn is_acknowledged_by_opener(&self) -> bool {
        self.by_role().is_some_and(|(opener, _)| opener.has(TcpFlags::ACK))
    }

    /// Whether its opener is known, and neither a SYN-ACK nor a reset answered it.
    fn is_unanswered(&self) -> bool {
        let by_flags = |(_, answerer): (TcpFlags, TcpFlags)| {
            !answerer.has(TcpFlags::SYN) && !answerer.has(TcpFlags::RST)
        };
        self.syn_ack_at.is_none() && self.by_role().is_some_and(by_flags)
    }

    /// Takes out of what it has what is of the connection before with its ports. `is_reopened`: they were used again in this tick, and both
    /// ends of the one before were heard here; of that one is then, as long as nobody answers, all that its opener sent but the
    /// SYN. `was_taken`: it was taken for the one before until this tick.
    fn forget_earlier(&mut self, is_reopened: bool, was_taken: bool) {
        if is_reopened && self.is_unanswered() {
            self.keep(TcpFlags::SYN, TcpFlags::ACK);
        } else if self.is_taken_for_earlier() || (was_taken && !self.is_acknowledged_by_opener()) {
            self.keep(!TcpFlags::RST, u8::MAX);
        }
    }

    /// Who has reset a connection acknowledges nothing of it any more. If its opener does, the reset was of the one before with its
    /// ports, in a tick of both.
    fn take_back_reset(&mut self, seen: &TcpObserved) {
        let sent_by_opener = match self.initiator {
            Some(Direction::Received) => seen.received_flags,
            _ => seen.sent_flags,
        };
        let goes_on = sent_by_opener.has(TcpFlags::ACK)
            && !sent_by_opener.has(TcpFlags::RST)
            && !sent_by_opener.has(TcpFlags::SYN);
        if goes_on {
            self.keep(!TcpFlags::RST, u8::MAX);
        }
    }

    /// Whether its opener never acknowledged that it was answered, and that was not told.
    pub(super) fn is_left_half_open(&self) -> bool {
        self.state() == TcpState::SynReceived && !self.told.has(ToldOf::HALF_OPEN)
    }

    /// The same, and its opener had time enough to acknowledge it.
    pub(super) fn is_half_open_at(&self, now: KernelTime) -> bool {
        let since = self.syn_ack_at.map(|at| now.since(KernelTime(at.get())));
        self.is_left_half_open() && since.is_some_and(|since| since >= HALF_OPEN)
    }

    fn half_open(&mut self, now: KernelTime) -> bool {
        let is_told = self.is_half_open_at(now);
        self.told.tell(ToldOf::HALF_OPEN, is_told);
        is_told
    }

    /// Which end has gone silent, if that is known only now.
    fn silent(&mut self, delta: &FlowDelta, before: KernelTime) -> Option<Direction> {
        let way = match (delta.sent.packets > 0, delta.received.packets > 0) {
            (true, false) => Direction::Sent,
            (false, true) => Direction::Received,
            _ => {
                self.one_way = None;
                return None;
            }
        };
        // Of one that was never heard, nobody knows whether it can be heard here.
        let is_heard = self.sent.0 != 0 && self.received.0 != 0;
        let is_on = matches!(self.state(), TcpState::Established | TcpState::Closing);
        let one_way = OneWay::with(self.one_way, way, delta, before);
        self.one_way = Some(one_way);
        let is_long = one_way.packets >= UNHEARD && one_way.lasts() >= SILENT;
        let is_told = is_heard && is_on && is_long && !self.told.has(ToldOf::SILENT);
        self.told.tell(ToldOf::SILENT, is_told);
        is_told.then(|| opposite(way))
    }

    /// Who opened it, once a SYN told.
    pub(super) fn initiator(&self) -> Initiator {
        match self.initiator {
            Some(Direction::Sent) => Initiator::Local,
            Some(Direction::Received) => Initiator::Remote,
            None => Initiator::Unknown,
        }
    }

    /// Whether it was opened in the latest tick.
    pub(super) const fn was_opened(&self) -> bool {
        self.told.has(ToldOf::OPENED)
    }

    /// The state without a new tick.
    pub(super) fn state(&self) -> TcpState {
        let any = |flag| self.sent.has(flag) || self.received.has(flag);
        let both = |flag| self.sent.has(flag) && self.received.has(flag);
        if both(TcpFlags::FIN) {
            return TcpState::Closed;
        }
        if any(TcpFlags::RST) {
            let by_answerer = match self.initiator {
                Some(Direction::Sent) => self.received.has(TcpFlags::RST),
                Some(Direction::Received) => self.sent.has(TcpFlags::RST),
                None => true,
            };
            let refused =
                by_answerer && any(TcpFlags::SYN) && !both(TcpFlags::SYN) && self.syn_ack_at.is_none();
            return if refused { TcpState::Refused } else { TcpState::Reset };
        }
        if any(TcpFlags::FIN) {
            return TcpState::Closing;
        }
        let Some((opener, answerer)) = self.by_role() else { return TcpState::Established };
        if opener.has(TcpFlags::ACK) {
            TcpState::Established
        } else if answerer.has(TcpFlags::SYN) || self.syn_ack_at.is_some() {
            TcpState::SynReceived
        } else {
            TcpState::SynSent
        }
    }

    fn has_failed(&self) -> bool {
        matches!(self.state(), TcpState::Refused | TcpState::Reset)
    }

    fn has_flags(&self) -> bool {
        self.sent.0 | self.received.0 != 0
    }

    /// Only of what was seen from its SYN on: what was said before is not known else.
    fn first_byte(&mut self) -> Option<Duration> {
        let (asked, answered) = match self.initiator? {
            Direction::Sent => (self.sent_data_at?, self.received_data_at?),
            Direction::Received => (self.received_data_at?, self.sent_data_at?),
        };
        let was_told = self.told.tell(ToldOf::FIRST_BYTE, true);
        between(asked, answered).filter(|_| !was_told)
    }

    fn handshake(&mut self) -> Option<Duration> {
        let (syn, answer) = (self.syn_at?, self.syn_ack_at?);
        let took = between(syn, answer).filter(|_| !self.told.has(ToldOf::HANDSHAKE))?;
        self.told.tell(ToldOf::HANDSHAKE, true);
        Some(took)
    }
}

/// The side that sent the SYN. When both sides have a SYN flag, the flow's first packet tells; of a flow that is not
/// new, whoever opened the connection before it with the same ports. Where that one was over so long that it is
/// forgotten, nothing of it comes any more, and the tick's first packet tells.
fn opener(delta: &FlowDelta, seen: &TcpObserved, before: Option<Option<Direction>>) -> Option<Direction> {
    let sent = seen.sent_flags.has(TcpFlags::SYN);
    let received = seen.received_flags.has(TcpFlags::SYN);
    let with_syn = match (sent, received) {
        (true, true) => {
            let known = before.filter(|_| !delta.is_new);
            return known.unwrap_or(Some(delta.first_direction));
        }
        (false, false) => return None,
        (true, false) => Direction::Sent,
        (false, true) => Direction::Received,
    };
    // A SYN comes from the opener, a SYN-ACK alone from the other.
    Some(if seen.syn_at.is_some() { with_syn } else { opposite(with_syn) })
}

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Sent => Direction::Received,
        Direction::Received => Direction::Sent,
    }
}

#[cfg(test)]
mod tests;
