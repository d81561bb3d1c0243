//! Keeps account of what the collector says, interface by interface, and compares it with what the device says.

use monitor::model::{
    ClassCounts, DeviceCounters, FlowBatch, InterfaceNumber, KernelTime, Observation, Reading, Resources,
    Traffic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// skbs that may be between the device's counter and our hook while both are read: on the sent side the host end's
/// counter is that of the peer's transmission, and our hook runs when the CPU takes the skb from its backlog
/// (`net.core.netdev_max_backlog`, 1,000 a CPU); on the received side our hook runs first, and one skb a CPU can be
/// between it and the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    /// Between the device's counter and our ingress hook.
    pub(crate) sent: u64,
    /// Between our egress hook and the device's counter.
    pub(crate) received: u64,
}

/// One watched interface.
#[derive(Debug)]
pub(crate) struct Watched {
    before: DeviceCounters,
    last: Option<Reading>,
    /// Sum of its flows.
    pub(crate) flows: Traffic,
    /// Readings that lay outside the bracket by more than what can be in flight.
    pub(crate) outside: Vec<String>,
    /// Readings looked at, and how many of them were outside the bare bracket.
    pub(crate) readings: (u64, u64),
}

/// Everything the collector said.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Names of the interfaces to keep account of; the machine has others.
    ours: BTreeSet<String>,
    interfaces: BTreeMap<InterfaceNumber, Watched>,
    names: BTreeMap<String, InterfaceNumber>,
    /// The last word on the maps.
    pub(crate) resources: Resources,
    /// Generations that held packets, by the map they were in (even and odd epochs).
    pub(crate) generations: [u64; 2],
    epoch: Option<u64>,
    /// Set to check every reading against the bracket.
    pub(crate) in_flight: Option<InFlight>,
}

impl Account {
    /// An account of the interfaces of these names.
    pub(crate) fn of(ours: impl IntoIterator<Item = String>) -> Self {
        Self { ours: ours.into_iter().collect(), ..Self::default() }
    }

    /// Books one observation.
    pub(crate) fn book(&mut self, observation: Observation) {
        match observation {
            Observation::Attached { interface, before, after, .. }
                if self.ours.contains(interface.name.as_str()) =>
            {
                // What crosses between these two readings is seen by the programs or not: a quiet device has equal ones.
                let before = before.expect("the device's counters before");
                assert_eq!(Some(before), after, "{} was not quiet while it was attached", interface.name);
                self.names.insert(interface.name.as_str().to_owned(), interface.number);
                let watched = Watched {
                    before,
                    last: None,
                    flows: Traffic::default(),
                    outside: Vec::new(),
                    readings: (0, 0),
                };
                self.interfaces.insert(interface.number, watched);
            }
            Observation::Flows(batch) => self.book_flows(&batch),
            Observation::Totals(readings) => {
                for reading in readings {
                    let in_flight = self.in_flight;
                    if let Some(watched) = self.interfaces.get_mut(&reading.number) {
                        watched.book(reading, in_flight);
                    }
                }
            }
            Observation::Resources(resources) => self.resources = resources,
            _ => {}
        }
    }

    fn book_flows(&mut self, batch: &FlowBatch) {
        if !batch.flows.is_empty() && self.epoch != Some(batch.epoch) {
            self.epoch = Some(batch.epoch);
            self.generations[usize::from(batch.epoch % 2 == 1)] += 1;
        }
        for flow in &batch.flows {
            if let Some(watched) = self.interfaces.get_mut(&flow.key.interface) {
                watched.flows += Traffic { sent: flow.sent, received: flow.received };
            }
        }
    }

    /// The interface of this name, once it is attached.
    pub(crate) fn interface(&self, name: &str) -> Option<&Watched> {
        self.interfaces.get(self.names.get(name)?)
    }
}

impl Watched {
    /// When it was last read.
    pub(crate) fn read_at(&self) -> Option<KernelTime> {
        self.last.as_ref().map(|reading| reading.at)
    }

    fn book(&mut self, reading: Reading, in_flight: Option<InFlight>) {
        if let (Some(in_flight), Some(before), Some(after)) =
            (in_flight, reading.device_before, reading.device_after)
        {
            let ours = reading.totals.traffic();
            let sent = self.before.sent_skbs + ours.sent.skbs;
            let received = self.before.received_skbs + ours.received.skbs;
            let dropped = |device: &DeviceCounters| {
                device.received_dropped - self.before.received_dropped + device.qdisc_dropped.unwrap_or(0)
            };
            let passed = |device: &DeviceCounters| device.received_skbs + dropped(device);
            self.readings.0 += 1;
            let strict = (before.sent_skbs..=after.sent_skbs).contains(&sent)
                && (passed(&before)..=passed(&after)).contains(&received);
            self.readings.1 += u64::from(!strict);
            if sent + in_flight.sent < before.sent_skbs
                || sent > after.sent_skbs
                || received < passed(&before)
                || received > passed(&after) + in_flight.received
            {
                self.outside.push(format!(
                    "sent {sent} not in {}..{}, or received {received} not in {}..{}",
                    before.sent_skbs,
                    after.sent_skbs,
                    passed(&before),
                    passed(&after)
                ));
            }
        }
        self.last = Some(reading);
    }

