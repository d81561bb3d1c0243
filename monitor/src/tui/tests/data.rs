//! Data for pictures: none, a little, much, and what is made to harm.

use crate::model::{
    ContainerId, Counts, FlowId, FlowPorts, InterfaceNumber, KernelTime, NetworkId, Resources,
};
use crate::snapshot::{
    ContainerRef, ContainerRow, End, EndKind, Expected, FlowRecord, NetworkRow, Outcome, PairRow, Record,
    Rule, RuleName, Snapshot, TcpState, Verdict,
};
use crate::tui::App;
use crate::wire::fixtures;
use std::sync::Arc;
use std::time::Duration;

pub(in crate::tui) const SECOND: u64 = 1_000_000_000;

/// Nothing is there.
pub(in crate::tui) fn empty() -> Arc<Snapshot> {
    Arc::new(Snapshot {
        containers: Vec::new(),
        networks: [].into(),
        pairs: [].into(),
        interfaces_watched: 0,
        flows_kept: 0,
        ..fixtures::snapshot()
    })
}

/// One of some, over and over.
fn of<T: Copy, const COUNT: usize>(all: [T; COUNT], number: u64) -> T {
    all[fits::<usize>(number) % COUNT]
}

/// A number that is known to be small enough.
fn fits<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).ok().expect("it is small")
}

fn id(number: u64) -> ContainerId {
    ContainerId::new(&format!("{number:064x}")).unwrap()
}

fn container(number: u64, name: &str) -> Arc<ContainerRef> {
    let service = name.split('-').nth(1).map(str::to_owned);
    Arc::new(ContainerRef { id: id(number), ..(*fixtures::container(name, service.as_deref())).clone() })
}

fn row(number: u64, name: &str) -> ContainerRow {
    let row = fixtures::row(name, Some("web"), "shop_front", Vec::new());
    ContainerRow { container: container(number, name), ..row }
}

/// Two containers with traffic.
pub(in crate::tui) fn small() -> Arc<Snapshot> {
    Arc::new(Snapshot {
        containers: vec![row(1, "shop-nginx-1"), row(2, "shop-flask_app-1")],
        ..fixtures::snapshot()
    })
}

/// Trouble, with names made to harm, four thousand characters long, wide, and of several characters a column.
pub(in crate::tui) fn hostile() -> Arc<Snapshot> {
    let names = [
        "e\u{301}\u{301}\u{301}café",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "日本語🐳コンテナ",
        "a\u{200d}\u{200d}b\x1b[31mx",
        "مرحبا-بالعالم",
    ];
    let long = format!("{}end", "very-long-".repeat(400));
    let mut snapshot = fixtures::troubled_snapshot();
    for (number, name) in names.into_iter().chain([long.as_str()]).enumerate() {
        snapshot.containers.push(row(100 + number as u64, name));
    }
    Arc::new(snapshot)
}

/// Three hundred containers, each busier than the one before.
pub(in crate::tui) fn large() -> Arc<Snapshot> {
    let containers = (0..300).map(|number| {
        let mut row = row(number, &format!("shop-{}-{number}", of(["web", "db", "cache", "queue"], number)));
        row.totals.sent = fixtures::counts(number * 10, number * number * 1_000);
        row
    });
    let network = |number: u64| NetworkRow {
        network: crate::snapshot::NetworkRef {
            id: NetworkId::new(&format!("{number:064x}")).unwrap(),
            ..fixtures::network(&format!("net_{number}"))
        },
        ..fixtures::network_row("x")
    };
    let pair = |number: u64| PairRow {
        client: End::of_container(container(number, &format!("shop-web-{number}")), [10, 0, 0, 1].into()),
        ..fixtures::pair_row()
    };
    Arc::new(Snapshot {
        containers: containers.collect(),
        networks: (0..40).map(network).collect(),
        pairs: (0..4_096).map(pair).collect(),
        ..fixtures::snapshot()
    })
}

