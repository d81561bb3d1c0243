//! Made-up hosts, and exactly what stands on each.

mod kept;
mod rules;

use super::{Look, Standing, look};
use crate::attribution::{Attribution, Settings};
use crate::model::{
    Change, Container, ContainerId, ContainerState, DockerState, Endpoint, GatewayMode, KernelTime, Network,
    NetworkDriver, NetworkId, NetworkMode, Rights, SafeText, WallTime,
};
use crate::policy::Severity;
use crate::policy::file::Policy;
use std::net::IpAddr;

const NOW: KernelTime = KernelTime(1_000);

/// What is known of a made-up host.
struct Host(Attribution);

impl Host {
    /// Docker of a version, without experimental features; the bridge networks `a` and `b`, the macvlan network `lan`,
    /// and the IPv6 networks `six` and `seven`.
    fn with(version: &str) -> Self {
        let mut host = Self(Attribution::new(Settings::default()));
        host.docker(version, Some(false));
        for (name, driver, ipv6) in [
            ("a", NetworkDriver::Bridge, false),
            ("b", NetworkDriver::Bridge, false),
            ("lan", NetworkDriver::Macvlan, false),
            ("six", NetworkDriver::Bridge, true),
            ("seven", NetworkDriver::Bridge, true),
        ] {
            host.network(name, driver, ipv6);
        }
        host
    }

    fn new() -> Self {
        Self::with("28.5.2")
    }

    fn docker(&mut self, version: &str, experimental: Option<bool>) {
        let text = SafeText::new;
        let state = DockerState::Up {
            version: text(version),
            api: text("1.41"),
            host: text("unix:///x"),
            rootless: false,
            experimental,
        };
        self.0.change(&Change::Docker(state));
    }

    fn network(&mut self, name: &str, driver: NetworkDriver, ipv6: bool) {
        let network = Network {
            id: NetworkId::new(name).unwrap(),
            name: SafeText::new(name),
            driver,
            bridge: None,
            subnets: Vec::new(),
            gateways: Vec::new(),
            internal: false,
            inter_container: true,
            ipv6,
            gateway_mode_ipv4: GatewayMode::Nat,
            gateway_mode_ipv6: GatewayMode::Nat,
            overlay: None,
        };
        self.0.change(&Change::Network { network, at: KernelTime(1) });
    }

    fn run(&mut self, container: Container) -> &mut Self {
        self.0.change(&Change::Container { container: Box::new(container), at: KernelTime(2) });
        self
    }

    fn gone(&mut self, id: &str) {
        self.0.change(&Change::ContainerGone { id: ContainerId::new(id).unwrap(), at: KernelTime(3) });
    }

    fn look(&mut self, policy: &str, wall: i64) -> Look {
        self.0.settle(NOW);
        look(&self.0, &Policy::read(policy.as_bytes()).unwrap(), NOW, WallTime(wall))
    }

    /// Checks that exactly this stands: rule, subject, severity, and what exactly.
    #[track_caller]
    fn check(&mut self, expected: &[(&str, &str, Severity, &[&str])]) -> Vec<Standing> {
        let found = self.look("", 0).standing;
        let told: Vec<_> = found
            .iter()
            .map(|one| {
                let what: Vec<&str> = one.what.iter().map(SafeText::as_str).collect();
                (one.rule.name(), one.subject.name().as_str(), one.severity, what)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(rule, name, severity, what)| (*rule, *name, *severity, what.to_vec()))
            .collect();
        assert_eq!(told, expected);
        for standing in &found {
            let text = &standing.explanation;
            assert!(text.contains(standing.subject.name().as_str()) && text.ends_with('.'), "{text}");
            assert_eq!(standing.what.len(), standing.what_count);
        }
        found
    }
}

const USUAL: Rights =
    Rights { privileged: false, net_admin: false, sys_admin: false, net_raw: true, docker_socket: None };
const NET_ADMIN: Rights = Rights { net_admin: true, ..USUAL };

fn socket() -> Rights {
    Rights { docker_socket: Some(SafeText::new("/run/docker.sock:/s")), ..USUAL }
}

/// A container that runs, with the usual rights; its id is its name.
fn container(name: &str, networks: &[&str]) -> Container {
    let endpoint = |network: &&str| Endpoint {
        network: NetworkId::new(network).unwrap(),
        mac: None,
        addresses: vec![format!("10.0.0.{}", name.len()).parse().unwrap()],
    };
    Container {
        id: ContainerId::new(name).unwrap(),
        name: SafeText::new(name),
        image: None,
        project: None,
        service: None,
        state: ContainerState::Running,
        started_at: Some(WallTime(5)),
        network_mode: NetworkMode::Networks,
        endpoints: networks.iter().map(endpoint).collect(),
        namespace: None,
        sandbox: None,
        pid: None,
        labels: Vec::new(),
        links: Vec::new(),
        aliases: Vec::new(),
        rights: Some(USUAL),
        details: None,
        published: Vec::new(),
    }
}

fn in_mode(name: &str, network_mode: NetworkMode) -> Container {
    Container { network_mode, ..container(name, &[]) }
}

fn sharing(name: &str, owner: &str) -> Container {
    in_mode(name, NetworkMode::SharedWith(ContainerId::new(owner).unwrap()))
}

fn with(rights: Rights, container: Container) -> Container {
    Container { rights: Some(rights), ..container }
}

fn published(name: &str, ports: &[(&str, u16)]) -> Container {
    let port = |(at, port): &(&str, u16)| (at.parse::<IpAddr>().unwrap(), *port, 80, "tcp".to_owned());
    Container { published: ports.iter().map(port).collect(), ..container(name, &["a"]) }
}
