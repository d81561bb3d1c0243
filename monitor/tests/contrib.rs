//! What is there for Prometheus and Grafana fits what is exported and documented. That it works on a real Prometheus is
//! another test's matter, `e2e/prometheus.rs`.

use monitor::export::families::{ALL, Kind};
use monitor::wire::losses;
use std::collections::HashSet;

const RULES: &str = include_str!("../../contrib/prometheus/vethwatch.rules.yml");
const TESTS: &str = include_str!("../../contrib/prometheus/vethwatch.test.yml");
const DASHBOARD: &str = include_str!("../../contrib/grafana/vethwatch.json");
const DOCUMENTATION: &str = include_str!("../../docs/alerts.md");

/// Each alert with its part of the file.
fn alerts() -> Vec<(&'static str, &'static str)> {
    let parts = RULES.split("- alert: ").skip(1);
    let alerts: Vec<_> = parts.map(|part| part.split_once('\n').expect("a line is the name")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    alerts
}

/// The words of a text that are names of metrics of ours.
fn names(text: &str) -> HashSet<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter| !is_part(letter)).filter(|word| word.starts_with("vethwatch_")).collect()
}

#[test]
fn every_alert_says_what_it_is_about_and_what_to_do() {
    for (name, alert) in alerts() {
        for field in ["severity: ", "summary: ", "description: ", "expr: "] {
            assert!(alert.contains(field), "{name} has no {field}");
        }
        let runbook = format!("runbook: docs/alerts.md#{}\n", name.to_lowercase());
        assert!(alert.contains(&runbook), "{name} has no {runbook}");
        assert!(DOCUMENTATION.contains(&format!("\n## {name}\n")), "docs/alerts.md says nothing of {name}");
    }
    assert_eq!(DOCUMENTATION.matches("\n## ").count(), alerts().len(), "docs/alerts.md has more than alerts");
}

#[test]
fn every_alert_is_tested_when_it_fires_and_when_it_does_not() {
    let cases: Vec<_> = TESTS.split("alertname: ").skip(1).collect();
    for (name, _) in alerts() {
        let is_of_it =
            |case: &&str| case.strip_prefix(name).is_some_and(|rest| rest.starts_with(['\n', ',']));
        let (fires, rests): (Vec<&str>, Vec<&str>) =
            cases.iter().copied().filter(|case| is_of_it(case)).partition(|case| case.contains("exp_labels"));
        assert!(!fires.is_empty(), "{name} fires in no test");
        assert!(rests.iter().any(|case| case.contains("exp_alerts: []")), "{name} rests in no test");
    }
}

#[test]
fn rules_and_dashboard_ask_for_what_is_exported() {
    let exported: HashSet<String> = ALL
        .iter()
        .map(|family| match family.kind {
            Kind::Histogram => format!("{}_bucket", family.name()),
            _ => family.name(),
        })
        .collect();
    for (of, text) in [("rules", RULES), ("tests", TESTS), ("dashboard", DASHBOARD)] {
        let names = names(text);
        assert!(names.len() > 10, "{of}: {names:?}");
        for name in names {
            assert!(exported.contains(name), "{of}: {name} is not exported");
        }
    }
}

#[test]
fn losses_that_alerts_name_are_losses() {
    let mut named = 0;
    let lists = ["reason=~\"", "reason!~\""].into_iter().flat_map(|before| RULES.split(before).skip(1));
    for list in lists.filter_map(|behind| behind.split('"').next()) {
        for name in list.split('|') {
            assert!(losses::known(name).is_some(), "{name} is no loss");
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}

#[test]
fn what_blinds_a_check_alerts_at_once() {
    let (_, alert) = alerts().into_iter().find(|(name, _)| *name == "VethwatchVerdictsUncertain").unwrap();
    let list = alert.split_once("reason=~\"").and_then(|(_, behind)| behind.split_once('"')).unwrap().0;
    for name in losses::BLINDING {
        assert!(list.split('|').any(|listed| listed == name), "{name} is in no alert of its own");
    }
}

#[test]
fn panels_of_the_dashboard_have_numbers_and_places_of_their_own() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = HashSet::new();
    let mut cells = HashSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "twice the same id: {}", panel["id"]);
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|field| panel["gridPos"][field].as_u64().unwrap());
        assert!(x + w <= 24, "{} is too wide", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{} is over another panel", panel["title"]);
        }
        if panel["type"] != "row" {
            let described = panel["description"].as_str().is_some_and(|text| !text.is_empty());
            let with_unit = panel["type"] == "table" || panel["fieldConfig"]["defaults"]["unit"].is_string();
            assert!(described && with_unit, "{} has no description or unit", panel["title"]);
        }
    }
}
