//! Each rule: what it finds, and what is next to that.

use super::super::{PostureRule, Subject};
use super::{Host, NET_ADMIN, USUAL, container, in_mode, published, sharing, socket, with};
use crate::model::{Container, ContainerState, NetworkMode, Rights, SafeText, WallTime};
use crate::policy::{BUILT_IN, Severity};
use Severity::{Critical, Info, Warning};

#[test]
fn the_names_are_those_that_a_policy_file_may_accept() {
    assert!(PostureRule::ALL.iter().all(|rule| BUILT_IN.contains(&rule.name())));
}

#[test]
fn an_ordinary_host_has_nothing_to_tell() {
    let mut host = Host::new();
    host.run(container("web", &["a", "b"]))
        .run(container("db", &["b"]))
        .run(in_mode("job", NetworkMode::None));
    host.check(&[]);
}

#[test]
fn a_container_in_the_hosts_network_is_told_while_it_runs() {
    let mut host = Host::new();
    host.run(in_mode("agent", NetworkMode::Host));
    let over = Container { state: ContainerState::Exited, ..in_mode("old", NetworkMode::Host) };
    host.run(over);
    let found = host.check(&[("host-mode", "agent", Warning, &[])]);
    assert_eq!(found[0].since, Some(WallTime(5)));
    host.gone("agent");
    host.check(&[]);
}

#[test]
fn a_macvlan_network_has_no_host_end_and_a_bridge_has() {
    let mut host = Host::new();
    host.run(container("camera", &["lan", "a"])).run(container("web", &["a"]));
    let found = host.check(&[("no-host-end", "camera", Info, &["lan"])]);
    assert!(
        found[0].explanation.starts_with("camera is on macvlan network lan: "),
        "{}",
        found[0].explanation
    );
}

#[test]
fn a_shared_namespace_names_its_owner_even_if_that_is_not_known() {
    let mut host = Host::new();
    host.run(container("web", &["a"]))
        .run(sharing("sidecar", "web"))
        .run(sharing("orphan", "0123456789abcdef"));
    host.check(&[
        ("shared-namespace", "orphan", Info, &["0123456789ab"]),
        ("shared-namespace", "sidecar", Info, &["web"]),
    ]);
}

#[test]
fn containers_that_share_each_others_namespace_in_a_circle_do_no_harm() {
    let mut host = Host::new();
    host.run(with(NET_ADMIN, sharing("x", "y"))).run(with(NET_ADMIN, sharing("y", "x")));
    host.check(&[("shared-namespace", "x", Info, &["y"]), ("shared-namespace", "y", Info, &["x"])]);
}

#[test]
fn strong_rights_count_on_a_network_with_others() {
    let mut host = Host::new();
    host.run(with(NET_ADMIN, container("vpn", &["a"]))).run(container("web", &["b"]));
    host.check(&[]);
    host.run(container("web", &["a", "b"]));
    let found = host.check(&[("strong-rights", "vpn", Warning, &["NET_ADMIN"])]);
    let text = &found[0].explanation;
    assert!(
        text.starts_with("vpn has NET_ADMIN on a network with another container: it can take "),
        "{text}"
    );
    host.gone("web");
    host.check(&[]);
}

#[test]
fn of_many_neighbours_the_number_is_not_told() {
    let mut host = Host::new();
    host.run(with(NET_ADMIN, container("vpn", &["a", "b"])));
    let mut told = |number: usize| {
        host.run(container(&format!("c{number}"), &["a", "b"]));
        host.look("", 0).standing.remove(0).explanation
    };
    let all: Vec<String> = (1..=17).map(&mut told).collect();
    assert!(all[14].contains("networks with 15 other containers:"), "{}", all[14]);
    assert!(all[15].contains("networks with 16 other containers or more:"), "{}", all[15]);
    assert_eq!(all[15], all[16], "what is told does not change with each container");
}

#[test]
fn the_network_of_a_shared_namespace_is_its_owners() {
    let mut host = Host::new();
    host.run(container("web", &["a"])).run(with(NET_ADMIN, sharing("sidecar", "web")));
    let shares: (_, _, _, &[&str]) = ("shared-namespace", "sidecar", Info, &["web"]);
    host.check(&[shares]);
    host.run(container("db", &["a"]));
    host.check(&[("strong-rights", "sidecar", Warning, &["NET_ADMIN"]), shares]);
}