    /// Our totals, by class.
    pub(crate) fn totals(&self) -> ClassCounts {
        self.last.as_ref().map(|reading| reading.totals).unwrap_or_default()
    }

    /// How far apart everything is now; `None` before the first reading, or while the device is not quiet.
    pub(crate) fn difference(&self) -> Option<Difference> {
        let reading = self.last.as_ref()?;
        let device = reading.device_after?;
        // The queueing discipline is read once, after the totals.
        let before = reading
            .device_before
            .map(|before| DeviceCounters { qdisc_dropped: device.qdisc_dropped, ..before });
        if before != Some(device) {
            return None;
        }
        let totals = reading.totals;
        let ours = totals.traffic();
        let in_flows = |all: u64, arp: u64, other: u64, lost: u64| apart(all, arp + other + lost);
        let (sent, received) = (&totals.sent, &totals.received);
        Some(Difference {
            device_sent: [
                apart(ours.sent.skbs, device.sent_skbs - self.before.sent_skbs),
                apart(ours.sent.skb_bytes, device.sent_bytes - self.before.sent_bytes),
            ],
            device_received: [
                apart(ours.received.skbs, device.received_skbs - self.before.received_skbs),
                apart(ours.received.skb_bytes, device.received_bytes - self.before.received_bytes),
            ],
            tag_bytes: signed(sent.tagged_skbs * 4),
            device_dropped: device.received_dropped - self.before.received_dropped,
            qdisc_dropped: device.qdisc_dropped.unwrap_or(0) - self.before.qdisc_dropped.unwrap_or(0),
            device_received_bytes: device.received_bytes - self.before.received_bytes,
            device_received_packets: device.received_skbs - self.before.received_skbs,
            flows: [
                in_flows(ours.sent.skbs, sent.arp.skbs, sent.other.skbs, sent.not_recorded.skbs)
                    - signed(self.flows.sent.skbs),
                in_flows(ours.sent.bytes, sent.arp.bytes, sent.other.bytes, sent.not_recorded.bytes)
                    - signed(self.flows.sent.bytes),
                in_flows(
                    ours.received.skbs,
                    received.arp.skbs,
                    received.other.skbs,
                    received.not_recorded.skbs,
                ) - signed(self.flows.received.skbs),
                in_flows(
                    ours.received.bytes,
                    received.arp.bytes,
                    received.other.bytes,
                    received.not_recorded.bytes,
                ) - signed(self.flows.received.bytes),
            ],
        })
    }
}

/// How far our figures are from the device's, and our flows from our totals; all zero is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Totals minus the device's own counters: skbs and skb bytes the container sent.
    pub(crate) device_sent: [i64; 2],
    /// The same for what it received.
    pub(crate) device_received: [i64; 2],
    /// VLAN tags that the kernel took out of sent frames before our hook; the device counted them.
    pub(crate) tag_bytes: i64,
    /// What the device dropped after our hook, because the CPU's backlog behind it was full (`tx_dropped`): skbs.
    pub(crate) device_dropped: u64,
    /// What the queueing discipline on the host end dropped after our hook: skbs.
    pub(crate) qdisc_dropped: u64,
    /// What the device itself counted as transmitted to the container, bytes.
    pub(crate) device_received_bytes: u64,
    /// The same, packets.
    pub(crate) device_received_packets: u64,
    /// Totals without ARP, other and not recorded, minus flows: sent skbs and wire bytes, received skbs and wire bytes.
    pub(crate) flows: [i64; 4],
}

impl Difference {
    /// Whether nothing differs, but for tags that were inside the frames, and for what was dropped behind our hook:
    /// the kernel counts that in skbs, so their bytes can only be seen to be there.
    pub(crate) fn is_zero(&self) -> bool {
        let dropped = signed(self.device_dropped + self.qdisc_dropped);
        let [skbs, bytes] = self.device_received;
        self.device_sent == [0, -self.tag_bytes]
            && skbs == dropped
            && (bytes > 0) == (dropped > 0)
            && bytes >= 0
            && self.flows == [0; 4]
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "device sent {:?}, tags {}, device received {:?}, flows {:?}, dropped by the device {}, by the qdisc {}",
            self.device_sent,
            self.tag_bytes,
            self.device_received,
            self.flows,
            self.device_dropped,
            self.qdisc_dropped
        )
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).expect("a test's counts fit")
}

fn apart(a: u64, b: u64) -> i64 {
    signed(a) - signed(b)
}
