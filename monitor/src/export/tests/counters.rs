//! Counters never go back.

use super::text::{Line, read};
use super::{ALL_OPTIONS, OPTIONS, finding, full_row, pair, row, snapshot, value};
use crate::export::families as family;
use crate::export::{Format, Ledger};
use crate::model::{Losses, Resources, SafeText, SwarmKind};
use crate::snapshot::{ContainerRow, EndKind, Kind, LatencyRow, Outcome, PairRow, Service, Snapshot, Steps};
use crate::wire::fixtures::{self, counts};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn figures_of_a_container_are_those_of_its_row() {
    let ledger = Ledger::new(ALL_OPTIONS, &snapshot(1, vec![full_row(1, "web")]));
    let ContainerRow { totals, before_watch, .. } = row(1, "web");
    for (family, expected) in [
        (&family::CONTAINER_RECEIVE_BYTES, totals.received.bytes),
        (&family::CONTAINER_RECEIVE_PACKETS, totals.received.packets),
        (&family::CONTAINER_TRANSMIT_BYTES, totals.sent.bytes),
        (&family::CONTAINER_TRANSMIT_PACKETS, totals.sent.packets),
        (&family::CADVISOR_TRANSMIT_BYTES, totals.sent.skb_bytes + before_watch.sent.skb_bytes),
        (&family::CONTAINER_DROPPED, 7),
        (&family::CONTAINER_OPENED, 12),
        (&family::CONTAINER_ACCEPTED, 3),
        (&family::CONTAINER_CONVERSATIONS, 4),
        (&family::CONTAINER_UNACCOUNTED, 0),
        (&family::CONTAINER_WATCHED, 1),
    ] {
        assert_eq!(value(&ledger, family), Some(expected), "{}", family.name());
    }
}

#[test]
fn a_row_that_has_less_than_before_takes_nothing_back() {
    let full = snapshot(1, vec![full_row(1, "web")]);
    let networks = fixtures::snapshot().networks;
    let first = Arc::new(Snapshot {
        drops: BTreeMap::from([(SafeText::new("NO_SOCKET"), 9)]),
        losses: {
            let mut losses = Losses::default();
            losses.add("ring_full", 4);
            losses
        },
        networks: Arc::clone(&networks),
        ..(*full).clone()
    });
    let mut ledger = Ledger::new(ALL_OPTIONS, &first);
    let families: Vec<_> = family::ALL.iter().filter(|family| family.kind == family::Kind::Counter).collect();
    let before: Vec<_> = families.iter().map(|family| value(&ledger, family)).collect();
    let mut less = row(1, "web");
    less.totals = Default::default();
    less.conversations = Default::default();
    less.handshake_steps = Some(Steps::default());
    let mut fewer = networks.to_vec();
    fewer.iter_mut().for_each(|network| network.totals = Default::default());
    let then = Snapshot { networks: fewer.into(), ..(*snapshot(2, vec![less])).clone() };
    ledger.take(&Arc::new(then));
    for (family, before) in families.iter().zip(before) {
        assert_eq!(value(&ledger, family), before, "{}", family.name());
    }
    let handshakes = Arc::new(ledger.page()).write(Format::OpenMetrics);
    assert!(handshakes.contains("handshake_seconds_count{container=\"web\",id=\"c00000000001\"} 1"));
}

#[test]
fn the_counters_of_a_container_go_a_minute_after_it() {
    let mut ledger = Ledger::new(OPTIONS, &snapshot(1, vec![row(1, "web")]));
    let sent = row(1, "web").totals.sent.bytes;
    ledger.take(&snapshot(61, Vec::new()));
    assert_eq!(value(&ledger, &family::CONTAINER_TRANSMIT_BYTES), Some(sent));
    assert_eq!(value(&ledger, &family::CONTAINER_WATCHED), Some(0));
    assert_eq!(value(&ledger, &family::CONTAINER_CONVERSATIONS), Some(0));
    ledger.take(&snapshot(62, Vec::new()));
    assert_eq!(value(&ledger, &family::CONTAINER_TRANSMIT_BYTES), None);
    assert_eq!(value(&ledger, &family::CONTAINER), None);
}

#[test]
fn what_was_not_measured_has_no_series() {
    let mut host_mode = row(1, "registry");
    (host_mode.watched, host_mode.totals) = (false, Default::default());
    let missing = BTreeMap::from([("drops", SafeText::new("no types"))]);
    let then = Snapshot { missing, ..(*snapshot(1, vec![host_mode, row(2, "web")])).clone() };
    let ledger = Ledger::new(OPTIONS, &Arc::new(then));
    let sent = row(2, "web").totals.sent.bytes;
    assert_eq!(value(&ledger, &family::CONTAINER_TRANSMIT_BYTES), Some(sent), "of the other one");
    assert_eq!(value(&ledger, &family::CONTAINER), Some(2));
    assert_eq!(value(&ledger, &family::CONTAINER_DROPPED), None);
    assert_eq!(value(&ledger, &family::FEATURE_MISSING), Some(1));
    assert_eq!(value(&ledger, &family::CADVISOR_RECEIVE_BYTES), None, "nobody asked for it");
    assert_eq!(value(&ledger, &family::PAIR_RECEIVE_BYTES), None, "nor for this");
}

