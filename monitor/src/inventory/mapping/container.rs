//! Containers.

use super::aliases::aliases;
use super::details::details;
use super::rights::rights;
use super::{MOST_ENDPOINTS, MOST_LABELS, MOST_LINKS, MOST_PORTS, Refusals, address, mac, parsed};
use crate::model::{
    Container, ContainerId, ContainerState, Details, Endpoint, NetworkId, NetworkMode, SafeText, WallTime,
};
use bollard::models::{
    self, ContainerConfig, ContainerInspectResponse, ContainerStateStatusEnum as Status, ContainerSummary,
    EndpointSettings, HostConfig, NetworkSettings, PortBinding, PortMap, PortSummary,
};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The label with a container's Compose project.
const PROJECT: &str = "com.docker.compose.project";
/// The label of a task of a Swarm service with its stack's name.
const STACK: &str = "com.docker.stack.namespace";
/// The longest path of a namespace that is kept.
const LONGEST_PATH: usize = 1_024;

/// A container, as `GET /containers/ID/json` tells it.
pub(in super::super) fn container(
    raw: &ContainerInspectResponse,
    refusals: &mut Refusals,
) -> Option<Container> {
    let text = raw.id.as_deref().unwrap_or("");
    let id = parsed(ContainerId::new(text), "a container id", text, refusals)?;
    let config = raw.config.as_ref();
    let labels = config.and_then(|config| config.labels.as_ref());
    let label = |name: &str| labels.and_then(|labels| labels.get(name)).map(|text| SafeText::new(text));
    let settings = raw.network_settings.as_ref();
    let network_mode = network_mode(raw.host_config.as_ref(), refusals);
    let endpoints = match network_mode {
        NetworkMode::Networks => {
            endpoints(settings.and_then(|settings| settings.networks.as_ref()), refusals)
        }
        _ => Vec::new(),
    };
    let state = raw.state.as_ref();
    let name = raw.name.as_deref().unwrap_or("");
    let labels_kept = kept_labels(labels, refusals);
    let published = published(settings.and_then(|settings| settings.ports.as_ref()), refusals);
    let details = details(raw).map(|details| {
        Arc::new(Details { labels: labels_kept.clone(), published: published.clone(), ..details })
    });
    let name = name.strip_prefix('/').unwrap_or(name);
    let aliases = aliases((&id, name), settings.and_then(|settings| settings.networks.as_ref()), refusals);
    let (project, service) = match (label(Container::COMPOSE_SERVICE), label(Container::SWARM_SERVICE)) {
        (None, Some(service)) => (label(STACK), Some(service)),
        (service, _) => (label(PROJECT), service),
    };
    Some(Container {
        id,
        name: SafeText::new(name),
        image: config
            .and_then(|config| config.image.as_deref())
            .filter(|image| !image.is_empty())
            .map(SafeText::new),
        project,
        service,
        state: state_of(state),
        started_at: state.and_then(|state| moment(state.started_at.as_deref()?, refusals)),
        network_mode,
        endpoints,
        namespace: None,
        sandbox: settings.and_then(|settings| sandbox(settings.sandbox_key.as_deref()?, refusals)),
        pid: state
            .and_then(|state| state.pid)
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid != 0),
        labels: labels_kept,
        links: links(raw.host_config.as_ref(), refusals),
        aliases,
        rights: rights(raw),
        published,
        details,
    })
}

/// An entry of `GET /containers/json` in the form of `GET /containers/ID/json`. It lacks the start time, the process,
/// the namespace, links, rights and details.
pub(in super::super) fn from_summary(raw: ContainerSummary) -> ContainerInspectResponse {
    let names = raw.names.unwrap_or_default();
    // Legacy links add names of the form `/other/alias`.
    let own = names.iter().find(|name| name.matches('/').count() <= 1).or(names.first());
    ContainerInspectResponse {
        id: raw.id,
        name: own.cloned(),
        config: Some(ContainerConfig { image: raw.image, labels: raw.labels, ..ContainerConfig::default() }),
        state: raw.state.map(|state| models::ContainerState {
            status: state.as_ref().parse().ok(),
            ..models::ContainerState::default()
        }),
        host_config: raw
            .host_config
            .map(|config| HostConfig { network_mode: config.network_mode, ..HostConfig::default() }),
        network_settings: Some(NetworkSettings {
            networks: raw.network_settings.and_then(|settings| settings.networks),
            ports: raw.ports.map(port_map),
            ..NetworkSettings::default()
        }),
        ..ContainerInspectResponse::default()
    }
}

