//! Times that are over: what keys ask for, and what is shown of what is told.

use super::{View, data, world};
use crate::model::{NetworkId, Protocol};
use crate::snapshot::{Expected, NetworkRow, Outcome, PairRow, Past, Reach, Snapshot, Verdict};
use crate::tui::{Found, Span};
use crate::wire::fixtures;
use std::sync::Arc;

const BACK: &str = "LOOKING BACK";

/// An hour in which something failed, in a shop that goes on.
fn past() -> Past {
    let shop = world::shop();
    let mut past = fixtures::past::past("shop-nginx-1");
    past.containers[0].container = Arc::clone(&shop.containers[0].container);
    let mut refused = shop.pairs[0].clone();
    refused.answers.refused = 7;
    let reach = Reach { inside: fixtures::counts(9, 9_000), ..Reach::default() };
    let network = |row: &NetworkRow| NetworkRow { totals: reach, window: reach, ..row.clone() };
    past.snapshot = Snapshot {
        past: Some(past.told),
        window: past.told.end.kernel.since(past.told.start.kernel),
        taken_at: past.told.end.kernel,
        pairs: [refused].into(),
        networks: shop.networks.iter().map(network).collect(),
        ..(*shop).clone()
    };
    past
}

/// A view of a shop that was asked to look back, and told.
fn told(keys: &str, (columns, rows): (u16, u16)) -> View {
    let mut view = View::new(world::shop(), columns, rows);
    view.picture();
    view.keys("[").picture();
    tell(&mut view, Ok(past()));
    view.keys(keys);
    view
}

fn tell(view: &mut View, told: Result<Past, &str>) {
    let asked = view.app.wanted().time.expect("a time is asked for");
    view.app.found(Found::Time(asked, told.map(Box::new).map_err(str::to_owned)));
}

#[test]
fn screens_of_a_time_that_is_over() {
    for (name, keys) in [
        ("containers", "1"),
        ("flows", "2"),
        ("networks", "3"),
        ("pairs", "4"),
        ("findings", "5"),
        ("health", "6"),
        ("names", "7"),
        ("failures", "8"),
        ("container", "1 /nginx enter enter"),
        ("name", "7 enter"),
    ] {
        let size = if name == "container" { (80, 90) } else { (80, 24) };
        insta::assert_snapshot!(format!("back_{name}_{}x{}", size.0, size.1), told(keys, size).picture());
    }
    insta::assert_snapshot!("back_containers_120x40", told("1", (120, 40)).picture());
    insta::assert_snapshot!("back_containers_40x12", told("1", (40, 12)).picture());
}

#[test]
fn the_first_line_says_which_time_is_shown_on_a_screen_of_any_size() {
    for size in [(20, 5), (30, 8), (40, 12), (80, 24), (200, 60)] {
        let picture = told("", size).picture();
        assert!(picture.lines().next().unwrap().contains(BACK), "{size:?}:\n{picture}");
    }
    let line = told("", (80, 24)).line(BACK);
    assert!(line.contains("LOOKING BACK: 03:00:00 to 04:00:00 UTC"), "{line}");
}

#[test]
fn what_is_over_stays_while_data_come_and_another_key_goes_back_to_now() {
    for key in ["n", "esc", "]"] {
        let mut view = told("", (120, 30));
        let before = view.picture();
        assert!(!view.app.is_stale());
        let later = world::later(&world::shop());
        view.app.snapshot(Arc::clone(&later));
        data::tell(&mut view.app, data::few_flows());
        assert!(!view.app.is_stale(), "nothing that can be seen has changed");
        assert_eq!(view.picture(), before);
        view.keys(key);
        let now = view.picture();
        assert!(!now.contains(BACK) && view.app.wanted().time.is_none(), "{key}:\n{now}");
        assert_ne!(now, before);
    }
}

#[test]
fn a_time_is_asked_for_once_and_the_step_before_begins_where_it_began() {
    let mut view = View::new(world::shop(), 80, 24);
    assert_eq!(view.app.wanted().time, None);
    view.keys("[");
    let first = view.app.wanted().time.unwrap();
    assert!(view.line(BACK).contains("asking"));
    tell(&mut view, Ok(past()));
    assert_eq!(view.app.wanted().time, Some(first), "it is not asked for again");
    view.keys("[");
    let Span { until, .. } = view.app.wanted().time.unwrap();
    assert_eq!(until, past().told.from);
    assert!(view.line(BACK).contains("03:00:00 to 04:00:00"), "what was told stays until more is");
}

