//! `dns`.

use super::parts::{ContainerPart, EndpointPart, NetworkPart, ObservedAtPart};
use super::{Body, Clock};
use crate::model::SafeText;
use crate::snapshot::NameRecord;
use serde::Serialize;

/// A name that a container asked for, and what came of it. What is about an answer is absent where none came in time.
#[derive(Serialize)]
pub struct NameBody<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<NetworkPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_at: Option<ObservedAtPart<'a>>,
    resolver: EndpointPart<'a>,
    transport: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forwarded: bool,
    id: u16,
    asked: u32,
    name: &'a SafeText,
    record_type: &'a SafeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<&'a SafeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers_left_out: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<u64>,
}

impl Body for NameBody<'_> {
    const TYPE: &'static str = "dns";
}

impl<'a> NameBody<'a> {
    /// The record's shape, its time on the wall clock.
    #[must_use]
    pub fn new(record: &'a NameRecord, clock: &Clock) -> Self {
        let told = &record.told;
        let answer = told.answer.as_ref();
        let latency = answer.map(|answer| answer.at.since(told.asked_at));
        Self {
            time: clock.rfc3339(told.asked_at),
            container: record.container.as_deref().map(Into::into),
            network: record.network.as_ref().map(Into::into),
            observed_at: record.observed_at.as_ref().map(Into::into),
            resolver: (&record.resolver).into(),
            transport: told.transport.name(),
            forwarded: told.forwarded,
            id: told.id,
            asked: told.asked,
            name: &told.name,
            record_type: &told.record_type,
            rcode: answer.map(|answer| &answer.code),
            answers: answer.map(|answer| answer.records.iter().map(ToString::to_string).collect()),
            answers_left_out: answer.map(|answer| answer.left_out).filter(|left_out| *left_out > 0),
            truncated: answer.is_some_and(|answer| answer.truncated),
            latency_us: latency.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        }
    }
}
