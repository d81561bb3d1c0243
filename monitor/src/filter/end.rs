//! What is found of an end of a conversation: by its container's names, on this node or on another one of a swarm.

use super::{Field, Filterable, IsText};
use crate::model::SafeText;
use crate::snapshot::{Alias, ContainerRef, End};
use std::net::IpAddr;

/// Whether a container's service, or a name that it shares with others, is taken.
pub fn serves(container: &ContainerRef, is_it: IsText<'_>) -> bool {
    container.service.as_ref().is_some_and(|service| is_it(service.as_str()))
        || container.aliases.iter().any(|alias| shares(alias, is_it))
}

/// Whether a shared name is taken: it, or its end and its network's beginning, where what is looked for reaches over the dot. All
/// on the network would be taken by the network's name alone.
pub fn shares(alias: &Alias, is_it: IsText<'_>) -> bool {
    is_it(alias.name.as_str()) || is_it(&alias.to_string()) && !is_it(&format!(".{}", alias.network.name))
}

impl Filterable for End {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let container = self.container.as_deref();
        if field == Field::Service && container.is_some_and(|container| serves(container, is_it)) {
            return true;
        }
        let mut any = |text: Option<&SafeText>| text.is_some_and(|text| is_it(text.as_str()));
        match field {
            Field::Any => {
                let fields = [Field::Container, Field::Service, Field::Project];
                fields.into_iter().any(|field| self.texts(field, is_it))
            }
            Field::Container => any(self.container_name()),
            Field::Service => any(self.service_name()),
            Field::Project => any(container.and_then(|container| container.project.as_ref())),
            Field::Image => any(container.and_then(|container| container.image.as_ref())),
            Field::Network
            | Field::Port
            | Field::Address
            | Field::Protocol
            | Field::State
            | Field::Kind
            | Field::Severity
            | Field::Rule => false,
        }
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.container.as_ref().is_some_and(|container| is_it(container.id.as_str()))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        self.port.is_some_and(is_it)
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        is_it(self.address)
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::Filter;
    use crate::snapshot::{Alias, ContainerRef, End};
    use crate::wire::fixtures;
    use std::sync::Arc;

    fn check(typed: &str, end: &End, expected: bool) {
        assert_eq!(Filter::parse(typed).unwrap().takes(end), expected, "{typed}");
    }

    #[test]
    fn a_task_on_another_node_is_found_by_its_service_and_name() {
        let task = fixtures::task_end("10.0.1.8", Some(80));
        for typed in ["svc:shop_web", "c:shop_web.3", "shop_web", "addr:10.0.1.8", "port:80"] {
            check(typed, &task, true);
        }
        for typed in ["svc:shop_db", "proj:shop", "c:web-1", "outside"] {
            check(typed, &task, false);
        }
    }

    #[test]
    fn a_container_is_found_by_the_names_that_it_shares() {
        let alias = Alias { network: fixtures::network("back"), name: fixtures::text("pool") };
        let container = ContainerRef { aliases: vec![alias], ..(*fixtures::container("one", None)).clone() };
        let end =
            End { container: Some(Arc::new(container)), ..fixtures::container_end("one", "10.0.0.2", None) };
        for typed in ["svc:pool", "pool", "svc:pool.back", "svc:ol.b", "svc:pool.", "-svc:back", "c:one"] {
            check(typed, &end, true);
        }
        for typed in ["c:pool", "svc:pool.front", "svc:back", "svc:.", "svc:.back", "-svc:pool"] {
            check(typed, &end, false);
        }
    }
}
