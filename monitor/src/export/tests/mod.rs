//! From snapshots to text, and the text read again.

mod bounds;
mod counters;
mod text;

use super::{Clients, Family, Ledger, Options, Reload};
use crate::model::{ContainerId, KernelTime, SafeText, WallTime};
use crate::snapshot::{
    ContainerRef, ContainerRow, EndKind, Evidence, Expected, Finding, Kind, LatencyRow, Outcome, PairRow,
    Rule, RuleName, Service, Severity, Snapshot, Steps,
};
use crate::wire::fixtures;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const OPTIONS: Options = Options { most_series: 20_000, pairs: false, cadvisor: false };
const ALL_OPTIONS: Options = Options { pairs: true, cadvisor: true, ..OPTIONS };

fn at(second: u64) -> KernelTime {
    KernelTime(second * 1_000_000_000)
}

fn row(number: u64, name: &str) -> ContainerRow {
    let row = fixtures::row(name, Some("web"), "shop_back", Vec::new());
    let container = Arc::new(ContainerRef { id: id(number), ..(*row.container).clone() });
    ContainerRow { container, ..row }
}

fn id(number: u64) -> ContainerId {
    ContainerId::new(&format!("c{number:011x}{}", "0".repeat(52))).unwrap()
}

fn snapshot(second: u64, containers: Vec<ContainerRow>) -> Arc<Snapshot> {
    let nothing = Snapshot { networks: [].into(), latencies: [].into(), ..fixtures::snapshot() };
    Arc::new(Snapshot { taken_at: at(second), containers, ..nothing })
}

/// A container that has everything that makes a series.
fn full_row(number: u64, name: &str) -> ContainerRow {
    let mut steps = Steps::default();
    steps.record(Duration::from_micros(213));
    ContainerRow { handshake_steps: Some(steps), dropped: 7, ..row(number, name) }
}

/// Between two containers, about one service.
fn pair(client: &ContainerRow, server: &ContainerRow, port: u16) -> PairRow {
    let mut pair = fixtures::pair_row();
    pair.client.container = Some(Arc::clone(&client.container));
    pair.server.container = Some(Arc::clone(&server.container));
    pair.server.port = Some(port);
    pair
}

fn finding(number: u64, kind: Kind, outcome: Outcome, packets: u64) -> Finding {
    Finding {
        id: number,
        revision: 1,
        is_open: true,
        kind,
        severity: Severity::Warning,
        rule: RuleName::Topology(Rule::CrossNetwork),
        policy_comment: None,
        expected: Expected::Deny,
        outcome,
        reason: None,
        source: fixtures::container_end("shop-nginx-1", "172.18.0.2", None),
        destination: fixtures::end(EndKind::External, "192.0.2.7", None),
        protocol: "tcp".into(),
        ports: vec![5_432],
        port_count: 1,
        counts: fixtures::counts(packets, packets * 100),
        first_seen: at(1),
        last_seen: at(2),
        drop_reason: None,
        evidence: Vec::<Evidence>::new(),
        explanation: String::new(),
    }
}

/// A ledger that has a series of every family.
fn everything() -> Ledger {
    let rows = vec![full_row(1, "shop-nginx-1"), full_row(2, "shop-flask_app-1")];
    let troubled = fixtures::troubled_snapshot();
    let snapshot = Arc::new(Snapshot {
        pairs: [pair(&rows[0], &rows[1], 5_000)].into(),
        asked: fixtures::asked(),
        latencies: [LatencyRow {
            client: Service::of_container(&rows[0].container),
            server: Service::of_container(&rows[1].container),
            ..fixtures::latency_row()
        }]
        .into(),
        containers: rows,
        drops: BTreeMap::from([(SafeText::new("NETFILTER_DROP"), 3)]),
        missing: BTreeMap::from([("translations", SafeText::new("no conntrack"))]),
        networks: fixtures::snapshot().networks,
        ..troubled
    });
    let mut ledger = Ledger::new(ALL_OPTIONS, &snapshot);
    ledger.reloaded(Reload { successful: true, success: WallTime(1_800_000_000_500_000_000) });
    for (number, kind) in [Kind::Violation, Kind::Broken, Kind::Crossing].into_iter().enumerate() {
        ledger.told(&finding(number as u64, kind, Outcome::Blocked, 5));
    }
    ledger.clients(Clients { now: 2, refused: 1, records_lost: 5 });
    ledger.helper_restarts(1);
    ledger
}

/// The value of a family's only series; of several, their sum. `None` if there is none that is whole.
fn value(ledger: &Ledger, family: &Family) -> Option<u64> {
    let page = Arc::new(ledger.page()).write(super::Format::OpenMetrics);
    let lines = text::read(&page);
    let of = lines
        .iter()
        .filter(|line| line.name == family.name())
        .filter_map(|line| line.value.parse::<u64>().ok());
    of.reduce(|one, other| one + other)
}
