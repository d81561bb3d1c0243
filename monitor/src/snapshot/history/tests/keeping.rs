//! Intervals as they are made: nothing is lost, nothing is told twice.

use super::{BOOTED, SECOND, at, check_order, container, pair, sums, tick, traffic};
use crate::model::{KernelTime, Traffic};
use crate::snapshot::history::{Counted, History, PairSpan};

#[test]
fn nothing_is_lost_or_told_twice_however_it_is_kept() {
    let mut history = History::new(at(0), BOOTED);
    let mut told = [Traffic::default(); 2];
    let mut random = 7_u64;
    for second in 1..=3_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bytes = random >> 44;
        let more = traffic(bytes);
        history.container(&container(random >> 62)).traffic += more;
        told[0] += more;
        // Now and then more pairs than an interval has room for.
        let pairs = if second % 500 == 0 { 6_000 } else { second % 5 };
        let pairs: Vec<PairSpan> = (0..pairs).map(|port| pair(u16::try_from(port).unwrap(), bytes)).collect();
        pairs.iter().for_each(|pair| told[1] += pair.counts.traffic);
        tick(&mut history, second, pairs);
        if second % 600 == 0 {
            assert_eq!(sums(&history.intervals()), told, "after {second} s");
        }
    }
    let intervals = history.intervals();
    check_order(&intervals);
    assert_eq!(intervals[0].start.kernel, at(0));
    let kept = history.kept();
    assert_eq!((kept.since.kernel, kept.seconds, kept.minutes), (at(0), 300, 45));
    let lengths: Vec<u64> = intervals.iter().map(|interval| interval.length().as_secs()).collect();
    assert_eq!((lengths[0], lengths[44], lengths[45]), (60, 60, 1));
    let others = intervals.iter().map(|interval| interval.others.pairs).sum::<u64>();
    assert!(others > 0, "what had no room is counted");
}

#[test]
fn an_hour_is_kept_and_what_is_older_is_not() {
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=5_000 {
        history.container(&container(1)).traffic += traffic(100);
        tick(&mut history, second, Vec::new());
    }
    let kept = history.kept();
    let back = at(5_000).since(kept.since.kernel);
    assert!((3_600..=3_660).contains(&back.as_secs()), "{back:?}");
    let intervals = history.intervals();
    check_order(&intervals);
    let [containers, _] = sums(&intervals);
    assert_eq!(containers.sent.packets, back.as_secs());
}

#[test]
fn an_agent_that_stood_still_has_one_long_interval() {
    let mut history = History::new(at(0), BOOTED);
    for second in [1, 2, 12, 13, 1_000, 1_001] {
        history.container(&container(1)).traffic += traffic(second);
        tick(&mut history, second, Vec::new());
    }
    let intervals = history.intervals();
    check_order(&intervals);
    let lengths: Vec<u64> = intervals.iter().map(|interval| interval.length().as_secs()).collect();
    assert_eq!(
        lengths,
        [13, 987, 1],
        "the first four are a minute that is being made, the fifth is longer than one"
    );
}

#[test]
fn ticks_share_a_second_and_long_ones_are_kept_as_long_as_they_are() {
    let mut history = History::new(at(0), BOOTED);
    let mut ended = Vec::new();
    for tenth in 1..=30 {
        let end = KernelTime(tenth * SECOND / 10 + tenth % 3 * 1_000_000);
        if history.is_due(end) {
            history.seal(end, Counted::default());
            ended.push(tenth);
        }
    }
    assert_eq!(ended, [9, 18, 27]);
    tick(&mut history, 10, Vec::new());
    assert_eq!(history.intervals().last().unwrap().length().as_secs(), 7);
}