#[test]
fn before_the_first_reading_nothing_of_it_has_a_series() {
    let then = Snapshot { resources: Resources::default(), ..(*snapshot(1, Vec::new())).clone() };
    let ledger = Ledger::new(OPTIONS, &Arc::new(then));
    for family in
        [&family::FLOWS_LAST_TICK, &family::FLOW_CAPACITY, &family::AGENT_CPU, &family::AGENT_RESIDENT]
    {
        assert_eq!(value(&ledger, family), None, "{}", family.name());
    }
}

#[test]
fn what_is_known_is_there_with_0_before_it_happens() {
    let ledger = Ledger::new(OPTIONS, &snapshot(1, Vec::new()));
    for family in [
        &family::VIOLATIONS,
        &family::BROKEN,
        &family::CROSSINGS,
        &family::FINDINGS_OPEN,
        &family::LOST,
        &family::SERIES_REFUSED,
    ] {
        assert_eq!(value(&ledger, family), Some(0), "{}", family.name());
    }
    assert_eq!(value(&ledger, &family::FINDING_PACKETS), None);
}

#[test]
fn an_agent_that_no_longer_counts_says_so() {
    let mut ledger = Ledger::new(OPTIONS, &snapshot(1, Vec::new()));
    for is_well in [true, false, true] {
        ledger.is_well(is_well);
        assert_eq!(value(&ledger, &family::HEALTHY), Some(u64::from(is_well)));
    }
}

#[test]
fn findings_are_counted_when_new_and_with_each_outcome() {
    let mut ledger = Ledger::new(OPTIONS, &snapshot(1, Vec::new()));
    let mut told = |outcome, packets, is_open| {
        ledger.told(&crate::snapshot::Finding { is_open, ..finding(7, Kind::Violation, outcome, packets) });
        [&family::VIOLATIONS, &family::FINDING_PACKETS, &family::FINDINGS_OPEN].map(|it| value(&ledger, it))
    };
    let is = |findings, packets, open| [Some(findings), Some(packets), Some(open)];
    assert_eq!(told(Outcome::Unknown, 5, true), is(1, 5, 1));
    assert_eq!(told(Outcome::Unknown, 8, true), is(1, 8, 1), "the same one went on");
    assert_eq!(told(Outcome::Delivered, 9, true), is(2, 9, 1), "it got worse");
    assert_eq!(told(Outcome::Delivered, 9, false), is(2, 9, 0), "it is over");
    assert_eq!(told(Outcome::Delivered, 2, true), is(3, 11, 1), "it began anew");
}

#[test]
fn a_finding_whose_end_was_lost_is_not_open_for_ever() {
    let mut ledger = Ledger::new(OPTIONS, &snapshot(1, Vec::new()));
    ledger.told(&finding(7, Kind::Crossing, Outcome::Answered, 5));
    ledger.take(&snapshot(302, Vec::new()));
    assert_eq!(value(&ledger, &family::FINDINGS_OPEN), Some(1));
    ledger.take(&snapshot(303, Vec::new()));
    assert_eq!(value(&ledger, &family::FINDINGS_OPEN), Some(0));
    assert_eq!(value(&ledger, &family::CROSSINGS), Some(1));
}

#[test]
fn pairs_are_summed_up_over_ports_and_over_rows_that_begin_anew() {
    let rows = vec![row(1, "web"), row(2, "db")];
    let sent = |port, packets| {
        let traffic = fixtures::traffic(counts(packets, packets), counts(0, 0));
        PairRow { traffic, conversations: packets, ..pair(&rows[0], &rows[1], port) }
    };
    let then = |second, pairs: Vec<PairRow>| {
        Arc::new(Snapshot { pairs: pairs.into(), ..(*snapshot(second, rows.clone())).clone() })
    };
    let mut ledger = Ledger::new(ALL_OPTIONS, &then(1, vec![sent(80, 10), sent(81, 1)]));
    let figures = |ledger: &Ledger| {
        [&family::PAIR_TRANSMIT_PACKETS, &family::PAIR_CONVERSATIONS]
            .map(|family| value(ledger, family).unwrap())
    };
    assert_eq!(figures(&ledger), [11, 11]);
    ledger.take(&then(2, vec![sent(80, 15), sent(81, 1)]));
    assert_eq!(figures(&ledger), [16, 16]);
    ledger.take(&then(3, vec![sent(81, 1)]));
    ledger.take(&then(4, vec![sent(80, 2), sent(81, 1)]));
    assert_eq!(figures(&ledger), [18, 18], "a row that was forgotten began anew");
    ledger.take(&then(5, vec![sent(80, 1), sent(81, 1)]));
    assert_eq!(figures(&ledger), [19, 19], "between two snapshots");
}

