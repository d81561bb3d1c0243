//! What was seen beside a flow, and what became of it by that.

use super::case::{Around, Case, Side};
use super::drops::{Dropped, Drops, Path};
use super::outcome::{Evidence, Found, Notes, Outcome, why};
use super::pairs::{Pairs, Sender};
use crate::attribution::{Attribution, EndKind};
use crate::flows::{Flow, TcpState};
use crate::model::{Counts, Direction, FlowKey, FlowPorts, KernelTime, Losses, Tuple};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// A drop may be noted by a clock that is one kernel tick behind the flow's.
pub(super) const CLOCK_GRAIN: Duration = Duration::from_millis(10);
/// Epochs whose losses are remembered: those in which what is judged now may have waited for a name.
const EPOCHS: usize = 64;
/// How the other end of a flow is recognised as a rule.
const SAME: &str = "the same addresses";

/// What was lost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    not_recorded: u64,
    flows_lost: u64,
    drops_lost: u64,
}

/// Everything that speaks for or against an outcome.
#[derive(Debug, Default)]
pub(super) struct Testimony {
    pub(super) pairs: Pairs,
    pub(super) drops: Drops,
    pub(super) drops_are_watched: bool,
    /// What was lost so far.
    pub(super) marks: Marks,
    /// Flows that were pushed out, or have too many like them, so that they may be missed as an other end.
    pub(super) not_paired: u64,
    /// What was lost until the end of each of the last epochs.
    history: VecDeque<(u64, Marks)>,
}

impl Testimony {
    /// A flow may be missed as the other end of one.
    pub(super) fn lose_a_flow(&mut self) {
        self.not_paired += 1;
        self.marks.flows_lost += 1;
    }

    /// Keeps what was lost until the end of an epoch.
    pub(super) fn remember_marks(&mut self, epoch: u64) {
        self.history.push_back((epoch, self.marks));
        if self.history.len() > EPOCHS {
            self.history.pop_front();
        }
    }

    /// What was lost before an epoch; nothing, if that is longer ago than is remembered, so that every loss counts.
    pub(super) fn marks_before(&self, epoch: u64) -> Marks {
        let before = self.history.iter().rev().find(|(of, _)| *of < epoch);
        before.map_or_else(Marks::default, |(_, marks)| *marks)
    }

    /// Whether the kernel dropped any of what a flow's container sent.
    pub(super) fn was_dropped(&self, facts: &Attribution, flow: &Flow) -> bool {
        self.dropped(facts, flow, flow.first_seen.minus(CLOCK_GRAIN)).is_some()
    }

    /// What the collector lost so far.
    pub(super) fn losses(&mut self, losses: &Losses) {
        let sum = |names: &[&str]| names.iter().map(|name| losses.get(name)).fold(0, u64::saturating_add);
        self.marks = Marks {
            not_recorded: sum(&["flow_map_full", "unknown_interface"]),
            // What was seen while there was no agent proves nothing by what is missing.
            flows_lost: self.not_paired.saturating_add(sum(&[
                "drain_failed",
                "grace_period_failed",
                "gaps_without_agent",
            ])),
            drops_lost: self.drops.forgotten.saturating_add(sum(&["drop_map_full", "drops_missed"])),
        };
    }

    /// What became of a conversation, by what was seen until now.
    pub(super) fn weigh(
        &self,
        around: &Around<'_>,
        flow: &Flow,
        case: &Case,
        epoch: u64,
        notes: Notes,
    ) -> Found {
        match case.side {
            Side::Source => self.at_source(around, flow, case, epoch, notes),
            Side::Destination => at_destination(around, flow, notes),
        }
    }