#[test]
fn rights_that_reach_the_host_itself_are_critical_wherever_they_are() {
    let mut host = Host::new();
    let all = Rights { privileged: true, net_admin: true, sys_admin: true, ..USUAL };
    let sys_admin = Rights { sys_admin: true, ..NET_ADMIN };
    host.run(with(all, in_mode("alone", NetworkMode::None)));
    host.run(with(sys_admin, in_mode("agent", NetworkMode::Host)));
    let found = host.check(&[
        ("strong-rights", "agent", Critical, &["NET_ADMIN", "SYS_ADMIN"]),
        ("strong-rights", "alone", Critical, &["privileged"]),
        ("host-mode", "agent", Warning, &[]),
    ]);
    assert!(found[0].explanation.contains("the host's addresses, routes and firewall"));
    assert!(found[1].explanation.starts_with("alone is privileged: it can do on the host whatever root can"));
}

#[test]
fn only_ports_on_every_address_are_published_everywhere() {
    let mut host = Host::new();
    host.run(published("inside", &[("127.0.0.1", 80), ("::1", 80), ("192.0.2.1", 81)]));
    host.check(&[]);
    host.run(published("front", &[("0.0.0.0", 8_080), ("::", 8_080), ("127.0.0.1", 9_090)]));
    host.check(&[("published-everywhere", "front", Info, &["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"])]);
}

#[test]
fn of_many_ports_the_first_are_listed_and_all_counted() {
    let mut host = Host::new();
    let ports: Vec<(&str, u16)> = (1..=1_000).map(|port| ("0.0.0.0", port)).collect();
    host.run(published("front", &ports));
    let found = host.look("", 0).standing;
    assert_eq!((found[0].what.len(), found[0].what_count), (16, 1_000));
    assert!(found[0].explanation.contains("0.0.0.0:4->80/tcp and 996 more"), "{}", found[0].explanation);
}

#[test]
fn the_docker_socket_is_critical() {
    let mut host = Host::new();
    host.run(with(socket(), container("ui", &["a"])));
    host.check(&[("docker-socket", "ui", Critical, &["/run/docker.sock:/s"])]);
}

#[test]
fn rights_that_were_not_told_are_counted_not_guessed() {
    let mut host = Host::new();
    host.run(Container { rights: None, ..container("web", &["a"]) });
    let found = host.look("", 0);
    assert_eq!((found.standing.len(), found.rights_unknown), (0, 1));
}

#[test]
fn ipv6_networks_are_told_where_the_engine_may_not_isolate_them() {
    let check = |version: &str, experimental, networks: &[&str], says: Option<&str>| {
        let mut host = Host::new();
        host.docker(version, experimental);
        for (number, network) in networks.iter().enumerate() {
            host.run(container(&format!("c{number}"), &[network]));
        }
        let both: [(_, _, _, &[&str]); 2] = [
            ("ipv6-not-isolated", "seven", Warning, &["six"]),
            ("ipv6-not-isolated", "six", Warning, &["seven"]),
        ];
        let found = host.check(if says.is_some() { &both } else { &[] });
        for (standing, says) in found.iter().zip(says) {
            let text = format!("Docker {says} keep network seven apart from IPv6 network six: ");
            assert!(standing.explanation.starts_with(&text), "{}", standing.explanation);
            assert!(matches!(standing.subject, Subject::Network(_)));
        }
    };
    let (both, off, on) = (["six", "seven", "a"], Some(false), Some(true));
    check("20.10.24+dfsg1", off, &both, Some("does not"));
    check("26.1.5", off, &both, Some("does not"));
    // With the experimental features, ip6tables can be on; what is not told cannot be known.
    check("26.1.5", on, &both, Some("may fail to"));
    check("20.10.24", None, &both, Some("may fail to"));
    check("dev", off, &both, Some("may fail to"));
    check("27.0.1", off, &both, None);
    check("20.10.24", off, &["six", "six"], None);
    check("20.10.24", off, &["six", "a"], None);
}

#[test]
fn a_hostile_name_stays_text() {
    let mut host = Host::new();
    let name = SafeText::new(&format!("\x1b[2J{}", "x".repeat(4_000)));
    host.run(Container { name: name.clone(), ..in_mode("agent", NetworkMode::Host) });
    host.run(sharing("sidecar", "agent"));
    for standing in host.look("", 0).standing {
        assert!(standing.explanation.contains(name.as_str()));
        assert!(!standing.explanation.contains('\x1b') && standing.explanation.len() < 1_000);
    }
}
