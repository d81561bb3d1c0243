//! The engine as a task: what comes in by channels comes out as snapshots, records and questions.

use monitor::engine::{self, Ask, Filter, Settings, Topic};
use monitor::model::{
    AttachMode, Change, ClassCounts, Counts, Direction, DockerState, FlowBatch, FlowDelta, FlowId, FlowKey,
    FlowPorts, HostId, Interface, InterfaceKind, InterfaceNumber, KernelTime, Observation, Protocol, Reading,
    SafeText,
};
use monitor::snapshot::Record;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);

/// A clock that goes on 10 ms each time it is read. Each test has its thread, and a clock of its own.
fn now() -> KernelTime {
    thread_local!(static NOW: Cell<u64> = const { Cell::new(1_000_000_000) });
    KernelTime(NOW.replace(NOW.get() + 10_000_000))
}

struct Rig {
    changes: mpsc::Sender<Change>,
    observations: mpsc::Sender<Observation>,
    asks: mpsc::Receiver<Ask>,
    engine: engine::EngineHandle,
}

fn rig() -> Rig {
    let (changes, told) = mpsc::channel(64);
    let (observations, seen) = mpsc::channel(64);
    let (asked, asks) = mpsc::channel(64);
    let host = HostId { name: SafeText::new("db-07"), boot_id: "boot".into() };
    let engine = engine::spawn(Settings::new(host), told, seen, asked, now, None);
    Rig { changes, observations, asks, engine }
}

fn attached() -> Observation {
    let interface = Interface {
        number: InterfaceNumber(1),
        ifindex: 101,
        name: SafeText::new("veth1"),
        kind: InterfaceKind::Veth,
        mac: None,
        master: Some((10, SafeText::new("br-a"))),
        peer: None,
    };
    Observation::Attached { interface, at: now(), mode: AttachMode::Tcx, before: None, after: None }
}

fn one_flow() -> Observation {
    flows(1, 4_000..4_001)
}

/// A generation of flows, from a port each.
fn flows(epoch: u64, ports: std::ops::Range<u16>) -> Observation {
    let at = now();
    let flows = ports.map(|port| flow(port, at)).collect();
    Observation::Flows(FlowBatch { epoch, tick_start: at, tick_end: at, flows, last: true })
}

fn flow(port: u16, at: KernelTime) -> FlowDelta {
    FlowDelta {
        key: FlowKey {
            interface: InterfaceNumber(1),
            local: [172, 18, 0, 2].into(),
            remote: [9, 9, 9, 9].into(),
            protocol: Protocol::UDP,
            ports: FlowPorts::Ports { local: port, remote: 53 },
            vlan: None,
        },
        flow_id: FlowId(port.into()),
        first_seen: at,
        last_seen: at,
        is_new: true,
        first_direction: Direction::Sent,
        sent: Counts { packets: 1, bytes: 80, skbs: 1, skb_bytes: 80 },
        received: Counts::default(),
        tcp: None,
        origin: None,
        source_mac: None,
        several_source_macs: false,
        cgroup: None,
    }
}

fn docker_up() -> Change {
    Change::Docker(DockerState::Up {
        version: SafeText::new("28"),
        api: SafeText::new("1.48"),
        host: SafeText::new("unix:///var/run/docker.sock"),
        rootless: false,
        experimental: Some(false),
    })
}

#[tokio::test]
async fn when_the_collector_ends_everything_it_told_is_given_out_and_the_records_end() {
    let rig = rig();
    let mut records = rig.engine.subscribe(Filter::default());
    let snapshots = rig.engine.snapshots();
    for observation in [attached(), one_flow()] {
        rig.observations.send(observation).await.expect("the engine runs");
    }
    drop(rig.observations);
    let record = timeout(DEADLINE, records.recv()).await.expect("in time");
    let Some(Record::Flow(flow)) = record else { panic!("a flow, not {record:?}") };
    assert_eq!(flow.sent.bytes, 80);
    assert!(timeout(DEADLINE, records.recv()).await.expect("in time").is_none());
    rig.engine.stop().await;
    assert_eq!(snapshots.borrow().flows_kept, 1);
}

#[tokio::test]
async fn twenty_thousand_flows_of_one_tick_wait_for_who_asked_for_flows() {
    for topic in [Topic::All, Topic::Flows] {
        let rig = rig();
        let mut records = rig.engine.subscribe(Filter { topic, ..Filter::default() });
        for observation in [attached(), flows(1, 1_000..21_000)] {
            rig.observations.send(observation).await.expect("the engine runs");
        }
        drop(rig.observations);
        rig.engine.stop().await;
        let mut told = 0;
        while let Some(record) = timeout(DEADLINE, records.recv()).await.expect("in time") {
            told += usize::from(matches!(record, Record::Flow(_)));
        }
        assert_eq!(told, 20_000, "{topic:?}");
    }
}

