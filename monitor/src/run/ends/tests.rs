use super::*;
use crate::model::{Change, ContainerId, Endpoint, GatewayMode, KernelTime, SafeText};

const AT: KernelTime = KernelTime(0);

fn network(id: &str, subnet: &str, gateway: &str) -> Change {
    let network = Network {
        id: NetworkId::new(id).unwrap(),
        name: SafeText::new(&format!("net-{id}")),
        driver: NetworkDriver::Bridge,
        bridge: None,
        subnets: vec![(subnet.parse().unwrap(), 24)],
        gateways: vec![gateway.parse().unwrap()],
        internal: false,
        inter_container: true,
        ipv6: false,
        gateway_mode_ipv4: GatewayMode::Nat,
        gateway_mode_ipv6: GatewayMode::Nat,
        overlay: None,
    };
    Change::Network { network, at: AT }
}

fn container(id: &str, name: &str, mode: NetworkMode, on: &[(&str, &str)]) -> Change {
    let endpoints = on.iter().map(|(network, address)| Endpoint {
        network: NetworkId::new(network).unwrap(),
        mac: None,
        addresses: vec![address.parse().unwrap()],
    });
    let container = Container {
        id: ContainerId::new(id).unwrap(),
        name: SafeText::new(name),
        image: None,
        project: None,
        service: None,
        state: if on.is_empty() { ContainerState::Exited } else { ContainerState::Running },
        started_at: None,
        network_mode: mode,
        endpoints: endpoints.collect(),
        namespace: None,
        sandbox: None,
        pid: None,
        labels: Vec::new(),
        links: Vec::new(),
        aliases: Vec::new(),
        rights: None,
        details: None,
        published: Vec::new(),
    };
    Change::Container { container: Box::new(container), at: AT }
}

/// Networks a (10.0.1.0/24) and b (10.0.2.0/24); web on a and b, db on b, api on a.
fn docker() -> Docker {
    let mut docker = Docker::default();
    let networks = NetworkMode::Networks;
    let owner = NetworkMode::SharedWith(ContainerId::new("aa11").unwrap());
    for change in [
        network("a", "10.0.1.0", "10.0.1.1"),
        network("b", "10.0.2.0", "10.0.2.1"),
        container("aa11", "web", networks.clone(), &[("a", "10.0.1.2"), ("b", "10.0.2.2")]),
        container("aa22", "db", networks.clone(), &[("b", "10.0.2.3")]),
        container("bb33", "api", networks.clone(), &[("a", "10.0.1.4")]),
        container("cc44", "old", networks, &[]),
        container("dd55", "agent", NetworkMode::Host, &[]),
        container("ee66", "sidecar", owner, &[]),
    ] {
        docker.learn(&change);
    }
    docker
}

/// Finds an end beside somebody outside.
fn alone<'d>(
    typed: &str,
    docker: &'d Docker,
    is_local: impl Fn(IpAddr) -> bool,
) -> anyhow::Result<Found<'d>> {
    find([&typed.parse().unwrap(), &Who::Outside], docker, is_local).map(|[found, _]| found)
}

/// Finds two ends.
fn both<'d>([from, to]: [&str; 2], docker: &'d Docker) -> anyhow::Result<[Found<'d>; 2]> {
    find([&from.parse().unwrap(), &to.parse().unwrap()], docker, |_| false)
}

/// Checks who is found: kind, container, and whether something is to be noted.
#[track_caller]
fn check(typed: &str, expected: Result<(EndKind, Option<&str>, bool), &str>) {
    let docker = docker();
    let is_local = |address: IpAddr| address.to_string() == "192.0.2.7";
    let found = alone(typed, &docker, is_local);
    let found = found
        .as_ref()
        .map(|found| (found.kind, found.container.map(|it| it.name.as_str()), !found.notes.is_empty()));
    assert_eq!(found.map_err(ToString::to_string), expected.map_err(str::to_owned), "{typed}");
}

