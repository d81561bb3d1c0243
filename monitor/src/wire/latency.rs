//! `latency`.

use super::parts::{HandshakePart, ServicePart};
use super::{Body, Clock};
use crate::model::KernelTime;
use crate::snapshot::{LatencyRow, Measured};
use serde::Serialize;

/// How long one service's TCP connections with another took to be answered, since `since`. An end at which none was seen
/// is absent.
#[derive(Serialize)]
pub struct LatencyBody<'a> {
    client: ServicePart<'a>,
    server: ServicePart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    protocol: &'static str,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_client: Option<HandshakePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_server: Option<HandshakePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    between: Option<HandshakePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte: Option<HandshakePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_seen_at: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_at_client: Option<HandshakePart>,
}

impl Body for LatencyBody<'_> {
    const TYPE: &'static str = "latency";
}

impl<'a> LatencyBody<'a> {
    /// A row of what was seen since a moment.
    #[must_use]
    pub fn new(row: &'a LatencyRow, since: KernelTime, clock: &Clock) -> Self {
        let part = |of: Option<Measured>| of.map(|it| it.percentiles.into());
        let (first_byte, seen_at) = match row.first_byte_at_server {
            None => (row.first_byte_at_client, "client"),
            at_server => (at_server, "server"),
        };
        Self {
            client: (&row.client).into(),
            server: (&row.server).into(),
            port: row.port,
            protocol: "tcp",
            since: clock.rfc3339(since),
            at_client: part(row.at_client),
            at_server: part(row.at_server),
            between: part(row.between),
            first_byte: part(first_byte),
            first_byte_seen_at: first_byte.map(|_| seen_at),
            first_byte_at_client: part(row.first_byte_at_client.filter(|_| seen_at == "server")),
        }
    }
}
