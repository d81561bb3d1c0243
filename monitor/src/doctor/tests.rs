//! Machines that have, and lack, one thing each.

use super::{Docker, Finding, Verdict, judge, works};
use crate::collector::probe::{Capabilities, Cgroups, Elsewhere, Kernel, Report};
use crate::model::{
    AttachMode, Change, Container, ContainerId, ContainerState, DockerState, Endpoint, KernelTime, Network,
    NetworkDriver, NetworkId, NetworkMode, Rights, SafeText, WallTime,
};
use crate::policy::file::Policy;

fn report() -> Report {
    Report {
        kernel: Kernel { release: "6.12.1".to_owned(), version: Some((6, 12)) },
        capabilities: Capabilities { held: vec!["CAP_BPF"], missing: Vec::new() },
        btf: true,
        jit: Some(true),
        tcx: true,
        cgroups: Cgroups::V2,
        bpf_fs: true,
        memlock: None,
        may_enter: true,
        elsewhere: Vec::new(),
        unreadable: Vec::new(),
    }
}

fn up(rootless: bool) -> Change {
    let text = SafeText::new;
    Change::Docker(DockerState::Up {
        version: text("28.5.2"),
        api: text("1.51"),
        host: text("unix:///var/run/docker.sock"),
        rootless,
        experimental: Some(false),
    })
}

fn docker(changes: impl IntoIterator<Item = Change>) -> Docker {
    let mut docker = Docker::default();
    changes.into_iter().for_each(|change| docker.learn(&change));
    docker
}

fn container(name: &str, network_mode: NetworkMode, endpoints: Vec<Endpoint>) -> Change {
    let container = Container {
        id: ContainerId::new(name).unwrap(),
        name: SafeText::new(name),
        image: None,
        project: None,
        service: None,
        state: ContainerState::Running,
        started_at: None,
        network_mode,
        endpoints,
        namespace: None,
        sandbox: None,
        pid: None,
        published: Vec::new(),
        labels: Vec::new(),
        links: Vec::new(),
        aliases: Vec::new(),
        rights: Some(Rights::default()),
        details: None,
    };
    Change::Container { container: Box::new(container), at: KernelTime(0) }
}

fn macvlan() -> Change {
    let network = Network {
        id: NetworkId::new("m").unwrap(),
        name: SafeText::new("lan"),
        driver: NetworkDriver::Macvlan,
        bridge: None,
        subnets: Vec::new(),
        gateways: Vec::new(),
        internal: false,
        inter_container: true,
        ipv6: false,
        gateway_mode_ipv4: crate::model::GatewayMode::Nat,
        gateway_mode_ipv6: crate::model::GatewayMode::Nat,
        overlay: None,
    };
    Change::Network { network, at: KernelTime(0) }
}

/// Checks the verdict on one subject, and that the whole follows: only what is missing keeps it from working.
fn check(
    report: &Report,
    mut docker: Docker,
    attach: Option<AttachMode>,
    subject: &str,
    verdict: Verdict,
    says: &str,
) {
    let findings = judge(report, &mut docker, &Policy::default(), attach, WallTime(0));
    let finding: &Finding = findings.iter().find(|finding| finding.subject == subject).expect(subject);
    assert_eq!(finding.verdict, verdict, "{finding:?}");
    assert!(finding.found.as_str().contains(says), "{finding:?}");
    assert_eq!(finding.todo.is_some(), verdict != Verdict::Ok, "{finding:?}");
    assert_eq!(works(&findings), verdict != Verdict::Missing, "{findings:?}");
}

#[test]
fn a_machine_that_has_everything_is_fine() {
    let findings = judge(&report(), &mut docker([up(false)]), &Policy::default(), None, WallTime(0));
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok && finding.todo.is_none()));
    assert!(works(&findings));
}

#[test]
fn what_the_kernel_lacks_is_told_with_what_to_do() {
    let check = |report, attach, subject, verdict, says| {
        check(&report, docker([up(false)]), attach, subject, verdict, says)
    };
    let old = Kernel { release: "5.10.0".to_owned(), version: Some((5, 10)) };
    check(Report { kernel: old, ..report() }, None, "kernel", Verdict::Missing, "5.10.0");
    let missing = vec!["CAP_BPF", "CAP_NET_ADMIN"];
    let capabilities = Capabilities { held: Vec::new(), missing };
    check(
        Report { capabilities, ..report() },
        None,
        "capabilities",
        Verdict::Missing,
        "CAP_BPF, CAP_NET_ADMIN",
    );
    check(Report { tcx: false, ..report() }, None, "attach", Verdict::Limited, "clsact");
    let (no_tcx, tcx) = (Report { tcx: false, ..report() }, Some(AttachMode::Tcx));
    check(no_tcx, tcx, "attach", Verdict::Missing, "tcx was asked for");
    check(report(), Some(AttachMode::Clsact), "attach", Verdict::Ok, "as asked for");
    check(Report { btf: false, ..report() }, None, "btf", Verdict::Limited, "types");
    check(Report { jit: Some(false), ..report() }, None, "jit", Verdict::Limited, "slow");
    check(Report { cgroups: Cgroups::V1, ..report() }, None, "cgroups", Verdict::Limited, "not told apart");
    let bridge = vec![SafeText::new("br0")];
    let elsewhere =
        vec![Elsewhere { path: "/run/docker/netns/1-abc".into(), bridges: bridge, ports: Vec::new() }];
    check(Report { elsewhere, ..report() }, None, "namespaces", Verdict::Limited, "br0");
    let unreadable = vec!["/run/netns/x".into()];
    check(Report { unreadable, ..report() }, None, "namespaces", Verdict::Limited, "/run/netns/x");
}