/// The local ports of flows, until the records end.
async fn ports(mut records: mpsc::Receiver<Record>) -> Vec<u16> {
    let mut ports = Vec::new();
    while let Some(record) = timeout(DEADLINE, records.recv()).await.expect("in time") {
        let Record::Flow(flow) = record else { panic!("a flow, not {record:?}") };
        let FlowPorts::Ports { local, .. } = flow.ports else { panic!("no ports: {flow:?}") };
        ports.push(local);
    }
    ports
}

#[tokio::test]
async fn who_goes_on_through_another_queue_misses_nothing_and_has_nothing_twice() {
    let rig = rig();
    let feed = rig.engine.feed();
    let (mut records, mut subscription) = feed.subscribe_for_now(Filter::default());
    rig.observations.send(attached()).await.expect("the engine runs");
    let mut all = Vec::new();
    for from in [1_000, 1_040, 1_080] {
        // Flows come one after the other while it goes on.
        let seen = rig.observations.clone();
        let sending = tokio::spawn(async move {
            for port in from..from + 40 {
                seen.send(flows(port.into(), port..port + 1)).await.expect("the engine runs");
            }
        });
        let (goes_on, new) = feed.go_on(&subscription, Filter::default()).await;
        sending.await.expect("all is sent");
        // The old one has ended, although the engine has not.
        all.extend(ports(std::mem::replace(&mut records, goes_on)).await);
        subscription = new;
    }
    drop(rig.observations);
    rig.engine.stop().await;
    all.extend(ports(records).await);
    all.sort_unstable();
    assert_eq!(all, (1_000..1_120).collect::<Vec<u16>>());
    // An engine that has ended has no queue.
    assert_eq!(ports(feed.go_on(&subscription, Filter::default()).await.0).await, [0; 0]);
}

#[tokio::test]
async fn totals_make_a_new_snapshot() {
    let rig = rig();
    let mut snapshots = rig.engine.snapshots();
    rig.observations.send(attached()).await.expect("the engine runs");
    let mut totals = ClassCounts::default();
    totals.sent.arp = Counts { packets: 1, bytes: 42, skbs: 1, skb_bytes: 42 };
    let reading =
        Reading { number: InterfaceNumber(1), at: now(), totals, device_before: None, device_after: None };
    rig.observations.send(Observation::Totals(vec![reading])).await.expect("the engine runs");
    let has_it =
        snapshots.wait_for(|snapshot| snapshot.unattributed.iter().any(|row| row.totals.sent.bytes == 42));
    assert!(timeout(DEADLINE, has_it).await.is_ok());
    rig.engine.stop().await;
    // The last snapshot, and then the end.
    let to_the_end = async { while snapshots.changed().await.is_ok() {} };
    assert!(timeout(DEADLINE, to_the_end).await.is_ok());
}

#[tokio::test]
async fn what_somebody_else_counts_as_lost_is_in_the_snapshots() {
    let rig = rig();
    let (feed, counter) = (rig.engine.feed(), Arc::new(AtomicU64::new(0)));
    feed.count_losses("records_not_written", Arc::clone(&counter)).await;
    counter.store(7, Ordering::Relaxed);
    rig.changes.send(docker_up()).await.unwrap();
    let mut snapshots = rig.engine.snapshots();
    let told = snapshots.wait_for(|snapshot| snapshot.losses.get("records_not_written") == 7);
    assert!(timeout(DEADLINE, told).await.unwrap().is_ok());
    // It keeps no engine alive, and one that has ended takes no more.
    rig.engine.stop().await;
    feed.count_losses("other", counter).await;
}

#[tokio::test]
async fn a_new_interface_makes_the_engine_ask_and_a_change_makes_a_snapshot_soon() {
    let mut rig = rig();
    let mut snapshots = rig.engine.snapshots();
    rig.changes.send(docker_up()).await.expect("the engine runs");
    let is_up = snapshots.wait_for(|snapshot| matches!(snapshot.docker, DockerState::Up { .. }));
    assert!(timeout(DEADLINE, is_up).await.is_ok());
    rig.observations.send(attached()).await.expect("the engine runs");
    let ask = timeout(DEADLINE, rig.asks.recv()).await.expect("in time");
    assert_eq!(ask, Some(Ask::NetworkOfBridge(SafeText::new("br-a"))));
    rig.engine.stop().await;
}

#[tokio::test]
async fn an_inventory_that_ends_leaves_the_engine_running() {
    let rig = rig();
    drop(rig.changes);
    let mut snapshots = rig.engine.snapshots();
    rig.observations.send(attached()).await.expect("the engine runs");
    let watched = snapshots.wait_for(|snapshot| snapshot.interfaces_watched == 1);
    assert!(timeout(DEADLINE, watched).await.is_ok());
    rig.engine.stop().await;
}