/// The ports of a list's entry, in the form an inspect has.
fn port_map(ports: Vec<PortSummary>) -> PortMap {
    let mut map = PortMap::new();
    for port in ports {
        let protocol = port.typ.map_or_else(|| "tcp".to_owned(), |typ| typ.to_string());
        let bindings =
            map.entry(format!("{}/{protocol}", port.private_port)).or_insert_with(|| Some(Vec::new()));
        if let (Some(bindings), Some(public)) = (bindings, port.public_port) {
            bindings.push(PortBinding { host_ip: port.ip, host_port: Some(public.to_string()) });
        }
    }
    map
}

fn state_of(state: Option<&models::ContainerState>) -> ContainerState {
    match state.and_then(|state| state.status) {
        Some(Status::CREATED) => ContainerState::Created,
        Some(Status::RUNNING | Status::STOPPING) => ContainerState::Running,
        Some(Status::PAUSED) => ContainerState::Paused,
        Some(Status::RESTARTING) => ContainerState::Restarting,
        Some(Status::REMOVING) => ContainerState::Removing,
        Some(Status::EXITED) => ContainerState::Exited,
        Some(Status::DEAD) => ContainerState::Dead,
        Some(Status::EMPTY) | None => ContainerState::Unknown,
    }
}

fn network_mode(config: Option<&HostConfig>, refusals: &mut Refusals) -> NetworkMode {
    match config.and_then(|config| config.network_mode.as_deref()) {
        Some("host") => NetworkMode::Host,
        Some("none") => NetworkMode::None,
        Some(mode) => match mode.strip_prefix("container:") {
            Some(other) => parsed(ContainerId::new(other), "a container id", other, refusals)
                .map_or(NetworkMode::Networks, NetworkMode::SharedWith),
            None => NetworkMode::Networks,
        },
        None => NetworkMode::Networks,
    }
}

/// The labels in the order of their names. Of too many, the Compose ones and the first are kept.
fn kept_labels(
    labels: Option<&HashMap<String, String>>,
    refusals: &mut Refusals,
) -> Vec<(SafeText, SafeText)> {
    let mut labels: Vec<(&String, &String)> = labels.into_iter().flatten().collect();
    labels.sort_unstable();
    if labels.len() > MOST_LABELS {
        refusals.refuse(format_args!("more than {MOST_LABELS} labels of one container"));
        let first = [PROJECT, Container::COMPOSE_SERVICE, Container::SWARM_SERVICE];
        labels.sort_by_key(|(name, _)| !first.contains(&name.as_str()));
        labels.truncate(MOST_LABELS);
        labels.sort_unstable();
    }
    labels.into_iter().map(|(name, value)| (SafeText::new(name), SafeText::new(value))).collect()
}

/// The containers it is linked to, of entries such as `/other:/this/alias`.
fn links(config: Option<&HostConfig>, refusals: &mut Refusals) -> Vec<SafeText> {
    let raw = config.and_then(|config| config.links.as_deref()).unwrap_or_default();
    if raw.len() > MOST_LINKS {
        refusals.refuse(format_args!("more than {MOST_LINKS} links of one container"));
    }
    let other = |link: &String| {
        let name = link.split(':').next().unwrap_or(link).trim_start_matches('/');
        (!name.is_empty()).then(|| SafeText::new(name))
    };
    let mut links: Vec<SafeText> = raw.iter().take(MOST_LINKS).filter_map(other).collect();
    links.sort();
    links.dedup();
    links
}

