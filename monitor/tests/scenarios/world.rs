//! A made-up host: what the collector and the inventory would tell, with times, and what comes of it.

use monitor::engine::{Filter, Settings, State};
use monitor::model::{
    AttachMode, Change, ClassCounts, Container, ContainerId, ContainerState, Counts, DeviceCounters,
    Direction, DirectionCounts, DockerState, Endpoint, FlowBatch, FlowDelta, FlowId, FlowKey, FlowPorts,
    HostAddresses, HostId, Interface, InterfaceKind, InterfaceNumber, KernelTime, Mac, Network,
    NetworkDriver, NetworkId, NetworkMode, Observation, Origin, PeerDevice, Protocol, Reading, SafeText,
    TcpFlags, TcpObserved,
};
use monitor::snapshot::{ContainerRow, FlowRecord, Record, Snapshot};
use std::collections::HashMap;
use std::net::IpAddr;
use tokio::sync::mpsc;

/// Milliseconds, as a time.
pub(crate) fn ms(millis: u64) -> KernelTime {
    KernelTime(millis * 1_000_000)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn text(raw: &str) -> SafeText {
    SafeText::new(raw)
}

/// A container's id: its name in hexadecimal, so that tests can read either.
pub(crate) fn id(name: &str) -> ContainerId {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    ContainerId::new(&hex).unwrap()
}

pub(crate) fn network_id(name: &str) -> NetworkId {
    NetworkId::new(&format!("net{name}")).unwrap()
}

/// An Ethernet address made of an IPv4 address, as engine 20.10 does.
pub(crate) fn mac(address: &str) -> Mac {
    match ip(address) {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            Mac([2, 0x42, a, b, c, d])
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            Mac([2, 6, octets[12], octets[13], octets[14], octets[15]])
        }
    }
}

pub(crate) fn counts(packets: u64, bytes: u64) -> Counts {
    Counts { packets, bytes, skbs: packets, skb_bytes: bytes }
}

pub(crate) fn bridge_network(name: &str, subnets: &[(&str, u8)], gateways: &[&str]) -> Network {
    Network {
        id: network_id(name),
        name: text(name),
        driver: NetworkDriver::Bridge,
        bridge: Some(text(&format!("br-{name}"))),
        subnets: subnets.iter().map(|(address, prefix)| (ip(address), *prefix)).collect(),
        gateways: gateways.iter().map(|gateway| ip(gateway)).collect(),
        internal: false,
        inter_container: true,
        ipv6: false,
        gateway_mode_ipv4: monitor::model::GatewayMode::Nat,
        gateway_mode_ipv6: monitor::model::GatewayMode::Nat,
        overlay: None,
    }
}

pub(crate) fn endpoint(network: &str, address: &str) -> Endpoint {
    Endpoint { network: network_id(network), mac: Some(mac(address)), addresses: vec![ip(address)] }
}

pub(crate) fn container(name: &str, endpoints: &[(&str, &str)]) -> Container {
    Container {
        id: id(name),
        name: text(name),
        image: Some(text("image")),
        project: Some(text("shop")),
        service: Some(text(name)),
        state: ContainerState::Running,
        started_at: None,
        network_mode: NetworkMode::Networks,
        endpoints: endpoints.iter().map(|(network, address)| endpoint(network, address)).collect(),
        namespace: None,
        sandbox: Some(format!("/run/netns/{name}")),
        pid: Some(1),
        published: Vec::new(),
        labels: Vec::new(),
        links: Vec::new(),
        aliases: Vec::new(),
        rights: None,
        details: None,
    }
}

/// One tick of a TCP or UDP flow, to be filled in further.
pub(crate) struct Told {
    pub(crate) delta: FlowDelta,
}

/// What a flow is between, as seen at one interface: `flow(1, "172.18.0.2:4000", "172.18.0.3:80")`.
pub(crate) fn flow(interface: u32, local: &str, remote: &str) -> Told {
    let (local, remote): (std::net::SocketAddr, std::net::SocketAddr) =
        (local.parse().unwrap(), remote.parse().unwrap());
    let key = FlowKey {
        interface: InterfaceNumber(interface),
        local: local.ip(),
        remote: remote.ip(),
        protocol: Protocol::UDP,
        ports: FlowPorts::Ports { local: local.port(), remote: remote.port() },
        vlan: None,
    };
    Told {
        delta: FlowDelta {
            key,
            flow_id: FlowId(0),
            first_seen: KernelTime(0),
            last_seen: KernelTime(0),
            is_new: true,
            first_direction: Direction::Sent,
            sent: counts(1, 100),
            received: Counts::default(),
            tcp: None,
            origin: None,
            source_mac: None,
            several_source_macs: false,
            cgroup: None,
        },
    }
}

