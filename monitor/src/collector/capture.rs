//! The capture thread: hands over every packet of the interfaces that are captured, and waits for whoever takes them.
//! While it waits the ring fills, so all that is lost is lost in one place, where the programs count it.

use super::bpf::PerCpu;
use super::losses::{Lost, OwnLosses};
use super::programs::Packets;
use super::table::Table;
use super::wake::{Bell, wait};
use super::{clock, decode};
use crate::model::{CaptureCounts, CapturedPacket, InterfaceNumber, KernelTime};
use aya::maps::{MapData, RingBuf};
use monitor_common::capture::{CaptureCounters, MOST_CAPTURED};
use rustix::fd::AsFd as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The pause after the ring was found empty: each packet would wake this thread otherwise.
const PAUSE: Duration = Duration::from_millis(2);
/// How often counters are read.
const COUNT: Duration = Duration::from_millis(500);
/// Packets and bytes that are handed over at once.
const MOST_AT_ONCE: usize = 512;
const MOST_BYTES_AT_ONCE: usize = 1 << 20;
/// What may wait to be taken.
const QUEUE: usize = 4;

/// What a capture consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// Packets, in the order in which their records were begun.
    Packets(Vec<CapturedPacket>),
    /// What was captured at interfaces so far; the last of these has all there were.
    Counts(Vec<CaptureCounts>),
}

/// What the thread works with.
pub(super) struct Capture {
    packets: RingBuf<MapData>,
    counters: PerCpu<CaptureCounters>,
    table: Arc<Table>,
    losses: Arc<OwnLosses>,
    out: Sender<Captured>,
    /// The ifindex of every interface that was seen.
    known: BTreeMap<InterfaceNumber, u32>,
    counted: KernelTime,
    /// Whether interfaces came that are not captured.
    is_full: bool,
}

impl Capture {
    /// A thread to be started, and where its packets come.
    pub(super) fn new(
        packets: Packets,
        table: Arc<Table>,
        losses: Arc<OwnLosses>,
    ) -> (Self, Receiver<Captured>) {
        let (out, captured) = channel(QUEUE);
        let Packets { ring, counters } = packets;
        let (known, counted) = (BTreeMap::new(), KernelTime(0));
        let capture = Self { packets: ring, counters, table, losses, out, known, counted, is_full: false };
        (capture, captured)
    }

    /// Hands over until `stop` rings, and then what is left. No program may run any more when it rings.
    pub(super) fn run(mut self, stop: &Bell) {
        let mut stopping = false;
        while !stopping {
            stopping = wait([stop.as_fd(), self.packets.as_fd()], Some(COUNT))[0];
            if !self.hand_over() {
                return;
            }
            stop.wait(PAUSE);
        }
        self.learn();
        let all = (1..=self.table.last_number()).map(InterfaceNumber).collect();
        self.count(all);
    }

    /// Hands over what is in the ring. `false`: nobody listens.
    fn hand_over(&mut self) -> bool {
        loop {
            let now = clock::kernel_now();
            if now.since(self.counted) >= COUNT {
                self.counted = now;
                self.learn();
                if !self.count(self.known.keys().copied().collect()) {
                    return false;
                }
            }
            let packets = self.take();
            if packets.is_empty() {
                return true;
            }
            if self.out.blocking_send(Captured::Packets(packets)).is_err() {
                return false;
            }
        }
    }

    fn take(&mut self) -> Vec<CapturedPacket> {
        let (mut packets, mut bytes) = (Vec::new(), 0);
        while packets.len() < MOST_AT_ONCE && bytes < MOST_BYTES_AT_ONCE {
            let Some(record) = self.packets.next() else { break };
            let Ok(packet) = decode::captured(&record) else {
                self.losses.add(Lost::MalformedRecord, 1);
                continue;
            };
            bytes += size_of::<CapturedPacket>() + packet.packet.bytes.len();
            packets.push(packet);
        }
        // CPUs take their places in the ring a moment after they looked at the time.
        packets.sort_by_key(|captured: &CapturedPacket| captured.packet.at);
        for CapturedPacket { packet, ifindex, .. } in &mut packets {
            *ifindex = *self
                .known
                .entry(packet.interface)
                .or_insert_with(|| self.table.get(packet.interface).map_or(0, |watched| watched.ifindex));
        }
        packets
    }

    /// Learns which interfaces there are.
    fn learn(&mut self) {
        if self.table.last_number() >= MOST_CAPTURED && !std::mem::replace(&mut self.is_full, true) {
            log::warn!(
                "{MOST_CAPTURED} interfaces came in one capture: packets of later ones are not captured"
            );
        }
        self.known.extend(self.table.watched().iter().map(|watched| (watched.number, watched.ifindex)));
    }

    /// Tells what was captured at these. `false`: nobody listens.
    fn count(&self, numbers: Vec<InterfaceNumber>) -> bool {
        let mut values = self.counters.buffer();
        let counts = numbers.into_iter().filter(|number| number.0 < MOST_CAPTURED).filter_map(|number| {
            // It fails for no interface that the programs could count.
            self.counters.read(number.0, &mut values).ok()?;
            let sum = |which: fn(&CaptureCounters) -> u64| values.iter().map(which).sum();
            let ifindex = self.known.get(&number).copied().unwrap_or_default();
            Some(CaptureCounts { number, ifindex, seen: sum(|it| it.seen), dropped: sum(|it| it.dropped) })
        });
        self.out.blocking_send(Captured::Counts(counts.collect())).is_ok()
    }
}
