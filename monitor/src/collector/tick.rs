//! The drain thread: once a tick it reads the totals, flips the generations and drains the quiet one.

mod journal;

use super::arena::Handed;
use super::attacher::Attacher;
use super::attacher::inside::Device;
use super::device::can_follow;
use super::drops::Drops;
use super::failures::Failures;
use super::grace::Grace;
use super::losses::{Lost, OwnLosses};
use super::netlink::Netlink;
use super::outbox::Waiting;
use super::own_cost::OwnCost;
use super::pending::{Left, whole};
use super::pins::book::{Book, Drain, Journal};
use super::programs::{Arenas, Maps, Troubles};
use super::retransmits::Retransmits;
use super::ring::Fill;
use super::table::{Table, Watched};
use super::wake::{Bell, wait};
use super::{clock, decode};
use crate::model::{
    Claim, DeviceCounters, DropBatch, DropWatch, FlowBatch, FlowDelta, KernelTime, Losses, Observation,
    PinWatch, Reading, Resources, SafeText,
};
use journal::Noted;
pub(super) use journal::Unsettled;
use monitor_common::claims::{ClaimKey, MOST_CLAIMS};
use monitor_common::flow::{FlowKey4, FlowKey6};
use monitor_common::flow_table::{Slot, Words};
use monitor_common::interface::InterfaceTotals;
use monitor_common::loss::Loss;
use monitor_common::pending::Pending;
use rustix::fd::AsFd as _;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What the thread works with.
pub(super) struct Ticker {
    maps: Arc<Maps>,
    table: Arc<Table>,
    losses: Arc<OwnLosses>,
    fill: Arc<Fill>,
    out: Waiting,
    netlink: Netlink,
    /// By whom devices of other namespaces are read.
    attacher: Arc<Attacher>,
    grace: Grace,
    arenas: Arenas,
    drops: Result<Drops, SafeText>,
    retransmits: Result<Retransmits, SafeText>,
    failures: Option<Failures>,
    totals: Vec<InterfaceTotals>,
    counts: Vec<u64>,
    capacity: Capacity,
    own: OwnCost,
    /// What the programs count up from: its lowest bit is the active generation.
    active: u32,
    /// Since when.
    since: KernelTime,
    flips: u64,
    /// Where it is noted how far the flows were handed over, if anything is pinned.
    journal: Option<(Arc<Book>, Journal)>,
    unsettled: Unsettled,
    pins: Option<PinWatch>,
}

/// What there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// Interfaces.
    pub(super) slots: u32,
    /// Flows in a tick, for each family.
    pub(super) flows: u32,
    /// Conversations with drops in a tick.
    pub(super) drops: u32,
    /// Bytes of events.
    pub(super) ring: u32,
}

/// A namespace, or the host's own, and an ifindex there.
type DeviceAt = (Option<i32>, u32);

/// What was drained of a generation.
#[derive(Clone, Copy, Default)]
struct Drained {
    /// IPv4, IPv6.
    flows: [u64; 2],
    drops: usize,
    claims: usize,
}

/// What other threads tell the report of.
pub(super) struct Told {
    /// What was lost.
    pub(super) losses: Arc<OwnLosses>,
    /// How full the ring was.
    pub(super) fill: Arc<Fill>,
    /// Flows that may be in no record yet.
    pub(super) unsettled: Unsettled,
    /// Whether programs and maps outlive the process, if that is wanted.
    pub(super) pins: Option<PinWatch>,
}

/// What the thread reads devices by, waits by, and sees itself by.
pub(super) struct Hands {
    netlink: Netlink,
    grace: Grace,
    own: OwnCost,
}

impl Hands {
    /// Opens them.
    ///
    /// # Errors
    /// When no netlink socket can be had, or no way to wait for running programs.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open()?, grace: Grace::new()?, own: OwnCost::open() })
    }
}