#[test]
fn who_goes_to_now_and_back_at_once_asks_again() {
    let mut view = View::new(world::shop(), 80, 24);
    view.keys("[");
    let first = view.app.wanted();
    tell(&mut view, Err("nothing is kept of that time"));
    assert_eq!(view.app.wanted(), first);
    view.keys("n [");
    let again = view.app.wanted();
    assert_eq!(again.time, first.time, "no newer data came");
    assert_ne!(again, first);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut view = told("", (80, 24));
    view.keys("n").picture();
    let late = Span { since: past().told.from, until: past().told.end.wall };
    view.app.found(Found::Time(late, Ok(Box::new(past()))));
    assert!(!view.app.is_stale() && !view.picture().contains(BACK));
    view.keys("[");
    view.app.found(Found::Time(late, Ok(Box::new(past()))));
    assert!(!view.picture().contains("03:00:00"), "another time was asked for");
}

#[test]
fn why_a_time_is_not_told_is_said_on_a_screen_of_any_size_and_what_was_shown_stays() {
    for size in [(40, 12), (120, 24)] {
        let mut view = told("1", size);
        view.keys("[").picture();
        tell(&mut view, Err("nothing is kept of that time"));
        assert!(view.app.is_stale());
        let picture = view.picture();
        assert!(picture.contains("nothing is kept of that time"), "{picture}");
        assert!(picture.contains("03:00:00") && picture.contains("shop-nginx-1"), "{picture}");
    }
}

#[test]
fn of_a_time_that_is_not_told_nothing_is_shown_and_least_of_all_what_is_now() {
    for (size, before) in [((40, 12), "1"), ((120, 24), "1"), ((120, 24), "1 space"), ((120, 24), "1 enter")]
    {
        let mut view = View::new(world::shop(), size.0, size.1);
        view.keys(before).picture();
        let asking = view.keys("[").picture();
        tell(&mut view, Err("the agent does not answer"));
        let refused = view.picture();
        assert!(refused.contains("the agent does not answer"), "{refused}");
        assert!(asking.contains("asking") && !refused.contains("asking"), "{asking}{refused}");
        for picture in [asking, refused] {
            assert!(picture.contains(BACK) && picture.contains("Nothing is told of that time."), "{picture}");
            for live in ["shop-", "billing", "violation", "03:00:00"] {
                assert!(!picture.contains(live), "{live} in {picture}");
            }
        }
        view.app.snapshot(world::later(&world::shop()));
        assert!(!view.app.is_stale(), "nothing that can be seen has changed");
        let now = view.keys("n").picture();
        assert!(now.contains("1 violation"), "{now}");
    }
}

#[test]
fn what_is_over_cannot_be_frozen() {
    let mut view = told("1", (120, 24));
    assert!(!view.picture().contains("freeze"));
    let before = view.picture();
    assert_eq!(view.keys("space").picture(), before);
    assert!(!view.keys("n").picture().contains("FROZEN"));
}

#[test]
fn rates_are_over_all_of_that_time_and_totals_are_of_it() {
    let mut view = told("1", (120, 30));
    // A million bytes in an hour.
    assert!(view.line("shop-nginx-1").contains("278 B"), "{}", view.picture());
    view.keys("t");
    assert!(view.line("shop-nginx-1").contains("976 KiB"), "{}", view.picture());
}

#[test]
fn a_container_that_is_gone_has_what_it_did() {
    let mut view = View::new(world::shop(), 120, 30);
    view.keys("[");
    let mut gone = past();
    gone.containers = vec![fixtures::past::container_span("was-here-1", 3)];
    gone.snapshot.containers.clear();
    tell(&mut view, Ok(gone));
    let line = view.line("was-here-1");
    assert!(line.contains("83 B"), "{line}");
    view.keys("enter");
    assert!(view.picture().contains("What Docker tells of it is of now."));
}

#[test]
fn names_and_sizes_made_to_harm_are_harmless() {
    let evil = "e\u{301}vil\u{1b}[31m\u{202e}gnp日本語";
    for size in [(1, 1), (20, 5), (40, 12), (200, 60)] {
        for screen in 1..=8 {
            let mut view = View::new(world::hostile(), size.0, size.1);
            view.keys("[").picture();
            let mut past = fixtures::past::past(evil);
            let verdict = Verdict { outcome: Outcome::Blocked, ..fixtures::pair_row().verdict.unwrap() };
            let pair = PairRow {
                verdict: Some(Verdict { expected: Expected::Deny, ..verdict }),
                protocol: Protocol(200),
                ..fixtures::pair_row()
            };
            let network = crate::snapshot::NetworkRef {
                id: NetworkId::new(&"e".repeat(64)).unwrap(),
                ..fixtures::network(evil)
            };
            past.snapshot.pairs = [pair].into();
            past.snapshot.networks = [NetworkRow { network, ..fixtures::network_row("x") }].into();
            tell(&mut view, Ok(past));
            let picture = view.keys(&format!("{screen} t enter")).picture();
            assert!(!picture.contains('\u{1b}') && !picture.contains('\u{202e}'), "{picture}");
        }
    }
}
