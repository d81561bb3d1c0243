//! The drain thread: once a tick it reads the totals, flips the generations and drains the quiet one.

use super::arena::Handed;
use super::device::can_follow;
use super::drops::Drops;
use super::grace::Grace;
use super::losses::{Lost, OwnLosses};
use super::netlink::Netlink;
use super::outbox::Waiting;
use super::programs::{Arenas, Maps};
use super::table::{Table, Watched};
use super::wake::Bell;
use super::{clock, decode};
use crate::model::{
    Claim, DeviceCounters, DropBatch, DropWatch, FlowBatch, FlowDelta, KernelTime, Losses, Observation,
    Reading, Resources, SafeText,
};
use monitor_common::claims::{ClaimKey, MOST_CLAIMS};
use monitor_common::flow::{FlowKey4, FlowKey6};
use monitor_common::flow_table::{Slot, Words};
use monitor_common::interface::InterfaceTotals;
use monitor_common::loss::Loss;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What the thread works with.
pub(super) struct Ticker {
    maps: Arc<Maps>,
    table: Arc<Table>,
    losses: Arc<OwnLosses>,
    out: Waiting,
    netlink: Netlink,
    grace: Grace,
    arenas: Arenas,
    drops: Result<Drops, SafeText>,
    totals: Vec<InterfaceTotals>,
    counts: Vec<u64>,
    capacity: Capacity,
    /// What the programs count up from: its lowest bit is the active generation.
    active: u32,
    /// Since when.
    since: KernelTime,
    flips: u64,
}

/// What there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// Interfaces.
    pub(super) slots: u32,
    /// Flows in a tick, for each family.
    pub(super) flows: u32,
}

/// One flipped generation.
#[derive(Clone, Copy)]
struct Generation {
    /// The half of the arenas that is quiet now.
    quiet: u32,
    epoch: u64,
    start: KernelTime,
    end: KernelTime,
}

