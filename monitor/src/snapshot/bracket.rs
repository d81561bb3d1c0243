//! Checking ourselves: our totals against the device's own counters.
//!
//! What crossed before the programs were there plus what we counted must lie between the device's counters read
//! just before and just after our totals. What is known to differ is a term of its own:
//!
//! - the readings are not simultaneous: a bracket, exact when nothing moves;
//! - what crossed while the programs were put in place: a bracket too, from the two readings around that moment;
//! - drops behind our egress hook (a queueing discipline, the device itself): counted by the kernel, in skbs, so
//!   their bytes are a bound;
//! - segmentation behind our egress hook: the device then counts more skbs than we do, and for each of them one
//!   more header; at most as many as the wire counts say;
//! - a VLAN tag inside a frame, which the kernel takes out before our ingress hook: at most 4 bytes for each skb that
//!   had one;
//! - what a sibling of a macvlan device sends to many: the device counts its Ethernet header twice.

use crate::model::{ClassCounts, Counts, DeviceCounters, DirectionCounts, Reading};
use std::ops::{Add, AddAssign};

/// Bytes of the shortest frame, and of the longest skb.
const FRAME_BYTES: (u64, u64) = (14, 65_550);
/// Bytes of headers that one more segment adds: Ethernet, IPv4 and UDP at least; two tags and all options at most.
const HEADER_BYTES: (u64, u64) = (42, 162);
/// More than any device counts.
const ANY: DeviceCounters = DeviceCounters {
    sent_skbs: u64::MAX,
    sent_bytes: u64::MAX,
    received_skbs: u64::MAX,
    received_bytes: u64::MAX,
    sent_dropped: u64::MAX,
    received_dropped: u64::MAX,
    qdisc_dropped: None,
    headers_twice: u64::MAX,
};
/// Bytes of a VLAN tag.
const TAG_BYTES: u64 = 4;

/// How far our totals are outside the bracket, both directions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In skbs.
    pub skbs: u64,
    /// In bytes.
    pub bytes: u64,
}

impl Difference {
    /// The part that another reading shows too. What was in flight between the device's counter and our hook at one
    /// reading (the host end counts when the container's end transmits, our hook runs when the CPU takes the skb from
    /// its backlog) has arrived by the next.
    #[must_use]
    pub fn shared_with(self, other: Self) -> Self {
        Self { skbs: self.skbs.min(other.skbs), bytes: self.bytes.min(other.bytes) }
    }
}

impl Add for Difference {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { skbs: self.skbs.saturating_add(other.skbs), bytes: self.bytes.saturating_add(other.bytes) }
    }
}

impl AddAssign for Difference {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// A figure that is known to lie between two bounds.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: u64,
    high: u64,
}

impl Range {
    fn new(one: u64, other: u64) -> Self {
        Self { low: one.min(other), high: one.max(other) }
    }

    fn plus(self, low: u64, high: u64) -> Self {
        Self { low: self.low.saturating_add(low), high: self.high.saturating_add(high) }
    }

    /// How far two ranges are apart; 0 if they meet.
    fn distance(self, other: Self) -> u64 {
        self.low.saturating_sub(other.high).max(other.low.saturating_sub(self.high))
    }
}

/// The device's counters just before and just after a moment.
#[derive(Clone, Copy, Debug)]
struct Around {
    before: DeviceCounters,
    after: DeviceCounters,
}

impl Around {
    fn range(&self, figure: impl Fn(&DeviceCounters) -> u64) -> Range {
        Range::new(figure(&self.before), figure(&self.after))
    }
}

/// How far our totals and the device's counters are apart, beyond what is explained; `None` if the device could not
/// be read at the attachment or with this reading.
#[must_use]
pub fn difference(
    attached: Option<(DeviceCounters, DeviceCounters)>,
    reading: &Reading,
) -> Option<Difference> {
    let (start, end) = around(attached?, reading)?;
    let ClassCounts { sent, received } = &reading.totals;
    Some(into_ingress(&start, &end, sent, 0) + out_of_egress(&start, &end, received.all()))
}

/// The device's counters around the attachment, and around a reading.
fn around((before, after): (DeviceCounters, DeviceCounters), reading: &Reading) -> Option<(Around, Around)> {
    let start = Around { before, after };
    let end = match (reading.device_before, reading.device_after) {
        (Some(before), Some(after)) => Around { before, after },
        // A device that is gone said farewell with its last counters; they are exact.
        (None, Some(farewell)) => Around { before: farewell, after: farewell },
        // It went without: nobody knows what it counted after it was read last.
        (Some(before), None) => Around { before, after: ANY },
        (None, None) => return None,
    };
    Some((start, end))
}

