//! What pairs are gathered by.

use crate::model::{Protocol, SafeText};
use crate::snapshot::{End, PairRow};
use crate::tui::subject::{EndKey, Group};
use crate::view::names;

/// An end, or several that stand for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::tui) enum Side {
    /// A project, or a service of it.
    Together(Option<SafeText>, Option<SafeText>),
    /// An end by itself, with its name.
    One(EndKey, String),
}

impl Side {
    /// What an end belongs to. One that is of no Compose project stands by itself.
    pub(in crate::tui) fn of(end: &End, group: Group) -> Self {
        if group == Group::Container {
            return Self::One(EndKey::of(end), names::end(end));
        }
        // A service of a swarm is the same on all nodes, of which another one does not tell its stack.
        let container = end.container.as_ref();
        let project = container.filter(|container| group == Group::Project || !container.of_swarm);
        let project = project.and_then(|container| container.project.clone());
        let service = end.service_name().filter(|_| group == Group::Service || end.swarm.is_some()).cloned();
        if project.is_some() || service.is_some() {
            Self::Together(project, service)
        } else {
            Self::One(EndKey::of(end), names::end(end))
        }
    }

    /// Its name.
    pub(in crate::tui) fn name(&self) -> String {
        match self {
            Self::Together(Some(project), Some(service)) => format!("{project}/{service}"),
            Self::Together(Some(one), None) | Self::Together(None, Some(one)) => one.to_string(),
            Self::Together(None, None) => "(not of Compose)".to_owned(),
            Self::One(_, name) => name.clone(),
        }
    }
}

/// Pairs that are shown as one: the same sides about the same service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::tui) struct Between {
    group: Group,
    client: Side,
    server: Side,
    port: Option<u16>,
    protocol: Protocol,
}

impl Between {
    /// What a pair belongs to.
    pub(in crate::tui::screens) fn of(pair: &PairRow, group: Group) -> Self {
        Self {
            group,
            client: Side::of(&pair.client, group),
            server: Side::of(&pair.server, group),
            port: pair.server.port,
            protocol: pair.protocol,
        }
    }

    /// Whether a pair belongs to it.
    pub(in crate::tui) fn has(&self, pair: &PairRow) -> bool {
        *self == Self::of(pair, self.group)
    }

    /// Its client's name.
    pub(in crate::tui::screens) fn client(&self) -> String {
        self.client.name()
    }

    /// Its server's name, with the port.
    pub(in crate::tui::screens) fn server(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}", self.server.name())
    }

    /// `shop/nginx → shop/flask_app:5000, tcp`.
    pub(in crate::tui) fn name(&self) -> String {
        let arrow = if self.port.is_some() { "→" } else { "↔" };
        format!("{} {arrow} {}, {}", self.client(), self.server(), self.protocol.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Side;
    use crate::snapshot::{ContainerRef, End};
    use crate::tui::subject::Group;
    use crate::wire::fixtures;
    use std::sync::Arc;

    #[test]
    fn tasks_of_a_swarms_service_are_together_on_whichever_node() {
        let container =
            ContainerRef { of_swarm: true, ..(*fixtures::container("x", Some("shop_web"))).clone() };
        let near =
            End { container: Some(Arc::new(container)), ..fixtures::container_end("x", "10.0.1.4", None) };
        let far = fixtures::task_end("10.0.1.8", None);
        let sides = |group| [&near, &far].map(|end| Side::of(end, group));
        let [one, other] = sides(Group::Service);
        assert_eq!((&one, one.name()), (&other, "shop_web".to_owned()));
        // Its stack is told on the task's own node alone.
        assert_eq!(sides(Group::Project).map(|side| side.name()), ["shop", "shop_web"]);
        assert_eq!(sides(Group::Container).map(|side| side.name()), ["x", "shop_web.3(10.0.1.8)"]);
    }
}
