//! Following events and hints.

use crate::fake::{Fake, Reply};
use crate::support::Listener;
use crate::{
    container_event, id, inspect_path, inspected, listed, listen, listen_briefly, network, network_event,
    network_path, support,
};
use monitor::model::{Change, ContainerState};
use std::time::Duration;

/// A fake engine with one network `a`, and an inventory that knows it.
async fn with_network() -> (Fake, Listener) {
    let fake = Fake::start();
    fake.answer("/networks", format!("[{}]", network("a", &[])));
    fake.answer(&network_path("a"), network("a", &[]));
    let mut listener = listen(&fake);
    listener.complete().await;
    (fake, listener)
}

#[tokio::test]
async fn a_starting_container_is_named_by_the_network_and_not_inspected_before_it_runs() {
    let (fake, mut listener) = with_network().await;
    fake.answer(&inspect_path("c"), inspected("c", "web", "created", None));
    fake.emit(&container_event("create", "c"));
    listener.container("creation", |container| container.state == ContainerState::Created).await;
    fake.answer(&inspect_path("c"), Reply::Never);
    fake.answer(&network_path("a"), network("a", &[("c", "web")]));
    fake.emit(&network_event("connect", "a", "c"));
    let (container, endpoint, _) = listener.endpoint("web").await;
    assert_eq!((container.as_str(), endpoint.network.as_str()), (id("c").as_str(), id("a").as_str()));
    let inspects = fake.asked().iter().filter(|request| request.ends_with(&inspect_path("c"))).count();
    assert_eq!(inspects, 1);
    fake.answer(&inspect_path("c"), inspected("c", "web", "running", Some("a")));
    fake.emit(&container_event("start", "c"));
    let running = listener.container("start", |container| container.state == ContainerState::Running).await;
    assert_eq!((running.pid, running.sandbox.as_deref()), (Some(77), Some("/ns/web")));
    assert_eq!(running.endpoints, [endpoint]);
    listener.stop().await;
}

/// The end of a container, in the order of some engine version: always told once.
async fn check_end(order: &[&str]) {
    let fake = Fake::start();
    fake.answer("/networks", format!("[{}]", network("a", &[])));
    fake.answer("/containers/json", format!("[{}]", listed("c", "web", "a")));
    fake.answer(&inspect_path("c"), inspected("c", "web", "running", Some("a")));
    let mut listener = listen(&fake);
    listener.container("inspect", |container| container.pid.is_some()).await;
    fake.answer(&inspect_path("c"), inspected("c", "web", "exited", None));
    for action in order {
        match *action {
            "disconnect" => fake.emit(&network_event(action, "a", "c")),
            _ => fake.emit(&container_event(action, "c")),
        }
    }
    let gone = |change: &Change| matches!(change, Change::ContainerGone { .. }).then_some(());
    listener.wait("removal", gone).await;
    let count = |change: fn(&Change) -> bool, listener: &mut Listener| {
        listener.told().iter().filter(|told| change(told)).count()
    };
    let stopped = count(|change| matches!(change, Change::ContainerStopped { .. }), &mut listener);
    let left = count(|change| matches!(change, Change::EndpointGone { .. }), &mut listener);
    let died_first = order[0] == "die";
    assert_eq!((stopped, left), (1, usize::from(!died_first)), "{order:?}");
    listener.stop().await;
}

#[tokio::test]
async fn the_end_of_a_container_is_told_once_in_whatever_order_it_comes() {
    check_end(&["die", "disconnect", "disconnect", "stop", "destroy"]).await;
    check_end(&["disconnect", "die", "destroy"]).await;
    check_end(&["disconnect", "disconnect", "die", "destroy"]).await;
}

