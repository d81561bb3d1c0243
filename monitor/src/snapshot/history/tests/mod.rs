//! A history that is made up second by second.

mod keeping;
mod looking;
mod room;
mod traced;

use super::{
    AskedPast, ContainerSpan, Counted, History, Interval, LatencySpan, NotKept, PairCounts, PairEnds,
    PairSpan, look_back,
};
use crate::flows::Spread;
use crate::model::{ContainerId, Counts, KernelTime, Protocol, SafeText, Traffic, WallTime};
use crate::policy::{Expected, Outcome, RuleName};
use crate::snapshot::latencies::ServicePair;
use crate::snapshot::{Answers, ContainerRef, EndKind, Finding, Kind, Service, Severity};
use crate::wire::fixtures;
use std::sync::Arc;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
const BOOTED: WallTime = WallTime(1_795_500_000_000_000_000);

fn at(second: u64) -> KernelTime {
    KernelTime(second * SECOND)
}

fn wall(second: u64) -> WallTime {
    WallTime(BOOTED.0.saturating_add_unsigned(second * SECOND))
}

fn container(number: u64) -> Arc<ContainerRef> {
    let id = ContainerId::new(&format!("{number:064x}")).unwrap();
    Arc::new(ContainerRef { id, ..(*fixtures::container(&format!("c{number}"), None)).clone() })
}

fn traffic(bytes: u64) -> Traffic {
    let counts = |bytes| Counts { packets: 1, bytes, skbs: 1, skb_bytes: bytes };
    Traffic { sent: counts(bytes), received: counts(bytes / 2) }
}

fn pair(port: u16, bytes: u64) -> PairSpan {
    let mut handshakes = Spread::default();
    handshakes.record(Duration::from_micros(bytes));
    let answered = Answers { answered: 1, ..Answers::default() };
    PairSpan {
        ends: Arc::new(PairEnds {
            client: fixtures::container_end("shop-nginx-1", "172.18.0.2", None),
            server: fixtures::end(EndKind::External, "192.0.2.7", Some(port)),
            protocol: Protocol::TCP,
            network: None,
            devices: [None, None],
        }),
        counts: PairCounts {
            traffic: traffic(bytes),
            conversations: 1,
            answers: answered,
            ..PairCounts::default()
        },
        shares: Vec::new(),
        icmp: Vec::new(),
        handshakes,
        verdict: None,
        last_seen: KernelTime(1),
    }
}

fn tick(history: &mut History, second: u64, pairs: Vec<PairSpan>) {
    assert!(history.is_due(at(second)));
    history.seal(at(second), Counted { pairs, ..Counted::default() });
}

/// What containers, and what pairs and others, came to.
fn sums(intervals: &[Arc<Interval>]) -> [Traffic; 2] {
    let mut sums = [Traffic::default(); 2];
    for interval in intervals {
        interval.containers.iter().for_each(|span| sums[0] += span.traffic);
        interval.pairs.iter().for_each(|span| sums[1] += span.counts.traffic);
        sums[1] += interval.others.counts.traffic;
    }
    sums
}

#[track_caller]
fn check_order(intervals: &[Arc<Interval>]) {
    for two in intervals.windows(2) {
        assert_eq!(two[0].end, two[1].start, "no gap and nothing twice");
    }
}

fn asked(since: u64, until: u64) -> AskedPast {
    AskedPast { since: Some(wall(since)), until: Some(wall(until)), ..AskedPast::default() }
}

fn bytes_of(history: &History, asked: &AskedPast) -> Result<u64, NotKept> {
    let past = look_back(&history.intervals(), asked, &fixtures::snapshot())?;
    Ok(past.containers.iter().map(|span: &ContainerSpan| span.traffic.sent.bytes).sum())
}

fn finding(id: u64, severity: Severity) -> Arc<Finding> {
    Arc::new(Finding {
        id,
        revision: 1,
        is_open: true,
        kind: Kind::Violation,
        severity,
        rule: RuleName::File(SafeText::new("rule")),
        policy_comment: None,
        expected: Expected::Deny,
        outcome: Outcome::Delivered,
        reason: None,
        source: fixtures::container_end("shop-nginx-1", "172.18.0.2", None),
        destination: fixtures::end(EndKind::External, "192.0.2.7", Some(80)),
        protocol: "TCP".into(),
        ports: vec![80],
        port_count: 1,
        counts: Counts::default(),
        first_seen: KernelTime(1),
        last_seen: KernelTime(id),
        drop_reason: None,
        evidence: Vec::new(),
        explanation: String::new(),
    })
}

/// How long two services took: three handshakes at the client's interface, and one at the server's.
fn latency(port: u16) -> LatencySpan {
    let mut seen: [Spread; 5] = Default::default();
    (0..3).for_each(|_| seen[0].record(Duration::from_micros(100)));
    seen[1].record(Duration::from_micros(90));
    let [client, server] = ["web", "db"].map(|name| Service::Container(SafeText::new(name)));
    LatencySpan { services: Arc::new(ServicePair { client, server, port: Some(port) }), seen }
}
