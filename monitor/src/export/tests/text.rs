//! What is written is well formed, and is what the documentation lists.

use super::{ALL_OPTIONS, everything, full_row, pair, row, snapshot};
use crate::export::families::{ALL, Kind};
use crate::export::{Format, Ledger, Options};
use crate::model::{SafeText, SwarmKind};
use crate::snapshot::{ContainerRef, ContainerRow, EndKind, LatencyRow, PairRow, Service, Snapshot};
use crate::wire::fixtures;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// One series, as a reader has it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: String,
}

/// Reads the series of a page; comments are left out.
pub(super) fn read(text: &str) -> Vec<Line> {
    text.lines().filter(|line| !line.starts_with('#')).map(read_line).collect()
}

fn read_line(line: &str) -> Line {
    let name_ends = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(name_ends);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once("=\"").expect(line);
            let mut value = String::new();
            let mut characters = behind.char_indices();
            let end = loop {
                match characters.next().expect(line) {
                    (end, '"') => break end,
                    (_, '\\') => value.push(match characters.next().expect(line).1 {
                        'n' => '\n',
                        other => other,
                    }),
                    (_, other) => value.push(other),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "twice the same label: {line}");
            rest = behind[end + 1..].trim_start_matches(',');
        }
        rest = &rest[1..];
    }
    Line { name: name.to_owned(), labels, value: rest.trim().to_owned() }
}

fn written(ledger: &Ledger, format: Format) -> String {
    Arc::new(ledger.page()).write(format)
}

#[test]
fn every_family_is_written_with_its_labels_and_no_other() {
    let lines = read(&written(&everything(), Format::OpenMetrics));
    for family in ALL {
        let name =
            if family.kind == Kind::Histogram { format!("{}_count", family.name()) } else { family.name() };
        let of: Vec<&Line> = lines.iter().filter(|line| line.name == name).collect();
        assert!(!of.is_empty(), "{name} is missing");
        let used: HashSet<&str> = of.iter().flat_map(|line| line.labels.keys().map(String::as_str)).collect();
        assert_eq!(used, family.labels.iter().copied().collect(), "{name}");
    }
    let names: HashSet<String> = ALL.iter().map(|family| family.name()).collect();
    assert_eq!(names.len(), ALL.len());
    for line in &lines {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| line.name.strip_suffix(end));
        assert!(names.contains(base.unwrap_or(&line.name)), "{line:?} is of no family");
    }
}

#[test]
fn no_label_is_an_address_or_a_port() {
    for line in read(&written(&everything(), Format::OpenMetrics)) {
        for (label, value) in &line.labels {
            assert!(
                value.parse::<IpAddr>().is_err() && value.parse::<u16>().is_err() || label == "le",
                "{line:?}"
            );
        }
    }
}

/// What many are called here who are not the same.
const CALLED_ALIKE: [&str; 7] =
    ["web", "host", "outside", "unknown", "multicast", "load-balancer", "web(swarm)"];

/// A ledger in which services, containers and kinds of ends are called alike; each is asked by all that are called `web`.
fn called_alike() -> Ledger {
    let text = SafeText::new;
    let long = |end: &str| text(&format!("{}{end}", "x".repeat(400)));
    let of_name = |name: &str| {
        [
            Service::Swarm(text(name)),
            Service::Container(text(name)),
            Service::Compose { project: None, service: text(name) },
            Service::Elsewhere(text(name), Some([10, 0, 1, 8].into())),
        ]
    };
    let of_kinds = [Service::Host, Service::LoadBalancer, Service::Unknown, Service::Outside(None)];
    let cut = ["a", "b"].map(|end| Service::Compose { project: Some(long("")), service: long(end) });
    let all: Vec<Service> = CALLED_ALIKE.into_iter().flat_map(of_name).chain(of_kinds).chain(cut).collect();
    let latencies = all.iter().take(3).flat_map(|client| {
        all.iter().map(|server| LatencyRow {
            client: client.clone(),
            server: server.clone(),
            ..fixtures::latency_row()
        })
    });
    let rows: Vec<ContainerRow> = all
        .iter()
        .zip(1..)
        .filter(|(service, _)| service.is_of_this_host())
        .map(|(service, number)| {
            let (name, project, service) = match service.clone() {
                Service::Compose { project, service } => (text("x"), project, Some(service)),
                service => (text(&service.to_string()), None, None),
            };
            let row = full_row(number, "web");
            let container = ContainerRef { name, project, service, ..(*row.container).clone() };
            ContainerRow { container: Arc::new(container), ..row }
        })
        .collect();
    let told = |kind, service: Option<&str>, name: Option<&str>| {
        fixtures::swarm_end(kind, service, name, None, "10.0.1.8", Some(80))
    };
    let of_swarm = CALLED_ALIKE.into_iter().flat_map(|name| {
        [
            told(SwarmKind::Task, Some(name), Some("x.1.a")),
            told(SwarmKind::Container, None, Some(name)),
            told(SwarmKind::LoadBalancer, None, None),
            told(SwarmKind::Task, None, None),
        ]
    });
    let kinds = [EndKind::Host, EndKind::External, EndKind::Multicast, EndKind::Unknown];
    let plain = kinds.map(|kind| fixtures::end(kind, "192.0.2.7", Some(80)));
    let to_each = of_swarm.chain(plain).map(|server| PairRow { server, ..pair(&rows[0], &rows[0], 80) });
    let between = rows.iter().map(|server| pair(&rows[0], server, 80));
    let then = Snapshot {
        latencies: latencies.collect(),
        pairs: to_each.chain(between).collect(),
        ..(*snapshot(1, rows.clone())).clone()
    };
    Ledger::new(Options { most_series: 10_000_000, ..ALL_OPTIONS }, &Arc::new(then))
}