impl Told {
    pub(crate) fn received(mut self, origin: u32) -> Self {
        self.delta.first_direction = Direction::Received;
        self.delta.received = counts(1, 100);
        self.delta.sent = Counts::default();
        self.and_received(origin)
    }

    /// Both ways, the first packet as it was.
    pub(crate) fn and_received(mut self, origin: u32) -> Self {
        self.delta.received = counts(1, 100);
        self.delta.origin = Some(Origin { ifindex: origin, other: None });
        self
    }

    pub(crate) fn also_from(mut self, other: u32) -> Self {
        self.delta.origin = self.delta.origin.map(|origin| Origin { other: Some(other), ..origin });
        self
    }

    pub(crate) fn counted(mut self, sent: Counts, received: Counts) -> Self {
        (self.delta.sent, self.delta.received) = (sent, received);
        self
    }

    pub(crate) fn tcp(mut self, sent: &str, received: &str, syn: Option<u64>, syn_ack: Option<u64>) -> Self {
        let flags = |text: &str| {
            TcpFlags(text.chars().fold(0, |flags, letter| {
                flags
                    | match letter {
                        'S' => TcpFlags::SYN,
                        'A' => TcpFlags::ACK,
                        'F' => TcpFlags::FIN,
                        'R' => TcpFlags::RST,
                        'P' => 0x08,
                        _ => panic!("no flag {letter}"),
                    }
            }))
        };
        self.delta.key.protocol = Protocol::TCP;
        self.delta.tcp = Some(TcpObserved {
            sent_flags: flags(sent),
            received_flags: flags(received),
            syn_at: syn.map(|micros| KernelTime(micros * 1_000)),
            syn_ack_at: syn_ack.map(|micros| KernelTime(micros * 1_000)),
            ..TcpObserved::default()
        });
        self
    }

    pub(crate) fn not_new(mut self) -> Self {
        self.delta.is_new = false;
        self
    }

    /// First and last packet, in milliseconds.
    pub(crate) fn seen(mut self, first: u64, last: u64) -> Self {
        (self.delta.first_seen, self.delta.last_seen) = (ms(first), ms(last));
        self
    }
}

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: KernelTime,
    pub(crate) epoch: u64,
    records: mpsc::Receiver<Record>,
    all: Vec<FlowRecord>,
    ids: HashMap<FlowKey, FlowId>,
    interfaces: HashMap<u32, Interface>,
    totals: HashMap<u32, ClassCounts>,
}

impl World {
    /// A host with Docker up, watched from 1 s after boot.
    pub(crate) fn new() -> Self {
        let mut world = Self::without_docker(|_| {});
        world.docker_up();
        world
    }

    pub(crate) fn without_docker(adjust: impl FnOnce(&mut Settings)) -> Self {
        let host = HostId { name: text("db-07"), boot_id: "boot".into() };
        let mut settings = Settings::new(host);
        adjust(&mut settings);
        let mut state = State::new(settings, ms(1_000));
        let (queue, records) = mpsc::channel(100_000);
        state.subscribe(Filter::default(), queue);
        Self {
            state,
            now: ms(1_000),
            epoch: 0,
            records,
            all: Vec::new(),
            ids: HashMap::new(),
            interfaces: HashMap::new(),
            totals: HashMap::new(),
        }
    }

    pub(crate) fn docker_up(&mut self) {
        self.change(Change::Docker(DockerState::Up {
            version: text("28"),
            api: text("1.48"),
            host: text("unix:///var/run/docker.sock"),
            rootless: false,
            experimental: Some(false),
        }));
        self.state.housekeeping(self.now);
    }

    pub(crate) fn docker_down(&mut self) {
        self.change(Change::Docker(DockerState::Down { since: self.now, reason: "gone".into() }));
    }