#[test]
fn an_end_is_found_by_name_id_or_address() {
    check("web", Ok((EndKind::Container, Some("web"), false)));
    check("bb33", Ok((EndKind::Container, Some("api"), false)));
    check("b", Ok((EndKind::Container, Some("api"), false)));
    check("10.0.2.3", Ok((EndKind::Container, Some("db"), false)));
    check("10.0.2.1", Ok((EndKind::Host, None, false)));
    check("127.0.0.1", Ok((EndKind::Host, None, false)));
    check("192.0.2.7", Ok((EndKind::Host, None, false)));
    check("192.0.2.8", Ok((EndKind::External, None, false)));
    check("224.0.0.1", Ok((EndKind::Multicast, None, false)));
    check("host", Ok((EndKind::Host, None, false)));
    check("outside", Ok((EndKind::External, None, false)));
}

#[test]
fn what_is_not_as_it_seems_is_noted() {
    check("10.0.2.99", Ok((EndKind::Unknown, None, true)));
    check("old", Ok((EndKind::Container, Some("old"), true)));
    check("agent", Ok((EndKind::Host, None, true)));
    check("sidecar", Ok((EndKind::Container, Some("web"), true)));
}

#[test]
fn who_is_not_there_or_not_the_only_one_is_refused() {
    check(
        "nobody",
        Err("Docker knows no container or service with the name or id nobody; running are api, db, web"),
    );
    check("wep", Err("Docker knows no container or service with the name or id wep; did you mean web?"));
    check("aa", Err("more than one container has an id that begins with aa: db, web"));
    check(
        "\u{1b}[2J",
        Err("Docker knows no container or service with the name or id \\u{1b}[2J; running are api, db, web"),
    );
}

#[test]
fn both_ends_use_a_network_that_both_are_on() {
    let docker = docker();
    let check = |from: &str, to: &str, expected: [Option<&str>; 2]| {
        let [from, to] = both([from, to], &docker).unwrap();
        let found = addresses(&from, &to, &docker);
        assert_eq!(found, expected.map(|text| text.map(|text| text.parse().unwrap())));
    };
    check("web", "db", [Some("10.0.2.2"), Some("10.0.2.3")]);
    check("web", "api", [Some("10.0.1.2"), Some("10.0.1.4")]);
    check("api", "db", [Some("10.0.1.4"), Some("10.0.2.3")]);
    check("api", "10.0.2.2", [Some("10.0.1.4"), Some("10.0.2.2")]);
    check("api", "host", [Some("10.0.1.4"), Some("10.0.1.1")]);
    check("db", "outside", [Some("10.0.2.3"), None]);
    check("old", "db", [None, Some("10.0.2.3")]);
}

/// The same with an overlay network of which the swarm tells: `api` is on it, and the others are tasks of other nodes.
fn mesh() -> Docker {
    let mut docker = docker();
    let Change::Network { mut network, at } = network("m", "10.0.9.0", "10.0.9.1") else { unreachable!() };
    network.driver = NetworkDriver::Overlay;
    docker.learn(&Change::Network { network, at });
    // A task of here, and one that was here before it went to another node.
    let here = [("m", "10.0.9.2")];
    let tasks = [("ff11", "near", "near.1.aa", &here[..]), ("ff22", "far", "far.1.bb", &[])];
    for (id, service, name, on) in tasks {
        let Change::Container { mut container, at } = container(id, name, NetworkMode::Networks, on) else {
            unreachable!()
        };
        container.service = Some(SafeText::new(service));
        container.labels = vec![(SafeText::new(Container::SWARM_SERVICE), SafeText::new(service))];
        docker.learn(&Change::Container { container, at });
    }
    let member = |address: &str, kind, service: &str, name: Option<&str>| SwarmMember {
        address: address.parse().unwrap(),
        kind,
        service: Some(SafeText::new(service)),
        name: name.map(SafeText::new),
        node: Some("198.51.100.2".parse().unwrap()),
        mac: None,
    };
    let members = [
        member("10.0.9.2", SwarmKind::Task, "near", Some("near.1.aa")),
        member("10.0.9.3", SwarmKind::Task, "near", Some("near.2.bb")),
        member("10.0.9.4", SwarmKind::Task, "far", Some("far.1.cc")),
        member("10.0.9.5", SwarmKind::Task, "many", Some("many.1.dd")),
        member("10.0.9.6", SwarmKind::Task, "many", Some("many.2.ee")),
        member("10.0.9.7", SwarmKind::VirtualIp, "shared", None),
        member("10.0.9.8", SwarmKind::Task, "shared", Some("shared.1.ff")),
    ];
    let network = NetworkId::new("m").unwrap();
    assert!(!docker.swarm_untold().is_empty(), "nobody has told who is on the network");
    docker.learn(&Change::Swarm { network, members: Some(members.to_vec()), at: AT });
    docker
}

