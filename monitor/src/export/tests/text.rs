//! What is written is well formed, and is what the documentation lists.

use super::{ALL_OPTIONS, everything, full_row, row, snapshot};
use crate::export::families::{ALL, Kind};
use crate::export::{Format, Ledger};
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

#[test]
fn no_series_is_there_twice_in_either_format() {
    for format in [Format::OpenMetrics, Format::Prometheus] {
        let text = written(&everything(), format);
        let lines = read(&text);
        let different: HashSet<String> =
            lines.iter().map(|line| format!("{} {:?}", line.name, line.labels)).collect();
        assert_eq!(different.len(), lines.len());
        let told = &lines.iter().find(|line| line.name == "vethwatch_series").unwrap().value;
        assert_eq!(*told, lines.len().to_string(), "{format:?}: the page says how long it is");
        assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
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