#[test]
fn no_series_is_there_twice_in_either_format() {
    for (ledger, format) in [everything(), called_alike()]
        .iter()
        .flat_map(|ledger| [Format::OpenMetrics, Format::Prometheus].map(|format| (ledger, format)))
    {
        let text = written(ledger, format);
        let lines = read(&text);
        let mut different = HashSet::new();
        for line in &lines {
            assert!(different.insert(format!("{} {:?}", line.name, line.labels)), "{line:?} is there twice");
        }
        let told = &lines.iter().find(|line| line.name == "vethwatch_series").unwrap().value;
        assert_eq!(*told, lines.len().to_string(), "{format:?}: the page says how long it is");
        assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
    }
}

#[test]
fn services_called_alike_are_one_series_and_no_service_is_taken_for_a_kind() {
    let lines = read(&written(&called_alike(), Format::OpenMetrics));
    let counted = |server: &str| {
        let is_it = |line: &&Line| {
            line.name == "vethwatch_service_handshake_seconds_count"
                && line.labels["server"] == server
                && line.labels["client"] == "web"
                && line.labels["seen_at"] == "client"
        };
        lines.iter().find(is_it).map(|line| line.value.as_str())
    };
    // Three are called `web`: each asked each.
    for (server, times) in [("web", "9"), ("host", "3"), ("host(container)", "6"), ("host(swarm)", "6")] {
        assert_eq!(counted(server), Some(times), "{server}");
    }
}

#[test]
fn a_histogram_is_cumulative_and_ends_at_infinity() {
    let ledger = Ledger::new(ALL_OPTIONS, &snapshot(1, vec![full_row(1, "web")]));
    let text = written(&ledger, Format::OpenMetrics);
    for expected in [
        r#"_handshake_seconds_bucket{le="0.0002",container="web",id="c00000000001"} 0"#,
        r#"_handshake_seconds_bucket{le="0.0005",container="web",id="c00000000001"} 1"#,
        r#"_handshake_seconds_bucket{le="+Inf",container="web",id="c00000000001"} 1"#,
        r#"_handshake_seconds_sum{container="web",id="c00000000001"} 0.000213"#,
        "# TYPE vethwatch_container_handshake_seconds histogram",
        "# UNIT vethwatch_container_handshake_seconds seconds",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn hostile_names_are_read_back_as_they_are() {
    let name = "a\"} 7\nvethwatch_series{x=\\";
    let long = "猫".repeat(4_000);
    let ledger = Ledger::new(ALL_OPTIONS, &snapshot(1, vec![row(1, name), row(2, &long)]));
    for format in [Format::OpenMetrics, Format::Prometheus] {
        let lines = read(&written(&ledger, format));
        let of = |id: &str| {
            let watched = lines
                .iter()
                .find(|line| line.name == "vethwatch_container_watched" && line.labels["id"] == id);
            watched.unwrap().labels["container"].clone()
        };
        assert_eq!(of("c00000000001"), name.replace('\n', "\\u{a}"));
        assert_eq!(of("c00000000002").chars().count(), 257, "it is cut");
    }
}

#[test]
fn openmetrics_is_for_those_who_ask_for_it() {
    for (accept, expected) in [
        ("", Format::Prometheus),
        ("*/*", Format::Prometheus),
        ("text/plain;version=0.0.4;q=0.3,*/*;q=0.1", Format::Prometheus),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3", Format::OpenMetrics),
        ("text/html, Application/OpenMetrics-Text", Format::OpenMetrics),
        ("application/openmetrics-text;q=0,text/plain", Format::Prometheus),
    ] {
        assert_eq!(Format::wanted(accept), expected, "{accept}");
    }
}

/// The table of `docs/metrics.md`.
fn table() -> String {
    let mut table = "| name | type | labels | what it tells |\n| --- | --- | --- | --- |\n".to_owned();
    for family in ALL {
        let kind = format!("{:?}", family.kind).to_lowercase();
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        table += &format!("| `{}` | {kind} | {labels} | {} |\n", family.name(), family.help);
    }
    table
}

#[test]
fn the_documentation_lists_every_family() {
    let documented = include_str!("../../../../docs/metrics.md");
    let table = table();
    assert!(documented.contains(&table), "docs/metrics.md has to have this table:\n{table}");
}