#[test]
fn a_service_with_tasks_on_other_nodes_is_found_by_the_address_that_it_has_in_the_swarm() {
    let docker = mesh();
    let check = |typed: &str, expected: Result<(Option<&str>, &str), &str>| {
        let found = alone(typed, &docker, |_| false);
        let found = found.as_ref().map(|found| {
            let address = found.subject().address().map(|address| address.to_string());
            (address, found.notes.join("; "))
        });
        let found = found.map_err(ToString::to_string);
        let expected = expected.map(|(address, notes)| (address.map(str::to_owned), notes.to_owned()));
        assert_eq!(found, expected.map_err(str::to_owned), "{typed}");
    };
    let there = "is on node 198.51.100.2, on network net-m: what arrives there, that node's agent tells";
    let far = format!("far.1(10.0.9.4) {there}");
    for typed in ["far", "far.1", "far.1.cc", "10.0.9.4"] {
        check(typed, Ok((Some("10.0.9.4"), &far)));
    }
    check("many.2", Ok((Some("10.0.9.6"), &format!("many.2(10.0.9.6) {there}"))));
    let several = "many has several addresses in the swarm, ask about one of them: many.1(10.0.9.5) on net-m, \
                   many.2(10.0.9.6) on net-m";
    check("many", Err(several));
    let shared = "shared(virtual 10.0.9.7) is what the tasks of the service share on network net-m: which of them answers is \
                  not told";
    check("shared", Ok((Some("10.0.9.7"), shared)));
    let near = "service near is meant by its task here, near.1.aa; others are near.2(10.0.9.3)";
    check("near", Ok((None, near)));
    for typed in ["near.1.aa", "near.1"] {
        check(typed, Ok((None, "")));
    }
}

#[test]
fn a_task_on_another_node_is_to_rules_who_the_swarm_says() {
    let docker = mesh();
    let [near, far] = both(["near", "far"], &docker).unwrap();
    let at = addresses(&near, &far, &docker);
    assert_eq!(at.map(|address| address.unwrap().to_string()), ["10.0.9.2", "10.0.9.4"]);
    let party = far.party(at[1], Some(80));
    let InSwarm::Member(member) = party.swarm else { panic!("{party:?}") };
    assert_eq!((party.kind, member.name.as_ref().unwrap().as_str()), (EndKind::External, "far.1.cc"));
    assert_eq!(party.networks[0].name.as_str(), "net-m");
}

/// Tells who is on a network of the swarm: kind, service, name and address of each.
fn tell(docker: &mut Docker, network: &str, members: &[(SwarmKind, &str, Option<&str>, &str)]) {
    let members = members.iter().map(|(kind, service, name, address)| SwarmMember {
        address: address.parse().unwrap(),
        kind: *kind,
        service: (!service.is_empty()).then(|| SafeText::new(service)),
        name: name.map(SafeText::new),
        node: None,
        mac: None,
    });
    let network = NetworkId::new(network).unwrap();
    docker.learn(&Change::Swarm { network, members: Some(members.collect()), at: AT });
}

/// An overlay network.
fn overlay(docker: &mut Docker, id: &str, subnet: &str, ingress: bool) {
    let Change::Network { mut network, at } = network(id, subnet, subnet) else { unreachable!() };
    network.driver = NetworkDriver::Overlay;
    network.overlay = Some(crate::model::Overlay { ingress, ..Default::default() });
    docker.learn(&Change::Network { network, at });
}

