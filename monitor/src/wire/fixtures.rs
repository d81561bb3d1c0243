//! Snapshots and records for the tests of `wire` and `view`: the nginx → Flask example on a quiet host.

pub(crate) mod past;
pub(crate) mod why;

use super::Clock;
use crate::model::{
    AttachedBy, ContainerId, ContainerState, Counts, Details, Direction, DnsAnswer, DnsExchange, DnsPlace,
    DnsRecord, DnsTransport, DockerState, FlowId, FlowPorts, HostId, IcmpKind, Initiator, InterfaceKind,
    InterfaceNumber, KernelTime, Losses, NetworkDriver, NetworkId, NotWatched, Overlay, Protocol, Resources,
    SafeText, SwarmKind, SwarmMember, TcpFlags, Traffic, WallTime,
};
use crate::snapshot::{
    Answers, BridgeRow, ContainerRef, ContainerRow, Conversations, End, EndKind, Expected, FlowRecord, Hooks,
    IcmpRow, Kept, LatencyRow, LookedUp, Lookups, Measured, Membership, NameRecord, NetworkRef, NetworkRow,
    NetworkTraits, ObservedAt, OriginEnd, OriginKind, Outcome, PairRow, Peer, Percentiles, PostureRule,
    Reach, Retransmits, Rule, RuleName, SampleRecord, Service, Severity, Snapshot, Standing, Steps, Subject,
    SwarmRef, Tcp, TcpState, UnattributedRow, Verdict, ZeroWindows,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const NOW: KernelTime = KernelTime(100_000_000_000);

pub(crate) fn clock() -> Clock {
    Clock::new(NOW, WallTime(1_795_511_403_004_000_000))
}

pub(crate) fn host() -> HostId {
    HostId { name: text("db-07"), boot_id: "1b4e28ba-2fa1-11d2-883f-0016d3cca427".into() }
}

pub(crate) fn text(raw: &str) -> SafeText {
    SafeText::new(raw)
}

pub(crate) fn counts(packets: u64, bytes: u64) -> Counts {
    Counts { packets, bytes, skbs: packets, skb_bytes: bytes }
}

pub(crate) fn traffic(sent: Counts, received: Counts) -> Traffic {
    Traffic { sent, received }
}

pub(crate) fn network(name: &str) -> NetworkRef {
    let id = NetworkId::new(&"4f".repeat(32)).unwrap();
    NetworkRef { id, name: text(name), driver: NetworkDriver::Bridge }
}

pub(crate) fn container(name: &str, service: Option<&str>) -> Arc<ContainerRef> {
    Arc::new(ContainerRef {
        id: ContainerId::new(&"0c".repeat(32)).unwrap(),
        name: text(name),
        image: Some(text("shop-web:1")),
        project: service.map(|_| text("shop")),
        service: service.map(text),
        of_swarm: false,
        networks: vec![network("shop_back")],
        shares_namespace_with: Vec::new(),
        aliases: Vec::new(),
    })
}

pub(crate) fn end(kind: EndKind, address: &str, port: Option<u16>) -> End {
    End { kind, address: address.parse().unwrap(), port, container: None, swarm: None, reason: None }
}

pub(crate) fn container_end(name: &str, address: &str, port: Option<u16>) -> End {
    End { container: Some(container(name, Some("web"))), ..end(EndKind::Container, address, port) }
}

/// A task of a service on another node of a swarm.
pub(crate) fn task_end(address: &str, port: Option<u16>) -> End {
    let node = Some("198.51.100.2".parse().unwrap());
    swarm_end(
        SwarmKind::Task,
        Some("shop_web"),
        Some("shop_web.3.97q0jnm1blxsolx5tg1z4p55i"),
        node,
        address,
        port,
    )
}

pub(crate) fn swarm_end(
    kind: SwarmKind,
    service: Option<&str>,
    name: Option<&str>,
    node: Option<IpAddr>,
    address: &str,
    port: Option<u16>,
) -> End {
    let (service, name) = (service.map(text), name.map(text));
    let member = SwarmMember { address: address.parse().unwrap(), kind, service, name, node, mac: None };
    let network = NetworkRef { driver: NetworkDriver::Overlay, ..network("shop_mesh") };
    let swarm = SwarmRef { member, network, vxlan_id: Some(4_097) };
    End { swarm: Some(Arc::new(swarm)), ..end(EndKind::External, address, port) }
}

pub(crate) fn observed_at(interface: &str) -> ObservedAt {
    ObservedAt {
        kind: InterfaceKind::Veth,
        number: InterfaceNumber(1),
        interface: text(interface),
        ifindex: 41,
    }
}

pub(crate) fn row(name: &str, service: Option<&str>, network_name: &str, peers: Vec<Peer>) -> ContainerRow {
    ContainerRow {
        container: container(name, service),
        state: ContainerState::Running,
        started_at: Some(WallTime(1_795_510_000_000_000_000)),
        memberships: vec![Membership {
            network: network(network_name),
            addresses: vec!["172.18.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
            mac: Some("02:42:ac:12:00:02".parse().unwrap()),
            interface: Some((text("veth1a2b3c4"), 41)),
        }],
        totals: traffic(counts(9_412, 12_900_000), counts(1_003_111, 1_258_291)),
        window: traffic(counts(941, 1_290_000), counts(311, 125_829)),
        before_watch: traffic(Counts { skbs: 2, skb_bytes: 140, ..Counts::default() }, Counts::default()),
        not_recorded: Counts::default(),
        unaccounted_bytes: Some(0),
        watched: true,
        unwatched_reason: None,
        handshake: Some(handshake()),
        handshake_steps: None,
        peers,
        conversations: Conversations { alive: 4, opened: 12, accepted: 3 },
        dropped: 0,
        details: None,
    }
}

pub(crate) fn details() -> Details {
    Details {
        restarts: Some(2),
        health: Some(text("healthy")),
        command: Some(text("nginx -g daemon off;")),
        memory_limit: Some(256 << 20),
        nano_cpus: Some(1_500_000_000),
        pids_limit: Some(100),
        capabilities_added: vec![text("NET_ADMIN")],
        capabilities_dropped: vec![text("MKNOD"), text("NET_RAW")],
        privileged: false,
        restart_policy: Some(text("unless-stopped")),
        labels: vec![(text("com.example.team"), text("shop"))],
        published: vec![("0.0.0.0".parse().unwrap(), 8_080, 80, "tcp".to_owned())],
    }
}

pub(crate) fn handshake() -> Percentiles {
    Percentiles {
        count: 12,
        p50: Duration::from_micros(213),
        p90: Duration::from_micros(640),
        p99: Duration::from_micros(1_040),
        p999: Duration::from_micros(1_040),
        max: Duration::from_micros(1_040),
    }
}

pub(crate) fn peer(end: End) -> Peer {
    let window = traffic(counts(900, 1_100_000), counts(300, 120_000));
    Peer { end, traffic: window, window }
}

/// How a network was made.
pub(crate) fn traits(
    subnets: &[(&str, u8)],
    internal: bool,
    overlay: Option<Overlay>,
) -> Option<Arc<NetworkTraits>> {
    let subnets = subnets.iter().map(|(address, prefix)| (address.parse().unwrap(), *prefix)).collect();
    Some(Arc::new(NetworkTraits { subnets, internal, overlay }))
}

pub(crate) fn network_row(name: &str) -> NetworkRow {
    NetworkRow {
        network: network(name),
        traits: traits(&[("172.18.0.0", 16)], false, None),
        members: vec![
            container("shop-flask_app-1", Some("flask_app")),
            container("shop-nginx-1", Some("nginx")),
        ],
        interfaces_watched: 2,
        totals: Reach { inside: counts(9_412, 12_900_000), ..Reach::default() },
        window: Reach { inside: counts(941, 1_290_000), ..Reach::default() },
        crossings: 0,
    }
}

/// A router outside that told the client of a pair an MTU, and was not heard.
pub(crate) fn icmp_row() -> IcmpRow {
    IcmpRow {
        kind: IcmpKind { v6: false, kind: 3, code: 4 },
        of_client: true,
        sender: end(EndKind::External, "192.0.2.1", None),
        mtu: Some(1_400),
        packets: 12,
        largest: 1_500,
        again: 9,
    }
}

pub(crate) fn pair_row() -> PairRow {
    PairRow {
        client: container_end("shop-nginx-1", "172.18.0.2", None),
        server: container_end("shop-flask_app-1", "172.18.0.3", Some(5000)),
        protocol: Protocol::TCP,
        network: Some(network("shop_back")),
        traffic: traffic(counts(9_412, 12_900_000), counts(1_003_111, 1_258_291)),
        window: traffic(counts(941, 1_290_000), counts(311, 125_829)),
        conversations: 12,
        answers: Answers { answered: 12, reset: 1, reset_by_server: 1, ..Answers::default() },
        shares: Vec::new(),
        retransmits: Retransmits { by_client: 2, by_server: 7 },
        zero_windows: ZeroWindows::default(),
        icmp: Vec::new(),
        handshake: Some(handshake()),
        verdict: Some(Verdict {
            rule: RuleName::Topology(Rule::SameNetwork),
            expected: Expected::Allow,
            outcome: Outcome::Answered,
        }),
        last_seen: NOW,
        hooks: Hooks {
            devices: [Some(text("veth1a2b3c4")), Some(text("veth5d6e7f8"))],
            delivered: 9_412,
            came_back: 1_003_111,
        },
    }
}

pub(crate) fn service(name: &str) -> Service {
    Service::Compose { project: Some(text("shop")), service: text(name) }
}

pub(crate) fn measured(micros: u64) -> Measured {
    let took = Duration::from_micros(micros);
    let mut steps = Steps::default();
    steps.record(took);
    let percentiles = Percentiles { count: 1, p50: took, p90: took, p99: took, p999: took, max: took };
    Measured { percentiles, steps }
}

pub(crate) fn latency_row() -> LatencyRow {
    LatencyRow {
        client: service("nginx"),
        server: service("flask_app"),
        port: Some(5_000),
        at_client: Some(measured(213)),
        at_server: Some(measured(113)),
        between: Some(measured(100)),
        first_byte_at_server: Some(measured(1_250)),
        first_byte_at_client: None,
    }
}

/// Two services, a host client, nothing lost.
pub(crate) fn snapshot() -> Snapshot {
    let flask = container_end("shop-flask_app-1", "172.18.0.3", Some(5000));
    let nginx_peers = vec![peer(flask), peer(end(EndKind::Host, "172.19.0.1", None))];
    let nginx = container_end("shop-nginx-1", "172.18.0.2", None);
    Snapshot {
        host: host(),
        taken_at: NOW,
        counted_at: NOW,
        window: Duration::from_millis(1_000),
        watching_since: KernelTime(98_000_000_000),
        by_agent: false,
        docker: DockerState::Up {
            version: text("28.5.2"),
            api: text("1.51"),
            host: text("unix:///var/run/docker.sock"),
            rootless: false,
            experimental: Some(false),
        },
        docker_refused: None,
        containers: vec![
            row("shop-nginx-1", Some("nginx"), "shop_front", nginx_peers),
            row("shop-flask_app-1", Some("flask_app"), "shop_back", vec![peer(nginx)]),
        ],
        unattributed: Vec::new(),
        bridges: Vec::new(),
        networks: [network_row("shop_back"), network_row("shop_front")].into(),
        pairs: [pair_row()].into(),
        latencies: [latency_row()].into(),
        asked: Arc::default(),
        not_watched: Vec::new(),
        missing: BTreeMap::new(),
        attached: AttachedBy { tcx: 3, clsact: 0 },
        interfaces_watched: 3,
        flows_kept: 12,
        findings: Vec::new(),
        standing: Vec::new(),
        rights_unknown: 0,
        drops: BTreeMap::new(),
        losses: Losses::default(),
        resources: Resources {
            flows: 6,
            flow_capacity: 65_536,
            flows_ipv6: 0,
            slots: 3,
            slot_capacity: 1_024,
            drop_capacity: 16_384,
            claim_capacity: 8_192,
            ring_bytes: 4_096,
            ring_capacity: 1 << 20,
            cpu_ns: Some(1_250_000_000),
            resident_bytes: Some(24 << 20),
            flips: 12,
            ..Resources::default()
        },
        history: Kept::default(),
        past: None,
    }
}

/// A container with the Docker socket, or an information about a published port.
pub(crate) fn standing(name: &str, severity: Severity) -> Standing {
    let (rule, what) = match severity {
        Severity::Info => (PostureRule::PublishedEverywhere, "0.0.0.0:8080->80/tcp"),
        Severity::Warning | Severity::Critical => (PostureRule::DockerSocket, "docker.sock"),
    };
    Standing {
        id: 7,
        revision: 2,
        is_open: true,
        severity,
        rule,
        subject: Subject::Container(container(name, Some("ui"))),
        what: vec![text(what)],
        what_count: 1,
        since: Some(WallTime(1_795_510_000_000_000_000)),
        first_seen: KernelTime(99_000_000_000),
        last_seen: NOW,
        explanation: format!("{}: {}. Do something.", text(name), rule.means()),
    }
}

/// Docker away, losses, things not watched, and names made to harm.
pub(crate) fn troubled_snapshot() -> Snapshot {
    let mut losses = Losses::default();
    losses.add("flow_map_full", 1_203);
    losses.add("ring_full", 3);
    let mut hostile = row("evil\x1b[31m\u{202e}gnp", None, "日本語ネット", Vec::new());
    hostile.not_recorded = counts(12_345, 3_000_000);
    hostile.unaccounted_bytes = Some(1_514);
    let mut host_mode = row("registry", None, "host", Vec::new());
    host_mode.watched = false;
    host_mode.totals = Traffic::default();
    host_mode.window = Traffic::default();
    host_mode.unwatched_reason = Some("host mode: it uses the host's own network".to_owned());
    host_mode.memberships.clear();
    let named = ["evil\x1b[31m\u{202e}gnp", "ui", "panel", "fourth"];
    let standing = named.map(|name| Arc::new(standing(name, Severity::Critical))).into_iter();
    let standing = standing.chain([Arc::new(self::standing("shop-nginx-1", Severity::Info))]).collect();
    Snapshot {
        standing,
        docker: DockerState::Down {
            since: KernelTime(90_000_000_000),
            reason: "connecting to /var/run/docker.sock\x1b]0;x\x07: no such file".to_owned(),
        },
        containers: vec![hostile, row("日本語🐳コンテナ", Some("café"), "shop_front", Vec::new()), host_mode],
        unattributed: vec![UnattributedRow {
            observed_at: observed_at("veth99"),
            network: Some(network("shop_back")),
            reason: "docker_down",
            totals: traffic(counts(10, 4_096), counts(20, 8_192)),
            window: Traffic::default(),
            before_watch: Traffic::default(),
        }],
        bridges: vec![BridgeRow {
            observed_at: ObservedAt { kind: InterfaceKind::Bridge, ..observed_at("br-4f4f4f4f4f4f") },
            network: Some(network("shop_back")),
            totals: traffic(counts(1, 60), counts(2, 120)),
        }],
        missing: BTreeMap::from([("drops", text("the kernel does not describe its types"))]),
        not_watched: vec![NotWatched {
            ifindex: 77,
            name: text("veth\x07x"),
            reason: "no free slot: raise --max-interfaces".to_owned(),
        }],
        losses,
        docker_refused: Some(text("not a container id: ../x")),
        ..snapshot()
    }
}

/// nginx asks for Flask's name, on a network whose resolver was given to it.
pub(crate) fn name() -> NameRecord {
    let flow = flow();
    NameRecord {
        told: DnsExchange {
            place: DnsPlace::Interface(flow.observed_at.number),
            asked_at: KernelTime(98_900_000_000),
            asked: 1,
            client: ([172, 18, 0, 2], 40_001).into(),
            resolver: ([172, 18, 0, 9], 53).into(),
            transport: DnsTransport::Udp,
            forwarded: true,
            id: 4_660,
            name: text("flask_app"),
            record_type: text("A"),
            answer: Some(DnsAnswer {
                at: KernelTime(98_900_182_400),
                code: text("NOERROR"),
                truncated: true,
                records: vec![
                    DnsRecord::Address([172, 18, 0, 3].into()),
                    DnsRecord::Other(text("CNAME web.")),
                ],
                left_out: 3,
            }),
        },
        container: flow.local.container,
        network: flow.network,
        observed_at: Some(flow.observed_at),
        resolver: container_end("shop-names-1", "172.18.0.9", Some(53)),
    }
}

/// What came of two questions of nginx, of which one had no answer.
pub(crate) fn asked() -> Arc<LookedUp> {
    let NameRecord { told, container, resolver, .. } = name();
    let mut lookups = Lookups::default();
    let silent = DnsExchange { name: text("silent"), answer: None, ..told.clone() };
    for told in [told, silent] {
        let told = DnsExchange { forwarded: false, ..told };
        lookups.take(container.as_ref().unwrap(), &told, resolver.clone());
    }
    lookups.finish();
    lookups.rows(NOW)
}

/// nginx asks Flask, as seen at nginx.
pub(crate) fn flow() -> FlowRecord {
    FlowRecord {
        flow_id: FlowId(0x0001_0000_0000_0007),
        epoch: 42,
        tick_start: KernelTime(99_000_000_000),
        tick_end: NOW,
        first_seen: KernelTime(99_100_000_000),
        last_seen: KernelTime(99_900_000_000),
        last: false,
        observed_at: observed_at("veth1a2b3c4"),
        network: Some(network("shop_back")),
        initiator: Initiator::Local,
        protocol: Protocol::TCP,
        ports: FlowPorts::Ports { local: 40_112, remote: 5_000 },
        vlan: None,
        local: container_end("shop-nginx-1", "172.18.0.2", Some(40_112)),
        remote: container_end("shop-flask_app-1", "172.18.0.3", Some(5_000)),
        remote_name: None,
        sent: counts(6, 812),
        received: counts(5, 1_403),
        origin: Some(OriginEnd {
            kind: OriginKind::Veth,
            interface: Some(text("veth9f8e7d6")),
            container: Some(text("shop-flask_app-1")),
            network: Some(network("shop_back")),
            several: false,
        }),
        translated: None,
        tcp: Some(Tcp {
            sent_flags: TcpFlags(0x1b),
            received_flags: TcpFlags(0x1a),
            state: TcpState::Established,
            handshake: Some(Duration::from_nanos(213_500)),
            failed: false,
            first_byte: Some(Duration::from_nanos(1_250_000)),
            half_open: false,
            silent: None,
        }),
        several_source_macs: false,
        verdict: None,
    }
}

/// A sampled packet of [`flow`].
pub(crate) fn sample() -> SampleRecord {
    SampleRecord {
        at: KernelTime(99_200_000_000),
        flow_id: Some(FlowId(0x0001_0000_0000_0007)),
        observed_at: observed_at("veth1a2b3c4"),
        direction: Direction::Sent,
        container: Some(text("shop-nginx-1")),
        length: 166,
        bytes: vec![0x02, 0x42, 0xac, 0x12, 0x00, 0x03],
    }
}
