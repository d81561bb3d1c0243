//! Pictures of each screen, small and large.

use super::View;
use super::data;
use crate::snapshot::Snapshot;
use crate::tui::{Colours, Look};
use std::sync::Arc;

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (200, 60)];

/// Takes a picture in each size, after some keys.
fn check(name: &str, sizes: &[(u16, u16)], snapshot: &Arc<Snapshot>, keys: &str) {
    for (columns, rows) in sizes {
        let mut view = View::new(Arc::clone(snapshot), *columns, *rows);
        data::watch(&mut view.app, snapshot, 2);
        data::tell(&mut view.app, data::few_flows());
        view.keys(keys);
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), view.picture());
    }
}

#[test]
fn containers() {
    check("containers", &SIZES, &data::small(), "");
}

#[test]
fn containers_of_whom_there_are_none() {
    check("containers_empty", &SIZES[1..2], &data::empty(), "");
}

#[test]
fn containers_in_trouble_and_with_names_made_to_harm() {
    check("containers_hostile", &SIZES, &data::hostile(), "");
}

#[test]
fn many_containers() {
    check("containers_large", &[(80, 24), (200, 60)], &data::large(), "");
}

#[test]
fn many_containers_by_service() {
    check("containers_by_service", &[(80, 24)], &data::large(), "c");
}

#[test]
fn flows() {
    check("flows", &SIZES, &data::small(), "2");
}

#[test]
fn flows_of_which_there_are_none() {
    let mut view = View::new(data::small(), 80, 24);
    view.keys("2");
    insta::assert_snapshot!("flows_empty_80x24", view.picture());
}

#[test]
fn many_flows() {
    let mut view = View::new(data::large(), 80, 24);
    data::watch(&mut view.app, &data::large(), 2);
    data::tell(&mut view.app, (0..20_000).map(data::flow));
    view.keys("2");
    for (columns, rows) in [(80, 24), (200, 60)] {
        view.terminal.backend_mut().resize(columns, rows);
        insta::assert_snapshot!(format!("flows_large_{columns}x{rows}"), view.picture());
    }
}

#[test]
fn the_help() {
    check("help", &[(80, 24), (120, 60)], &data::small(), "?");
}

#[test]
fn a_filter_that_is_typed() {
    check("filter", &[(80, 24)], &data::large(), "/db-1");
}

#[test]
fn a_terminal_with_nothing_but_ascii() {
    let look = Look { colours: Colours::None, ascii: true };
    let mut view = View::with_look(look, data::hostile(), 120, 24);
    data::watch(&mut view.app, &data::hostile(), 2);
    let picture = view.picture();
    assert!(picture.is_ascii(), "{picture}");
    insta::assert_snapshot!("ascii_120x24", picture);
}

#[test]
fn a_terminal_that_has_hardly_room() {
    check("tiny", &[(20, 5)], &data::hostile(), "");
}
