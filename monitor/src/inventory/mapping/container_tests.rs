use super::*;
use crate::model::Change;

const ID: &str = "aa11bb22cc33dd44ee55ff6600778899aa11bb22cc33dd44ee55ff6600778899";
const OTHER: &str = "bb11bb22cc33dd44ee55ff6600778899aa11bb22cc33dd44ee55ff6600778899";

fn map(json: &str) -> (Option<Container>, Option<(u64, String)>) {
    let raw: ContainerInspectResponse =
        serde_json::from_str(&json.replace("OTHER", OTHER).replace("ID1", ID)).unwrap();
    let mut refusals = Refusals::default();
    let container = container(&raw, &mut refusals);
    let refused = match refusals.news() {
        Some(Change::Refused { answers, last }) => Some((answers, last)),
        _ => None,
    };
    (container, refused)
}

const RUNNING: &str = r#"{"Id":"ID1","Name":"/shop-web-1","Image":"sha256:1","State":{"Status":"running","Pid":4711,
    "StartedAt":"2026-11-24T08:00:00.000000001Z"},"HostConfig":{"NetworkMode":"shop_front"},
    "Config":{"Image":"shop-web","Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web"}},
    "NetworkSettings":{"SandboxKey":"/var/run/docker/netns/0123456789ab",
      "Ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],"443/tcp":null},
      "Networks":{"shop_front":{"NetworkID":"net1","EndpointID":"e1","MacAddress":"02:42:ac:12:00:02",
          "IPAddress":"172.18.0.2","GlobalIPv6Address":"fd00::2"},
        "shop_back":{"NetworkID":"net2","EndpointID":"e2","MacAddress":"","IPAddress":"","GlobalIPv6Address":""}}}}"#;

#[test]
fn a_running_container_is_read_whole() {
    let (container, refused) = map(RUNNING);
    let container = container.unwrap();
    assert_eq!(container.id.as_str(), ID);
    assert_eq!(container.name.as_str(), "shop-web-1");
    assert_eq!(container.image, Some(SafeText::new("shop-web")));
    assert_eq!(container.project, Some(SafeText::new("shop")));
    assert_eq!(container.service, Some(SafeText::new("web")));
    assert_eq!(container.state, ContainerState::Running);
    assert_eq!(container.started_at, Some(WallTime(1_795_507_200_000_000_001)));
    assert_eq!(container.network_mode, NetworkMode::Networks);
    assert_eq!(container.sandbox.as_deref(), Some("/var/run/docker/netns/0123456789ab"));
    assert_eq!(container.pid, Some(4711));
    let all = |address: &str| (address.parse().unwrap(), 8080, 80, "tcp".to_owned());
    assert_eq!(container.published, [all("0.0.0.0"), all("::")]);
    let [back, front] = &container.endpoints[..] else { panic!("{:?}", container.endpoints) };
    assert_eq!((back.network.as_str(), back.mac, back.addresses.len()), ("net2", None, 0));
    assert_eq!(front.addresses, ["172.18.0.2", "fd00::2"].map(|text| text.parse::<IpAddr>().unwrap()));
    assert_eq!(refused, None);
}