/// One flipped generation.
#[derive(Clone, Copy)]
struct Generation {
    /// What `ACTIVE` said; its lowest bit is the half of the arenas that is quiet now.
    active: u32,
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
    /// Nothing is read yet.
    #[expect(clippy::too_many_arguments, reason = "what it works with comes from many; it has one caller")]
    pub(super) fn new(
        maps: Arc<Maps>,
        arenas: Arenas,
        troubles: Troubles,
        table: Arc<Table>,
        told: Told,
        out: Waiting,
        capacity: Capacity,
        (hands, attacher): (Hands, Arc<Attacher>),
    ) -> Self {
        let Hands { netlink, grace, own } = hands;
        let Troubles { drops, retransmits, failures } = troubles;
        Self {
            totals: maps.totals.buffer(),
            counts: maps.losses.buffer(),
            maps,
            table,
            losses: told.losses,
            fill: told.fill,
            out,
            netlink,
            attacher,
            grace,
            arenas,
            drops: drops.map_err(|error| SafeText::new(&format!("{error:#}"))),
            retransmits: retransmits.map_err(|error| SafeText::new(&format!("{error:#}"))),
            failures,
            capacity,
            own,
            active: 0,
            since: clock::kernel_now(),
            flips: 0,
            journal: None,
            unsettled: told.unsettled,
            pins: told.pins,
        }
    }

    /// Ticks until `hold` rings, and once more when `stop` rings. Ends early when nobody listens.
    ///
    /// Between the two the programs are taken off one device after the other: a conversation of that time may be seen at
    /// one end only, so that all of it has to be in one generation, the last, of which nothing is concluded.
    pub(super) fn run(mut self, tick: Duration, hold: &Bell, stop: &Bell) {
        let watch = match &self.drops {
            Ok(_) => DropWatch::Watched,
            Err(reason) => DropWatch::Off(reason.clone()),
        };
        let pins = self.pins.take().map(Observation::Pins);
        let sent_again = self.retransmits.as_ref().map(|_| ()).map_err(Clone::clone);
        let sent_again = Observation::RetransmitWatch(sent_again);
        let told = [Some(Observation::DropWatch(watch)), Some(sent_again), pins];
        if !told.into_iter().flatten().all(|told| self.out.send(told)) || !self.finish_drain() {
            return;
        }
        let mut next = clock::kernel_now().plus(tick);
        while wait([hold.as_fd(), stop.as_fd()], Some(next.since(clock::kernel_now()))) == [false; 2] {
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
        while wait([stop.as_fd()], None) == [false] {}
        if self.tick() {
            // Whoever took the last flows tells them before it ends.
            self.note(|journal| journal.drain.unsure = 0);
        }
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
            return self.report(Drained::default(), Took::default());
        };
        if self.grace.wait().is_err() {
            self.losses.add(Lost::Grace, 1);
        }
        let quiet = clock::kernel_now();
        self.table.free(waiting);
        let Some((drops, claims)) = self.hand_over_evidence(generation) else { return false };
        let Some(flows) = self.drain(generation) else { return false };
        self.report(
            Drained { flows, drops, claims },
            Took { grace: quiet.since(began), drain: clock::kernel_now().since(quiet) },
        )
    }