/// The same of a device in a container's namespace: what is sent leaves by its egress hook there, and what is received comes
/// in by the other.
pub(super) fn difference_inside(
    attached: Option<(DeviceCounters, DeviceCounters)>,
    reading: &Reading,
) -> Option<Difference> {
    let attached = attached.map(|(before, after)| (before.turned_round(), after.turned_round()))?;
    // By the hooks, as at the host's end.
    let ClassCounts { sent: received, received: sent } = reading.totals;
    let turned = Reading {
        device_before: reading.device_before.map(DeviceCounters::turned_round),
        device_after: reading.device_after.map(DeviceCounters::turned_round),
        ..*reading
    };
    let (start, end) = around(attached, &turned)?;
    let to_many = |device: &DeviceCounters| device.headers_twice;
    let twice = end.range(to_many).high.saturating_sub(start.range(to_many).low);
    let headers = twice.saturating_mul(FRAME_BYTES.0);
    Some(into_ingress(&start, &end, &sent, headers) + out_of_egress(&start, &end, received.all()))
}

/// What came in by the ingress hook: sent, at the host's end of a veth. The device may have counted `more` bytes.
fn into_ingress(start: &Around, end: &Around, totals: &DirectionCounts, more: u64) -> Difference {
    let ours = totals.all();
    let tags = totals.tagged_skbs.saturating_mul(TAG_BYTES);
    let skbs = start.range(|device| device.sent_skbs).plus(ours.skbs, ours.skbs);
    let most = ours.skb_bytes.saturating_add(tags).saturating_add(more);
    let bytes = start.range(|device| device.sent_bytes).plus(ours.skb_bytes, most);
    Difference {
        skbs: skbs.distance(end.range(|device| device.sent_skbs)),
        bytes: bytes.distance(end.range(|device| device.sent_bytes)),
    }
}

/// What went out by the egress hook.
fn out_of_egress(start: &Around, end: &Around, ours: Counts) -> Difference {
    let dropped = dropped_since(start, end);
    let device = end.range(|device| device.received_skbs).plus(dropped.low, dropped.high);
    let device_bytes = end
        .range(|device| device.received_bytes)
        .plus(dropped.low.saturating_mul(FRAME_BYTES.0), dropped.high.saturating_mul(FRAME_BYTES.1));

    let most_segments = ours.packets.saturating_sub(ours.skbs);
    let most_headers = ours.bytes.saturating_sub(ours.skb_bytes);
    let skbs = start.range(|device| device.received_skbs).plus(ours.skbs, ours.skbs);
    let segments = Range {
        low: device.low.saturating_sub(skbs.high).min(most_segments),
        high: device.high.saturating_sub(skbs.low).min(most_segments),
    };
    let bytes = start.range(|device| device.received_bytes).plus(ours.skb_bytes, ours.skb_bytes).plus(
        segments.low.saturating_mul(HEADER_BYTES.0).min(most_headers),
        segments.high.saturating_mul(HEADER_BYTES.1).min(most_headers),
    );
    Difference { skbs: skbs.plus(0, most_segments).distance(device), bytes: bytes.distance(device_bytes) }
}

/// skbs dropped behind our egress hook since the attachment.
fn dropped_since(start: &Around, end: &Around) -> Range {
    let dropped =
        |device: &DeviceCounters| device.received_dropped.saturating_add(device.qdisc_dropped.unwrap_or(0));
    let (from, to) = (start.range(dropped), end.range(dropped));
    // A replaced queueing discipline counts from zero again.
    let since = |from: u64, to: u64| to.checked_sub(from).unwrap_or(to);
    Range::new(since(from.high, to.low), since(from.low, to.high))
}

#[cfg(test)]
mod tests {
    use super::{Difference, difference, difference_inside};
    use crate::model::{
        ClassCounts, Counts, DeviceCounters, DirectionCounts, InterfaceNumber, KernelTime, Reading,
    };

    fn device(sent: (u64, u64), received: (u64, u64)) -> DeviceCounters {
        DeviceCounters {
            sent_skbs: sent.0,
            sent_bytes: sent.1,
            received_skbs: received.0,
            received_bytes: received.1,
            ..DeviceCounters::default()
        }
    }

    fn counts(skbs: u64, skb_bytes: u64) -> Counts {
        Counts { packets: skbs, bytes: skb_bytes, skbs, skb_bytes }
    }