    fn at_source(
        &self,
        around: &Around<'_>,
        flow: &Flow,
        case: &Case,
        epoch: u64,
        mut notes: Notes,
    ) -> Found {
        let sent = flow.traffic.sent.packets;
        notes.add(|| Evidence::new(device(around, flow), format!("{sent} {} sent", packets(sent))));
        if let Some((arrived, how)) = self.arrival(around, flow, case) {
            return self.arrived(around, flow, arrived, how, notes);
        }
        let received = flow.traffic.received.packets;
        // One packet of a conversation that works may well be dropped.
        if matches!(case.to.kind, EndKind::External | EndKind::Host) && received > 0 {
            notes.add(|| {
                Evidence::new(device(around, flow), format!("{received} {} came back", packets(received)))
            });
            let evidence = notes.all;
            return Found { outcome: Outcome::Answered, reason: None, drop_reason: None, evidence };
        }
        let since = flow.first_seen.minus(CLOCK_GRAIN);
        if let Some((dropped, where_to)) = self.dropped(around.attribution, flow, since) {
            notes.add(|| {
                Evidence::new(
                    device_of(around, dropped.device),
                    format!(
                        "{} {} to {where_to} dropped: {}",
                        dropped.packets,
                        packets(dropped.packets),
                        dropped.reason.as_str()
                    ),
                )
            });
            let drop_reason = Some(dropped.reason.clone());
            return Found { outcome: Outcome::Blocked, reason: None, drop_reason, evidence: notes.all };
        }
        let by_host = flow.origin.is_some_and(|(origin, _)| origin.ifindex == 0 && origin.other.is_none());
        match case.to.kind {
            EndKind::Container | EndKind::Unknown if received > 0 && by_host && was_reset(flow) => {
                notes.add(|| Evidence::new("host", "refused it with a reset in the destination's name"));
                Found { outcome: Outcome::Blocked, reason: None, drop_reason: None, evidence: notes.all }
            }
            // A tick for what is on its way, and one more in which a loss would have been told.
            _ if epoch < case.epoch.saturating_add(2) => {
                Found { outcome: Outcome::Attempted, reason: None, drop_reason: None, evidence: notes.all }
            }
            EndKind::External | EndKind::Host => unknown(why::OUT_OF_SIGHT, notes),
            _ => self.nowhere(around, flow, case, notes),
        }
    }

    /// It was seen nowhere: whether that proves anything.
    fn nowhere(&self, around: &Around<'_>, flow: &Flow, case: &Case, mut notes: Notes) -> Found {
        let lost = |now: u64, then: u64| now != then;
        let facts = around.attribution;
        let watched = case.to.container.as_ref().map(|container| {
            let mut veths = facts.veths_of(&container.id).filter(|veth| {
                veth.life.from <= flow.first_seen
                    && veth.life.until.is_none_or(|until| until > flow.last_seen)
                    && veth
                        .network
                        .as_ref()
                        .and_then(|network| facts.network(&network.id))
                        .is_some_and(|known| known.holds(flow.key.remote))
            });
            veths.next().map(|veth| veth.observed_at.interface.clone())
        });
        let reason = if watched == Some(None) {
            Some(why::DESTINATION_NOT_WATCHED)
        } else if lost(self.marks.not_recorded, case.marks.not_recorded) {
            Some(why::FLOWS_NOT_RECORDED)
        } else if lost(self.marks.flows_lost, case.marks.flows_lost) {
            Some(why::FLOWS_LOST)
        } else if !self.drops_are_watched {
            Some(why::DROPS_NOT_WATCHED)
        } else if lost(self.marks.drops_lost, case.marks.drops_lost) {
            Some(why::DROPS_LOST)
        } else {
            None
        };
        if let Some(reason) = reason {
            return unknown(reason, notes);
        }
        if let Some(Some(interface)) = watched {
            notes.add(|| {
                Evidence::new(interface.as_str(), "nothing of it arrived, and nothing was lost there")
            });
        }
        Found { outcome: Outcome::Undelivered, reason: None, drop_reason: None, evidence: notes.all }
    }

