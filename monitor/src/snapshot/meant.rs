//! Which rows between services are meant by a name.

use super::{ContainerRef, Service};
use std::collections::HashSet;
use std::sync::Arc;

/// Who is meant where a name was asked for: whoever bears it, and those behind it where several containers share it. Sums by shared
/// names are the same conversations once more, and so there for who asks for such a name alone.
#[derive(Clone, Debug)]
pub struct Meant<'a> {
    name: Option<&'a str>,
    behind: HashSet<Service>,
}

impl<'a> Meant<'a> {
    /// By a name, or all; `containers` are those that may share it, of the time that is told of.
    #[must_use]
    pub fn by<'c>(
        name: Option<&'a str>,
        containers: impl IntoIterator<Item = &'c Arc<ContainerRef>>,
    ) -> Self {
        let is_behind = |container: &&Arc<ContainerRef>| {
            name.is_some_and(|name| container.aliases.iter().any(|alias| alias.is_meant(name)))
        };
        let behind = containers.into_iter().filter(is_behind);
        Self { name, behind: behind.map(|container| Service::of_container(container)).collect() }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// Whether a row between these two is meant.
    #[must_use]
    pub fn has(&self, client: &Service, server: &Service) -> bool {
        let is_sum = matches!(server, Service::Alias(_));
        let Some(name) = self.name else { return !is_sum };
        if is_sum {
            return server.is_called(name);
        }
        [client, server].into_iter().any(|end| end.is_called(name) || self.behind.contains(end))
    }
}