    fn reading(
        sent: Counts,
        received: Counts,
        before: Option<DeviceCounters>,
        after: Option<DeviceCounters>,
    ) -> Reading {
        let class = |ipv4| DirectionCounts { ipv4, ..DirectionCounts::default() };
        Reading {
            number: InterfaceNumber(1),
            at: KernelTime(1),
            totals: ClassCounts { sent: class(sent), received: class(received) },
            device_before: before,
            device_after: after,
        }
    }

    #[track_caller]
    fn check(start: [DeviceCounters; 2], reading: &Reading, skbs: u64, bytes: u64) {
        assert_eq!(difference(Some((start[0], start[1])), reading), Some(Difference { skbs, bytes }));
    }

    const ZERO: DeviceCounters = DeviceCounters {
        sent_skbs: 0,
        sent_bytes: 0,
        received_skbs: 0,
        received_bytes: 0,
        sent_dropped: 0,
        received_dropped: 0,
        qdisc_dropped: None,
        headers_twice: 0,
    };

    #[test]
    fn equal_counts_differ_by_nothing() {
        let now = device((3, 300), (2, 200));
        check([ZERO, ZERO], &reading(counts(3, 300), counts(2, 200), Some(now), Some(now)), 0, 0);
    }

    #[test]
    fn what_crossed_before_the_watch_is_added() {
        let start = device((10, 1_000), (20, 2_000));
        let now = device((13, 1_300), (22, 2_200));
        check([start, start], &reading(counts(3, 300), counts(2, 200), Some(now), Some(now)), 0, 0);
        check([ZERO, ZERO], &reading(counts(3, 300), counts(2, 200), Some(now), Some(now)), 30, 3_000);
    }

    #[test]
    fn one_skb_too_few_or_too_many_shows() {
        let now = device((3, 300), (2, 200));
        check([ZERO, ZERO], &reading(counts(2, 234), counts(2, 200), Some(now), Some(now)), 1, 66);
        check([ZERO, ZERO], &reading(counts(3, 300), counts(3, 266), Some(now), Some(now)), 1, 66);
        check([ZERO, ZERO], &reading(counts(3, 299), counts(2, 200), Some(now), Some(now)), 0, 1);
    }

    #[test]
    fn packets_between_the_two_readings_are_within_the_bracket() {
        let (before, after) = (device((3, 300), (2, 200)), device((5, 500), (4, 400)));
        check([ZERO, ZERO], &reading(counts(4, 400), counts(2, 200), Some(before), Some(after)), 0, 0);
        check([ZERO, ZERO], &reading(counts(6, 600), counts(1, 100), Some(before), Some(after)), 2, 200);
    }

    #[test]
    fn packets_after_the_last_reading_of_a_device_that_goes_without_farewell_are_not_compared() {
        let last = device((3, 300), (2, 200));
        check([ZERO, ZERO], &reading(counts(3, 300), counts(4, 360), Some(last), None), 0, 0);
        check([ZERO, ZERO], &reading(counts(5, 460), counts(2, 200), Some(last), None), 0, 0);
        check([ZERO, ZERO], &reading(counts(2, 234), counts(2, 200), Some(last), None), 1, 66);
        check([ZERO, ZERO], &reading(counts(5, 460), counts(2, 200), None, Some(last)), 2, 160);
    }

    #[test]
    fn packets_that_crossed_while_the_programs_were_put_in_place_are_within_the_bracket() {
        let (before, after) = (device((1, 100), (1, 100)), device((2, 200), (2, 200)));
        let now = device((5, 500), (5, 500));
        for (ours, expected) in [(3, 0), (4, 0), (2, 1), (5, 1)] {
            let ours = counts(ours, ours * 100);
            let reading = reading(ours, ours, Some(now), Some(now));
            check([before, after], &reading, 2 * expected, 200 * expected);
        }
    }

    #[test]
    fn drops_behind_the_egress_hook_are_a_term_of_their_own() {
        let mut now = device((0, 0), (7, 700));
        now.qdisc_dropped = Some(2);
        now.received_dropped = 1;
        check([ZERO, ZERO], &reading(counts(0, 0), counts(10, 1_000), Some(now), Some(now)), 0, 0);
        check([ZERO, ZERO], &reading(counts(0, 0), counts(11, 1_000), Some(now), Some(now)), 1, 0);
        check([ZERO, ZERO], &reading(counts(0, 0), counts(10, 720), Some(now), Some(now)), 0, 22);
    }

