//! The versioned JSON, `vethwatch/1`: one object a line.
//!
//! Field names are promises: fields are added, never renamed, and what was not measured is absent rather than 0.
//! Each record type has a file here that turns the engine's types into the serialised shape, so that the engine's
//! types may change without the JSON. Text from outside is [`SafeText`](crate::model::SafeText) when it arrives;
//! reasons, which are plain strings, are made safe on the way out, so a line may be printed to a terminal as it is.

mod community;
mod container;
mod details;
mod dns;
mod failure;
mod finding;
mod flow;
mod history;
mod latency;
pub mod losses;
mod network;
mod pair;
mod parts;
mod policy;
mod report;
mod service;
mod setting;
mod socket;
mod standing;
mod status;
mod time;
mod why;

pub use container::ContainerBody;
pub use dns::NameBody;
pub use failure::FailureBody;
pub use finding::FindingBody;
pub use flow::{FlowBody, SampleBody};
pub use history::{HistoryBody, LookupBody, PastBody};
pub use latency::LatencyBody;
pub use network::NetworkBody;
pub use pair::PairBody;
pub use policy::{
    ExplainedAccept, ExplainedEnd, ExplainedPass, ExplainedRule, PolicyBody, PolicyErrorBody,
    PolicyExplanationBody,
};
pub use report::{CheckBody, DetachedBody, DoctorBody};
pub use service::ServiceBody;
pub use setting::{SettingBody, SettingValue};
pub use socket::{EndpointBody, ErrorBody, HealthBody, HelperPart, LostBody, PrivilegesPart};
pub use standing::StandingBody;
pub use status::StatusBody;
pub use time::Clock;
pub(crate) use time::{wall_date_and_time, wall_time_of_day};
pub use why::WhyBody;

use crate::model::HostId;
use serde::Serialize;

/// Name and version of the schema, in every line.
pub const SCHEMA: &str = "vethwatch/1";

/// What a line is about, without the fields that every line has.
pub trait Body: Serialize {
    /// The line's `type`.
    const TYPE: &'static str;
}

/// One stream of lines: it numbers them without gaps.
#[derive(Debug)]
pub struct Stream {
    host: HostId,
    next: u64,
}

#[derive(Serialize)]
struct Line<'a, B> {
    schema: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    host: &'a str,
    boot_id: &'a str,
    sequence: u64,
    #[serde(flatten)]
    body: B,
}

impl Stream {
    /// A stream that starts with sequence number 0.
    #[must_use]
    pub fn new(host: HostId) -> Self {
        Self { host, next: 0 }
    }

    /// Leaves out the numbers of lines that are lost: a gap tells the reader how many.
    pub fn skip(&mut self, lines: u64) {
        self.next = self.next.saturating_add(lines);
    }

    /// The next line, without its line feed.
    pub fn line<B: Body>(&mut self, body: B) -> String {
        let line = Line {
            schema: SCHEMA,
            kind: B::TYPE,
            host: self.host.name.as_str(),
            boot_id: &self.host.boot_id,
            sequence: self.next,
            body,
        };
        self.next += 1;
        serde_json::to_string(&line).expect("bodies have string keys and no failing serialisers")
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
