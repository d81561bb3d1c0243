//! The inventory against a Docker API that stalls, lies, goes away and comes back. Needs neither root nor Docker.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod connection;
mod endpoints;
mod fake;
mod following;
mod hostile;
#[path = "../inventory_support/mod.rs"]
mod support;

use fake::Fake;
use monitor::inventory::Settings;
use std::time::Duration;
use support::{Listener, PATIENCE};

/// How long a request may take that stalls.
const BRIEF: Duration = Duration::from_secs(2);

/// The id that begins with these characters.
fn id(start: &str) -> String {
    format!("{start:0<64}")
}

/// Listens to a fake engine, which may take the time of a busy machine.
fn listen(fake: &Fake) -> Listener {
    listen_for(fake, PATIENCE)
}

/// Listens to a fake engine that stalls: this is soon noticed.
fn listen_briefly(fake: &Fake) -> Listener {
    listen_for(fake, BRIEF)
}

fn listen_for(fake: &Fake, patience: Duration) -> Listener {
    let host = Some(fake.host());
    Listener::start(Settings { host, request_timeout: patience, ping_interval: patience, way: None })
}

/// An entry of `GET /containers/json` of a running container on network `net`.
fn listed(container: &str, name: &str, net: &str) -> String {
    let (container, net) = (id(container), id(net));
    format!(
        r#"{{"Id":"{container}","Names":["/{name}"],"Image":"i","State":"running","HostConfig":{{"NetworkMode":"n"}},
            "NetworkSettings":{{"Networks":{{"n":{{"NetworkID":"{net}","EndpointID":"e","IPAddress":"172.18.0.2"}}}}}}}}"#
    )
}

/// The answer to `GET /containers/ID/json` of a container.
fn inspected(container: &str, name: &str, status: &str, net: Option<&str>) -> String {
    let container = id(container);
    let networks = net.map_or_else(String::new, |net| {
        format!(r#""n":{{"NetworkID":"{}","EndpointID":"e","IPAddress":"172.18.0.2"}}"#, id(net))
    });
    format!(
        r#"{{"Id":"{container}","Name":"/{name}","State":{{"Status":"{status}","Pid":77}},"Config":{{"Image":"i"}},
            "HostConfig":{{"NetworkMode":"n"}},"NetworkSettings":{{"SandboxKey":"/ns/{name}","Networks":{{{networks}}}}}}}"#
    )
}

/// The answer to `GET /networks/ID` of a bridge network with one endpoint for each (container, name).
fn network(net: &str, endpoints: &[(&str, &str)]) -> String {
    let endpoint = |(container, name): &(&str, &str)| {
        format!(r#""{}":{{"Name":"{name}","EndpointID":"e","IPv4Address":"172.18.0.2/16"}}"#, id(container))
    };
    let endpoints: Vec<_> = endpoints.iter().map(endpoint).collect();
    let net = id(net);
    format!(r#"{{"Id":"{net}","Name":"n","Driver":"bridge","Containers":{{{}}}}}"#, endpoints.join(","))
}

/// An event of a container.
fn container_event(action: &str, container: &str) -> String {
    let nanoseconds = support::wall_now().0;
    let container = id(container);
    format!(
        r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"{container}"}},"timeNano":{nanoseconds}}}"#
    )
}

/// An event of a container and a network.
fn network_event(action: &str, net: &str, container: &str) -> String {
    let nanoseconds = support::wall_now().0;
    let (net, container) = (id(net), id(container));
    format!(
        r#"{{"Type":"network","Action":"{action}","timeNano":{nanoseconds},
            "Actor":{{"ID":"{net}","Attributes":{{"container":"{container}"}}}}}}"#
    )
    .replace('\n', "")
}

/// The path of a container's inspect.
fn inspect_path(container: &str) -> String {
    format!("/containers/{}/json", id(container))
}

/// The path of a network's inspect.
fn network_path(net: &str) -> String {
    format!("/networks/{}", id(net))
}
