//! Events, as far as they change what is known.

use super::{Refusals, parsed};
use crate::model::{ContainerId, NetworkId};
use bollard::models::{EventMessage, EventMessageTypeEnum as Type};

/// The events that are asked for. `kill`, `oom` and the `exec_…` family change nothing that is known here, and health
/// checks alone would make several of the last a second; what they lead to has an event of its own.
pub(in super::super) const WATCHED: [&str; 14] = [
    "create",
    "start",
    "restart",
    "die",
    "stop",
    "pause",
    "unpause",
    "rename",
    "destroy",
    "update",
    "health_status",
    "connect",
    "disconnect",
    "remove",
];

/// Something happened.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Event {
    /// What.
    pub(in super::super) kind: EventKind,
    /// When, in nanoseconds on the wall clock of Docker's host, if it says so.
    pub(in super::super) wall: Option<i64>,
}

/// To what it happened.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum EventKind {
    /// A container.
    Container(ContainerId, ContainerEvent),
    /// A network.
    Network(NetworkId, NetworkEvent),
}

/// What happened to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum ContainerEvent {
    /// Its process ended.
    Died,
    /// It was removed.
    Destroyed,
    /// Something else: it has to be looked at again.
    Changed,
}

/// What happened to a network.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum NetworkEvent {
    /// It was made or changed.
    Changed,
    /// It was removed.
    Destroyed,
    /// A container joined it.
    Connected(ContainerId),
    /// A container left it.
    Disconnected(ContainerId),
}

/// What an event says; none if it changes nothing here.
pub(in super::super) fn event(raw: &EventMessage, refusals: &mut Refusals) -> Option<Event> {
    let action = raw.action.as_deref().unwrap_or("");
    // Some are followed by what they are about: `health_status: healthy`.
    let action = action.split_once(':').map_or(action, |(action, _)| action);
    let id = raw.actor.as_ref().and_then(|actor| actor.id.as_deref()).unwrap_or("");
    let kind = match raw.typ {
        Some(Type::CONTAINER) if WATCHED.contains(&action) => {
            let id = parsed(ContainerId::new(id), "a container id", id, refusals)?;
            EventKind::Container(id, container_event(action))
        }
        Some(Type::NETWORK) => {
            let id = parsed(NetworkId::new(id), "a network id", id, refusals)?;
            EventKind::Network(id, network_event(action, raw, refusals)?)
        }
        _ => return None,
    };
    let seconds = || raw.time.and_then(|seconds| seconds.checked_mul(1_000_000_000));
    Some(Event {
        kind,
        wall: raw.time_nano.filter(|time| *time > 0).or_else(seconds).filter(|time| *time > 0),
    })
}

fn container_event(action: &str) -> ContainerEvent {
    match action {
        "die" => ContainerEvent::Died,
        "destroy" => ContainerEvent::Destroyed,
        _ => ContainerEvent::Changed,
    }
}

fn network_event(action: &str, raw: &EventMessage, refusals: &mut Refusals) -> Option<NetworkEvent> {
    let attributes = raw.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
    let container =
        || attributes.and_then(|attributes| attributes.get("container")).map_or("", String::as_str);
    let mut container = || parsed(ContainerId::new(container()), "a container id", container(), refusals);
    match action {
        "create" | "update" => Some(NetworkEvent::Changed),
        "destroy" | "remove" => Some(NetworkEvent::Destroyed),
        "connect" => Some(NetworkEvent::Connected(container()?)),
        "disconnect" => Some(NetworkEvent::Disconnected(container()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Change;

    fn check(json: &str, expected: Option<EventKind>) -> Option<Change> {
        let mut refusals = Refusals::default();
        let raw: EventMessage = serde_json::from_str(json).unwrap();
        assert_eq!(event(&raw, &mut refusals).map(|event| event.kind), expected);
        refusals.news()
    }

    fn container(id: &str) -> ContainerId {
        ContainerId::new(id).unwrap()
    }

    #[test]
    fn container_events_are_told_apart_by_what_they_change() {
        let check = |action: &str, expected: Option<ContainerEvent>| {
            let json = format!(r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"aa11"}}}}"#);
            let refused = check(&json, expected.map(|event| EventKind::Container(container("aa11"), event)));
            assert_eq!(refused, None);
        };
        check("die", Some(ContainerEvent::Died));
        check("destroy", Some(ContainerEvent::Destroyed));
        check("start", Some(ContainerEvent::Changed));
        check("rename", Some(ContainerEvent::Changed));
        check("exec_create: sh -c true", None);
        check("health_status: healthy", Some(ContainerEvent::Changed));
        check("kill", None);
    }

    #[test]
    fn network_events_name_the_container() {
        let check = |action: &str, expected: NetworkEvent| {
            let json = format!(
                r#"{{"Type":"network","Action":"{action}","Actor":{{"ID":"n1","Attributes":{{"container":"aa11"}}}}}}"#
            );
            assert_eq!(check(&json, Some(EventKind::Network(NetworkId::new("n1").unwrap(), expected))), None);
        };
        check("connect", NetworkEvent::Connected(container("aa11")));
        check("disconnect", NetworkEvent::Disconnected(container("aa11")));
        check("create", NetworkEvent::Changed);
        check("destroy", NetworkEvent::Destroyed);
        check("remove", NetworkEvent::Destroyed);
    }

    #[test]
    fn events_of_other_things_change_nothing() {
        assert_eq!(check(r#"{"Type":"image","Action":"pull","Actor":{"ID":"x:latest"}}"#, None), None);
        assert_eq!(check("{}", None), None);
    }

    #[test]
    fn an_event_about_an_id_that_is_none_is_refused() {
        let refused = check(r#"{"Type":"container","Action":"start","Actor":{"ID":"../\u001b"}}"#, None);
        let last = "not a container id: ../\\u{1b}".to_owned();
        assert_eq!(refused, Some(Change::Refused { answers: 1, last }));
        let refused = check(r#"{"Type":"network","Action":"connect","Actor":{"ID":"n1"}}"#, None);
        assert_eq!(refused, Some(Change::Refused { answers: 1, last: "not a container id: ".to_owned() }));
    }

    #[test]
    fn the_time_is_taken_with_its_nanoseconds_where_there_are_any() {
        let check = |times: &str, expected: Option<i64>| {
            let json = format!(r#"{{"Type":"container","Action":"die","Actor":{{"ID":"a"}}{times}}}"#);
            let raw: EventMessage = serde_json::from_str(&json).unwrap();
            assert_eq!(event(&raw, &mut Refusals::default()).unwrap().wall, expected);
        };
        check(r#","time":7,"timeNano":7000000001"#, Some(7_000_000_001));
        check(r#","time":7"#, Some(7_000_000_000));
        check(r#","time":9223372036854775807"#, None);
        check(r#","time":-1,"timeNano":-5"#, None);
        check("", None);
    }
}
