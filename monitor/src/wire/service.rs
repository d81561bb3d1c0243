//! `service`.

use super::parts::{ContainerPart, ServicePart};
use super::{Body, Clock};
use crate::model::{Counts, KernelTime, SafeText};
use crate::snapshot::{ReplicaRow, ServiceRow};
use serde::Serialize;

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

/// `by_name`: of the connections, those whose client is known to have asked for the alias. `unanswered` are neither answered nor refused so far. Sent is what the replica sent.
#[derive(Serialize)]
struct ReplicaPart<'a> {
    container: ContainerPart<'a>,
    connections: u64,
    answered: u64,
    refused: u64,
    unanswered: u64,
    reset: u64,
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
        let replica = |replica: &'a ReplicaRow| ReplicaPart {
            container: (&*replica.container).into(),
            connections: replica.connections,
            answered: replica.answers.answered,
            refused: replica.answers.refused,
            unanswered: replica.unanswered(),
            reset: replica.answers.reset,
            sent: replica.traffic.sent,
            received: replica.traffic.received,
            gets_none: row.gets_none(replica),
            by_name: replica.by_name,
            clients: &replica.clients,
            client_count: replica.client_count,
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