    /// The flow at the destination's interface, and how it was recognised.
    fn arrival<'a>(
        &'a self,
        around: &Around<'a>,
        flow: &Flow,
        case: &Case,
    ) -> Option<(&'a Flow, &'static str)> {
        let facts = around.attribution;
        let is_there = |other: &&Flow| {
            other.traffic.received.skbs > 0
                && other.key.interface != flow.key.interface
                && other.last_seen >= flow.first_seen.minus(CLOCK_GRAIN)
                && is_holder(facts, other)
        };
        if let Some(other) = self.pairs.other_ends(around.flows, &flow.key).find(is_there) {
            return Some((other, SAME));
        }
        if let Some(reply) = around.attribution.reply_to(&flow.key.tuple()) {
            let wanted =
                (reply.source, reply.destination, flow.key.protocol, ports_at_destination(reply, &flow.key));
            if let Some(other) = self.pairs.with_tuple(around.flows, wanted).find(is_there) {
                return Some((other, "conntrack"));
            }
        }
        let FlowPorts::Ports { remote, .. } = flow.key.ports else { return None };
        let bridge = facts.interface(flow.key.interface)?.interface.master.as_ref()?.0;
        let from_bridge = |other: &&Flow| other.origin.is_some_and(|(origin, _)| origin.ifindex == bridge);
        if case.to.kind != EndKind::Container {
            return None;
        }
        let place = (flow.key.remote, flow.key.protocol, remote, Sender::Rewritten);
        let mut there = self.pairs.sent_by_host_at(around.flows, place);
        there
            .find(|other| is_there(other) && from_bridge(other))
            .map(|other| (other, "the origin of its packets"))
    }

    fn arrived(&self, around: &Around<'_>, flow: &Flow, other: &Flow, how: &str, mut notes: Notes) -> Found {
        let Counts { packets: received, .. } = other.traffic.received;
        let answered = other.traffic.sent.packets;
        let interface = device(around, other);
        notes.add(|| {
            let mut saw = format!("{received} {} delivered", packets(received));
            if how != SAME {
                saw += &format!(" from {} (recognised by {how})", other.key.remote);
            }
            Evidence::new(&interface, saw)
        });
        if answered == 0 {
            notes.add(|| Evidence::new(&interface, "no reply left"));
            return Found {
                outcome: Outcome::Delivered,
                reason: None,
                drop_reason: None,
                evidence: notes.all,
            };
        }
        notes.add(|| Evidence::new(&interface, format!("{answered} {} of reply left", packets(answered))));
        let back = path(&other.key, Direction::Sent);
        let dropped = self.drops.on(&back, flow.first_seen.minus(CLOCK_GRAIN));
        if let Some(dropped) = dropped.filter(|_| flow.traffic.received.packets == 0) {
            notes.add(|| {
                Evidence::new(
                    device_of(around, dropped.device),
                    format!(
                        "{} {} of reply dropped: {}",
                        dropped.packets,
                        packets(dropped.packets),
                        dropped.reason.as_str()
                    ),
                )
            });
        }
        Found { outcome: Outcome::Answered, reason: None, drop_reason: None, evidence: notes.all }
    }

    /// What the kernel dropped of what the flow's container sent, before or after a translation; and what it was
    /// addressed to then.
    fn dropped(&self, facts: &Attribution, flow: &Flow, since: KernelTime) -> Option<(&Dropped, IpAddr)> {
        let mut forward = path(&flow.key, Direction::Sent);
        if let Some(dropped) = self.drops.on(&forward, since) {
            return Some((dropped, forward.destination));
        }
        let Some(reply) = facts.reply_to(&flow.key.tuple()) else {
            return self.dropped_behind_port(facts, flow, since);
        };
        forward.destination = reply.source;
        forward.port = forward.port.map(|_| reply.ports.0.min(reply.ports.1));
        let translated = self
            .drops
            .on(&forward, since)
            .or_else(|| self.drops.on(&Path { source: reply.destination, ..forward }, since));
        translated.map(|dropped| (dropped, reply.source))
    }

    /// The same for a published port, where conntrack knows nothing: it forgets a connection whose first packet was
    /// dropped, but Docker says where the port leads.
    fn dropped_behind_port(
        &self,
        facts: &Attribution,
        flow: &Flow,
        since: KernelTime,
    ) -> Option<(&Dropped, IpAddr)> {
        let FlowPorts::Ports { local, remote } = flow.key.ports else { return None };
        let FlowKey { local: source, remote: addressed, protocol, .. } = flow.key;
        if !facts.is_of_host(addressed, flow.last_seen) {
            return None;
        }
        let (known, inner) = facts.publisher(addressed, remote, protocol)?;
        known.container.endpoints.iter().flat_map(|endpoint| &endpoint.addresses).find_map(|address| {
            let path = Path { source, destination: *address, protocol, port: Some(local.min(inner)) };
            Some((self.drops.on(&path, since)?, *address))
        })
    }
}