    /// Lets time pass to `millis` after boot.
    pub(crate) fn at(&mut self, millis: u64) -> &mut Self {
        assert!(ms(millis) >= self.now, "time goes forward");
        self.now = ms(millis);
        self
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.state.change(&change);
    }

    pub(crate) fn network(&mut self, network: Network) {
        self.change(Change::Network { network, at: self.now });
    }

    /// Network `a` at 172.18.0.0/16 and `b` at 172.19.0.0/16, gateways .0.1.
    pub(crate) fn two_networks(&mut self) {
        self.network(bridge_network(
            "a",
            &[("172.18.0.0", 16), ("fd00:a::", 64)],
            &["172.18.0.1", "fd00:a::1"],
        ));
        self.network(bridge_network(
            "b",
            &[("172.19.0.0", 16), ("fd00:b::", 64)],
            &["172.19.0.1", "fd00:b::1"],
        ));
        self.host(&[(2, "eth0", "10.1.1.1"), (10, "br-a", "172.18.0.1"), (20, "br-b", "172.19.0.1")]);
    }

    pub(crate) fn host(&mut self, addresses: &[(u32, &str, &str)]) {
        let addresses: Vec<_> =
            addresses.iter().map(|(ifindex, name, address)| (*ifindex, text(name), ip(address))).collect();
        let devices = addresses.iter().map(|(ifindex, name, _)| (*ifindex, name.clone())).collect();
        self.observe(Observation::Host(HostAddresses { addresses, devices }));
    }

    pub(crate) fn container(&mut self, container: Container) {
        self.change(Change::Container { container: Box::new(container), at: self.now });
    }

    pub(crate) fn endpoint(&mut self, name: &str, network: &str, address: &str) {
        let change = Change::Endpoint {
            container: id(name),
            name: text(name),
            endpoint: endpoint(network, address),
            at: self.now,
        };
        self.change(change);
    }

    pub(crate) fn stopped(&mut self, name: &str) {
        self.change(Change::ContainerStopped { id: id(name), at: self.now });
    }

    /// A veth is attached: its number is its ifindex minus 100 in these tests.
    pub(crate) fn attach(
        &mut self,
        number: u32,
        network: &str,
        peer_mac: Option<Mac>,
        namespace: Option<i32>,
    ) {
        self.attach_with(number, network, peer_mac, namespace, DeviceCounters::default());
    }

    pub(crate) fn attach_with(
        &mut self,
        number: u32,
        network: &str,
        peer_mac: Option<Mac>,
        namespace: Option<i32>,
        before: DeviceCounters,
    ) {
        let interface = Interface {
            number: InterfaceNumber(number),
            ifindex: number + 100,
            name: text(&format!("veth{number}")),
            kind: InterfaceKind::Veth,
            mac: None,
            master: Some((if network == "a" { 10 } else { 20 }, text(&format!("br-{network}")))),
            peer: Some(PeerDevice { namespace, ifindex: 2, name: None, mac: peer_mac }),
        };
        self.interfaces.insert(number, interface.clone());
        self.observe(Observation::Attached {
            interface,
            at: self.now,
            mode: AttachMode::Tcx,
            before: Some(before),
            after: Some(before),
        });
    }

    /// A container with an address in a network, and its interface.
    pub(crate) fn running(&mut self, name: &str, number: u32, network: &str, address: &str) {
        self.container(container(name, &[(network, address)]));
        self.attach(number, network, Some(mac(address)), None);
    }

    pub(crate) fn peer_read(&mut self, number: u32, peer_mac: Mac, namespace: i32) {
        let mut interface = self.interfaces[&number].clone();
        interface.peer =
            Some(PeerDevice { namespace: Some(namespace), ifindex: 2, name: None, mac: Some(peer_mac) });
        self.interfaces.insert(number, interface.clone());
        self.observe(Observation::Changed { interface, at: self.now });
    }

    /// The other end cannot be read any more: its namespace goes.
    pub(crate) fn peer_lost(&mut self, number: u32) {
        let mut interface = self.interfaces[&number].clone();
        for peer in [interface.peer.clone().map(|peer| PeerDevice { mac: None, name: None, ..peer }), None] {
            interface.peer = peer;
            self.observe(Observation::Changed { interface: interface.clone(), at: self.now });
        }
    }

