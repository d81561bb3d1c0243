//! What a flow costs the engine: memory, and time.

use monitor::engine::{Settings, State};
use monitor::model::{
    AttachMode, Change, Container, ContainerId, ContainerState, Counts, Direction, DockerState, Endpoint,
    FlowBatch, FlowDelta, FlowId, FlowKey, FlowPorts, HostId, Interface, InterfaceKind, InterfaceNumber,
    KernelTime, Mac, Network, NetworkDriver, NetworkId, NetworkMode, Observation, Origin, PeerDevice,
    Protocol, SafeText, TcpFlags, TcpObserved,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Counts what is allocated now, and the most that ever was.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; only sizes are counted beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The tests take turns: one counts what is allocated.
static TURN: Mutex<()> = Mutex::new(());

const FLOWS: u32 = 65_536;
const NOW: KernelTime = KernelTime(10_000_000_000);

fn text(raw: &str) -> SafeText {
    SafeText::new(raw)
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(172, 18, 0, last))
}

/// Docker with one network and 50 containers on it, each with its interface; interface N has address N + 1.
fn host() -> State {
    let host = HostId { name: text("db-07"), boot_id: "boot".into() };
    let mut state = State::new(Settings::new(host), KernelTime(1));
    state.change(&Change::Docker(DockerState::Up {
        version: text("28"),
        api: text("1.48"),
        host: text("unix:///var/run/docker.sock"),
        rootless: false,
        experimental: Some(false),
    }));
    let id = NetworkId::new("a").expect("a good id");
    let network = Network {
        id: id.clone(),
        name: text("a"),
        driver: NetworkDriver::Bridge,
        bridge: Some(text("br-a")),
        subnets: vec![(address(0), 16)],
        gateways: vec![address(1)],
        internal: false,
        inter_container: true,
        ipv6: false,
        gateway_mode_ipv4: monitor::model::GatewayMode::Nat,
        gateway_mode_ipv6: monitor::model::GatewayMode::Nat,
        overlay: None,
    };
    state.change(&Change::Network { network, at: KernelTime(1) });
    for number in 1..=50_u8 {
        let mac = Mac([2, 0, 0, 0, 0, number]);
        let container = Container {
            id: ContainerId::new(&format!("{number:064x}")).expect("a good id"),
            name: text(&format!("c{number}")),
            image: None,
            project: None,
            service: None,
            state: ContainerState::Running,
            started_at: None,
            network_mode: NetworkMode::Networks,
            endpoints: vec![Endpoint {
                network: id.clone(),
                mac: Some(mac),
                addresses: vec![address(number + 1)],
            }],
            namespace: None,
            sandbox: None,
            pid: None,
            published: Vec::new(),
            labels: Vec::new(),
            links: Vec::new(),
            aliases: Vec::new(),
            rights: None,
            details: None,
        };
        state.change(&Change::Container { container: Box::new(container), at: KernelTime(1) });
        let interface = Interface {
            number: InterfaceNumber(number.into()),
            ifindex: 100 + u32::from(number),
            name: text(&format!("veth{number}")),
            kind: InterfaceKind::Veth,
            mac: None,
            master: Some((10, text("br-a"))),
            peer: Some(PeerDevice { namespace: None, ifindex: 2, name: None, mac: Some(mac) }),
        };
        let (at, mode) = (KernelTime(1), AttachMode::Tcx);
        state
            .observe(Observation::Attached { interface, at, mode, before: None, after: None }, KernelTime(1));
    }
    state.housekeeping(NOW);
    state
}