/// The same, so many seconds later: each container has sent and received more.
pub(in crate::tui) fn later(snapshot: &Snapshot, seconds: u64) -> Arc<Snapshot> {
    let mut later = snapshot.clone();
    later.taken_at = KernelTime(snapshot.taken_at.0 + seconds * SECOND);
    later.resources = Resources { flips: snapshot.resources.flips + seconds, ..snapshot.resources };
    for (index, row) in later.containers.iter_mut().enumerate() {
        let more = (index as u64 + 1) * 1_500 * seconds;
        row.totals.sent += fixtures::counts(seconds, more);
        row.totals.received += fixtures::counts(seconds, more * 3);
    }
    Arc::new(later)
}

/// A view's data over some seconds.
pub(in crate::tui) fn watch(app: &mut App, first: &Arc<Snapshot>, seconds: u64) {
    let mut snapshot = Arc::clone(first);
    for _ in 0..seconds {
        snapshot = later(&snapshot, 1);
        app.snapshot(Arc::clone(&snapshot));
    }
}

/// A flow between two containers, the first of which opened it, as it is seen at the first.
pub(in crate::tui) fn flow(number: u64) -> FlowRecord {
    let end = |at: u64, port: u16| {
        let name = format!("shop-{}-{at}", of(["web", "db"], at));
        let address = [10, 0, fits(at / 250), fits(at % 250)].into();
        End { port: Some(port), ..End::of_container(container(at, &name), address) }
    };
    let local = 30_000 + fits::<u16>(number % 30_000);
    let remote = of([5_432, 6_379, 80, 443], number);
    FlowRecord {
        flow_id: FlowId(number),
        ports: FlowPorts::Ports { local, remote },
        local: end(number % 300, local),
        remote: end((number * 7 + 1) % 300, remote),
        observed_at: crate::snapshot::ObservedAt {
            number: InterfaceNumber(fits(number % 300)),
            ..fixtures::observed_at("veth1")
        },
        sent: counts(number + 1),
        received: counts(number * 3),
        ..fixtures::flow()
    }
}

fn counts(bytes: u64) -> Counts {
    fixtures::counts(1, bytes)
}

/// The same flow, as it is seen at the other end.
pub(in crate::tui) fn other_end(flow: &FlowRecord) -> FlowRecord {
    let FlowPorts::Ports { local, remote } = flow.ports else { panic!("a flow with ports") };
    FlowRecord {
        flow_id: FlowId(flow.flow_id.0 + 1_000_000),
        initiator: crate::model::Initiator::Remote,
        ports: FlowPorts::Ports { local: remote, remote: local },
        local: flow.remote.clone(),
        remote: flow.local.clone(),
        sent: flow.received,
        received: flow.sent,
        ..flow.clone()
    }
}

/// A few flows of every kind.
pub(in crate::tui) fn few_flows() -> Vec<FlowRecord> {
    let mut refused = flow(1);
    refused.tcp.as_mut().unwrap().state = TcpState::Refused;
    refused.last = true;
    let mut denied = flow(2);
    denied.verdict = Some(Verdict {
        rule: RuleName::Topology(Rule::CrossNetwork),
        expected: Expected::Deny,
        outcome: Outcome::Answered,
    });
    let mut outside = flow(3);
    outside.remote = End { port: Some(443), ..End::plain(EndKind::External, [203, 0, 113, 9].into()) };
    outside.tcp.as_mut().unwrap().handshake = Some(Duration::from_millis(31));
    let mut ping = flow(4);
    ping.protocol = crate::model::Protocol::ICMP;
    ping.ports = FlowPorts::Icmp { id: 7, kind: 8, code: 0 };
    ping.tcp = None;
    ping.local.port = None;
    ping.remote.port = None;
    vec![flow(0), other_end(&flow(0)), refused, denied, outside, ping]
}

/// Tells a view of flows, as of the last of two seconds.
pub(in crate::tui) fn tell(app: &mut App, flows: impl IntoIterator<Item = FlowRecord>) {
    for mut flow in flows {
        flow.tick_end = fixtures::NOW.plus(Duration::from_secs(2));
        app.record(&Record::Flow(Arc::new(flow)));
    }
}
