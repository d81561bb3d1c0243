//! Which rows between services are meant by a name.

use super::{ContainerRow, Service};
use std::collections::HashSet;

/// Who is meant where a name was asked for: whoever bears it, and those behind it where several containers share it. Sums by shared
/// names are the same conversations once more, and so there for who asks for such a name alone.
#[derive(Clone, Debug)]
pub struct Meant<'a> {
    name: Option<&'a str>,
    behind: HashSet<Service>,
}

impl<'a> Meant<'a> {
    /// By a name, or all; `containers` are those that may share it.
    #[must_use]
    pub fn by(name: Option<&'a str>, containers: &[ContainerRow]) -> Self {
        let shares =
            |name: &&str, row: &&ContainerRow| row.container.aliases.iter().any(|alias| alias.is_meant(name));
        let behind = name.iter().flat_map(|name| containers.iter().filter(move |row| shares(name, row)));
        Self { name, behind: behind.map(|row| Service::of_container(&row.container)).collect() }
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