    #[test]
    fn drops_from_before_the_watch_or_of_a_replaced_discipline_do_not_count_twice() {
        let mut start = ZERO;
        start.qdisc_dropped = Some(5);
        let mut now = device((0, 0), (10, 1_000));
        now.qdisc_dropped = Some(5);
        check([start, start], &reading(counts(0, 0), counts(10, 1_000), Some(now), Some(now)), 0, 0);
        now = device((0, 0), (9, 900));
        now.qdisc_dropped = Some(1);
        check([start, start], &reading(counts(0, 0), counts(10, 1_000), Some(now), Some(now)), 0, 0);
    }

    #[test]
    fn segmentation_behind_the_egress_hook_adds_one_header_a_segment() {
        // One skb of 3 segments with 66-byte headers.
        let ours = Counts { packets: 3, bytes: 3_132 + 132, skbs: 1, skb_bytes: 3_132 };
        let now = device((0, 0), (3, 3_132 + 132));
        check([ZERO, ZERO], &reading(counts(0, 0), ours, Some(now), Some(now)), 0, 0);
        let unsegmented = device((0, 0), (1, 3_132));
        check([ZERO, ZERO], &reading(counts(0, 0), ours, Some(unsegmented), Some(unsegmented)), 0, 0);
        // A whole packet more than we counted is no segment.
        let now = device((0, 0), (2, 3_132 + 1_514));
        check([ZERO, ZERO], &reading(counts(0, 0), ours, Some(now), Some(now)), 0, 1_514 - 132);
        // More segments than the wire counts say.
        let now = device((0, 0), (4, 3_132 + 198));
        check([ZERO, ZERO], &reading(counts(0, 0), ours, Some(now), Some(now)), 1, 66);
    }

    #[test]
    fn a_tag_that_was_taken_out_of_a_sent_frame_is_at_most_four_bytes() {
        let mut tagged = reading(counts(3, 300), counts(0, 0), None, None);
        tagged.totals.sent.tagged_skbs = 2;
        for (device_bytes, expected) in [(300, 0), (304, 0), (308, 0), (309, 1), (299, 1)] {
            tagged.device_after = Some(device((3, device_bytes), (0, 0)));
            check([ZERO, ZERO], &tagged, 0, expected);
        }
    }

    #[test]
    fn inside_a_namespace_drops_and_segments_are_behind_what_is_sent() {
        // One skb of 3 segments with 66-byte headers was sent, and one more dropped behind the hook.
        let ours = Counts { packets: 4, bytes: 3_132 + 132 + 100, skbs: 2, skb_bytes: 3_232 };
        let mut now = device((3, 3_132 + 132), (1, 70));
        now.sent_dropped = 1;
        let reading = reading(ours, counts(1, 70), Some(now), Some(now));
        let zero = Some((ZERO, ZERO));
        assert_eq!(difference_inside(zero, &reading), Some(Difference::default()));
        assert_ne!(difference(zero, &reading), Some(Difference::default()));
        // Of one of two that were sent to many, the device counted the header twice.
        let many = |bytes, headers_twice| {
            let now = DeviceCounters { headers_twice, ..device((0, 0), (2, bytes)) };
            difference_inside(zero, &self::reading(counts(0, 0), counts(2, 84), Some(now), Some(now)))
        };
        assert_eq!(many(98, 2), Some(Difference::default()));
        assert_eq!(many(98, 0), Some(Difference { skbs: 0, bytes: 14 }));
        assert_eq!(many(113, 2), Some(Difference { skbs: 0, bytes: 1 }));
    }

    #[test]
    fn nothing_is_segmented_before_the_ingress_hook() {
        let ours = Counts { packets: 3, bytes: 3_264, skbs: 1, skb_bytes: 3_132 };
        let now = device((3, 3_264), (0, 0));
        check([ZERO, ZERO], &reading(ours, counts(0, 0), Some(now), Some(now)), 2, 132);
    }

    #[test]
    fn the_farewell_of_a_device_is_exact_and_an_unread_device_tells_nothing() {
        let now = device((3, 300), (2, 200));
        let ours = (counts(3, 300), counts(2, 200));
        check([ZERO, ZERO], &reading(ours.0, ours.1, None, Some(now)), 0, 0);
        check([ZERO, ZERO], &reading(ours.0, counts(1, 100), None, Some(now)), 1, 100);
        assert_eq!(difference(Some((ZERO, ZERO)), &reading(ours.0, ours.1, None, None)), None);
        assert_eq!(difference(None, &reading(ours.0, ours.1, Some(now), Some(now))), None);
    }
}
