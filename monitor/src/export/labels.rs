//! Labels of a series.

use crate::model::SafeText;
use crate::snapshot::Service;
use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use std::fmt;
use std::sync::Arc;

/// Names and values, shared by the series that have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels(Arc<[(&'static str, SafeText)]>);

impl Labels {
    /// Those that have a value.
    pub(super) fn new<const N: usize>(labels: [(&'static str, Option<SafeText>); N]) -> Self {
        let with_value = labels.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Self(with_value.collect())
    }

    /// One label with a fixed value.
    pub(super) fn one(name: &'static str, value: &str) -> Self {
        Self::new([(name, Some(SafeText::new(value)))])
    }

    /// Another one at the end.
    pub(super) fn with(&self, name: &'static str, value: &str) -> Self {
        let more = [(name, SafeText::new(value))];
        Self(self.0.iter().cloned().chain(more).collect())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// What stands for all ends of a kind, and is nobody's own name.
const KINDS: [&str; 5] = ["host", "outside", "multicast", "unknown", "load-balancer"];

/// The label of a service; no address is in it. Whoever has the name of a kind as its own has a suffix. Others of one name, as a
/// container and a service of a swarm, are one label, whose figures are to be added up.
pub(super) fn of_service(service: &Service) -> SafeText {
    let name = service.without_address().to_string();
    let suffix = match service {
        Service::Swarm(_) => "(swarm)",
        Service::Compose { .. } | Service::Container(_) => "(container)",
        _ => return SafeText::new(&name),
    };
    SafeText::new(&if KINDS.contains(&name.as_str()) { name + suffix } else { name })
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.iter().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}