#[tokio::test]
async fn the_second_of_two_disconnects_is_not_told() {
    let fake = Fake::start();
    fake.answer("/containers/json", format!("[{}]", listed("c", "web", "a")));
    fake.answer(&inspect_path("c"), inspected("c", "web", "running", None));
    let mut listener = listen(&fake);
    listener.complete().await;
    let listed = inspected("c", "web", "running", Some("a"));
    fake.answer(&inspect_path("c"), listed);
    for action in ["rename", "rename"] {
        fake.emit(&container_event(action, "c"));
    }
    listener
        .container("endpoint", |container| container.pid.is_some() && !container.endpoints.is_empty())
        .await;
    for _ in 0..2 {
        fake.emit(&network_event("disconnect", "a", "c"));
    }
    fake.emit(&container_event("die", "c"));
    listener.wait("end", |change| matches!(change, Change::ContainerStopped { .. }).then_some(())).await;
    let left = listener.told().iter().filter(|change| matches!(change, Change::EndpointGone { .. })).count();
    assert_eq!(left, 1);
    listener.stop().await;
}

#[tokio::test]
async fn an_inspect_from_before_the_end_does_not_bring_the_container_back() {
    let fake = Fake::start();
    fake.answer("/containers/json", format!("[{}]", listed("c", "web", "a")));
    fake.answer(&inspect_path("c"), Reply::Never);
    let mut listener = listen_briefly(&fake);
    listener.complete().await;
    fake.answer(&inspect_path("c"), inspected("c", "web", "exited", None));
    fake.emit(&container_event("die", "c"));
    let stopped = |change: &Change| match change {
        Change::ContainerStopped { at, .. } => Some(*at),
        _ => None,
    };
    let at = listener.wait("end", stopped).await;
    let now = support::now();
    assert!(at <= now && now.since(at) < Duration::from_secs(5));
    let next = listener.container("any news", |_| true).await;
    assert_eq!(next.state, ContainerState::Exited);
    listener.stop().await;
}

#[tokio::test]
async fn a_hint_asks_until_the_network_lists_the_new_endpoint() {
    let (fake, mut listener) = with_network().await;
    // What Complete itself makes be asked is over when this network has been asked about once.
    support::until("question about the network", || {
        fake.asked().contains(&format!("GET {}", network_path("a")))
    })
    .await;
    let then = Box::new(network("a", &[("c", "web")]).into());
    fake.answer(&network_path("a"), Reply::First(5, Box::new(network("a", &[]).into()), then));
    let before = support::now();
    listener.hint().bridge_changed("br-a00000000000");
    let (container, _, at) = listener.endpoint("web").await;
    assert_eq!(container.as_str(), id("c"));
    assert!(before <= at && at <= support::now());
    listener.stop().await;
}

#[tokio::test]
async fn hints_about_unknown_bridges_ask_nothing() {
    let (fake, mut listener) = with_network().await;
    support::until("question about the network", || {
        fake.asked().contains(&format!("GET {}", network_path("a")))
    })
    .await;
    let before = fake.asked().len();
    for name in ["br-b00000000000", "docker0", "../../etc", ""] {
        listener.hint().bridge_changed(name);
    }
    fake.emit(&container_event("destroy", "e"));
    fake.answer(&inspect_path("d"), inspected("d", "db", "running", None));
    fake.emit(&container_event("start", "d"));
    listener.container("start", |container| container.name.as_str() == "db").await;
    let asked = fake.asked();
    let asked: Vec<_> = asked[before..].iter().filter(|request| *request != "GET /_ping").collect();
    assert_eq!(asked, [&format!("GET {}", inspect_path("d"))]);
    listener.stop().await;
}

#[tokio::test]
async fn networks_come_and_go() {
    let (fake, mut listener) = with_network().await;
    fake.answer(&network_path("b"), network("b", &[]));
    fake.emit(&network_event("create", "b", "unused"));
    let told = |wanted: String| {
        move |change: &Change| match change {
            Change::Network { network, .. } if network.id.as_str() == wanted => Some(()),
            _ => None,
        }
    };
    listener.wait("network", told(id("b"))).await;
    fake.emit(&network_event("destroy", "b", "unused"));
    listener.wait("removal", |change| matches!(change, Change::NetworkGone { .. }).then_some(())).await;
    listener.stop().await;
}
