//! A row of the containers' screen.

use crate::filter::{Field, Filterable, IsText, shares};
use crate::model::{ContainerId, ContainerState, SafeText, Traffic};
use crate::snapshot::{Alias, ContainerRow, Conversations, Percentiles, UnattributedRow, reason};
use crate::tui::column::{Cell, Rank, Tone};
use crate::tui::context::{Context, Way};
use crate::tui::recent::Recent;
use crate::tui::subject::{Group, Subject};
use crate::view::names;
use std::net::IpAddr;

/// A container, an interface without one, or several containers together.
#[derive(Debug)]
pub(in crate::tui::screens) struct Row {
    pub(super) subject: Subject,
    pub(super) name: String,
    pub(super) id: Option<ContainerId>,
    pub(super) service: Option<SafeText>,
    /// Names that it shares with others.
    pub(super) aliases: Vec<Alias>,
    pub(super) project: Option<SafeText>,
    pub(super) image: Option<SafeText>,
    pub(super) networks: Vec<SafeText>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ports: Vec<u16>,
    pub(super) state: State,
    /// Absent where nothing of it is watched.
    pub(super) totals: Option<Traffic>,
    pub(super) recent: Recent,
    pub(super) conversations: Option<Conversations>,
    pub(super) handshake: Option<Percentiles>,
    pub(super) dropped: Option<u64>,
    /// Absent where there is no container: nobody can tell whose they are.
    pub(super) violations: Option<u64>,
}

/// How a row's container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) tone: Tone,
    pub(super) word: &'static str,
}

impl Row {
    pub(super) fn of_container(row: &ContainerRow, recent: Recent, violations: u64) -> Self {
        let container = &row.container;
        let details = row.details.as_deref();
        let unhealthy = details
            .and_then(|details| details.health.as_ref())
            .is_some_and(|health| health.as_str() == "unhealthy");
        let state = match state(row.state) {
            State { word: "running", .. } if unhealthy => State { tone: Tone::Warning, word: "unhealthy" },
            State { word: "running", .. } if !row.watched => State { tone: Tone::Warning, word: "unwatched" },
            state => state,
        };
        Self {
            subject: Subject::Container(container.id.clone()),
            name: container.name.to_string(),
            id: Some(container.id.clone()),
            service: container.service.clone(),
            aliases: container.aliases.clone(),
            project: container.project.clone(),
            image: container.image.clone(),
            networks: row.memberships.iter().map(|membership| membership.network.name.clone()).collect(),
            addresses: row.memberships.iter().flat_map(|membership| membership.addresses.clone()).collect(),
            ports: details
                .iter()
                .flat_map(|details| &details.published)
                .map(|published| published.1)
                .collect(),
            state,
            totals: row.watched.then_some(row.totals),
            recent,
            conversations: row.watched.then_some(row.conversations),
            handshake: row.handshake,
            dropped: row.watched.then_some(row.dropped),
            violations: Some(violations),
        }
    }

    pub(super) fn of_interface(row: &UnattributedRow, recent: Recent) -> Self {
        let word = match row.reason {
            reason::DOCKER_DOWN => "no docker",
            reason::NOT_ANNOUNCED_YET => "new",
            _ => "foreign",
        };
        Self {
            subject: Subject::Interface(row.observed_at.number),
            name: names::interface(row),
            id: None,
            service: None,
            aliases: Vec::new(),
            project: None,
            image: None,
            networks: row.network.iter().map(|network| network.name.clone()).collect(),
            addresses: Vec::new(),
            ports: Vec::new(),
            state: State { tone: Tone::Faint, word },
            totals: Some(row.totals),
            recent,
            conversations: None,
            handshake: None,
            dropped: None,
            violations: None,
        }
    }

    /// What is known of a time that is over: neither how it was, nor what of it was alive.
    pub(super) fn of_then(self) -> Self {
        Self { state: State { tone: Tone::Faint, word: "-" }, conversations: None, handshake: None, ..self }
    }

    pub(super) fn gathered_by(&self, group: Group) -> (Option<SafeText>, Option<SafeText>) {
        (self.project.clone(), self.service.clone().filter(|_| group == Group::Service))
    }

    /// The first of several rows together.
    pub(super) fn alone(self, group: Group) -> Self {
        let (project, service) = self.gathered_by(group);
        let name = match (&project, &service) {
            (Some(project), Some(service)) => format!("{project}/{service}"),
            (Some(one), None) | (None, Some(one)) => one.to_string(),
            (None, None) => "(not of Compose)".to_owned(),
        };
        let subject = Subject::Together(project.clone(), service.clone());
        Self { subject, name, id: None, project, service, ..self }
    }

    /// Adds another row.
    pub(super) fn gather(&mut self, other: &Self) {
        for network in &other.networks {
            if !self.networks.contains(network) {
                self.networks.push(network.clone());
            }
        }
        self.aliases.extend_from_slice(&other.aliases);
        self.addresses.extend(&other.addresses);
        self.ports.extend(&other.ports);
        if self.state.word != other.state.word {
            self.state = State { tone: Tone::Faint, word: "mixed" };
        }
        self.totals = sum(self.totals, other.totals, |one, other| one + other);
        self.recent.merge(&other.recent);
        self.conversations = sum(self.conversations, other.conversations, |one, other| Conversations {
            alive: one.alive.saturating_add(other.alive),
            opened: one.opened.saturating_add(other.opened),
            accepted: one.accepted.saturating_add(other.accepted),
        });
        // Percentiles of several sets cannot be made from theirs.
        self.handshake = None;
        self.dropped = sum(self.dropped, other.dropped, u64::saturating_add);
        self.violations = sum(self.violations, other.violations, u64::saturating_add);
        self.image = self.image.take().filter(|image| Some(image) == other.image.as_ref());
    }