/// A new TCP connection between two of the containers, as the client's interface sees it.
fn connection(number: u32) -> FlowDelta {
    let client = u8::try_from(number % 25 + 1).expect("below 26");
    let server = client + 25;
    let port = u16::try_from(number / 25).expect("fewer than 65,536 a client");
    FlowDelta {
        key: FlowKey {
            interface: InterfaceNumber(client.into()),
            local: address(client + 1),
            remote: address(server + 1),
            protocol: Protocol::TCP,
            ports: FlowPorts::Ports { local: port, remote: 80 },
            vlan: None,
        },
        flow_id: FlowId(number.into()),
        first_seen: NOW,
        last_seen: NOW,
        is_new: true,
        first_direction: Direction::Sent,
        sent: Counts { packets: 5, bytes: 500, skbs: 5, skb_bytes: 500 },
        received: Counts { packets: 4, bytes: 900, skbs: 4, skb_bytes: 900 },
        tcp: Some(TcpObserved {
            sent_flags: TcpFlags(0x1a),
            received_flags: TcpFlags(0x1a),
            syn_at: Some(NOW),
            syn_ack_at: Some(NOW.plus(Duration::from_micros(100))),
            ..TcpObserved::default()
        }),
        origin: Some(Origin { ifindex: 100 + u32::from(server), other: None }),
        source_mac: None,
        several_source_macs: false,
        cgroup: None,
    }
}

/// CPU time of this thread: what others do on the machine does not count.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("CPU time is positive")
}

fn batches(epoch: u64) -> Vec<FlowBatch> {
    let numbers: Vec<u32> = (0..FLOWS).collect();
    let parts: Vec<_> = numbers.chunks(4_096).collect();
    let count = parts.len();
    let batch = |(index, part): (usize, &&[u32])| FlowBatch {
        epoch,
        tick_start: KernelTime(1),
        tick_end: NOW,
        flows: part.iter().map(|number| connection(*number)).collect(),
        last: index + 1 == count,
    };
    parts.iter().enumerate().map(batch).collect()
}

#[test]
fn sixty_five_thousand_flows_take_less_than_330_bytes_each() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut state = host();
    let before = LIVE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    for part in 0..FLOWS / 4_096 {
        let flows = (part * 4_096..(part + 1) * 4_096).map(connection).collect();
        let batch = FlowBatch { epoch: 1, tick_start: KernelTime(1), tick_end: NOW, flows, last: false };
        state.observe(Observation::Flows(batch), NOW);
    }
    assert_eq!(state.sizes()[4], FLOWS as usize);
    let (after, most) = (LIVE.load(Ordering::Relaxed), MOST.load(Ordering::Relaxed));
    let (each, at_most) = ((after - before) / FLOWS as usize, (most - before) / FLOWS as usize);
    println!("{each} bytes a flow, {at_most} at most while the table grew");
    assert!(each <= 330 && at_most <= 430, "{each} and {at_most} bytes a flow");
}

#[test]
fn the_time_a_flow_takes_is_printed() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut state = host();
    for (what, epoch) in [("new", 1), ("known", 2)] {
        let told = batches(epoch);
        let start = thread_cpu();
        for batch in told {
            state.observe(Observation::Flows(batch), NOW);
        }
        println!("{what}: {} ns a flow", (thread_cpu() - start).as_nanos() / u128::from(FLOWS));
    }
    let (queue, mut records) = tokio::sync::mpsc::channel(100_000);
    state.subscribe(monitor::engine::Filter::default(), queue);
    let told = batches(3);
    let start = thread_cpu();
    for batch in told {
        state.observe(Observation::Flows(batch), NOW);
    }
    println!("known, with a subscriber: {} ns a flow", (thread_cpu() - start).as_nanos() / u128::from(FLOWS));
    let start = thread_cpu();
    let snapshot = state.snapshot(NOW);
    println!("snapshot: {} us, {} rows", (thread_cpu() - start).as_micros(), snapshot.containers.len());
    let start = thread_cpu();
    state.housekeeping(NOW);
    println!("housekeeping: {} us", (thread_cpu() - start).as_micros());
    assert_eq!(state.sizes()[4], FLOWS as usize);
    assert!(records.try_recv().is_ok());
}