/// The endpoints that exist: a container that does not run names its networks, but has none.
fn endpoints(networks: Option<&HashMap<String, EndpointSettings>>, refusals: &mut Refusals) -> Vec<Endpoint> {
    let networks: BTreeMap<_, _> = networks.into_iter().flatten().collect();
    let existing =
        networks.into_values().filter(|raw| raw.endpoint_id.as_ref().is_some_and(|id| !id.is_empty()));
    let mut endpoints: Vec<_> =
        existing.take(MOST_ENDPOINTS + 1).filter_map(|raw| endpoint(raw, refusals)).collect();
    if endpoints.len() > MOST_ENDPOINTS {
        refusals.refuse(format_args!("more than {MOST_ENDPOINTS} networks of one container"));
        endpoints.truncate(MOST_ENDPOINTS);
    }
    endpoints
}

fn endpoint(raw: &EndpointSettings, refusals: &mut Refusals) -> Option<Endpoint> {
    let text = raw.network_id.as_deref().unwrap_or("");
    let network = parsed(NetworkId::new(text), "a network id", text, refusals)?;
    let addresses = [raw.ip_address.as_deref(), raw.global_ipv6_address.as_deref()];
    Some(Endpoint {
        network,
        mac: mac(raw.mac_address.as_deref(), refusals),
        addresses: addresses.into_iter().filter_map(|text| address(text, refusals)).collect(),
    })
}

/// A time as Docker writes it; the year 1 stands for "never".
fn moment(text: &str, refusals: &mut Refusals) -> Option<WallTime> {
    if text.is_empty() || text.starts_with("0001-") {
        return None;
    }
    let nanoseconds = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).ok();
    let time = text.parse().ok().and_then(nanoseconds);
    parsed(time.ok_or(()), "a time", text, refusals).map(WallTime)
}

/// The path of a namespace, if it can be one.
fn sandbox(text: &str, refusals: &mut Refusals) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let is_path = text.starts_with('/') && text.len() <= LONGEST_PATH && !text.contains("/../");
    let is_path = is_path && !text.chars().any(char::is_control);
    parsed(is_path.then(|| text.to_owned()).ok_or(()), "a path of a namespace", text, refusals)
}

fn published(ports: Option<&PortMap>, refusals: &mut Refusals) -> Vec<(IpAddr, u16, u16, String)> {
    let mut published = Vec::new();
    for (port, bindings) in ports.into_iter().flatten() {
        let bindings = bindings.as_deref().unwrap_or_default();
        if bindings.is_empty() {
            continue;
        }
        let Some((inner, protocol)) = parsed(port_of(port).ok_or(()), "a port", port, refusals) else {
            continue;
        };
        for binding in bindings.iter().take(MOST_PORTS + 1) {
            let Some((address, outer)) = bound(binding, refusals) else { continue };
            published.push((address, outer, inner, protocol.to_owned()));
        }
        if published.len() > MOST_PORTS {
            refusals.refuse(format_args!("more than {MOST_PORTS} published ports of one container"));
            break;
        }
    }
    published.truncate(MOST_PORTS);
    published.sort();
    published.dedup();
    published
}

/// `80/tcp`, of the protocols Docker publishes.
fn port_of(text: &str) -> Option<(u16, &str)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    matches!(protocol, "tcp" | "udp" | "sctp").then_some((port.parse().ok()?, protocol))
}

/// The host's side of a published port; no address stands for all of them.
fn bound(binding: &PortBinding, refusals: &mut Refusals) -> Option<(IpAddr, u16)> {
    let text = binding.host_port.as_deref().filter(|text| !text.is_empty())?;
    let port = parsed(text.parse(), "a port", text, refusals)?;
    match binding.host_ip.as_deref() {
        None | Some("") => Some((Ipv4Addr::UNSPECIFIED.into(), port)),
        host => address(host, refusals).map(|host| (host, port)),
    }
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
