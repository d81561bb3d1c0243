//! All series at one moment, and their text.

use super::families::{ALL, Family, Kind};
use super::labels::Labels;
use crate::model::WallTime;
use crate::snapshot::Steps;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4.
    Prometheus,
}

impl Format {
    /// Its `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }

    /// What a client wants that sends this `Accept`: OpenMetrics where it is named and not refused.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        let is_wanted = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let is_named =
                parts.next().is_some_and(|it| it.eq_ignore_ascii_case("application/openmetrics-text"));
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            is_named && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
        };
        if accept.split(',').any(is_wanted) { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
    Steps(Steps),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<Duration> for Value {
    fn from(value: Duration) -> Self {
        Self::Real(value.as_secs_f64())
    }
}

impl From<WallTime> for Value {
    fn from(value: WallTime) -> Self {
        let time = Duration::from_nanos(u64::try_from(value.0).unwrap_or_default());
        Self::Real(time.as_secs_f64())
    }
}

impl From<Steps> for Value {
    fn from(value: Steps) -> Self {
        Self::Steps(value)
    }
}

/// What tells a family from all others: its base and its unit.
type Key = (&'static str, Option<&'static str>);

/// All series.
#[derive(Clone, Debug, Default)]
pub struct Page {
    series: HashMap<Key, Vec<(Labels, Value)>>,
}

impl Page {
    /// Adds one.
    pub(super) fn add(&mut self, family: &Family, labels: &Labels, value: impl Into<Value>) {
        let of = self.series.entry((family.base, family.unit)).or_default();
        of.push((labels.clone(), value.into()));
    }

    /// Of one family.
    pub(super) fn of(&self, family: &Family) -> &[(Labels, Value)] {
        self.series.get(&(family.base, family.unit)).map_or(&[], Vec::as_slice)
    }

    /// How many there are.
    #[must_use]
    pub fn series(&self) -> usize {
        let lines =
            |value: &Value| if let Value::Steps(steps) = value { steps.iter().count() + 2 } else { 1 };
        self.series.values().flatten().map(|(_, value)| lines(value)).sum()
    }

    /// Puts the series of each family in the order of their labels.
    pub(super) fn sort(&mut self) {
        self.series.values_mut().for_each(|of| of.sort_by(|(one, _), (other, _)| one.cmp(other)));
    }

    /// Its text.
    #[must_use]
    pub fn write(self: Arc<Self>, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut written = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut written, &registry),
            Format::Prometheus => prometheus_text::encode(&mut written, &registry),
        }
        .expect("writing to a String cannot fail");
        written
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in ALL {
            let series = self.of(family);
            if series.is_empty() {
                continue;
            }
            let unit = family.unit.map(|unit| Unit::Other(unit.to_owned()));
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
                Kind::Info => MetricType::Info,
            };
            let mut encoder = encoder.encode_descriptor(family.base, family.help, unit.as_ref(), kind)?;
            for (labels, value) in series {
                if family.kind == Kind::Info {
                    encoder.encode_info(labels)?;
                } else if labels.is_empty() {
                    write(&mut encoder, family.kind, value)?;
                } else {
                    write(&mut encoder.encode_family(labels)?, family.kind, value)?;
                }
            }
        }
        Ok(())
    }
}

fn write(encoder: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match (value, kind) {
        (Value::Whole(value), Kind::Counter) => encoder.encode_counter::<NoLabelSet, _, u64>(value, None),
        (Value::Whole(value), _) => encoder.encode_gauge(value),
        (Value::Real(value), Kind::Counter) => encoder.encode_counter::<NoLabelSet, _, u64>(value, None),
        (Value::Real(value), _) => encoder.encode_gauge(value),
        (Value::Steps(steps), _) => {
            let end = |end: Option<Duration>| end.map_or(f64::INFINITY, |end| end.as_secs_f64());
            let steps_of: Vec<(f64, u64)> = steps.iter().map(|(step, count)| (end(step), count)).collect();
            let sum = steps.sum().as_secs_f64();
            encoder.encode_histogram::<NoLabelSet>(sum, steps.count(), &steps_of, None)
        }
    }
}
