//! What is kept where there is not room for all, and how much that takes.

use super::{BOOTED, asked, at, check_order, container, finding, latency, pair, sums, tick, traffic};
use crate::flows::Spread;
use crate::model::{IcmpKind, InterfaceNumber, KernelTime, Protocol, Traffic};
use crate::snapshot::history::{AskedPast, Counted, History, MAKING, PairSpan, ROOM, look_back};
use crate::snapshot::{Answers, EndKind, IcmpRow, Severity};
use crate::wire::fixtures;
use std::sync::Arc;

#[test]
fn memory_is_bounded_and_what_does_not_fit_is_kept_by_the_minute_or_not_so_long() {
    let mut history = History::new(at(0), BOOTED);
    let containers: Vec<_> = (0..64).map(container).collect();
    for second in 1..=400 {
        for who in &containers {
            history.container(who).traffic += traffic(second);
        }
        // No pair is there twice.
        let pair = |number: u64| pair(u16::try_from((second * 64 + number) % 60_000).unwrap(), 100);
        tick(&mut history, second, (0..600).map(pair).collect());
        let kept = history.kept();
        assert!(history.bytes.iter().zip(ROOM).all(|(bytes, room)| *bytes <= room), "{kept:?}");
    }
    let kept = history.kept();
    assert!((10..300).contains(&kept.seconds), "{kept:?}");
    let intervals = history.intervals();
    check_order(&intervals);
    let measured: usize = intervals.iter().map(|interval| interval.bytes()).sum();
    assert!(
        measured <= ROOM.iter().sum::<usize>() + (2 << 20),
        "with the minute that is being made: {measured}"
    );
    let seconds = at(400).since(kept.since.kernel).as_secs();
    let [of_containers, _] = sums(&intervals);
    assert_eq!(of_containers.sent.packets, seconds * 64, "what is kept is exact");
}

#[test]
fn pairs_of_which_something_failed_are_kept_before_those_with_more_bytes() {
    let mut history = History::new(at(0), BOOTED);
    let mut pairs: Vec<PairSpan> = (0..600).map(|port| pair(port, 1_000)).collect();
    for pair in &mut pairs[..3] {
        pair.counts.traffic = traffic(10);
    }
    pairs[0].counts.icmp_errors = 50;
    pairs[1].counts.answers.half_open = 50;
    pairs[2].counts.conversations = 51;
    // Of what is no TCP nobody is known to answer.
    let ends = Arc::make_mut(&mut pairs[3].ends);
    ends.protocol = Protocol::UDP;
    pairs[3].counts.answers = Answers::default();
    pairs[3].counts.traffic = traffic(10);
    tick(&mut history, 1, pairs);
    let interval = &history.intervals()[0];
    let kept = [0, 1, 2, 3].map(|port| interval.pairs.iter().any(|p| p.ends.server.port == Some(port)));
    assert_eq!(kept, [true, true, true, false]);
    assert_eq!((interval.others.pairs, interval.others.counts.failed()), (600 - 512, 0));
}

#[test]
fn the_worst_findings_are_kept_and_those_without_room_are_counted_once() {
    let mut history = History::new(at(0), BOOTED);
    (0..64).for_each(|id| history.finding(&finding(id, Severity::Info)));
    for second in 1..=10 {
        history.finding(&finding(100, Severity::Critical));
        history.finding(&finding(101, Severity::Info));
        history.finding(&finding(101, Severity::Info));
        tick(&mut history, second, Vec::new());
    }
    let told = |since, until| {
        let past = look_back(&history.intervals(), &asked(since, until), &fixtures::snapshot()).unwrap();
        let ids: Vec<u64> = past.snapshot.findings.iter().map(|finding| finding.id).collect();
        (ids.len(), ids[0], ids.contains(&101), past.others.findings)
    };
    assert_eq!(told(0, 1), (64, 100, false, 2), "the oldest of the least and one that came later");
    assert_eq!(told(1, 10), (2, 100, true, 0));
    assert_eq!(told(0, 10), (64, 100, false, 2));
}

#[test]
fn latency_that_has_no_room_is_counted() {
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=2 {
        let latencies = (0..600).map(latency).collect();
        history.seal(at(second), Counted { latencies, ..Counted::default() });
    }
    let past = look_back(&history.intervals(), &AskedPast::default(), &fixtures::snapshot()).unwrap();
    let told: u64 = past.snapshot.latencies.iter().map(|row| row.connections()).sum();
    assert_eq!(past.snapshot.latencies.len(), 512);
    assert_eq!(told + past.others.handshakes, 2 * 600 * 3);
    assert!(past.others.services >= 2 * 88, "{}", past.others.services);
}

#[test]
fn what_is_being_made_is_bounded_and_counted() {
    let error = |mtu| IcmpRow {
        kind: IcmpKind { v6: false, kind: 3, code: 4 },
        of_client: false,
        sender: fixtures::end(EndKind::External, "192.0.2.1", None),
        mtu: Some(mtu),
        packets: 1,
        largest: 1,
        again: 0,
        told_at: KernelTime(1),
        told_to: InterfaceNumber(1),
    };
    let errors: Vec<IcmpRow> = (0..8).map(error).collect();
    let mut history = History::new(at(0), BOOTED);
    let mut told = Traffic::default();
    let mut most = 0;
    for second in 1..=120_u64 {
        let pairs: Vec<PairSpan> = (0..2_000)
            .map(|number| PairSpan {
                icmp: errors.clone(),
                ..pair(u16::try_from((second * 2_000 + number) % 60_000).unwrap(), 100)
            })
            .collect();
        pairs.iter().for_each(|pair| told += pair.counts.traffic);
        tick(&mut history, second, pairs);
        let made = history.minute.bytes();
        assert!(made <= MAKING, "{made} after {second} s");
        assert!(history.open.bytes() < 100_000, "{} after {second} s", history.open.bytes());
        let bytes = history.kept().bytes;
        assert!(bytes >= history.bytes.iter().sum::<usize>() + made);
        most = most.max(bytes);
    }
    // Seconds without a place for one more, and at least half of what may be being made.
    assert!((ROOM[0] + MAKING / 2..29 << 20).contains(&most), "{most}");
    assert_eq!(sums(&history.intervals())[1], told, "nothing is lost for that");
}
