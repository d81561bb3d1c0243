//! When an endpoint begins, and when it is not told.
//!
//! An endpoint that is said to begin before its own veth existed blames its container for what the last user of its
//! address did.

use crate::fake::{Fake, Reply};
use crate::support::{self, Listener};
use crate::{
    container_event, id, inspect_path, inspected, listed, listen, network, network_event, network_path,
};
use monitor::model::{Change, KernelTime};

const BRIDGE: &str = "br-a00000000000";

/// A fake engine with one network `a` and this list of containers; its inventory has asked all it asks by itself.
async fn with_containers(containers: &[(&str, &str)]) -> (Fake, Listener) {
    let fake = Fake::start();
    let list: Vec<_> = containers.iter().map(|(id, name)| listed(id, name, "a")).collect();
    fake.answer("/networks", format!("[{}]", network("a", &[])));
    fake.answer("/containers/json", format!("[{}]", list.join(",")));
    fake.answer(&network_path("a"), network("a", containers));
    for (id, name) in containers {
        fake.answer(&inspect_path(id), inspected(id, name, "running", Some("a")));
    }
    let mut listener = listen(&fake);
    listener.complete().await;
    for _ in containers {
        listener.container("inspect", |container| container.pid.is_some()).await;
    }
    asked_again(&fake, 0, 1).await;
    (fake, listener)
}

/// Waits until network `a` was asked about so often after a number of questions.
async fn asked_again(fake: &Fake, before: usize, times: usize) {
    let path = format!("GET {}", network_path("a"));
    let count = || fake.asked()[before..].iter().filter(|request| **request == path).count();
    support::until("question about the network", || count() >= times).await;
}

/// Waits for the end of a container.
async fn stopped(listener: &mut Listener) -> KernelTime {
    let stopped = |change: &Change| match change {
        Change::ContainerStopped { at, .. } => Some(*at),
        _ => None,
    };
    listener.wait("end", stopped).await
}

/// How many endpoints of a container were told.
fn endpoints_told(listener: &mut Listener, of: &str) -> usize {
    let of = id(of);
    let is_it =
        |change: &&Change| matches!(change, Change::Endpoint { container, .. } if container.as_str() == of);
    listener.told().iter().filter(is_it).count()
}

#[tokio::test]
async fn an_endpoint_does_not_take_the_time_of_an_earlier_veth() {
    let (fake, mut listener) = with_containers(&[]).await;
    let hint = listener.hint();
    fake.answer(&network_path("a"), network("a", &[("c", "web")]));
    // Whoever does not know yet whose veth it is hints again.
    hint.bridge_changed(BRIDGE);
    hint.bridge_changed(BRIDGE);
    listener.endpoint("web").await;
    let before_its_veth = support::now();
    fake.answer(&network_path("a"), network("a", &[("c", "web"), ("d", "db")]));
    hint.bridge_changed(BRIDGE);
    let (container, _, at) = listener.endpoint("db").await;
    assert_eq!(container.as_str(), id("d"));
    assert!(before_its_veth <= at && at <= support::now(), "{before_its_veth:?} {at:?}");
    listener.stop().await;
}

#[tokio::test]
async fn endpoints_of_one_answer_begin_after_the_last_of_their_veths() {
    let (fake, mut listener) = with_containers(&[]).await;
    let asked = fake.asked().len();
    listener.hint().bridge_changed(BRIDGE);
    asked_again(&fake, asked, 2).await;
    let before_the_second = support::now();
    fake.answer(&network_path("a"), network("a", &[("c", "web"), ("d", "db")]));
    listener.hint().bridge_changed(BRIDGE);
    for _ in 0..2 {
        let endpoint = |change: &Change| match change {
            Change::Endpoint { at, .. } => Some(*at),
            _ => None,
        };
        assert!(before_the_second <= listener.wait("endpoint", endpoint).await);
    }
    listener.stop().await;
}

