//! The engine as a task: what comes in by channels comes out as snapshots, records and questions.

use monitor::engine::{self, Ask, Filter, Settings};
use monitor::model::{
    AttachMode, Change, ClassCounts, Counts, Direction, DockerState, FlowBatch, FlowDelta, FlowId, FlowKey,
    FlowPorts, HostId, Interface, InterfaceKind, InterfaceNumber, KernelTime, Observation, Protocol, Reading,
    SafeText,
};
use monitor::snapshot::Record;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);

/// A clock that goes on 10 ms each time it is read.
fn now() -> KernelTime {
    static NOW: AtomicU64 = AtomicU64::new(1_000_000_000);
    KernelTime(NOW.fetch_add(10_000_000, Ordering::Relaxed))
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
    let at = now();
    let delta = FlowDelta {
        key: FlowKey {
            interface: InterfaceNumber(1),
            local: [172, 18, 0, 2].into(),
            remote: [9, 9, 9, 9].into(),
            protocol: Protocol::UDP,
            ports: FlowPorts::Ports { local: 4_000, remote: 53 },
            vlan: None,
        },
        flow_id: FlowId(1),
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
    };
    Observation::Flows(FlowBatch { epoch: 1, tick_start: at, tick_end: at, flows: vec![delta], last: true })
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