/// How long the parts of a tick took.
#[derive(Clone, Copy, Default)]
struct Took {
    grace: Duration,
    drain: Duration,
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Ticker {
    /// Gets everything ready; nothing is read yet.
    ///
    /// # Errors
    /// When no netlink socket can be had, or no way to wait for running programs.
    pub(super) fn new(
        maps: Arc<Maps>,
        arenas: Arenas,
        drops: anyhow::Result<Drops>,
        table: Arc<Table>,
        losses: Arc<OwnLosses>,
        out: Waiting,
        capacity: Capacity,
    ) -> io::Result<Self> {
        Ok(Self {
            totals: maps.totals.buffer(),
            counts: maps.losses.buffer(),
            maps,
            table,
            losses,
            out,
            netlink: Netlink::open()?,
            grace: Grace::new()?,
            arenas,
            drops: drops.map_err(|error| SafeText::new(&format!("{error:#}"))),
            capacity,
            active: 0,
            since: clock::kernel_now(),
            flips: 0,
        })
    }

    /// Ticks until `stop` rings, and then once more. Ends early when nobody listens.
    pub(super) fn run(mut self, tick: Duration, stop: &Bell) {
        let watch = match &self.drops {
            Ok(_) => DropWatch::Watched,
            Err(reason) => DropWatch::Off(reason.clone()),
        };
        if !self.out.send(Observation::DropWatch(watch)) {
            return;
        }
        let mut next = clock::kernel_now().plus(tick);
        while !stop.wait(next.since(clock::kernel_now())) {
            let now = clock::kernel_now();
            if now < next {
                continue;
            }
            if !self.tick() {
                return;
            }
            // After a long wait for the engine, go on from here instead of catching up.
            next = next.plus(tick).max(clock::kernel_now());
        }
        self.tick();
    }

    /// One tick. `false`: nobody listens.
    fn tick(&mut self) -> bool {
        let waiting = self.table.take_waiting();
        let readings = self.readings();
        if !readings.is_empty() && !self.out.send(Observation::Totals(readings)) {
            return false;
        }
        let began = clock::kernel_now();
        let Ok(generation) = self.flip(began) else {
            self.losses.add(Lost::Drain, 1);
            self.table.free(waiting);
            return self.report(0, Took::default());
        };
        if self.grace.wait().is_err() {
            self.losses.add(Lost::Grace, 1);
        }
        let quiet = clock::kernel_now();
        self.table.free(waiting);
        if !self.hand_over_evidence(generation) {
            return false;
        }
        let Some(flows) = self.drain(generation) else { return false };
        self.report(flows, Took { grace: quiet.since(began), drain: clock::kernel_now().since(quiet) })
    }

    /// Reads every watched interface's totals between two readings of the devices' own counters.
    fn readings(&mut self) -> Vec<Reading> {
        let watched = self.table.watched();
        if watched.is_empty() {
            return Vec::new();
        }
        let before = self.device_counters();
        let mut readings: Vec<(u32, Reading)> =
            watched.iter().filter_map(|watched| Some((watched.ifindex, self.reading(watched)?))).collect();
        let after = self.device_counters();
        let drops = self.netlink.all_qdisc_drops();
        let drops = drops.unwrap_or_else(|_| self.unread(Lost::DeviceCounters));
        for (ifindex, reading) in &mut readings {
            reading.device_before = before.get(ifindex).copied();
            reading.device_after = after.get(ifindex).copied();
            if let Some(after) = &mut reading.device_after {
                after.qdisc_dropped = drops.get(ifindex).copied();
            }
            // A device that is being taken down no longer knows all it counted.
            if let (Some(before), Some(after)) = (&reading.device_before, &reading.device_after)
                && !can_follow(after, before)
            {
                reading.device_after = None;
            }
            if let Some(after) = reading.device_after {
                self.table.note(reading.number, after);
            }
        }
        readings.into_iter().map(|(_, reading)| reading).collect()
    }

    fn device_counters(&mut self) -> HashMap<u32, DeviceCounters> {
        let counters = self.netlink.all_counters();
        counters.unwrap_or_else(|_| self.unread(Lost::DeviceCounters))
    }

    /// Nothing could be read.
    fn unread<T: Default>(&self, lost: Lost) -> T {
        self.losses.add(lost, 1);
        T::default()
    }

    /// Reads the totals of one interface; the device's counters are not in it yet.
    fn reading(&mut self, watched: &Watched) -> Option<Reading> {
        if self.maps.totals.read(watched.slot, &mut self.totals).is_err() {
            return self.unread(Lost::Totals);
        }
        Some(Reading {
            number: watched.number,
            at: clock::kernel_now(),
            totals: decode::totals(&self.totals),
            device_before: None,
            device_after: None,
        })
    }

    /// Makes the other generation active.
    fn flip(&mut self, now: KernelTime) -> io::Result<Generation> {
        let next = self.active.wrapping_add(1);
        self.maps.active.update(&0, &next)?;
        let quiet = self.active & 1;
        let generation = Generation { quiet, epoch: self.flips, start: self.since, end: now };
        self.active = next;
        self.since = now;
        self.flips += 1;
        Ok(generation)
    }

    /// Hands over what was dropped in the quiet generation, and who claimed what. `false`: nobody listens.
    fn hand_over_evidence(&self, generation: Generation) -> bool {
        let Generation { quiet, epoch, .. } = generation;
        let drops = self.drops.as_ref().map_or(Ok(Vec::new()), |drops| drops.drain(quiet));
        let drops = drops.unwrap_or_else(|_| self.unread(Lost::Drain));
        if !drops.is_empty() && !self.out.send(Observation::Drops(DropBatch { epoch, drops })) {
            return false;
        }
        let of_it = |key: &ClaimKey| u32::from(key.generation) == quiet;
        let taken = self.maps.claims.take(MOST_CLAIMS, of_it).unwrap_or_else(|_| self.unread(Lost::Drain));
        let claims: Vec<Claim> = taken.iter().filter_map(|(key, entry)| decode::claim(key, entry)).collect();
        self.losses.add(Lost::MalformedClaim, (taken.len() - claims.len()) as u64);
        claims.is_empty() || self.out.send(Observation::Claims(claims))
    }

    /// Drains the quiet half of both arenas. `None`: nobody listens.
    fn drain(&mut self, generation: Generation) -> Option<u64> {
        let Self { arenas, out, losses, .. } = self;
        let hand_over = |flows: Vec<FlowDelta>, last: bool| {
            let Generation { epoch, start: tick_start, end: tick_end, .. } = generation;
            if out.send(Observation::Flows(FlowBatch { epoch, tick_start, tick_end, flows, last })) {
                Handed::Over
            } else {
                Handed::Refused
            }
        };
        let quiet = generation.quiet;
        let drained = [
            arenas.ipv4.drain(quiet, |slots| hand_over(decoded::<FlowKey4, 3>(slots), false)),
            arenas.ipv6.drain(quiet, |slots| hand_over(decoded::<FlowKey6, 6>(slots), false)),
        ];
        let mut flows = 0;
        for drained in drained {
            match drained {
                Ok((taken, unwanted)) => {
                    flows += taken as u64;
                    losses.add(Lost::FlowsAtStop, unwanted as u64);
                }
                Err(_) => losses.add(Lost::Drain, 1),
            }
        }
        (hand_over(Vec::new(), true) == Handed::Over).then_some(flows)
    }

    /// Tells losses and resources. `false`: nobody listens.
    fn report(&mut self, flows: u64, took: Took) -> bool {
        let missed = self.drops.as_ref().map_or(Ok(0), Drops::missed);
        let missed = missed.unwrap_or_else(|_| self.unread(Lost::Drain));
        let mut losses = Losses::default();
        losses.set("drops_missed", missed);
        self.losses.report(&mut losses);
        for loss in Loss::ALL {
            if self.maps.losses.read(loss as u32, &mut self.counts).is_ok() {
                losses.set(loss.name(), self.counts.iter().sum());
            }
        }
        self.out.send(Observation::Losses(losses))
            && self.out.send(Observation::Resources(Resources {
                flows,
                flow_capacity: self.capacity.flows.into(),
                slots: self.table.in_use() as u64,
                slot_capacity: self.capacity.slots.into(),
                grace_ns: nanoseconds(took.grace),
                drain_ns: nanoseconds(took.drain),
                flips: self.flips,
            }))
    }
}

/// The flows in some slots.
fn decoded<K: decode::WireKey + Words<N>, const N: usize>(slots: &[Slot]) -> Vec<FlowDelta> {
    let used = slots.iter().filter(|slot| slot.is_used());
    // A key has as many words as its family's, the others are zero.
    let keyed = used.filter_map(|slot| Some((slot.key.first_chunk::<N>()?, &slot.entry)));
    keyed.map(|(words, entry)| decode::flow(&K::of_words(words), entry)).collect()
}
