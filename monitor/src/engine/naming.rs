//! From a counted tick of a flow to a named record.

use super::held::Tick;
use super::names::Names;
use super::state::State;
use crate::attribution::{Attribution, EndKind};
use crate::flows::{Flow, Update};
use crate::model::{
    Counts, Direction, FlowBatch, FlowDelta, FlowKey, Initiator, InterfaceKind, KernelTime, SafeText, Sample,
    TcpFlags, Traffic,
};
use crate::policy::{Around, Seen, Verdict};
use crate::snapshot::{End, FlowRecord, Record, SampleRecord, Talk, Tcp};
use std::sync::Arc;

impl State {
    pub(super) fn take_flows(&mut self, batch: FlowBatch, now: KernelTime) {
        if self.flows.is_finished(&batch) {
            return;
        }
        self.latest = (batch.epoch, batch.tick_start, batch.tick_end);
        self.attribution.settle(now);
        let FlowBatch { epoch, tick_start, tick_end, .. } = batch;
        // All of them first: the other end of the first one may be the last.
        let updates: Vec<Option<Update>> = batch
            .flows
            .iter()
            .map(|delta| {
                let update = self.flows.ingest(epoch, delta)?;
                self.note(delta, now);
                Some(update)
            })
            .collect();
        let pushed_out = self.flows.take_pushed_out();
        for flow in &pushed_out {
            self.judge.pushed_out(flow.flow_id, &flow.key);
            self.half_open_pushed_out(flow, tick_end, now);
        }
        // Only now: one may be the other end of another.
        for flow in &pushed_out {
            self.sockets.forget(&flow.key);
        }
        for (delta, update) in batch.flows.iter().zip(updates) {
            let Some(update) = update else { continue };
            self.name_or_hold(Tick { epoch, tick_start, tick_end, delta: *delta, update, last: false }, now);
        }
        self.flows.batch_done(&batch);
        if batch.last {
            self.book_retransmits(now);
            self.book_failures(now);
            self.books.ticked(tick_end);
            self.ticked = Some(epoch);
            self.counted_at = tick_end;
        }
    }

    /// The judge may want to know a flow as the other end of another, and so may who names that one.
    fn note(&mut self, delta: &FlowDelta, now: KernelTime) {
        let watched = self.attribution.interface(delta.key.interface);
        match watched.map(|watched| watched.interface.kind) {
            Some(InterfaceKind::Veth | InterfaceKind::Inside) => {
                let wall = self.wall(now);
                let Self { judge, attribution, flows, .. } = self;
                judge.note(&Around { attribution, flows, now, wall }, delta.flow_id);
            }
            Some(InterfaceKind::Cgroup) => self.sockets.note(&delta.key, delta.flow_id),
            Some(InterfaceKind::Bridge) | None => {}
        }
    }

    /// The container on the host's network that is the other end of a flow, where that is an address of the host.
    pub(super) fn on_host(&self, key: &FlowKey, remote: &End) -> Option<End> {
        if remote.kind != EndKind::Host {
            return None;
        }
        let known = self.attribution.owner(self.sockets.other_end(key)?)?;
        Some(End::of_container(known.reference().clone(), remote.address).with_port(key.ports, false))
    }

    /// What is said of a flow's tick.
    fn judged(&mut self, tick: &Tick, local: &End, remote: &End, now: KernelTime) -> Option<Verdict> {
        let wall = self.wall(now);
        let Self { judge, attribution, flows, .. } = self;
        let seen = Seen {
            flow_id: tick.delta.flow_id,
            epoch: tick.epoch,
            counted: Traffic { sent: tick.delta.sent, received: tick.delta.received },
            local,
            remote,
            initiator: tick.update.initiator,
            source_mac: tick.delta.source_mac,
            several_source_macs: tick.delta.several_source_macs,
        };
        judge.flow(&Around { attribution, flows, now, wall }, &seen)
    }

    fn name_or_hold(&mut self, tick: Tick, now: KernelTime) {
        let packets = tick.packets();
        let remote = self.attribution.remote_end(&packets, now);
        if !self.attribution.is_waiting_for(&packets, &remote, now) {
            self.tell(&tick, remote, now);
        } else if let Some(first) = self.held.push(tick, now) {
            let remote = self.attribution.remote_end(&first.packets(), now);
            self.tell(&first, remote, now);
        }
    }