#[tokio::test]
async fn an_address_is_its_next_container_s_only_after_the_end_of_the_last_one() {
    let (fake, mut listener) = with_containers(&[("c", "web")]).await;
    let asked = fake.asked().len();
    listener.hint().bridge_changed(BRIDGE);
    asked_again(&fake, asked, 1).await;
    fake.answer(&inspect_path("c"), inspected("c", "web", "exited", None));
    fake.emit(&container_event("die", "c"));
    let ended = stopped(&mut listener).await;
    fake.answer(&network_path("a"), network("a", &[("d", "db")]));
    fake.emit(&network_event("disconnect", "a", "c"));
    let (_, endpoint, at) = listener.endpoint("db").await;
    assert_eq!(endpoint.addresses, ["172.18.0.2".parse::<std::net::IpAddr>().unwrap()]);
    assert!(ended <= at, "{ended:?} {at:?}");
    listener.stop().await;
}

#[tokio::test]
async fn an_endpoint_does_not_take_the_time_of_another_one_s_event() {
    let (fake, mut listener) = with_containers(&[]).await;
    fake.answer(&network_path("a"), network("a", &[("d", "db")]));
    fake.emit(&network_event("connect", "a", "c"));
    let before_its_veth = support::now();
    let (_, _, at) = listener.endpoint("db").await;
    assert!(before_its_veth <= at, "{before_its_veth:?} {at:?}");
    listener.stop().await;
}

#[tokio::test]
async fn an_inspect_that_waited_for_the_start_gives_no_endpoint_the_time_of_the_creation() {
    let (fake, mut listener) = with_containers(&[]).await;
    fake.answer(&inspect_path("c"), inspected("c", "web", "running", Some("a")));
    fake.emit(&container_event("create", "c"));
    let before_its_veth = support::now();
    let told = |change: &Change| match change {
        Change::Container { container, at } if !container.endpoints.is_empty() => Some(*at),
        _ => None,
    };
    let at = listener.wait("container", told).await;
    assert!(before_its_veth <= at, "{before_its_veth:?} {at:?}");
    listener.stop().await;
}

#[tokio::test]
async fn an_endpoint_still_listed_after_the_end_is_not_told_again_until_the_container_starts_again() {
    let (fake, mut listener) = with_containers(&[("c", "web")]).await;
    fake.answer(&inspect_path("c"), inspected("c", "web", "exited", None));
    fake.emit(&container_event("die", "c"));
    stopped(&mut listener).await;
    listener.container("end", |container| container.pid.is_some() && container.endpoints.is_empty()).await;
    // The first answer, which lists it still, is taken in when the second is asked for.
    for _ in 0..2 {
        let asked = fake.asked().len();
        listener.hint().bridge_changed(BRIDGE);
        asked_again(&fake, asked, 1).await;
    }
    assert_eq!(endpoints_told(&mut listener, "c"), 0);
    fake.answer(&inspect_path("c"), Reply::Never);
    fake.emit(&network_event("connect", "a", "c"));
    let (container, ..) = listener.endpoint("web").await;
    assert_eq!(container.as_str(), id("c"));
    assert_eq!(endpoints_told(&mut listener, "c"), 1);
    listener.stop().await;
}

#[tokio::test]
async fn an_endpoint_first_listed_after_the_end_is_not_told() {
    let (fake, mut listener) = with_containers(&[]).await;
    fake.answer(&inspect_path("c"), inspected("c", "web", "created", None));
    fake.emit(&container_event("create", "c"));
    listener.container("creation", |container| container.name.as_str() == "web").await;
    fake.answer(&inspect_path("c"), inspected("c", "web", "exited", None));
    fake.emit(&container_event("die", "c"));
    stopped(&mut listener).await;
    fake.answer(&network_path("a"), network("a", &[("c", "web"), ("d", "db")]));
    listener.hint().bridge_changed(BRIDGE);
    listener.endpoint("db").await;
    let asked = fake.asked().len();
    listener.hint().bridge_changed(BRIDGE);
    asked_again(&fake, asked, 2).await;
    assert_eq!(endpoints_told(&mut listener, "c"), 0);
    listener.stop().await;
}