    /// Reads every watched interface's totals between two readings of the devices' own counters.
    fn readings(&mut self) -> Vec<Reading> {
        let watched = self.table.watched();
        if watched.is_empty() {
            return Vec::new();
        }
        let namespaces: BTreeSet<i32> = watched.iter().filter_map(|watched| watched.namespace).collect();
        let before = self.device_counters(&namespaces);
        let place = |watched: &Watched| (watched.namespace, watched.ifindex);
        let mut readings: Vec<(DeviceAt, Reading)> =
            watched.iter().filter_map(|watched| Some((place(watched), self.reading(watched)?))).collect();
        let after = self.device_counters(&namespaces);
        let drops = self.netlink.all_qdisc_drops();
        let drops = drops.unwrap_or_else(|_| self.unread(Lost::DeviceCounters));
        for (at, reading) in &mut readings {
            reading.device_before = before.get(at).copied();
            reading.device_after = after.get(at).copied();
            if let (Some(after), (None, ifindex)) = (&mut reading.device_after, *at) {
                after.qdisc_dropped = drops.get(&ifindex).copied();
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

    /// What all devices of the host count, and those of containers in these namespaces.
    fn device_counters(&mut self, namespaces: &BTreeSet<i32>) -> HashMap<DeviceAt, DeviceCounters> {
        let counters = self.netlink.all_counters();
        let own = counters.unwrap_or_else(|_| self.unread(Lost::DeviceCounters)).into_iter();
        let mut counters: HashMap<DeviceAt, DeviceCounters> =
            own.map(|(ifindex, counters)| ((None, ifindex), counters)).collect();
        for namespace in namespaces {
            // One that has gone is told to be by who watches there.
            let (devices, _) = self.attacher.devices(*namespace).unwrap_or_default();
            let of_it = |device: Device| Some(((Some(*namespace), device.ifindex), device.counters?));
            counters.extend(devices.into_iter().filter_map(of_it));
        }
        counters
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
            totals: decode::totals_over(&self.totals, watched.base.as_deref()),
            device_before: None,
            device_after: None,
        })
    }

    /// Makes the other generation active.
    fn flip(&mut self, now: KernelTime) -> io::Result<Generation> {
        let next = self.active.wrapping_add(1);
        let drain = Drain {
            epoch: self.flips,
            start: self.since.0,
            end: now.0,
            active: self.active,
            is_open: 1,
            unsure: self.unsettled.count(),
            ..Drain::default()
        };
        self.note(|journal| journal.drain = drain);
        self.maps.active.update(&0, &next)?;
        let generation = Generation { active: self.active, epoch: self.flips, start: self.since, end: now };
        self.active = next;
        self.since = now;
        self.flips += 1;
        Ok(generation)
    }

    /// Hands over what was dropped and sent again in the quiet generation, what tells of failures, and who claimed what; how many
    /// drops and claims.
    /// `None`: nobody listens.
    fn hand_over_evidence(&mut self, generation: Generation) -> Option<(usize, usize)> {
        let Generation { active, epoch, .. } = generation;
        let quiet = active & 1;
        let drops = self.drops.as_ref().map_or(Ok(Vec::new()), |drops| drops.drain(quiet));
        let drops = drops.unwrap_or_else(|_| self.unread(Lost::Drain));
        let dropped = drops.len();
        if !drops.is_empty() && !self.out.send(Observation::Drops(DropBatch { epoch, drops })) {
            return None;
        }
        let again = self.retransmits.as_ref().map_or(Ok(Vec::new()), |it| it.drain(quiet));
        let again = again.unwrap_or_else(|_| self.unread(Lost::Drain));
        if !again.is_empty() && !self.out.send(Observation::Retransmits(again)) {
            return None;
        }
        let signs = self.failures.as_mut().map_or_else(Vec::new, |ring| ring.take(&self.losses));
        if !signs.is_empty() && !self.out.send(Observation::Failures(signs)) {
            return None;
        }
        let of_it = |key: &ClaimKey| u32::from(key.generation) == quiet;
        let taken = self.maps.claims.take(of_it).unwrap_or_else(|_| self.unread(Lost::Drain));
        let claims: Vec<Claim> = taken.iter().filter_map(|(key, entry)| decode::claim(key, entry)).collect();
        self.losses.add(Lost::MalformedClaim, (taken.len() - claims.len()) as u64);
        let listens = claims.is_empty() || self.out.send(Observation::Claims(claims));
        listens.then_some((dropped, taken.len()))
    }

    /// Drains the quiet half of both arenas. `None`: nobody listens.
    fn drain(&mut self, generation: Generation) -> Option<[u64; 2]> {
        let Self { arenas, out, losses, journal, unsettled, .. } = self;
        let note = RefCell::new(Noted { journal, unsettled, losses });
        let hand_over = |flows: Vec<FlowDelta>, last: bool| {
            let Generation { epoch, start: tick_start, end: tick_end, .. } = generation;
            if out.send(Observation::Flows(FlowBatch { epoch, tick_start, tick_end, flows, last })) {
                Handed::Over
            } else {
                Handed::Refused
            }
        };
        let left = arenas.lines.left(generation.active).unwrap_or_else(|_| {
            losses.add(Lost::Drain, 1);
            Left::default()
        });
        let quiet = generation.active & 1;
        let drained = [
            arenas.ipv4.drain(quiet, |first, slots| {
                let flows = decoded::<FlowKey4, 3>(first, slots, &left.ipv4);
                note.borrow_mut().part(0, first + slots.len(), flows.len());
                hand_over(flows, false)
            }),
            arenas.ipv6.drain(quiet, |first, slots| {
                let flows = decoded::<FlowKey6, 6>(first, slots, &left.ipv6);
                note.borrow_mut().part(1, first + slots.len(), flows.len());
                hand_over(flows, false)
            }),
        ];
        let mut flows = [0; 2];
        for (flows, drained) in flows.iter_mut().zip(drained) {
            match drained {
                Ok((taken, unwanted)) => {
                    *flows = taken as u64;
                    losses.add(Lost::FlowsAtStop, unwanted as u64);
                }
                Err(_) => losses.add(Lost::Drain, 1),
            }
        }
        let is_whole = hand_over(Vec::new(), true) == Handed::Over;
        let beat = clock::kernel_now().0;
        self.note(|journal| (journal.drain.is_open, journal.beat) = (0, beat));
        is_whole.then_some(flows)
    }

    /// Tells losses and resources. `false`: nobody listens.
    fn report(&mut self, drained: Drained, took: Took) -> bool {
        let missed = self.drops.as_ref().map_or(Ok(0), Drops::missed);
        let missed = missed.unwrap_or_else(|_| self.unread(Lost::Drain));
        let mut losses = Losses::default();
        losses.set("drops_missed", missed);
        let missed = self.retransmits.as_ref().map_or(Ok(0), Retransmits::missed);
        losses.set("retransmits_missed", missed.unwrap_or_else(|_| self.unread(Lost::Drain)));
        self.losses.report(&mut losses);
        for loss in Loss::ALL {
            if self.maps.losses.read(loss as u32, &mut self.counts).is_ok() {
                losses.set(loss.name(), self.counts.iter().sum());
            }
        }
        self.out.send(Observation::Losses(losses))
            && self.out.send(Observation::Resources(Resources {
                flows: drained.flows.iter().sum(),
                flows_ipv6: drained.flows[1],
                flow_capacity: self.capacity.flows.into(),
                slots: self.table.in_use() as u64,
                slot_capacity: self.capacity.slots.into(),
                grace_ns: nanoseconds(took.grace),
                drain_ns: nanoseconds(took.drain),
                flips: self.flips,
                drops: drained.drops as u64,
                drop_capacity: self.drops.as_ref().map_or(0, |_| self.capacity.drops.into()),
                claims: drained.claims as u64,
                claim_capacity: MOST_CLAIMS.into(),
                // What came while it was read is in there too.
                ring_bytes: self.fill.take().min(self.capacity.ring.into()),
                ring_capacity: self.capacity.ring.into(),
                cpu_ns: clock::process_cpu(),
                resident_bytes: self.own.resident_bytes(),
            }))
    }
}

/// The flows in some slots, with what is left of them.
fn decoded<K: decode::WireKey + Words<N>, const N: usize>(
    first: usize,
    slots: &[Slot],
    left: &[Pending],
) -> Vec<FlowDelta> {
    let mut flows = Vec::with_capacity(slots.len());
    whole(first, slots, left, |key, entry| {
        // A key has as many words as its family's, the others are zero.
        let words = key.first_chunk::<N>();
        flows.extend(words.map(|words| decode::flow(&K::of_words(words), entry)));
    });
    flows
}