/// Checks at which address, or with which error, an end is asked by another one.
#[track_caller]
fn check_asked(ends: [&str; 2], docker: &Docker, expected: Result<Option<&str>, &str>) {
    let found = both(ends, docker);
    let found = found.as_ref().map(|[_, to]| to.subject().address().map(|address| address.to_string()));
    let expected = expected.map(|address| address.map(str::to_owned)).map_err(str::to_owned);
    assert_eq!(found.map_err(ToString::to_string), expected, "{ends:?}");
}

#[test]
fn a_service_is_meant_on_a_network_of_the_other_end_and_never_on_ingress() {
    let mut docker = mesh();
    let nets = [("i", "10.0.0.0", true), ("k", "10.0.8.0", false)];
    nets.iter().for_each(|(id, subnet, ingress)| overlay(&mut docker, id, subnet, *ingress));
    let on = [("i", "10.0.0.2"), ("m", "10.0.9.20")];
    docker.learn(&container("ff33", "one", NetworkMode::Networks, &on));
    docker.learn(&container("ff44", "two", NetworkMode::Networks, &[("a", "10.0.1.9")]));
    let task = SwarmKind::Task;
    tell(&mut docker, "i", &[(task, "far", Some("far.1.cc"), "10.0.0.4")]);
    for who in ["far", "far.1"] {
        check_asked(["one", who], &docker, Ok(Some("10.0.9.4")));
        check_asked(["outside", who], &docker, Ok(Some("10.0.9.4")));
    }
    tell(&mut docker, "k", &[(task, "far", Some("far.1.cc"), "10.0.8.4")]);
    check_asked(["one", "far"], &docker, Ok(Some("10.0.9.4")));
    let several = "far has several addresses in the swarm, ask about one of them: far.1(10.0.8.4) on net-k, \
                   far.1(10.0.9.4) on net-m";
    check_asked(["two", "far"], &docker, Err(several));
    check_asked(["outside", "far"], &docker, Err(several));
}

#[test]
fn a_service_with_a_virtual_address_is_asked_by_it_though_a_task_of_it_is_here() {
    let mut docker = mesh();
    overlay(&mut docker, "i", "10.0.0.0", true);
    let on = [("i", "10.0.0.2"), ("m", "10.0.9.20")];
    docker.learn(&container("ff33", "one", NetworkMode::Networks, &on));
    let task = |address, name| (SwarmKind::Task, "near", Some(name), address);
    let shared = |address| (SwarmKind::VirtualIp, "near", None, address);
    tell(&mut docker, "i", &[shared("10.0.0.9")]);
    let members = [task("10.0.9.2", "near.1.aa"), task("10.0.9.3", "near.2.bb"), shared("10.0.9.9")];
    check_asked(["one", "near"], &docker, Ok(None));
    tell(&mut docker, "m", &members);
    check_asked(["one", "near"], &docker, Ok(Some("10.0.9.9")));
    let [_, near] = both(["one", "near"], &docker).unwrap();
    let notes = "near(virtual 10.0.9.9) is what the tasks of the service share on network net-m: which of them answers is not \
                 told; tasks of service near on this node: near.1.aa";
    assert_eq!(near.notes.join("; "), notes);
    // Who is asked by name, who asks, and who is on no network with it, means the task.
    check_asked(["one", "near.1.aa"], &docker, Ok(None));
    check_asked(["api", "near"], &docker, Ok(None));
    let [near, _] = both(["near", "one"], &docker).unwrap();
    assert_eq!(near.container.map(|container| container.name.as_str()), Some("near.1.aa"));
}

#[test]
fn a_load_balancer_without_another_node_is_this_nodes_own() {
    let mut docker = mesh();
    tell(&mut docker, "m", &[(SwarmKind::LoadBalancer, "", None, "10.0.9.11")]);
    let found = alone("10.0.9.11", &docker, |_| false).unwrap();
    let note =
        "load-balancer(10.0.9.11) is this node's own, on network net-m: what it forwards is not watched";
    assert_eq!(found.notes, [note]);
}