#[test]
fn handshakes_are_the_latest() {
    let mut ledger = Ledger::new(OPTIONS, &snapshot(1, vec![full_row(1, "web")]));
    let mut later = full_row(1, "web");
    let mut steps = later.handshake_steps.unwrap();
    steps.record(Duration::from_secs(20));
    later.handshake_steps = Some(steps);
    ledger.take(&snapshot(2, vec![later]));
    let text = Arc::new(ledger.page()).write(Format::OpenMetrics);
    assert!(text.contains("handshake_seconds_count{container=\"web\",id=\"c00000000001\"} 2"), "{text}");
}

#[test]
fn latencies_are_added_up_over_ports_and_addresses_and_go_on_when_a_row_begins_anew() {
    let known = vec![row(1, "web")];
    let web = Service::of_container(&known[0].container);
    let of_web = || LatencyRow { client: web.clone(), server: web.clone(), ..fixtures::latency_row() };
    let (one, other) = (of_web(), of_web());
    let outside = |last: u8| LatencyRow {
        server: Service::Outside(Some([192, 0, 2, last].into())),
        at_server: None,
        between: None,
        ..of_web()
    };
    let other = LatencyRow { port: Some(6_000), ..other };
    let then = |second: u64, rows: Vec<LatencyRow>| {
        Arc::new(Snapshot { latencies: rows.into(), ..(*snapshot(second, known.clone())).clone() })
    };
    let counted = |ledger: &Ledger, server: &str, seen_at: &str| {
        let lines = read(&Arc::new(ledger.page()).write(Format::OpenMetrics));
        let is_it = |line: &&Line| {
            line.name == "vethwatch_service_handshake_seconds_count"
                && line.labels["server"] == server
                && line.labels["seen_at"] == seen_at
        };
        lines.iter().find(is_it).map(|line| line.value.clone())
    };
    let mut ledger = Ledger::new(ALL_OPTIONS, &then(1, vec![one.clone(), other, outside(1), outside(2)]));
    assert_eq!(counted(&ledger, "shop/web", "client").as_deref(), Some("2"));
    assert_eq!(counted(&ledger, "outside", "client").as_deref(), Some("2"));
    assert_eq!(counted(&ledger, "outside", "server"), None, "what was not measured");
    ledger.take(&then(2, vec![one.clone()]));
    assert_eq!(counted(&ledger, "shop/web", "client").as_deref(), Some("2"), "a row is forgotten");
    let more = LatencyRow { port: Some(6_000), ..one.clone() };
    ledger.take(&then(3, vec![one, more]));
    assert_eq!(counted(&ledger, "shop/web", "client").as_deref(), Some("3"), "and begins anew");
    ledger.take(&snapshot(4, Vec::new()));
    let ends = Arc::new(Snapshot { latencies: [of_web()].into(), ..(*snapshot(65, Vec::new())).clone() });
    ledger.take(&ends);
    assert_eq!(counted(&ledger, "shop/web", "client"), None, "its last container has gone a minute ago");
    ledger.take(&then(66, vec![of_web()]));
    assert!(counted(&ledger, "shop/web", "client").is_some());
    ledger.take(&then(100, Vec::new()));
    ledger.take(&then(200, Vec::new()));
    assert_eq!(counted(&ledger, "shop/web", "client"), None, "a minute after it was last seen");
}

#[test]
fn who_is_on_other_nodes_of_a_swarm_has_the_series_of_its_service_and_nobody_takes_a_fixed_name() {
    let known = vec![row(1, "web")];
    let to = |kind, service, name, address| PairRow {
        server: fixtures::swarm_end(kind, service, name, None, address, Some(5_432)),
        traffic: fixtures::traffic(counts(1, 100), counts(0, 0)),
        ..pair(&known[0], &known[0], 5_432)
    };
    let task = |service, name, address| to(SwarmKind::Task, Some(service), Some(name), address);
    let pairs = [
        task("shop_db", "shop_db.1.a", "10.0.1.8"),
        task("shop_db", "shop_db.2.b", "10.0.1.9"),
        to(SwarmKind::VirtualIp, Some("shop_db"), None, "10.0.1.6"),
        task("outside", "outside.1.c", "10.0.1.10"),
        to(SwarmKind::Container, None, Some("web"), "10.0.1.11"),
        to(SwarmKind::LoadBalancer, None, None, "10.0.1.3"),
        PairRow {
            server: fixtures::end(EndKind::External, "192.0.2.7", Some(5_432)),
            ..pair(&known[0], &known[0], 1)
        },
    ];
    let first = Snapshot { pairs: pairs.into(), ..(*snapshot(1, known)).clone() };
    let ledger = Ledger::new(ALL_OPTIONS, &Arc::new(first));
    let mut told: Vec<(String, bool, String)> = read(&Arc::new(ledger.page()).write(Format::OpenMetrics))
        .iter()
        .filter(|line| line.name == "vethwatch_pair_transmit_packets_total")
        .map(|line| {
            (line.labels["server"].clone(), line.labels.contains_key("server_id"), line.value.clone())
        })
        .filter(|(server, ..)| server != "outside")
        .collect();
    told.sort_unstable();
    let expected = [("load-balancer", "1"), ("outside(swarm)", "1"), ("shop_db", "3"), ("web(swarm)", "1")];
    assert_eq!(told, expected.map(|(server, packets)| (server.to_owned(), false, packets.to_owned())));
}