    /// Bytes both ways in the last minute, or in the time that is looked back at.
    pub(super) fn minute(&self, context: &Context<'_>) -> Option<u64> {
        self.total(Way::Both).map(|total| context.lately(&self.recent, total))
    }

    pub(super) fn bars(&self, context: &Context<'_>) -> Cell {
        if self.totals.is_some() { context.spark(&self.recent) } else { Cell::absent() }
    }

    /// Conversations that are alive.
    pub(super) fn alive(&self) -> Option<u64> {
        self.conversations.map(|all| all.alive)
    }

    pub(super) fn total(&self, way: Way) -> Option<u64> {
        self.totals.map(|totals| way.of([totals.sent.bytes, totals.received.bytes]))
    }

    fn amount(&self, context: &Context<'_>, way: Way) -> Option<u64> {
        let total = self.total(way)?;
        context.amount(&self.recent, Some(total), way)
    }

    pub(super) fn rank(&self, context: &Context<'_>, way: Way) -> Rank<'_> {
        Rank::Number(self.amount(context, way))
    }

    pub(super) fn traffic(&self, context: &Context<'_>, way: Way) -> Cell {
        context.bytes_cell(self.amount(context, way))
    }

    pub(super) fn name_cell(&self) -> Cell {
        let tone = if self.totals.is_some() { Tone::Strong } else { Tone::Faint };
        Cell::Text(tone, self.name.clone())
    }

    /// All its networks; where they are many, the first and how many more.
    pub(super) fn network_cell(&self) -> Cell {
        match self.networks.as_slice() {
            [] => Cell::absent(),
            [one] => Cell::plain(one.to_string()),
            [one, other] if one.as_str().len() + other.as_str().len() < 26 => {
                Cell::plain(format!("{one}, {other}"))
            }
            [first, rest @ ..] => Cell::plain(format!("{first} +{}", rest.len())),
        }
    }
}

impl Filterable for Row {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let mut any = |text: Option<&SafeText>| text.is_some_and(|text| is_it(text.as_str()));
        match field {
            Field::Any => {
                [&self.service, &self.project, &self.image].into_iter().any(|text| any(text.as_ref()))
                    || self.networks.iter().any(|network| any(Some(network)))
                    || is_it(&self.name)
                    || is_it(self.state.word)
                    || self.aliases.iter().any(|alias| shares(alias, is_it))
            }
            Field::Container => is_it(&self.name),
            Field::Service => {
                any(self.service.as_ref()) || self.aliases.iter().any(|alias| shares(alias, is_it))
            }
            Field::Project => any(self.project.as_ref()),
            Field::Image => any(self.image.as_ref()),
            Field::Network => self.networks.iter().any(|network| any(Some(network))),
            Field::State => is_it(self.state.word),
            Field::Port | Field::Address | Field::Protocol | Field::Kind | Field::Severity | Field::Rule => {
                false
            }
        }
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.id.as_ref().is_some_and(|id| is_it(id.as_str()))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        self.ports.iter().any(|port| is_it(*port))
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.addresses.iter().any(|address| is_it(*address))
    }
}

const fn state(state: ContainerState) -> State {
    let (tone, word) = match state {
        ContainerState::Unknown => (Tone::Faint, "unknown"),
        ContainerState::Created => (Tone::Faint, "created"),
        ContainerState::Running => (Tone::Good, "running"),
        ContainerState::Paused => (Tone::Warning, "paused"),
        ContainerState::Restarting => (Tone::Warning, "restarting"),
        ContainerState::Removing => (Tone::Faint, "removing"),
        ContainerState::Exited => (Tone::Faint, "exited"),
        ContainerState::Dead => (Tone::Warning, "dead"),
    };
    State { tone, word }
}

/// What is absent adds nothing, but two absent ones are absent together.
fn sum<T>(one: Option<T>, other: Option<T>, add: fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(add(one, other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::Row;
    use crate::filter::Filter;
    use crate::snapshot::{Alias, ContainerRef, ContainerRow};
    use crate::tui::recent::Recent;
    use crate::wire::fixtures;
    use std::sync::Arc;

    #[test]
    fn a_container_is_found_by_the_names_that_it_shares() {
        let row = fixtures::row("one", None, "back", Vec::new());
        let alias = Alias { network: fixtures::network("back"), name: fixtures::text("pool") };
        let container = ContainerRef { aliases: vec![alias], ..(*row.container).clone() };
        let row = ContainerRow { container: Arc::new(container), ..row };
        let row = Row::of_container(&row, Recent::default(), 0);
        for (typed, expected) in [("svc:pool.back", true), ("pool", true), ("svc:back", false)] {
            assert_eq!(Filter::parse(typed).unwrap().takes(&row), expected, "{typed}");
        }
    }
}
