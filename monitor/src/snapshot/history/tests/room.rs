//! What is kept where there is not room for all, and how much that takes.

use super::{BOOTED, asked, at, check_order, container, finding, latency, pair, sums, tick, traffic};
use crate::model::{Counts, IcmpKind, NetworkId, Overlay, Protocol, Traffic};
use crate::snapshot::history::{
    AskedPast, Counted, History, LatencySpan, MAKING, NetworkSpan, PairSpan, Past, ROOM, look_back,
};
use crate::snapshot::latencies::ServicePair;
use crate::snapshot::{
    Alias, Answers, EndKind, IcmpRow, NetworkRef, NetworkTraits, Reach, Service, Severity, Snapshot, Standing,
};
use crate::wire::fixtures;
use std::collections::HashMap;
use std::net::IpAddr;
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
fn latency_by_shared_names_takes_no_room_from_others_and_is_not_counted_once_more() {
    let mut history = History::new(at(0), BOOTED);
    let name = Alias { network: fixtures::network("back"), name: fixtures::text("pool") };
    let by_name = |port| {
        let span = latency(port);
        let server = Service::Alias(name.clone());
        LatencySpan { services: Arc::new(ServicePair { server, ..(*span.services).clone() }), ..span }
    };
    for second in 1..=200 {
        let latencies = (0..200).map(by_name).chain((0..512).map(latency)).collect();
        history.seal(at(second), Counted { latencies, ..Counted::default() });
    }
    for asked in [AskedPast::default(), asked(199, 200)] {
        let past = look_back(&history.intervals(), &asked, &fixtures::snapshot()).unwrap();
        let rows = past.snapshot.latencies.iter();
        let of_names = rows.filter(|row| matches!(row.server, Service::Alias(_))).count();
        assert_eq!((of_names, past.snapshot.latencies.len() - of_names), (128, 512));
        assert_eq!((past.others.services, past.others.handshakes), (0, 0));
    }
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

/// A pair of its own in each interval; a few that come late are worth more.
fn more_than_fit() -> History {
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=20_u64 {
        let mut pairs: Vec<PairSpan> = (0..500)
            .map(|number| pair(u16::try_from(second * 500 + number).unwrap(), 1_000 + number))
            .collect();
        if second > 15 {
            // In no interval it is worth much, and over all of them more than any other.
            pairs.push(pair(1, 700));
            let mut failed = pair(2, 1);
            failed.counts.answers = Answers { refused: 1, ..Answers::default() };
            pairs.push(failed);
        }
        tick(&mut history, second, pairs);
    }
    history
}

#[test]
fn a_look_back_tells_what_failed_first_and_then_the_heaviest_over_all_of_it() {
    let history = more_than_fit();
    let intervals = history.intervals();
    assert_eq!(sums(&intervals)[1].sent.packets, 20 * 500 + 2 * 5, "every second has room for its own");
    let look = || look_back(&intervals, &AskedPast::default(), &fixtures::snapshot()).unwrap();
    let past = look();
    let rows = &past.snapshot.pairs;
    assert_eq!(rows.len(), 4_096);
    let bytes = |port: u16| {
        let row = rows.iter().find(|row| row.server.port == Some(port));
        row.map(|row| (row.traffic.sent.bytes, row.answers.refused))
    };
    assert_eq!((bytes(1), bytes(2)), (Some((3_500, 0)), Some((5, 5))));
    // Of the rest those with most bytes, which are as many in each second.
    let lightest =
        rows.iter().filter(|row| row.server.port > Some(2)).map(|row| row.traffic.sent.bytes).min();
    assert_eq!(lightest, Some(1_000 + 500 - 205), "4,094 of 20 each");
    let told = rows.iter().fold(Traffic::default(), |sum, row| sum + row.traffic);
    assert_eq!(told + past.others.counts.traffic, sums(&intervals)[1], "nothing is lost for that");
    let left: u64 = 20 * 500 + 2 - 4_096;
    assert_eq!(past.others.pairs, left, "each once");
    assert_eq!(past.others.counts.conversations, left);
    let ports = |past: &Past| past.snapshot.pairs.iter().map(|row| row.server.port).collect::<Vec<_>>();
    assert_eq!(ports(&past), ports(&look()), "asked again it is the same");
}

#[test]
fn a_minute_that_is_made_keeps_the_heavier_of_more_than_it_has_room_for() {
    let mut history = History::new(at(0), BOOTED);
    let mut told = Traffic::default();
    for second in 1..=70_u64 {
        // Light ones come first, and more of them than a minute has room for.
        let weight = if second > 30 { 100_000 } else { 10 };
        let pairs: Vec<PairSpan> = (0..400)
            .map(|number| pair(u16::try_from(second * 400 + number).unwrap(), weight + number))
            .collect();
        pairs.iter().for_each(|pair| told += pair.counts.traffic);
        tick(&mut history, second, pairs);
    }
    // Nothing comes any more, and the seconds grow old.
    for second in 71..=400 {
        tick(&mut history, second, Vec::new());
    }
    let intervals = history.intervals();
    let minute = &intervals[0];
    assert_eq!((minute.length().as_secs(), minute.pairs.len()), (60, 512));
    assert!(minute.pairs.iter().all(|pair| pair.counts.traffic.sent.bytes > 100_000));
    assert_eq!(sums(&intervals)[1], told);
}

#[test]
fn networks_of_a_time_are_told_also_when_they_are_gone() {
    let reach =
        |bytes| Reach { inside: Counts { packets: 1, bytes, ..Counts::default() }, ..Reach::default() };
    let id = NetworkId::new(&"9".repeat(64)).unwrap();
    let gone = NetworkRef { id, ..fixtures::network("gone") };
    let span = |bytes| NetworkSpan { network: gone.clone(), traits: None, reach: reach(bytes) };
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=3 {
        let networks = vec![span(second * 100)];
        history.seal(at(second), Counted { networks, ..Counted::default() });
    }
    let now = fixtures::snapshot();
    let past = look_back(&history.intervals(), &asked(0, 2), &now).unwrap();
    let told: Vec<(String, u64)> = past
        .snapshot
        .networks
        .iter()
        .filter(|row| row.totals != Reach::default())
        .map(|row| (row.network.name.to_string(), row.totals.inside.bytes))
        .collect();
    assert_eq!(told, [("gone".to_owned(), 300)]);
    assert_eq!(past.snapshot.networks.len(), now.networks.len() + 1);
}

/// Something of a network, which has more the greater its number.
fn network(number: u64, traits: Option<Arc<NetworkTraits>>) -> NetworkSpan {
    NetworkSpan {
        network: NetworkRef {
            id: NetworkId::new(&format!("{number:064x}")).unwrap(),
            ..fixtures::network(&format!("net_{number}"))
        },
        traits,
        reach: Reach { inside: Counts { bytes: number, ..Counts::default() }, ..Reach::default() },
    }
}

/// How a network with so many subnets is made, each with an identifier.
fn made_with(subnets: u32, first: u32) -> Arc<NetworkTraits> {
    let subnet = |number: u32| (IpAddr::V4((number << 8).into()), 24);
    let overlay = Overlay { vxlan_ids: (first..first + subnets).collect(), ..Overlay::default() };
    let subnets = (first..first + subnets).map(subnet).collect();
    Arc::new(NetworkTraits { subnets, internal: false, overlay: Some(overlay) })
}

/// Memory that traits of networks really take, each once.
fn bytes_of_traits(history: &History) -> usize {
    let intervals = history.intervals();
    let traits = intervals.iter().flat_map(|interval| &interval.networks).filter_map(|it| it.traits.as_ref());
    let each: HashMap<_, _> = traits.map(|traits| (Arc::as_ptr(traits), traits)).collect();
    let bytes = |traits: &&Arc<NetworkTraits>| {
        let ids = traits.overlay.as_ref().map_or(0, |overlay| size_of_val(&*overlay.vxlan_ids));
        size_of::<NetworkTraits>() + size_of_val(&*traits.subnets) + ids
    };
    each.values().map(bytes).sum()
}

#[test]
fn networks_that_are_told_otherwise_each_second_are_within_the_bound() {
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=300_u32 {
        // 300 others in each interval, so that there are ever more in the minute that is being made.
        let others = u64::from(second % 5) * 300;
        let networks = (1..=300).map(|number| network(others + number, Some(made_with(160, second))));
        let networks = networks.collect();
        history.seal(at(second.into()), Counted { networks, ..Counted::default() });
        let kept = history.kept();
        assert!(history.bytes.iter().zip(ROOM).all(|(bytes, room)| *bytes <= room), "{kept:?}");
        assert!(history.minute.bytes() <= MAKING, "{}", history.minute.bytes());
        if second % 50 == 0 {
            let really = bytes_of_traits(&history);
            assert!(really <= kept.bytes, "{really} of {} after {second} s", kept.bytes);
        }
    }
    assert!((10..300).contains(&history.kept().seconds), "{:?}", history.kept());
}

#[test]
fn a_network_takes_about_500_bytes_in_an_interval_and_few_more_with_each_subnet() {
    let bytes = |networks: u64, subnets| {
        let mut history = History::new(at(0), BOOTED);
        let networks = (0..networks).map(|number| network(number, Some(made_with(subnets, 1)))).collect();
        history.seal(at(1), Counted { networks, ..Counted::default() });
        history.bytes[0]
    };
    let each = |subnets| (bytes(256, subnets) - bytes(0, subnets)) / 256;
    assert!((450..=550).contains(&each(1)), "{}", each(1));
    assert_eq!(each(2) - each(1), 22);
}

#[test]
fn more_networks_than_an_interval_has_room_for_are_counted() {
    let mut history = History::new(at(0), BOOTED);
    let networks = (1..=300).map(|number| network(number, None)).collect();
    history.seal(at(1), Counted { networks, ..Counted::default() });
    let interval = &history.intervals()[0];
    assert_eq!((interval.networks.len(), interval.others.networks), (256, 44));
    assert_eq!(interval.others.reach.inside.bytes, (1..=44).sum::<u64>(), "the heaviest are kept");
}

#[test]
fn what_stood_in_a_time_is_told_of_it_and_of_no_other() {
    let stands = |id, first: u64, last: u64, is_open| {
        let standing = fixtures::standing("net", Severity::Warning);
        Arc::new(Standing { id, is_open, first_seen: at(first), last_seen: at(last), ..standing })
    };
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=10 {
        if second == 5 {
            history.over(&stands(1, 2, 5, false));
        }
        tick(&mut history, second, Vec::new());
    }
    let now = Snapshot { standing: vec![stands(2, 7, 7, true)], ..fixtures::snapshot() };
    let told = |since, until| -> Vec<u64> {
        let past = look_back(&history.intervals(), &asked(since, until), &now).unwrap();
        past.snapshot.standing.iter().map(|standing| standing.id).collect()
    };
    assert_eq!(told(0, 1), [] as [u64; 0]);
    assert_eq!(told(1, 3), [1], "before it was over");
    assert_eq!(told(5, 6), [] as [u64; 0]);
    assert_eq!(told(3, 8), [2, 1]);
    assert_eq!(told(8, 10), [2]);
}
