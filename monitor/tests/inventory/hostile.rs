//! Answers that make no sense, or are far too much of it.

use crate::fake::{Fake, Reply};
use crate::{
    container_event, id, inspect_path, inspected, listed, listen, listen_briefly, network, network_event,
    network_path,
};
use monitor::model::{Change, ContainerState};

#[tokio::test]
async fn a_list_that_makes_no_sense_is_refused_and_asked_for_again() {
    let fake = Fake::start();
    fake.answer("/containers/json", "]]}");
    let mut listener = listen(&fake);
    listener.refused("").await;
    assert!(!listener.told().iter().any(|change| matches!(change, Change::Complete { .. })));
    fake.answer("/containers/json", "[]");
    listener.complete().await;
    listener.stop().await;
}

#[tokio::test]
async fn one_bad_entry_that_spoils_the_list_does_not_cost_the_other_names() {
    let fake = Fake::start();
    let entry = listed("c", "web", "a");
    fake.answer("/containers/json", format!(r#"[{entry},{{"Id":7,"Names":"x"}}]"#));
    fake.answer("/networks", format!("[{}]", network("a", &[])));
    fake.answer(&network_path("a"), network("a", &[("c", "web")]));
    fake.answer(&inspect_path("c"), inspected("c", "web", "running", Some("a")));
    let mut listener = listen(&fake);
    listener.endpoint("web").await;
    listener.container("inspect", |container| container.pid.is_some()).await;
    listener.stop().await;
}

/// An inspect that makes no sense: refused, and the list's name stays.
async fn check_inspect(reply: impl Into<Reply>, reason: &str) {
    let fake = Fake::start();
    fake.answer("/containers/json", format!("[{}]", listed("c", "web", "a")));
    fake.answer(&inspect_path("c"), reply);
    let mut listener = listen(&fake);
    listener.complete().await;
    listener.refused(reason).await;
    let names: Vec<_> = listener
        .told()
        .iter()
        .filter_map(|change| match change {
            Change::Container { container, .. } => Some(container.name.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert!(!names.is_empty() && names.iter().all(|name| name == "web"), "{names:?}");
    listener.stop().await;
}

#[tokio::test]
async fn an_inspect_that_makes_no_sense_costs_only_what_it_would_have_told() {
    check_inspect("{{{{", "key must be a string").await;
    check_inspect("", "EOF").await;
    check_inspect(r#"{"Id":7}"#, "invalid type").await;
    check_inspect(r#"{"Id":"x","State":{"Status":"\u001b[31m"}}"#, "\\u{1b}[31m").await;
    check_inspect(Reply::Body(b"{\"Id\":\"\xff\xfe\"}".to_vec()), "unicode").await;
    check_inspect(Reply::Status(500, r#"{"message":"a\u001bb"}"#), "a\\u{1b}b").await;
    check_inspect(inspected("d", "other", "running", None), "another object").await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_it() {
    let fake = Fake::start();
    fake.answer("/containers/json", format!("[{}]", listed("c", "web", "a")));
    fake.answer(&inspect_path("c"), Reply::Endless);
    let mut listener = listen(&fake);
    listener.complete().await;
    listener.refused("longer than allowed").await;
    assert!(fake.sent() < 6 << 20, "{} bytes", fake.sent());
    listener.stop().await;
}

#[tokio::test]
async fn an_event_without_an_end_is_not_read_to_it() {
    let fake = Fake::start();
    let mut listener = listen(&fake);
    listener.complete().await;
    let piece = [b'a'; 8192];
    fake.emit_raw(b"{\"Type\":\"");
    for _ in 0..128 {
        fake.emit_if_heard(&piece);
    }
    listener.refused("longer than allowed").await;
    listener.complete().await;
    let is_down =
        |change: &Change| matches!(change, Change::Docker(monitor::model::DockerState::Down { .. }));
    assert!(!listener.told().iter().any(is_down));
    listener.stop().await;
}

#[tokio::test]
async fn many_events_are_read_though_all_together_are_longer_than_one_may_be() {
    let fake = Fake::start();
    let mut listener = listen(&fake);
    listener.complete().await;
    let padding = "x".repeat(8192);
    for _ in 0..128 {
        fake.emit(&format!(r#"{{"Type":"container","Action":"{padding}","Actor":{{"ID":"a"}}}}"#));
    }
    fake.answer(&inspect_path("c"), inspected("c", "web", "running", None));
    fake.emit(&container_event("start", "c"));
    listener.container("start", |container| container.name.as_str() == "web").await;
    let completes = listener.told().iter().filter(|change| matches!(change, Change::Complete { .. })).count();
    assert_eq!(completes, 1);
    listener.stop().await;
}

#[tokio::test]
async fn an_event_stream_that_dribbles_is_read_all_the_same() {
    let fake = Fake::start();
    fake.answer(&inspect_path("c"), inspected("c", "web", "running", None));
    let mut listener = listen(&fake);
    listener.complete().await;
    let event = format!("{}\n", container_event("start", "c"));
    for byte in event.as_bytes().chunks(1) {
        fake.emit_raw(byte);
    }
    listener.container("start", |container| container.state == ContainerState::Running).await;
    listener.stop().await;
}

#[tokio::test]
async fn a_piece_of_the_event_stream_that_makes_no_sense_makes_everything_be_told_again() {
    let fake = Fake::start();
    let mut listener = listen(&fake);
    listener.complete().await;
    fake.emit(r#"{"Type":"container","Action":7}"#);
    listener.refused("invalid type").await;
    listener.complete().await;
    fake.emit_raw(b"\xff\xfe\n");
    listener.refused("expected value").await;
    listener.complete().await;
    listener.stop().await;
}

#[tokio::test]
async fn a_long_name_with_escape_sequences_is_cut_and_made_safe() {
    let fake = Fake::start();
    let name = r"\u001b[2J\u202e".repeat(1_000);
    fake.answer("/containers/json", format!("[{}]", listed("c", &name, "a")));
    fake.answer("/networks", format!("[{}]", network("a", &[])));
    fake.answer(&network_path("a"), network("a", &[("d", &name)]));
    let mut listener = listen(&fake);
    let container = listener.container("container", |_| true).await;
    let is_safe =
        |name: &str| name.starts_with("\\u{1b}[2J\\u{202e}") && name.ends_with('…') && name.len() < 2_500;
    assert!(is_safe(container.name.as_str()), "{}", container.name);
    let name = |change: &Change| match change {
        Change::Endpoint { name, .. } => Some(name.as_str().to_owned()),
        _ => None,
    };
    assert!(is_safe(&listener.wait("endpoint", name).await));
    listener.stop().await;
}

#[tokio::test]
async fn ids_that_are_none_are_refused_everywhere() {
    let fake = Fake::start();
    let bad = id("../x");
    let entry = listed("c", "web", "a");
    fake.answer("/containers/json", format!("[{},{entry}]", listed("../x", "bad", "a")));
    fake.answer("/networks", format!("[{},{}]", network("../x", &[]), network("a", &[])));
    fake.answer(&network_path("a"), network("a", &[("../x", "bad"), ("d", "db")]));
    let mut listener = listen(&fake);
    let (containers, networks) = listener.complete().await;
    assert_eq!((containers.len(), networks.len()), (1, 1));
    listener.endpoint("db").await;
    fake.emit(&container_event("start", "../y"));
    fake.emit(&network_event("create", "../y", "c"));
    fake.emit(&network_event("connect", "a", "../y"));
    assert!(listener.refused("not a container id: ../y").await >= 4);
    let asked = fake.asked();
    assert!(!asked.iter().any(|request| request.contains(&bad) || request.contains("..")), "{asked:?}");
    listener.stop().await;
}

#[tokio::test]
async fn a_huge_list_is_cut_and_the_rest_refused() {
    let fake = Fake::start();
    let entries: Vec<_> = (0..20_000).map(|n| listed(&format!("c{n}x"), "web", "a")).collect();
    fake.answer("/containers/json", format!("[{}]", entries.join(",")));
    let networks: Vec<_> = (0..3_000).map(|n| network(&format!("a{n}x"), &[])).collect();
    fake.answer("/networks", format!("[{}]", networks.join(",")));
    let mut listener = listen(&fake);
    listener.refused("20000 containers, only 10000 are kept").await;
    let (containers, networks) = listener.complete().await;
    assert_eq!((containers.len(), networks.len()), (10_000, 2_000));
    listener.stop().await;
}

#[tokio::test]
async fn a_new_container_whose_inspect_makes_no_sense_or_stalls_is_named_by_the_list() {
    let fake = Fake::start();
    let mut listener = listen_briefly(&fake);
    listener.complete().await;
    fake.answer("/containers/json", format!("[{},{}]", listed("c", "web", "a"), listed("d", "db", "a")));
    fake.answer(&inspect_path("c"), "{{{{");
    fake.answer(&inspect_path("d"), Reply::Never);
    for (container, name) in [("c", "web"), ("d", "db")] {
        fake.emit(&container_event("start", container));
        listener.container("start", |container| container.name.as_str() == name).await;
    }
    listener.stop().await;
}

/// The answer to `GET /networks/ID?verbose=true` of an overlay network with one container, and what the swarm tells of it.
fn overlay(services: &str) -> String {
    let (net, container) = (id("a"), id("c"));
    format!(
        r#"{{"Id":"{net}","Name":"n","Driver":"overlay","Services":{services},
            "Containers":{{"{container}":{{"Name":"web","IPv4Address":"10.0.1.2/24"}}}}}}"#
    )
}

/// Names in the swarm that were told so far.
fn names(change: &Change) -> Option<Vec<String>> {
    let Change::Swarm { members: Some(members), .. } = change else { return None };
    let names = members.iter().filter_map(|member| member.name.as_ref());
    Some(names.map(|name| name.as_str().to_owned()).collect())
}

#[tokio::test]
async fn what_a_swarm_tells_comes_with_its_network_and_nonsense_leaves_the_rest() {
    let fake = Fake::start();
    let task = r#"{"web":{"Tasks":[{"Name":"web.1.x","EndpointIP":"10.0.1.9"}]}}"#;
    let without_it = |answer: String| answer.replace("Containers", "Others");
    fake.answer("/networks", format!("[{}]", without_it(overlay("null"))));
    fake.answer(&network_path("a"), without_it(overlay(task)));
    let mut listener = listen(&fake);
    assert_eq!(listener.wait("tasks", names).await, ["web.1.x"]);
    // What is asked for with the swarm cannot be read; without it, it can.
    let nonsense = Reply::First(1, Box::new("{\"Services\":7}".into()), Box::new(overlay(task).into()));
    fake.answer(&network_path("a"), nonsense);
    fake.emit(&network_event("connect", "a", "c"));
    listener.endpoint("web").await;
    listener.refused("invalid type").await;
    let asked = fake.asked();
    let asked = asked.iter().filter(|path| **path == format!("GET {}", network_path("a"))).count();
    assert_eq!(asked, 3);
    listener.stop().await;
}