    /// Lets go of the flows that have a name now, or have waited long enough.
    pub(super) fn release_held(&mut self, now: KernelTime) {
        for (since, tick) in self.held.take() {
            let packets = tick.packets();
            let remote = self.attribution.remote_end(&packets, now);
            let waits = self.attribution.is_waiting_for(&packets, &remote, now);
            if waits && self.attribution.may_still_be_named(since, now) {
                self.held.put_back(since, tick);
            } else {
                self.tell(&tick, remote, now);
            }
        }
    }

    /// A flow is over: its last record counts nothing.
    pub(super) fn flow_is_over(&mut self, flow: &Flow, now: KernelTime) {
        self.book_half_open(flow, now);
        let kind = self.attribution.interface(flow.key.interface).map(|watched| watched.interface.kind);
        let owner = self.attribution.owner(flow.key.interface).map(|known| known.reference().clone());
        let wanted = kind.is_some_and(|kind| self.subscribers.want_flow(kind, owner.as_deref()));
        if !wanted {
            return;
        }
        let (epoch, tick_start, tick_end) = self.latest;
        let tcp = flow.tcp_state().map(|state| Tcp {
            sent_flags: TcpFlags::default(),
            received_flags: TcpFlags::default(),
            state,
            handshake: None,
            failed: false,
            first_byte: None,
            half_open: false,
            silent: None,
        });
        let update = Update {
            first_seen: flow.first_seen,
            initiator: flow.initiator(),
            opened: false,
            tcp,
            origin: flow.origin,
        };
        let delta = FlowDelta {
            key: flow.key,
            flow_id: flow.flow_id,
            first_seen: flow.last_seen,
            last_seen: flow.last_seen,
            is_new: false,
            first_direction: Direction::Sent,
            sent: Counts::default(),
            received: Counts::default(),
            tcp: None,
            origin: None,
            source_mac: None,
            several_source_macs: false,
            cgroup: None,
        };
        self.name_or_hold(Tick { epoch, tick_start, tick_end, delta, update, last: true }, now);
    }

    /// Books a flow's tick under its container, and tells whoever wants to know.
    fn tell(&mut self, tick: &Tick, remote: End, now: KernelTime) {
        let number = tick.delta.key.interface;
        let kind = self.attribution.interface(number).map_or(InterfaceKind::Veth, |it| it.interface.kind);
        let owner = self.attribution.owner(number).map(|known| known.reference().clone());
        let remote = remote.with_port(tick.delta.key.ports, false);
        // Rules see the host: it is judged as that container's at its control group.
        let on_host = self.on_host(&tick.delta.key, &remote);
        let counted = Traffic { sent: tick.delta.sent, received: tick.delta.received };
        let is_booked = kind != InterfaceKind::Bridge && owner.is_some() && !tick.last;
        let mut verdict = None;
        let came_by = is_booked && self.attribution.only_came_by(&tick.packets(), &counted);
        if came_by {
            self.flooded = self.flooded.saturating_add(counted.received.packets);
        }
        if is_booked && !came_by {
            let local =
                self.attribution.local_end(&tick.packets(), now).with_port(tick.delta.key.ports, true);
            verdict = self.judged(tick, &local, &remote, now);
            self.book(tick, &local, on_host.as_ref().unwrap_or(&remote), on_host.is_some(), verdict.as_ref());
        }
        let remote = on_host.unwrap_or(remote);
        if self.subscribers.want_flow(kind, owner.as_deref())
            && let Some(record) = self.record(tick, remote, verdict, now)
        {
            self.subscribers.send(&Record::Flow(Arc::new(record)), kind, owner.as_deref());
        }
    }