#[test]
fn a_task_of_a_swarm_is_of_its_service_and_stack_unless_compose_says_otherwise() {
    let of = |labels: &str| {
        let (container, _) =
            map(&format!(r#"{{"Id":"ID1","Name":"/x","Config":{{"Labels":{{{labels}}}}}}}"#));
        let container = container.unwrap();
        [container.project, container.service].map(|text| text.map(|text| text.to_string()))
    };
    let swarm = r#""com.docker.swarm.service.name":"shop_web","com.docker.stack.namespace":"shop""#;
    assert_eq!(of(swarm), [Some("shop".to_owned()), Some("shop_web".to_owned())]);
    assert_eq!(of(r#""com.docker.swarm.service.name":"web""#), [None, Some("web".to_owned())]);
    let compose = r#""com.docker.compose.project":"p","com.docker.compose.service":"s""#;
    assert_eq!(of(&format!("{swarm},{compose}")), [Some("p".to_owned()), Some("s".to_owned())]);
    assert_eq!(of(r#""com.docker.stack.namespace":"shop""#), [None, None]);
}

#[test]
fn a_container_that_does_not_run_has_no_endpoints() {
    let (container, refused) = map(
        r#"{"Id":"ID1","Name":"/x","State":{"Status":"exited","Pid":0,"StartedAt":"0001-01-01T00:00:00Z"},
            "NetworkSettings":{"SandboxKey":"","Ports":{},
              "Networks":{"n":{"NetworkID":"net1","EndpointID":"","IPAddress":""}}}}"#,
    );
    let container = container.unwrap();
    assert_eq!(container.state, ContainerState::Exited);
    assert_eq!((container.pid, container.started_at, container.sandbox), (None, None, None));
    assert_eq!(container.endpoints, []);
    assert_eq!(refused, None);
}

#[test]
fn modes_without_endpoints_of_their_own_have_none() {
    let check = |mode: &str, expected: NetworkMode| {
        let (container, _) =
            map(&RUNNING.replace("\"NetworkMode\":\"shop_front\"", &format!("\"NetworkMode\":\"{mode}\"")));
        let container = container.unwrap();
        assert_eq!(container.network_mode, expected);
        assert_eq!(container.endpoints.is_empty(), expected != NetworkMode::Networks);
    };
    check("host", NetworkMode::Host);
    check("none", NetworkMode::None);
    check("container:OTHER", NetworkMode::SharedWith(ContainerId::new(OTHER).unwrap()));
    check("default", NetworkMode::Networks);
    check("container:../x", NetworkMode::Networks);
}

#[test]
fn a_container_without_a_usable_id_is_refused() {
    assert_eq!(map(r#"{"Name":"/x"}"#), (None, Some((1, "not a container id: ".to_owned()))));
    assert_eq!(map(r#"{"Id":"A B"}"#), (None, Some((1, "not a container id: A B".to_owned()))));
}

#[test]
fn hostile_text_is_made_safe() {
    let (container, _) = map(&RUNNING.replace("shop-web", "\\u001b]0;x\\u0007\\u202e"));
    let container = container.unwrap();
    assert_eq!(container.name.as_str(), "\\u{1b}]0;x\\u{7}\\u{202e}-1");
    assert_eq!(container.image.unwrap().as_str(), "\\u{1b}]0;x\\u{7}\\u{202e}");
}

#[test]
fn parts_that_make_no_sense_are_dropped_and_counted() {
    let check = |from: &str, to: &str, last: &str| {
        let (container, refused) = map(&RUNNING.replace(from, to));
        assert_eq!(container.unwrap().name.as_str(), "shop-web-1");
        assert_eq!(refused, Some((1, last.to_owned())));
    };
    check("172.18.0.2", "172.18.0.299", "not an address: 172.18.0.299");
    check("02:42:ac:12:00:02", "02:42", "not an Ethernet address: 02:42");
    check("2026-11-24T08:00:00.000000001Z", "yesterday", "not a time: yesterday");
    check("/var/run/docker/netns/0123456789ab", "relative", "not a path of a namespace: relative");
    check("\"net1\"", "\"NET 1\"", "not a network id: NET 1");
    check("80/tcp", "80/icmp", "not a port: 80/icmp");
    check("\"::\",\"HostPort\":\"8080\"", "\"::\",\"HostPort\":\"80800\"", "not a port: 80800");
}

#[test]
fn endless_lists_are_cut() {
    let endpoint = |n: usize| (n.to_string(), format!(r#"{{"NetworkID":"net{n}","EndpointID":"e"}}"#));
    let networks: Vec<_> = (0..100).map(endpoint).map(|(key, value)| format!("\"{key}\":{value}")).collect();
    let ports: Vec<_> =
        (1..=2_000).map(|n| format!(r#""{n}/udp":[{{"HostIp":"","HostPort":"{n}"}}]"#)).collect();
    let (container, refused) = map(&format!(
        r#"{{"Id":"ID1","NetworkSettings":{{"Ports":{{{}}},"Networks":{{{}}}}}}}"#,
        ports.join(","),
        networks.join(",")
    ));
    let container = container.unwrap();
    assert_eq!((container.endpoints.len(), container.published.len()), (MOST_ENDPOINTS, MOST_PORTS));
    assert_eq!(refused.unwrap().0, 2);
}

#[test]
fn an_entry_of_the_list_tells_the_same_but_process_and_namespace() {
    let summary: ContainerSummary = serde_json::from_str(
        r#"{"Id":"aa11","Names":["/other/alias","/web"],"Image":"shop-web","State":"paused",
            "Labels":{"com.docker.compose.project":"shop"},"HostConfig":{"NetworkMode":"container:bb22"},
            "Ports":[{"IP":"127.0.0.1","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":53,"Type":"udp"}],
            "NetworkSettings":{"Networks":{"n":{"NetworkID":"net1","EndpointID":"e"}}}}"#,
    )
    .unwrap();
    let mut refusals = Refusals::default();
    let container = container(&from_summary(summary), &mut refusals).unwrap();
    assert_eq!(container.name.as_str(), "web");
    assert_eq!(container.state, ContainerState::Paused);
    assert_eq!(container.project, Some(SafeText::new("shop")));
    assert_eq!(container.network_mode, NetworkMode::SharedWith(ContainerId::new("bb22").unwrap()));
    assert_eq!(container.published, [("127.0.0.1".parse().unwrap(), 8080, 80, "tcp".to_owned())]);
    assert_eq!((container.pid, container.sandbox), (None, None));
    assert!(refusals.news().is_none());
}

#[test]
fn labels_are_kept_in_order_and_the_compose_ones_among_too_many() {
    let (container, refused) = map(RUNNING);
    let names: Vec<_> = container.unwrap().labels.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [SafeText::new(PROJECT), SafeText::new(Container::COMPOSE_SERVICE)]);
    assert_eq!(refused, None);
    let many: Vec<String> = (0..2_000).map(|number| format!("\"a{number}\":\"\\u001b\"")).collect();
    let (container, refused) =
        map(&RUNNING.replace("\"Labels\":{", &format!("\"Labels\":{{{},", many.join(","))));
    let labels = container.unwrap().labels;
    assert_eq!(labels.len(), MOST_LABELS);
    assert!(labels.is_sorted());
    assert!(labels.contains(&(SafeText::new(Container::COMPOSE_SERVICE), SafeText::new("web"))));
    assert_eq!(labels[0].1.as_str(), "\\u{1b}");
    assert_eq!(refused, Some((1, "more than 64 labels of one container".to_owned())));
}

#[test]
fn links_name_the_other_container() {
    let check = |links: &str, expected: &[&str], refused: Option<u64>| {
        let with = format!("\"HostConfig\":{{\"Links\":{links},");
        let (container, told) = map(&RUNNING.replace("\"HostConfig\":{", &with));
        let names: Vec<SafeText> = expected.iter().map(|name| SafeText::new(name)).collect();
        assert_eq!(container.unwrap().links, names);
        assert_eq!(told.map(|(count, _)| count), refused);
    };
    check("null", &[], None);
    check(r#"["/db:/web/database","/cache:/web/cache","/db:/web/db"]"#, &["cache", "db"], None);
    check(r#"["","/",":/a/b","plain","/\u001b:/x"]"#, &["\\u{1b}", "plain"], None);
    let many: Vec<String> = (0..100).map(|_| "\"/db:/x/y\"".to_owned()).collect();
    check(&format!("[{}]", many.join(",")), &["db"], Some(1));
}

#[test]
fn an_entry_of_the_list_tells_no_rights_but_an_inspect_does() {
    let (container, _) = map(&RUNNING.replace("\"HostConfig\":{", "\"HostConfig\":{\"Privileged\":false,"));
    assert_eq!(container.unwrap().rights.map(|rights| rights.net_raw), Some(true));
    let (container, _) = map(RUNNING);
    let container = container.unwrap();
    assert_eq!((container.rights, container.details), (None, None));
}

#[test]
fn an_inspect_tells_details_which_no_recording_has() {
    let inspect = RUNNING.replace("\"HostConfig\":{", "\"HostConfig\":{\"Privileged\":false,").replace(
        "\"Name\":",
        "\"Path\":\"server\",\"Args\":[\"--password\",\"hunter2\"],\"RestartCount\":2,\"Name\":",
    );
    let (container, refused) = map(&inspect);
    let container = container.unwrap();
    let details = container.details.as_deref().unwrap();
    assert_eq!(details.command, Some(SafeText::new("server --password hunter2")));
    assert_eq!((details.restarts, details.labels.len(), details.published.len()), (Some(2), 2, 2));
    assert_eq!((&details.labels, &details.published), (&container.labels, &container.published));
    assert_eq!(refused, None);
    let recorded = serde_json::to_string(&container).unwrap();
    assert!(recorded.contains("com.docker.compose.project") && !recorded.contains("hunter2"), "{recorded}");
    let read: Container = serde_json::from_str(&recorded).unwrap();
    assert_eq!(read, Container { details: None, ..container });
}