    pub(crate) fn detach(&mut self, number: u32) {
        let last = self.reading(number);
        self.observe(Observation::Detached {
            number: InterfaceNumber(number),
            at: self.now,
            last: Box::new(last),
        });
    }

    /// Sets an interface's totals.
    pub(crate) fn total(&mut self, number: u32, sent: Counts, received: Counts) {
        let class = |ipv4| DirectionCounts { ipv4, ..DirectionCounts::default() };
        self.totals.insert(number, ClassCounts { sent: class(sent), received: class(received) });
    }

    pub(crate) fn reading(&self, number: u32) -> Reading {
        let totals = self.totals.get(&number).copied().unwrap_or_default();
        let (sent, received) = (totals.sent.all(), totals.received.all());
        let device = DeviceCounters {
            sent_skbs: sent.skbs,
            sent_bytes: sent.skb_bytes,
            received_skbs: received.skbs,
            received_bytes: received.skb_bytes,
            ..DeviceCounters::default()
        };
        Reading {
            number: InterfaceNumber(number),
            at: self.now,
            totals,
            device_before: Some(device),
            device_after: Some(device),
        }
    }

    /// Reads all totals.
    pub(crate) fn read(&mut self, numbers: &[u32]) {
        let readings = numbers.iter().map(|number| self.reading(*number)).collect();
        self.observe(Observation::Totals(readings));
    }

    pub(crate) fn observe(&mut self, observation: Observation) {
        self.state.observe(observation, self.now);
    }

    /// A generation of flows that ends now. A flow whose times were not set was seen now.
    pub(crate) fn flows(&mut self, told: Vec<Told>) {
        let batch = self.batch(told, true);
        self.observe(Observation::Flows(batch));
    }

    pub(crate) fn batch(&mut self, told: Vec<Told>, last: bool) -> FlowBatch {
        self.epoch += 1;
        let mut flows = Vec::new();
        for Told { mut delta } in told {
            let next = FlowId(self.ids.len() as u64 + 1);
            delta.flow_id = *self.ids.entry(delta.key).or_insert(next);
            if delta.first_seen == KernelTime(0) {
                (delta.first_seen, delta.last_seen) = (self.now, self.now);
            }
            flows.push(delta);
        }
        let tick_start = KernelTime(self.now.0.saturating_sub(1_000_000_000));
        FlowBatch { epoch: self.epoch, tick_start, tick_end: self.now, flows, last }
    }

    /// Lets the engine look after time, every 50 ms until `millis`.
    pub(crate) fn pass_until(&mut self, millis: u64) {
        while self.now < ms(millis) {
            self.now = KernelTime((self.now.0 + 50_000_000).min(ms(millis).0));
            self.state.housekeeping(self.now);
        }
    }

    /// All flow records so far.
    pub(crate) fn records(&mut self) -> &[FlowRecord] {
        while let Ok(record) = self.records.try_recv() {
            if let Record::Flow(flow) = record {
                self.all.push((*flow).clone());
            }
        }
        &self.all
    }

    /// Flow records since the last call but the empty last ones, as `local -> remote` with names, kinds or reasons.
    pub(crate) fn names(&mut self) -> Vec<String> {
        let before = self.all.len();
        self.records()[before..]
            .iter()
            .filter(|record| !record.last)
            .map(|record| format!("{} -> {}", name(&record.local), name(&record.remote)))
            .collect()
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.state.snapshot(self.now)
    }

    pub(crate) fn row(&mut self, name: &str) -> ContainerRow {
        let snapshot = self.snapshot();
        let row = snapshot.containers.iter().find(|row| row.container.name.as_str() == name);
        row.unwrap_or_else(|| panic!("no row of {name}")).clone()
    }
}

/// An end in one word.
pub(crate) fn name(end: &monitor::snapshot::End) -> String {
    use monitor::snapshot::EndKind;
    let who = match end.kind {
        EndKind::Container => end.container.as_ref().unwrap().name.to_string(),
        EndKind::Host => "host".into(),
        EndKind::External => "external".into(),
        EndKind::Multicast => "multicast".into(),
        EndKind::Unknown => format!("unknown({})", end.reason.unwrap()),
    };
    match end.port {
        Some(port) => format!("{who}:{port}"),
        None => who,
    }
}
