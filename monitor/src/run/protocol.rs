//! What the agent says to commands of the same version, through its socket.
//!
//! A stream of JSON lines: first [`Hello`], then snapshots and the records that were asked for. Unlike what is public,
//! it has all that commands need and no promise: another version does not understand it, and is told so.

use crate::engine::{Filter, Topic};
use crate::model::{HostId, KernelTime, WallTime};
use crate::snapshot::{AskedPast, Kept, NotKept, Past, Record, Snapshot};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Where it is asked for.
pub(super) const PATH: &str = "/private/watch";
/// Where it is asked what was.
pub(super) const PAST_PATH: &str = "/private/past";
/// The version that is spoken here.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The first.
    Hello(Hello),
    /// Everything, at one moment; only the latest is told.
    Snapshot {
        /// Since when the agent could know all that Docker has to tell.
        docker_told: Option<KernelTime>,
        /// It.
        snapshot: Arc<Snapshot>,
    },
    /// Something that streams past.
    Record(Record),
}

/// Who tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The host.
    pub(super) host: HostId,
    /// The wall clock when the kernel's began, as it was when the agent was started.
    pub(super) booted: WallTime,
    /// Time between two readings.
    pub(super) tick: Duration,
    /// Time over which rates are taken.
    pub(super) window: Duration,
}

/// What was, for a command.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Looked {
    /// The host.
    pub(super) host: HostId,
    /// How much is kept.
    pub(super) kept: Kept,
    /// What was asked for.
    pub(super) past: Result<Past, NotKept>,
}

/// The query that asks what was.
pub(super) fn past_query(asked: &AskedPast) -> String {
    let AskedPast { since, until, name, step } = asked;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("version", VERSION);
    let times = [("since", since.map(|at| at.0.to_string())), ("until", until.map(|at| at.0.to_string()))];
    let step = ("step_ms", step.map(|step| step.as_millis().to_string()));
    for (name, value) in times.into_iter().chain([step, ("container", name.clone())]) {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    query.finish()
}

/// The query that asks for records, or for snapshots alone.
pub(super) fn query(filter: Option<&Filter>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("version", VERSION);
    if let Some(filter) = filter {
        let topic = match filter.topic {
            Topic::Flows => "flows",
            Topic::Findings => "findings",
            Topic::All => "all",
            Topic::Names => "names",
        };
        query.append_pair("topic", topic);
        if filter.include_bridges {
            query.append_pair("bridges", "true");
        }
        if let Some(container) = &filter.container {
            query.append_pair("container", container);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::{Hello, Message};
    use crate::model::WallTime;
    use crate::snapshot::{Record, Severity};
    use crate::wire::fixtures;
    use std::sync::Arc;
    use std::time::Duration;

    fn check(message: &Message) {
        let line = serde_json::to_string(message).unwrap();
        assert!(!line.contains('\n'), "{line}");
        let read: Message = serde_json::from_str(&line).unwrap();
        assert_eq!(format!("{read:?}"), format!("{message:?}"));
    }

    #[test]
    fn what_is_said_is_heard() {
        check(&Message::Hello(Hello {
            host: fixtures::host(),
            booted: WallTime(-7),
            tick: Duration::from_millis(100),
            window: Duration::from_secs(1),
        }));
        for record in [
            Record::Flow(Arc::new(fixtures::flow())),
            Record::Sample(Arc::new(fixtures::sample())),
            Record::Standing(Arc::new(fixtures::standing("a\u{1b}\n", Severity::Critical))),
            Record::Name(Arc::new(fixtures::name())),
            Record::Lost(u64::MAX),
        ] {
            check(&Message::Record(record));
        }
    }
}