fn at_destination(around: &Around<'_>, flow: &Flow, mut notes: Notes) -> Found {
    let Counts { packets: received, .. } = flow.traffic.received;
    let answered = flow.traffic.sent.packets;
    let interface = device(around, flow);
    notes.add(|| Evidence::new(&interface, format!("{received} {} delivered", packets(received))));
    let outcome = if answered > 0 {
        notes.add(|| Evidence::new(&interface, format!("{answered} {} of reply left", packets(answered))));
        Outcome::Answered
    } else {
        Outcome::Delivered
    };
    Found { outcome, reason: None, drop_reason: None, evidence: notes.all }
}

fn unknown(reason: &'static str, notes: Notes) -> Found {
    Found { outcome: Outcome::Unknown, reason: Some(reason), drop_reason: None, evidence: notes.all }
}

fn was_reset(flow: &Flow) -> bool {
    matches!(flow.tcp_state(), Some(TcpState::Refused | TcpState::Reset))
}

/// Whether the container behind a flow's interface holds the address its packets were sent to; one that only forwards
/// them does not.
fn is_holder(facts: &Attribution, flow: &Flow) -> bool {
    let its_own = facts.interface(flow.key.interface).is_some_and(|it| it.interface.kind.is_of_container());
    its_own && facts.owner(flow.key.interface).is_none_or(|owner| facts.is_given(owner, flow.key.local))
}

/// The name of the device where a flow was seen.
pub(super) fn device(around: &Around<'_>, flow: &Flow) -> String {
    let watched = around.attribution.interface(flow.key.interface);
    watched.map_or_else(String::new, |watched| watched.observed_at.interface.as_str().to_owned())
}

/// The name of a device of the host, for evidence.
pub(super) fn device_of(around: &Around<'_>, ifindex: u32) -> String {
    let name = around.attribution.device_name(ifindex);
    name.map_or_else(|| "host".to_owned(), |name| name.as_str().to_owned())
}

pub(super) const fn packets(count: u64) -> &'static str {
    if count == 1 { "packet" } else { "packets" }
}

/// The path of what a flow's container sends, or receives.
pub(super) fn path(key: &FlowKey, direction: Direction) -> Path {
    let port = match key.ports {
        FlowPorts::Ports { local, remote } => Some(local.min(remote)),
        FlowPorts::Icmp { .. } | FlowPorts::LaterFragment | FlowPorts::None => None,
    };
    let (source, destination) = match direction {
        Direction::Sent => (key.local, key.remote),
        Direction::Received => (key.remote, key.local),
    };
    Path { source, destination, protocol: key.protocol, port }
}

/// The ports of the flow at the destination, by what it answers.
fn ports_at_destination(reply: &Tuple, original: &FlowKey) -> FlowPorts {
    match original.ports {
        FlowPorts::Ports { .. } => FlowPorts::Ports { local: reply.ports.0, remote: reply.ports.1 },
        FlowPorts::Icmp { kind, code, .. } => FlowPorts::Icmp { id: reply.ports.0, kind, code },
        same => same,
    }
}