#[test]
fn what_docker_lacks_is_told_with_what_to_do() {
    let check = |changes: Vec<Change>, subject, verdict, says| {
        check(&report(), docker(changes), None, subject, verdict, says);
    };
    let down = DockerState::Down { since: KernelTime(0), reason: "no such file\x1b[2J".to_owned() };
    check(Vec::new(), "docker", Verdict::Missing, "in time");
    check(vec![Change::Docker(down)], "docker", Verdict::Missing, "no such file\\u{1b}");
    check(vec![up(true)], "rootless", Verdict::Missing, "namespace of its own");
    let host = container("proxy", NetworkMode::Host, Vec::new());
    check(vec![up(false), host], "host-mode", Verdict::Posture, "proxy: in the host's own network, counted");
    let shared = NetworkMode::SharedWith(ContainerId::new("web").unwrap());
    let shared = container("sidecar", shared, Vec::new());
    check(vec![up(false), shared], "shared-namespace", Verdict::Limited, "sidecar");
    let endpoint = Endpoint { network: NetworkId::new("m").unwrap(), mac: None, addresses: Vec::new() };
    let on_lan = container("camera", NetworkMode::Networks, vec![endpoint]);
    check(vec![up(false), macvlan(), on_lan.clone()], "drivers", Verdict::Ok, "camera");
    for (report, says) in [
        (Report { may_enter: false, ..report() }, "CAP_SYS_ADMIN"),
        (Report { tcx: false, ..report() }, "TCX"),
        (Report { btf: false, ..report() }, "types"),
    ] {
        let docker = docker([up(false), macvlan(), on_lan.clone()]);
        self::check(&report, docker, None, "drivers", Verdict::Limited, says);
    }
}

#[test]
fn an_overlay_networks_own_namespace_is_told_where_its_containers_are_not_watched() {
    let network = |id: &str, driver| {
        let Change::Network { network, at } = macvlan() else { panic!() };
        Change::Network { network: Network { id: NetworkId::new(id).unwrap(), driver, ..network }, at }
    };
    let id = "oa1b2c3d4e5f6g7h8";
    let changes =
        || [up(false), network(id, NetworkDriver::Overlay), network("obridgebridge", NetworkDriver::Bridge)];
    let told = |name: &str, may_enter| {
        let path = format!("/run/docker/netns/{name}").into();
        let elsewhere = vec![Elsewhere { path, bridges: Vec::new(), ports: Vec::new() }];
        let report = Report { may_enter, elsewhere, ..report() };
        let findings = judge(&report, &mut docker(changes()), &Policy::default(), None, WallTime(0));
        findings.iter().any(|finding| finding.subject == "namespaces")
    };
    assert!(!told("1-oa1b2c3d4e", true));
    assert!(told("1-oa1b2c3d4e", false));
    assert!(told("1-obridgebri", true));
    assert!(told("1-o", true) && told("other", true));
}

#[test]
fn many_names_are_counted_not_listed() {
    let hosts = (0..8).map(|number| container(&format!("c{number}"), NetworkMode::Host, Vec::new()));
    let docker = docker(std::iter::once(up(false)).chain(hosts));
    check(&report(), docker, None, "host-mode", Verdict::Posture, "c4 and 3 more");
}

#[test]
fn host_mode_is_not_counted_without_cgroup_version_2() {
    let report = Report { cgroups: Cgroups::V1, ..report() };
    let host = docker(vec![up(false), container("proxy", NetworkMode::Host, Vec::new())]);
    check(
        &report,
        host,
        None,
        "host-mode",
        Verdict::Limited,
        "proxy: in the host's own network, not counted",
    );
}

/// A container in host mode with rights, if they were told.
fn with_rights(name: &str, rights: Option<Rights>) -> Change {
    match container(name, NetworkMode::Host, Vec::new()) {
        Change::Container { container, at } => {
            Change::Container { container: Box::new(Container { rights, ..*container }), at }
        }
        other => other,
    }
}

#[test]
fn what_the_configuration_says_is_told_once_for_each_rule_and_keeps_nothing_from_working() {
    let socket = || {
        let docker_socket = Some(SafeText::new("/run/docker.sock:/s"));
        Some(Rights { docker_socket, ..Rights::default() })
    };
    let changes =
        || [up(false), with_rights("ui", socket()), with_rights("agent", socket()), with_rights("new", None)];
    check(&report(), docker(changes()), None, "docker-socket", Verdict::Posture, "agent, ui: who controls");
    check(&report(), docker(changes()), None, "rights", Verdict::Limited, "of 1 containers");
    let findings = |policy: &str| {
        let policy = Policy::read(policy.as_bytes()).unwrap();
        let findings = judge(&report(), &mut docker(changes()), &policy, None, WallTime(0));
        findings.into_iter().map(|finding| finding.subject).collect::<Vec<_>>()
    };
    let accepted = "[[accept]]\nrule = 'docker-socket'\nuntil = 1970-01-01\n";
    assert!(findings("").contains(&"docker-socket") && !findings(accepted).contains(&"docker-socket"));
    assert_eq!(findings("").iter().filter(|subject| **subject == "host-mode").count(), 1);
}

#[test]
fn docker_has_told_everything_when_it_has_told_the_rights_of_what_runs() {
    let there = vec![ContainerId::new("web").unwrap()];
    let complete = Change::Complete { containers: there, networks: Vec::new(), at: KernelTime(0) };
    let mut docker = docker([up(false), with_rights("web", None)]);
    let told = |docker: &Docker| (docker.has_told_all(), docker.has_told_rights());
    assert_eq!(told(&docker), (false, false));
    docker.learn(&complete);
    assert_eq!(told(&docker), (true, false));
    docker.learn(&with_rights("web", Some(Rights::default())));
    assert_eq!(told(&docker), (true, true));
}