    /// `by_group`: the other end was seen at its control group, and what it sends is counted there.
    fn book(&mut self, tick: &Tick, local: &End, remote: &End, by_group: bool, verdict: Option<&Verdict>) {
        let Self { attribution, books, names, .. } = self;
        let Tick { delta, update, .. } = tick;
        let watched = attribution.interface(delta.key.interface);
        let network = watched.and_then(|watched| watched.network.as_ref());
        books.talked(&Talk {
            local,
            remote,
            initiator: update.initiator,
            protocol: delta.key.protocol,
            network,
            device: watched.map(|watched| &watched.observed_at.interface),
            traffic: Traffic { sent: delta.sent, received: delta.received },
            at: delta.last_seen,
            tick_end: tick.tick_end,
            opened: update.opened,
            tcp: update.tcp,
            sender_counts: by_group || attribution.is_counted_at_sender(&tick.packets(), remote),
            is_inside: network.is_some_and(|network| attribution.is_inside(&network.id, remote)),
            asked: asked_for_shared(names, attribution, update.initiator, [local, remote]),
            verdict,
        });
    }

    /// By which name the container's end may have come to the other end's address.
    fn asked_name(&self, tick: &Tick, remote: &End) -> Option<SafeText> {
        if tick.update.initiator == Initiator::Remote {
            return None;
        }
        let owner = self.attribution.owner(tick.delta.key.interface)?;
        let asked = self.names.of(&owner.container.id, tick.delta.key.remote)?;
        // Of a container that got the address later, nobody asked for it by that name.
        let is_it = remote.container.as_ref().is_none_or(|container| {
            self.attribution.held_since(tick.delta.key.remote, &container.id, asked.at)
        });
        is_it.then(|| asked.name.clone())
    }

    fn record(
        &self,
        tick: &Tick,
        remote: End,
        verdict: Option<Verdict>,
        now: KernelTime,
    ) -> Option<FlowRecord> {
        let Tick { epoch, tick_start, tick_end, delta, update, last } = tick;
        let key = &delta.key;
        let watched = self.attribution.interface(key.interface)?;
        let translated = self.attribution.translated(&tick.packets(), &remote, update.initiator);
        let remote_name = self.asked_name(tick, &remote);
        Some(FlowRecord {
            flow_id: delta.flow_id,
            epoch: *epoch,
            tick_start: *tick_start,
            tick_end: *tick_end,
            first_seen: update.first_seen,
            last_seen: delta.last_seen,
            last: *last,
            observed_at: watched.observed_at.clone(),
            network: watched.network.clone(),
            initiator: update.initiator,
            protocol: key.protocol,
            ports: key.ports,
            vlan: key.vlan,
            local: self.attribution.local_end(&tick.packets(), now).with_port(key.ports, true),
            remote_name,
            remote,
            sent: delta.sent,
            received: delta.received,
            origin: update.origin.map(|(origin, seen)| self.attribution.origin_end(origin, seen)),
            translated,
            tcp: update.tcp,
            several_source_macs: delta.several_source_macs,
            verdict,
        })
    }

    pub(super) fn take_sample(&mut self, sample: Sample) {
        let Some(watched) = self.attribution.interface(sample.interface) else { return };
        let kind = watched.interface.kind;
        let owner = self.attribution.owner(sample.interface).map(|known| known.reference().clone());
        if !self.subscribers.want_sample(kind, owner.as_deref()) {
            return;
        }
        let record = SampleRecord {
            at: sample.at,
            flow_id: sample.flow_id,
            observed_at: watched.observed_at.clone(),
            direction: sample.direction,
            container: owner.as_ref().map(|owner| owner.name.clone()),
            length: sample.length,
            bytes: sample.bytes,
        };
        self.subscribers.send(&Record::Sample(Arc::new(record)), kind, owner.as_deref());
    }
}

/// The name by which a client came to a container that shares names with others, as far as it is known.
fn asked_for_shared<'a>(
    names: &'a Names,
    attribution: &Attribution,
    initiator: Initiator,
    [local, remote]: [&End; 2],
) -> Option<&'a SafeText> {
    let (client, server) = match initiator {
        Initiator::Local => (local, remote),
        Initiator::Remote => (remote, local),
        Initiator::Unknown => return None,
    };
    let replica = server.container.as_ref().filter(|it| !it.aliases.is_empty())?;
    let asked = names.of(&client.container.as_ref()?.id, server.address)?;
    attribution.held_since(server.address, &replica.id, asked.at).then_some(&asked.name)
}