#[test]
fn what_the_swarm_did_not_tell_in_time_is_said_of_ends_that_it_may_be_about() {
    let mut docker = docker();
    for (id, subnet) in [("m", "10.0.9.0"), ("n", "10.0.8.0")] {
        overlay(&mut docker, id, subnet, false);
    }
    let on = [("m", "10.0.9.20"), ("n", "10.0.8.20")];
    let Change::Container { mut container, at } =
        container("0123456789abcdef", "near.1.aa", NetworkMode::Networks, &on)
    else {
        unreachable!()
    };
    container.service = Some(SafeText::new("near"));
    container.labels = vec![(SafeText::new(Container::SWARM_SERVICE), SafeText::new("near"))];
    docker.learn(&Change::Container { container, at });
    let untold = "who is on networks net-m, net-n of the swarm was not told within 10 s";
    let unknown = format!(
        "Docker knows no container or service with the name or id farr; running are api, db, near.1.aa, web; {untold}"
    );
    assert_eq!(alone("farr", &docker, |_| false).unwrap_err().to_string(), unknown);
    let notes = |docker: &Docker, typed: &str| {
        let is_local = |address: IpAddr| address.to_string() == "192.0.2.7";
        let found = alone(typed, docker, is_local).unwrap().notes.join("; ");
        assert_eq!(
            found.contains("not told"),
            may_be_in_swarm(&typed.parse().unwrap(), docker, is_local),
            "{typed}"
        );
        found
    };
    for typed in ["near", "192.0.2.8"] {
        assert_eq!(notes(&docker, typed), untold, "{typed}");
    }
    // A container of this node, the host, and who is none of the swarm's, is who it is.
    for typed in [
        "web",
        "near.1.aa",
        "near.1",
        "0123456789ab",
        "10.0.9.20",
        "192.0.2.7",
        "127.0.0.1",
        "10.0.1.1",
        "224.0.0.1",
        "host",
        "outside",
    ] {
        assert_eq!(notes(&docker, typed), "", "{typed}");
    }
    for network in ["m", "n"] {
        let network = NetworkId::new(network).unwrap();
        docker.learn(&Change::Swarm { network, members: Some(Vec::new()), at: AT });
    }
    assert_eq!(alone("192.0.2.8", &docker, |_| false).unwrap().notes, Vec::<String>::new());
}

#[test]
fn an_address_that_two_networks_have_is_meant_on_a_network_of_the_other_end() {
    let mut docker = mesh();
    // In the order of their names these are before and after the network of the other end.
    for id in ["l", "n"] {
        overlay(&mut docker, id, "10.0.9.0", false);
        tell(&mut docker, id, &[(SwarmKind::Container, "", Some(id), "10.0.9.4")]);
    }
    docker.learn(&container("ff33", "one", NetworkMode::Networks, &[("m", "10.0.9.20")]));
    for ends in [["one", "10.0.9.4"], ["10.0.9.4", "one"]] {
        let found = both(ends, &docker).unwrap();
        let far = found.iter().find_map(|end| end.in_swarm).unwrap();
        assert_eq!(far.name(), Some("far.1"), "{ends:?}");
    }
}

#[test]
fn several_tasks_of_this_node_with_one_short_name_are_listed() {
    let mut docker = mesh();
    let on = [("m", "10.0.9.21")];
    let Change::Container { mut container, at } = container("ff33", "near.1.zz", NetworkMode::Networks, &on)
    else {
        unreachable!()
    };
    container.service = Some(SafeText::new("near"));
    container.labels = vec![(SafeText::new(Container::SWARM_SERVICE), SafeText::new("near"))];
    docker.learn(&Change::Container { container, at });
    let several = |typed: &str| alone(typed, &docker, |_| false).unwrap_err().to_string();
    assert_eq!(several("near.1"), "more than one container is called near.1: near.1.aa, near.1.zz");
    assert_eq!(several("near"), "service near has more than one container: near.1.aa, near.1.zz");
}
