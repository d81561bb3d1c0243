//! What a filter is asked of.

use super::known::Known;
use super::places::Place;
use crate::filter::{Field, Filterable, IsText, serves};
use crate::model::{FlowKey, FlowPorts, Protocol, SafeText};
use crate::snapshot::{ContainerRef, EndKind};
use std::net::IpAddr;

/// A packet, or a part of what is known of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Row<'a> {
    /// Where it was captured.
    pub(super) own: Option<&'a Place>,
    /// The container at the other end.
    pub(super) remote: Option<&'a ContainerRef>,
    /// What it says of itself.
    pub(super) key: Option<&'a FlowKey>,
    /// What is known of its flow.
    pub(super) flow: Option<&'a Known>,
}

/// What kinds of ends without a container are called in a filter.
const KINDS: [(EndKind, &str); 4] = [
    (EndKind::Host, "host"),
    (EndKind::External, "external"),
    (EndKind::Multicast, "multicast"),
    (EndKind::Unknown, "unknown"),
];

impl<'a> Row<'a> {
    /// What is known of every packet at an interface.
    pub(super) fn of_place(place: &'a Place) -> Self {
        Self { own: Some(place), ..Self::default() }
    }

    /// What a packet is itself, without its ends' names.
    pub(super) fn apart(self) -> Self {
        Self { own: None, remote: None, ..self }
    }

    fn containers(self) -> impl Iterator<Item = &'a ContainerRef> {
        self.own.and_then(|place| place.container.as_deref()).into_iter().chain(self.remote)
    }

    fn kind(self) -> Option<&'static str> {
        let remote = self.flow?.record.remote.kind;
        KINDS.iter().find(|(kind, _)| *kind == remote).map(|(_, name)| *name)
    }
}

impl Filterable for Row<'_> {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let mut of_containers = |which: fn(&ContainerRef) -> Option<&SafeText>| {
            self.containers().filter_map(which).any(|text| is_it(text.as_str()))
        };
        let verdict = self.flow.and_then(|known| known.record.verdict.as_ref());
        match field {
            Field::Any => {
                let fields =
                    [Field::Container, Field::Service, Field::Project, Field::Network, Field::Protocol];
                fields.into_iter().any(|field| self.texts(field, is_it)) || self.kind().is_some_and(is_it)
            }
            Field::Container => {
                self.containers().any(|container| {
                    let mut names = std::iter::once(&container.name).chain(&container.shares_namespace_with);
                    names.any(|name| is_it(name.as_str()))
                }) || self.kind().is_some_and(is_it)
            }
            Field::Service => self.containers().any(|container| serves(container, is_it)),
            Field::Project => of_containers(|container| container.project.as_ref()),
            Field::Image => of_containers(|container| container.image.as_ref()),
            Field::Network => {
                let network = self.own.and_then(|place| place.network.as_ref());
                network.is_some_and(|network| is_it(network.name.as_str()))
            }
            Field::Protocol => self.key.is_some_and(|key| is_it(&key.protocol.name())),
            Field::State => {
                let tcp = self.flow.and_then(|known| known.record.tcp);
                tcp.is_some_and(|tcp| is_it(tcp.state.words()))
                    || verdict.is_some_and(|verdict| is_it(verdict.outcome.name()))
            }
            Field::Rule => verdict.is_some_and(|verdict| is_it(verdict.rule.as_str())),
            Field::Kind => {
                self.flow.is_some_and(|known| known.found.iter().any(|found| is_it(found.0.name())))
            }
            Field::Severity => {
                self.flow.is_some_and(|known| known.found.iter().any(|found| is_it(found.1.name())))
            }
            Field::Port | Field::Address => false,
        }
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.containers().any(|container| is_it(container.id.as_str()))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        match self.key.map(|key| key.ports) {
            Some(FlowPorts::Ports { local, remote }) => is_it(local) || is_it(remote),
            _ => false,
        }
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.key.is_some_and(|key| is_it(key.local) || is_it(key.remote))
    }
}

/// All that a packet itself may be, without its ends' names.
pub(super) struct Possible;

impl Filterable for Possible {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        match field {
            Field::Any | Field::Container => {
                let mut protocols = (0..=u8::MAX).map(|number| Protocol(number).name());
                KINDS.iter().any(|(_, name)| is_it(name))
                    || field == Field::Any && protocols.any(|name| is_it(&name))
            }
            Field::Service | Field::Project | Field::Image | Field::Network => false,
            Field::Port
            | Field::Address
            | Field::Protocol
            | Field::State
            | Field::Kind
            | Field::Severity
            | Field::Rule => true,
        }
    }

    fn ports(&self, _: &mut dyn FnMut(u16) -> bool) -> bool {
        true
    }

    fn addresses(&self, _: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Row;
    use crate::filter::Filter;
    use crate::snapshot::{Alias, ContainerRef};
    use crate::wire::fixtures;

    #[test]
    fn a_packet_is_found_by_the_names_that_its_containers_share() {
        let alias = Alias { network: fixtures::network("back"), name: fixtures::text("pool") };
        let container = ContainerRef { aliases: vec![alias], ..(*fixtures::container("one", None)).clone() };
        let row = Row { remote: Some(&container), ..Row::default() };
        for (typed, expected) in [("svc:pool.back", true), ("pool", true), ("svc:back", false)] {
            assert_eq!(Filter::parse(typed).unwrap().takes(&row), expected, "{typed}");
        }
    }
}
