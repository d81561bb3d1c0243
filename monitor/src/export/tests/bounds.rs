//! There are only as many series as there may be, and what they refuse is counted.

use super::{ALL_OPTIONS, OPTIONS, finding, full_row, pair, row, snapshot, value};
use crate::export::families as family;
use crate::export::{Ledger, Options, containers, names, networks};
use crate::model::SafeText;
use crate::snapshot::{Kind, Outcome, RuleName, Snapshot};
use crate::wire::fixtures;
use std::sync::Arc;

fn series(ledger: &Ledger) -> usize {
    ledger.page().series()
}

#[test]
fn things_cost_as_many_series_as_they_can_have() {
    let without = series(&Ledger::new(ALL_OPTIONS, &snapshot(1, Vec::new())));
    for (cadvisor, cost) in [(false, containers::COST), (true, containers::COST_WITH_CADVISOR)] {
        let options = Options { cadvisor, ..OPTIONS };
        let with = series(&Ledger::new(options, &snapshot(1, vec![full_row(1, "web")])));
        assert_eq!(with - without, cost);
    }
    let asked = Snapshot { asked: fixtures::asked(), ..(*snapshot(1, Vec::new())).clone() };
    assert_eq!(series(&Ledger::new(OPTIONS, &Arc::new(asked))) - without, names::COST);
    let network =
        Snapshot { networks: [fixtures::network_row("net")].into(), ..(*snapshot(1, Vec::new())).clone() };
    assert_eq!(series(&Ledger::new(OPTIONS, &Arc::new(network))) - without, networks::COST);
}

#[test]
fn containers_beyond_the_cap_are_counted_once_and_come_in_when_there_is_room() {
    let most = 2 * containers::COST + 1;
    let options = Options { most_series: most, ..OPTIONS };
    let all = |second, numbers: &[u64]| {
        snapshot(second, numbers.iter().map(|number| full_row(*number, "web")).collect())
    };
    let mut ledger = Ledger::new(options, &all(1, &[1, 2, 3, 4]));
    let refused = 2 * containers::COST as u64;
    for second in 2..5 {
        ledger.take(&all(second, &[1, 2, 3, 4]));
        assert_eq!(value(&ledger, &family::CONTAINER), Some(2));
        assert_eq!(value(&ledger, &family::SERIES_REFUSED), Some(refused), "counted once");
    }
    assert_eq!(value(&ledger, &family::CONTAINERS), Some(4), "all are seen");
    ledger.take(&all(65, &[2, 3]));
    ledger.take(&all(66, &[2, 3]));
    assert_eq!(value(&ledger, &family::CONTAINER), Some(2), "the third has the room of the first");
    assert_eq!(value(&ledger, &family::SERIES_REFUSED), Some(refused));
}

#[test]
fn pairs_have_half_of_the_room_and_take_none_from_containers() {
    let rows: Vec<_> = (0..30).map(|number| row(number, "web")).collect();
    let pairs: Vec<_> = rows.iter().skip(1).map(|server| pair(&rows[0], server, 80)).collect();
    let then = Snapshot { pairs: pairs.into(), ..(*snapshot(1, rows)).clone() };
    let options = Options { most_series: 2 * 100, pairs: true, cadvisor: false };
    let ledger = Ledger::new(options, &Arc::new(then));
    let written = ledger.page().of(&family::PAIR_CONVERSATIONS).len();
    assert_eq!(value(&ledger, &family::CONTAINER), Some(3));
    assert!((1..=10).contains(&written), "{written} pairs of ten series");
}

#[test]
fn findings_by_more_rules_than_there_is_room_for_are_counted() {
    let mut ledger = Ledger::new(Options { most_series: 100, ..OPTIONS }, &snapshot(1, Vec::new()));
    for _ in 0..2 {
        for number in 0..40 {
            let mut finding = finding(number, Kind::Violation, Outcome::Blocked, 1);
            finding.rule = RuleName::File(SafeText::new(&format!("rule-{number}")));
            ledger.told(&finding);
        }
    }
    assert_eq!(value(&ledger, &family::VIOLATIONS), Some(25));
    assert_eq!(value(&ledger, &family::SERIES_REFUSED), Some(15 * 4));
}
