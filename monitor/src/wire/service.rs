//! `service`.

use super::parts::{ContainerPart, ServicePart, SwarmPart};
use super::{Body, Clock};
use crate::model::{Counts, KernelTime, SafeText};
use crate::snapshot::{Replica, ReplicaRow, ServiceRow};
use serde::Serialize;
use std::net::IpAddr;

/// How the TCP connections to one port of a service were spread over its replicas, since `since`.
#[derive(Serialize)]
pub struct ServiceBody<'a> {
    service: ServicePart<'a>,
    port: u16,
    protocol: &'static str,
    since: String,
    connections: u64,
    replicas: Vec<ReplicaPart<'a>>,
}

/// A container, or a task on another node: `swarm`, with its address. `by_name`: of the connections, those whose client is known to have asked for the alias. `unanswered` are neither answered nor refused so far. Sent is what the replica sent.
#[derive(Serialize)]
struct ReplicaPart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swarm: Option<SwarmPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    connections: u64,
    answered: u64,
    refused: u64,
    unanswered: u64,
    reset: u64,
    half_open: u64,
    silent_client: u64,
    silent_server: u64,
    sent: Counts,
    received: Counts,
    gets_none: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_name: Option<u64>,
    clients: &'a [SafeText],
    client_count: usize,
}

impl Body for ServiceBody<'_> {
    const TYPE: &'static str = "service";
}

impl<'a> ServiceBody<'a> {
    /// A row of what was seen since a moment.
    #[must_use]
    pub fn new(row: &'a ServiceRow, since: KernelTime, clock: &Clock) -> Self {
        let replica = |replica: &'a ReplicaRow| {
            let (container, swarm) = match &replica.who {
                Replica::Here(container) => (Some(&**container), None),
                Replica::Elsewhere(swarm) => (None, Some(&**swarm)),
            };
            ReplicaPart {
                container: container.map(Into::into),
                swarm: swarm.map(Into::into),
                address: swarm.map(|swarm| swarm.member.address),
                connections: replica.connections,
                answered: replica.answers.answered,
                refused: replica.answers.refused,
                unanswered: replica.unanswered(),
                reset: replica.answers.reset,
                half_open: replica.answers.half_open,
                silent_client: replica.answers.silent_client,
                silent_server: replica.answers.silent_server,
                sent: replica.traffic.sent,
                received: replica.traffic.received,
                gets_none: row.gets_none(replica),
                by_name: replica.by_name,
                clients: &replica.clients,
                client_count: replica.client_count,
            }
        };
        Self {
            service: (&row.service).into(),
            port: row.port,
            protocol: "tcp",
            since: clock.rfc3339(since),
            connections: row.connections(),
            replicas: row.replicas.iter().map(replica).collect(),
        }
    }
}
