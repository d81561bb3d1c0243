//! Connecting, losing the connection, and coming back.

use crate::fake::{Fake, Reply};
use crate::{BRIEF, id, inspect_path, inspected, listed, listen, listen_briefly, network, support};
use monitor::inventory::Settings;
use monitor::model::{Change, DockerState};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;

#[tokio::test]
async fn events_are_subscribed_before_anything_is_listed_and_only_get_is_sent() {
    let fake = Fake::start();
    fake.answer("/info", r#"{"SecurityOptions":["name=rootless"],"ExperimentalBuild":true}"#);
    fake.answer("/networks", format!("[{}]", network("a", &[])));
    fake.answer("/containers/json", format!("[{}]", listed("c", "web", "a")));
    let mut listener = listen(&fake);
    let (containers, networks) = listener.complete().await;
    assert_eq!((containers[0].as_str(), networks[0].as_str()), (id("c").as_str(), id("a").as_str()));
    let kind = |change: &Change| match change {
        Change::Docker(DockerState::Connecting) => "connecting",
        Change::Docker(DockerState::Up { rootless: true, experimental: Some(true), .. }) => "up",
        Change::Network { .. } => "network",
        Change::Container { .. } => "container",
        Change::Complete { .. } => "complete",
        _ => "other",
    };
    let told: Vec<_> = listener.told().iter().map(kind).take(5).collect();
    assert_eq!(told, ["connecting", "up", "network", "container", "complete"]);
    let asked = fake.asked();
    let first = |path: &str| asked.iter().position(|request| request == path).unwrap();
    assert!(first("GET /events") < first("GET /networks").min(first("GET /containers/json")), "{asked:?}");
    assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
    listener.stop().await;
}

#[tokio::test]
async fn a_docker_that_is_absent_at_the_start_is_awaited() {
    let mut fake = Fake::absent();
    let mut listener = listen(&fake);
    let (since, reason) = listener.down().await;
    assert!(since <= support::now());
    assert!(reason.contains("No such file"), "{reason}");
    fake.appear();
    listener.complete().await;
    listener.stop().await;
}

#[tokio::test]
async fn an_address_that_is_not_supported_is_told_with_what_to_do() {
    let settings = Settings { host: Some("ssh://x".to_owned()), ..Default::default() };
    let mut listener = support::Listener::start(settings);
    assert!(listener.down().await.1.contains("unix://"));
    listener.stop().await;
}

#[tokio::test]
async fn after_a_cut_everything_is_told_again() {
    let mut fake = Fake::start();
    fake.answer("/containers/json", format!("[{}]", listed("c", "web", "a")));
    let mut listener = listen(&fake);
    listener.complete().await;
    fake.vanish().await;
    let (_, reason) = listener.down().await;
    assert!(!reason.is_empty());
    fake.answer("/containers/json", format!("[{}]", listed("d", "db", "a")));
    fake.appear();
    listener.container("the new container", |container| container.name.as_str() == "db").await;
    let (containers, _) = listener.complete().await;
    assert_eq!(containers.iter().map(|id| id.as_str()).collect::<Vec<_>>(), [id("d")]);
    listener.stop().await;
}

#[tokio::test]
async fn an_event_stream_that_ends_is_a_lost_connection() {
    let fake = Fake::start();
    let mut listener = listen(&fake);
    listener.complete().await;
    fake.end_events();
    assert_eq!(listener.down().await.1, "Docker's event stream ended");
    listener.complete().await;
    listener.stop().await;
}

#[tokio::test]
async fn a_silent_stream_with_a_ping_that_stalls_is_a_lost_connection() {
    let fake = Fake::start();
    let mut listener = listen_briefly(&fake);
    listener.complete().await;
    for path in ["/_ping", "/version"] {
        fake.answer(path, Reply::Never);
    }
    assert_eq!(listener.down().await.1, format!("Docker did not answer within {BRIEF:?}"));
    fake.answer("/_ping", "OK");
    fake.answer("/version", r#"{"Version":"28.5.2","ApiVersion":"1.51"}"#);
    listener.complete().await;
    let is_new = |change: &Change| matches!(change, Change::Docker(DockerState::Up { api, .. }) if api.as_str() == "1.51");
    assert!(listener.told().iter().any(is_new));
    listener.stop().await;
}

#[tokio::test]
async fn a_stalled_list_is_a_lost_connection() {
    let fake = Fake::start();
    fake.answer("/networks", Reply::Never);
    let mut listener = listen_briefly(&fake);
    listener.down().await;
    fake.answer("/networks", "[]");
    listener.complete().await;
    listener.stop().await;
}

#[tokio::test]
async fn containers_whose_inspect_stalls_are_named_by_the_list_and_hold_up_nobody() {
    let fake = Fake::start();
    let stuck: Vec<_> = (0..9).map(|n| format!("c{n}")).collect();
    let mut entries: Vec<_> = stuck.iter().map(|name| listed(name, name, "a")).collect();
    entries.push(listed("d", "db", "a"));
    fake.answer("/containers/json", format!("[{}]", entries.join(",")));
    for name in &stuck {
        fake.answer(&inspect_path(name), Reply::Never);
    }
    fake.answer(&inspect_path("d"), inspected("d", "db", "running", Some("a")));
    let mut listener = listen_briefly(&fake);
    let (containers, _) = listener.complete().await;
    assert_eq!(containers.len(), 10);
    listener
        .container("the inspect of the other", |seen| seen.name.as_str() == "db" && seen.pid.is_some())
        .await;
    listener.refused("did not answer within").await;
    // The event stream stays, and now and then a ping.
    support::until("end of the stalled connections", || fake.open() == 1).await;
    listener.stop().await;
}

#[tokio::test]
async fn a_stopped_inventory_leaves_no_connection() {
    let fake = Fake::start();
    let mut listener = listen(&fake);
    listener.complete().await;
    listener.stop().await;
    // A connection that is closed is noticed by the fake when it writes to it.
    support::until("end of the event stream", || !fake.emit_if_heard(b"{}\n")).await;
}

#[tokio::test]
async fn docker_is_reached_over_tcp_too() {
    let fake = Fake::start();
    let socket = fake.host().replace("unix://", "");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    let mut relay = JoinSet::new();
    relay.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let mut engine = UnixStream::connect(&socket).await.unwrap();
            connections.spawn(async move { copy_bidirectional(&mut client, &mut engine).await });
        }
    });
    let settings = Settings { host: Some(host.clone()), ..Settings::default() };
    let mut listener = support::Listener::start(settings);
    listener.complete().await;
    let is_up = |change: &Change| matches!(change, Change::Docker(DockerState::Up { host: at, .. }) if at.as_str() == host);
    assert!(listener.told().iter().any(is_up));
    relay.shutdown().await;
    listener.down().await;
    listener.stop().await;
}
