//! Packets that tell of a failure: booked once the flow is in that they are about, under the pair of its two ends. One about
//! no flow is booked nowhere: anybody can write what was never sent into an error of ICMP.

use super::retransmits::packets_of;
use super::state::State;
use crate::attribution::Packets;
use crate::flows::Flow;
use crate::model::{
    Direction, FailureSign, FlowKey, FlowPorts, IcmpError, Initiator, KernelTime, Protocol, Told, Traffic,
};
use crate::snapshot::{End, IcmpTold, Sign};

impl State {
    /// Books what was told of conversations whose flows are in by now.
    pub(super) fn book_failures(&mut self, now: KernelTime) {
        for (since, sign) in self.failures.look() {
            if self.book_failure(&sign, now) {
                continue;
            }
            if self.attribution.may_still_be_named(since, now) {
                self.failures.put_back(since, sign);
            } else {
                self.failures.give_up(&sign);
            }
        }
    }

    fn book_failure(&mut self, sign: &FailureSign, now: KernelTime) -> bool {
        let FlowKey { interface, local, remote, protocol, ports, .. } = sign.key;
        let of_it = |flow: &&Flow| flow.key.interface == interface;
        let tuple = (local, remote, protocol, ports);
        let at_group = || self.flows.get(self.sockets.flow(&sign.key)?);
        let flow = self.judge.with_tuple(&self.flows, tuple).find(of_it).or_else(at_group);
        let Some(flow) = flow else { return false };
        let (packets, initiator) = (packets_of(flow), flow.initiator());
        let [local, remote] = self.ends_of(&packets, now);
        // An error is told where it arrives, and that there is no room where it is said, if that is watched.
        let is_told_here = match sign.told {
            Told::Icmp(_) => sign.direction == Direction::Received,
            Told::ZeroWindow => sign.direction == Direction::Sent,
        };
        let is_told_there = match sign.told {
            Told::Icmp(_) => self.attribution.is_counted_at_sender(&packets, &remote),
            Told::ZeroWindow => self.is_counted_there(&packets, &remote),
        };
        if !is_told_here && is_told_there {
            return true;
        }
        let told = match sign.told {
            Told::Icmp(error) => {
                let by = self.sender(sign, &error, &local, now);
                let Traffic { sent, received } = flow.traffic;
                let sent = if is_told_here { sent } else { received };
                let told = IcmpTold { flow: flow.flow_id, sent: sent.bytes, at: sign.at };
                Sign::Icmp { by, error, told }
            }
            Told::ZeroWindow => Sign::ZeroWindow,
        };
        self.books.failed([&local, &remote], initiator, protocol, is_told_here, told)
    }

    /// Who sent an error.
    fn sender(&self, sign: &FailureSign, error: &IcmpError, local: &End, now: KernelTime) -> End {
        let address = error.sender;
        if sign.direction == Direction::Sent {
            return End { address, port: None, ..local.clone() };
        }
        let protocol = if error.kind.v6 { Protocol::ICMPV6 } else { Protocol::ICMP };
        let key = FlowKey { remote: address, protocol, ports: FlowPorts::None, ..sign.key };
        let origin = sign.origin.map(|origin| (origin, sign.at));
        self.attribution.remote_end(&Packets { key, origin, first: sign.at, last: sign.at }, now)
    }

    /// Whether what the other end sends is counted where that end is watched itself.
    fn is_counted_there(&self, packets: &Packets, remote: &End) -> bool {
        let by_group = self.sockets.other_end(&packets.key).and_then(|number| self.attribution.owner(number));
        let by_group = by_group.is_some_and(|known| Some(known.reference()) == remote.container.as_ref());
        by_group || self.attribution.is_counted_at_sender(packets, remote)
    }

    /// A connection is over whose opener never acknowledged that it was answered, and that was not told before.
    pub(super) fn book_half_open(&mut self, flow: &Flow, now: KernelTime) {
        if !flow.is_left_half_open() || self.attribution.owner(flow.key.interface).is_none() {
            return;
        }
        let packets = packets_of(flow);
        let [local, remote] = self.ends_of(&packets, now);
        let by_local = flow.initiator() == Initiator::Local;
        self.books.left_half_open(&local, by_local);
        let is_told_here = by_local || !self.is_counted_there(&packets, &remote);
        if is_told_here {
            let ends = [&local, &remote];
            let is_booked =
                self.books.failed(ends, flow.initiator(), flow.key.protocol, by_local, Sign::HalfOpen);
            self.failures.not_booked += u64::from(!is_booked);
        }
    }

    /// A flow made room for others. Of one that was answered a moment before nobody will know whether that was acknowledged.
    pub(super) fn half_open_pushed_out(&mut self, flow: &Flow, counted_until: KernelTime, now: KernelTime) {
        if flow.is_half_open_at(counted_until) {
            self.book_half_open(flow, now);
        } else {
            self.half_open_undecided += u64::from(flow.is_left_half_open());
        }
    }
}
