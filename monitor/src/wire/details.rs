//! `details` of a container: what `docker inspect` tells of it.

use crate::model::{Details, SafeText};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Serialize)]
pub(super) struct DetailsPart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_policy: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a SafeText>,
    privileged: bool,
    limits: LimitsPart,
    capabilities: CapabilitiesPart<'a>,
    labels: BTreeMap<&'a str, &'a SafeText>,
    published: Vec<PublishedPart<'a>>,
}

/// A limit that is absent is none.
#[derive(Serialize)]
struct LimitsPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nano_cpus: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<u64>,
}

/// Beside Docker's usual ones; a privileged container has all.
#[derive(Serialize)]
struct CapabilitiesPart<'a> {
    added: &'a [SafeText],
    dropped: &'a [SafeText],
}

#[derive(Serialize)]
struct PublishedPart<'a> {
    address: IpAddr,
    port: u16,
    container_port: u16,
    protocol: &'a str,
}

impl<'a> From<&'a Details> for DetailsPart<'a> {
    fn from(details: &'a Details) -> Self {
        let published = details.published.iter().map(|(address, port, container_port, protocol)| {
            let (address, port, container_port) = (*address, *port, *container_port);
            PublishedPart { address, port, container_port, protocol }
        });
        Self {
            health: details.health.as_ref(),
            restarts: details.restarts,
            restart_policy: details.restart_policy.as_ref(),
            command: details.command.as_ref(),
            privileged: details.privileged,
            limits: LimitsPart {
                memory_bytes: details.memory_limit,
                nano_cpus: details.nano_cpus,
                processes: details.pids_limit,
            },
            capabilities: CapabilitiesPart {
                added: &details.capabilities_added,
                dropped: &details.capabilities_dropped,
            },
            labels: details.labels.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            published: published.collect(),
        }
    }
}
