//! The inventory on a real Docker engine. Needs root or the right to use Docker's socket: run by name.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod bench;
mod facts;
#[expect(dead_code, reason = "a real engine is not made to fail here")]
#[path = "../inventory_support/mod.rs"]
mod support;

use bench::{Bench, docker};
use monitor::inventory::Settings;
use monitor::model::{
    Change, Container, ContainerId, ContainerState, DockerState, Endpoint, NetworkDriver, NetworkId,
    NetworkMode, WallTime,
};
use support::Listener;

/// How far, in nanoseconds, a moment may be off by the two clocks not being read at once.
const CLOCKS: i64 = 50_000_000;

async fn started() -> Listener {
    let mut listener = Listener::start(Settings::default());
    listener.complete().await;
    listener
}

fn is_gone(id: &str) -> impl Fn(&Change) -> Option<()> {
    let id = ContainerId::new(id).unwrap();
    move |change| matches!(change, Change::ContainerGone { id: gone, .. } if *gone == id).then_some(())
}

fn is_stopped(id: &str) -> impl Fn(&Change) -> Option<()> {
    let id = ContainerId::new(id).unwrap();
    move |change| {
        matches!(change, Change::ContainerStopped { id: stopped, .. } if *stopped == id).then_some(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_and_its_own_networks_are_told_before_complete() {
    let mut listener = Listener::start(Settings::default());
    listener.complete().await;
    let told = listener.told();
    assert!(matches!(told[0], Change::Docker(DockerState::Connecting)));
    let up = told.iter().find_map(|change| match change {
        Change::Docker(DockerState::Up { version, api, host, .. }) => Some((version, api, host)),
        _ => None,
    });
    let (version, api, host) = up.expect("Docker is up");
    assert!(!version.as_str().is_empty() && api.as_str().starts_with("1."), "{version} {api}");
    assert!(host.as_str().contains("://"), "{host}");
    let bridge = told.iter().find_map(|change| match change {
        Change::Network { network, .. } if network.name.as_str() == "bridge" => Some(network),
        _ => None,
    });
    assert_eq!(bridge.and_then(|bridge| bridge.bridge.as_ref()).map(|name| name.as_str()), Some("docker0"));
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_already_is_told_before_complete() {
    let mut bench = Bench::new("already");
    let id = bench.run("c", &["--label", "com.docker.compose.project=shop", "-p", "127.0.0.1::80"]);
    let mut listener = Listener::start(Settings::default());
    let name = bench.name("c");
    let container =
        listener.container("running container", |container| container.name.as_str() == name).await;
    assert_eq!((container.id.as_str(), container.state), (id.as_str(), ContainerState::Running));
    assert_eq!(container.project.as_ref().map(|project| project.as_str()), Some("shop"));
    assert_eq!(container.published.len(), 1);
    let (containers, networks) = listener.complete().await;
    assert!(containers.contains(&container.id));
    assert!(networks.contains(&container.endpoints[0].network));
    let whole = listener.container("inspect", |seen| seen.id == container.id && seen.pid.is_some()).await;
    assert!(whole.sandbox.is_some() && whole.started_at.is_some());
    assert_eq!(whole.endpoints, container.endpoints);
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_followed_from_start_to_removal() {
    let mut bench = Bench::new("life");
    let mut listener = started().await;
    let id = bench.run("c", &[]);
    let runs = |id: &str| {
        let id = id.to_owned();
        move |seen: &Container| seen.id.as_str() == id && seen.state == ContainerState::Running
    };
    let first = listener.container("start", runs(&id)).await;
    assert_eq!(first.endpoints.len(), 1);
    assert!(first.endpoints[0].mac.is_some() && first.endpoints[0].addresses.len() == 1);
    docker(&["pause", &id]);
    let state = |wanted| {
        let id = id.clone();
        move |seen: &Container| seen.id.as_str() == id && seen.state == wanted
    };
    listener.container("pause", state(ContainerState::Paused)).await;
    docker(&["unpause", &id]);
    listener.container("unpause", state(ContainerState::Running)).await;
    bench.renamed("other");
    let other = bench.name("other");
    docker(&["rename", &id, &other]);
    listener.container("rename", |seen| seen.name.as_str() == other).await;
    docker(&["restart", "-t", "0", &id]);
    listener.wait("stop", is_stopped(&id)).await;
    let again = listener.container("restart", runs(&id)).await;
    assert_ne!((again.pid, &again.sandbox), (first.pid, &first.sandbox));
    docker(&["stop", "-t", "0", &id]);
    listener.wait("stop", is_stopped(&id)).await;
    let ended = listener.container("end", state(ContainerState::Exited)).await;
    assert_eq!((ended.endpoints, ended.pid), (Vec::new(), None));
    docker(&["rm", &id]);
    listener.wait("removal", is_gone(&id)).await;
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_a_stop_is_the_event_s_own() {
    let mut bench = Bench::new("time");
    let mut listener = started().await;
    let id = bench.run("c", &[]);
    let (before, since) = (support::now(), support::wall_now());
    docker(&["kill", &id]);
    let wanted = ContainerId::new(&id).unwrap();
    let stopped = |change: &Change| match change {
        Change::ContainerStopped { id, at } if *id == wanted => Some(*at),
        _ => None,
    };
    let at = listener.wait("stop", stopped).await;
    let (until, apart) =
        (support::wall_now(), support::wall_now().0 - i64::try_from(support::now().0).unwrap());
    // As Docker itself tells it, by the other clock.
    let second = |time: WallTime| format!("{}.{:09}", time.0 / 1_000_000_000, time.0 % 1_000_000_000);
    let asked = ["events", "--since", &second(since), "--until", &second(until), "--filter", "event=die"];
    let format = ["--filter", &format!("container={id}"), "--format", "{{.TimeNano}}"];
    let event: i64 = docker(&[&asked[..], &format].concat()).parse().unwrap();
    let off = event - apart - i64::try_from(at.0).unwrap();
    assert!(before < at && off.abs() < CLOCKS, "{before:?} {at:?}, {off} ns off {event}");
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_are_told_with_what_they_forbid_and_followed_to_removal() {
    let mut bench = Bench::new("nets");
    let mut listener = started().await;
    let no_icc = "com.docker.network.bridge.enable_icc=false";
    let subnet = ["--ipv6", "--subnet", "fd00:7677:1::/64", "--internal", "-o", no_icc];
    let id = NetworkId::new(&bench.network("n", &subnet)).unwrap();
    let network = |change: &Change| match change {
        Change::Network { network, .. } if network.id == id => Some(network.clone()),
        _ => None,
    };
    let network = listener.wait("network", network).await;
    assert_eq!(network.driver, NetworkDriver::Bridge);
    assert_eq!(network.bridge.unwrap().as_str(), format!("br-{}", id.short()));
    assert!(network.internal && network.ipv6 && !network.inter_container);
    assert!(network.subnets.contains(&("fd00:7677:1::".parse().unwrap(), 64)), "{:?}", network.subnets);
    let container = bench.run("c", &["--network", &bench.name("n")]);
    let container = listener
        .container("start", |seen| seen.id.as_str() == container && seen.state == ContainerState::Running)
        .await;
    let addresses = &container.endpoints[0].addresses;
    assert_eq!(addresses.iter().filter(|address| address.is_ipv6()).count(), 1, "{addresses:?}");
    docker(&["rm", "-f", container.id.as_str()]);
    docker(&["network", "rm", id.as_str()]);
    let gone =
        |change: &Change| matches!(change, Change::NetworkGone { id: gone, .. } if *gone == id).then_some(());
    listener.wait("removal", gone).await;
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_and_leaving_a_network_is_told_once_each() {
    let mut bench = Bench::new("join");
    let id = bench.run("c", &[]);
    let network = bench.network("n", &[]);
    let mut listener = started().await;
    docker(&["network", "connect", &network, &id]);
    // The network's list and the container's inspect are asked at once: whichever answers first tells it.
    let is_new = |endpoint: &&Endpoint| endpoint.network.as_str() == network;
    let joining = |change: &Change| match change {
        Change::Endpoint { container, endpoint, .. } => {
            Some((container.clone(), endpoint.clone(), false)).filter(|(_, endpoint, _)| is_new(&endpoint))
        }
        Change::Container { container, .. } => {
            let endpoint = container.endpoints.iter().find(is_new)?;
            Some((container.id.clone(), endpoint.clone(), true))
        }
        _ => None,
    };
    let (container, endpoint, was_inspected) = listener.wait("joining", joining).await;
    assert_eq!(container.as_str(), id);
    assert!(endpoint.mac.is_some() && endpoint.addresses.len() == 1);
    if !was_inspected {
        let has_both = |seen: &Container| seen.id == container && seen.endpoints.len() == 2;
        assert!(listener.container("inspect", has_both).await.endpoints.contains(&endpoint));
    }
    docker(&["network", "disconnect", &network, &id]);
    let left = |change: &Change| match change {
        Change::EndpointGone { container: of, network, .. } if *of == container => Some(network.clone()),
        _ => None,
    };
    assert_eq!(listener.wait("leaving", left).await, endpoint.network);
    listener.container("inspect", |seen| seen.id == container && seen.endpoints.len() == 1).await;
    docker(&["network", "rm", &network]);
    let gone = |change: &Change| matches!(change, Change::NetworkGone { id, .. } if *id == endpoint.network);
    listener.wait("removal", |change| gone(change).then_some(())).await;
    assert_eq!(listener.told().iter().filter_map(left).count(), 1);
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_without_a_network_of_their_own_are_told() {
    let mut bench = Bench::new("modes");
    let mut listener = started().await;
    let first = bench.run("first", &["--network", "none"]);
    let shares = format!("container:{}", bench.name("first"));
    let second = bench.run("second", &["--network", &shares]);
    let third = bench.run("third", &["--network", "host"]);
    let mut mode = async |id: &str| {
        let runs = |seen: &Container| seen.id.as_str() == id && seen.pid.is_some();
        let container = listener.container("start", runs).await;
        assert_eq!(container.endpoints, []);
        container.network_mode
    };
    assert_eq!(mode(&first).await, NetworkMode::None);
    assert_eq!(mode(&second).await, NetworkMode::SharedWith(ContainerId::new(&first).unwrap()));
    assert_eq!(mode(&third).await, NetworkMode::Host);
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_brings_the_name_before_the_container_runs() {
    let mut bench = Bench::new("hint");
    let network = bench.network("n", &[]);
    let mut listener = started().await;
    let mut milliseconds = Vec::new();
    for round in 0..10 {
        let id = bench.create(&format!("c{round}"), &["--network", &network]);
        let name = bench.name(&format!("c{round}"));
        listener.container("creation", |seen| seen.id.as_str() == id).await;
        let veth = tokio::spawn(hint_of_next_veth(network.clone(), listener.hint()));
        let start = tokio::task::spawn_blocking({
            let id = id.clone();
            move || docker(&["start", &id])
        });
        // On a busy machine the container's inspect can answer before the network's list, which then tells nothing new.
        let naming = |change: &Change| match change {
            Change::Endpoint { container, name: of, endpoint, at } if of.as_str() == name => {
                Some((container.clone(), endpoint.clone(), *at, false))
            }
            Change::Container { container, at } if container.id.as_str() == id && container.pid.is_some() => {
                Some((container.id.clone(), container.endpoints.first()?.clone(), *at, true))
            }
            _ => None,
        };
        let (container, endpoint, at, is_running) = listener.wait("name", naming).await;
        let told = support::now();
        let veth = veth.await.unwrap();
        assert_eq!((container.as_str(), endpoint.network.as_str()), (id.as_str(), network.as_str()));
        assert!(at <= told, "{at:?} {told:?}");
        start.await.unwrap();
        if is_running {
            continue;
        }
        // Told after the name, or it would not be waited for here.
        listener.container("start", |seen| seen.id == container && seen.pid.is_some()).await;
        // Docker's own event can be before a hint that comes late.
        if veth <= at {
            milliseconds.push(told.since(veth).as_secs_f64() * 1e3);
        }
    }
    assert!(milliseconds.len() >= 5, "of ten names a hint brought only {}", milliseconds.len());
    milliseconds.sort_by(f64::total_cmp);
    println!("from the veth to its name, in ms: {milliseconds:.1?}");
    listener.stop().await;
}

/// Waits until a network's bridge gets one port more, and hints that. Returns when it was seen.
async fn hint_of_next_veth(network: String, hint: monitor::inventory::Hint) -> monitor::model::KernelTime {
    let bridge = format!("br-{}", &network[..12]);
    let ports = || std::fs::read_dir(format!("/sys/class/net/{bridge}/brif")).map_or(0, Iterator::count);
    let had = ports();
    support::until("veth", || ports() > had).await;
    let seen = support::now();
    hint.bridge_changed(&bridge);
    seen
}
