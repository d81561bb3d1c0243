//! What is told of an agent that watches for the view.

use super::{View, data};
use crate::snapshot::Snapshot;
use crate::wire::fixtures;
use std::sync::Arc;

const GONE: &str = "THE AGENT DOES NOT ANSWER";

#[test]
fn the_first_line_says_since_when_the_agent_watches() {
    let by_agent = Snapshot { by_agent: true, ..fixtures::snapshot() };
    let line = View::new(Arc::new(by_agent), 140, 30).line("vethwatch");
    assert!(line.contains("the agent's, since 20"), "{line}");
    let picture = View::new(Arc::new(fixtures::snapshot()), 140, 30).picture();
    assert!(!picture.contains("the agent's"), "{picture}");
}

#[test]
fn an_agent_that_has_gone_is_told_until_another_one_begins() {
    let mut view = View::new(data::small(), 80, 24);
    assert!(!view.picture().contains(GONE));
    view.app.cut_off();
    assert!(view.app.is_stale() && view.app.is_cut_off());
    let line = view.line(GONE);
    assert!(line.starts_with("vethwatch"), "{line}");
    let nothing = Snapshot { containers: Vec::new(), ..(*data::small()).clone() };
    view.app.begin_again(Arc::new(nothing));
    let picture = view.picture();
    assert!(!picture.contains(GONE) && picture.contains("0 containers"), "{picture}");
}

#[test]
fn a_frozen_picture_stays_while_another_agent_begins() {
    let mut view = View::new(data::small(), 80, 24);
    view.picture();
    view.keys("space");
    let before = view.picture();
    view.app.cut_off();
    view.app.begin_again(Arc::new(Snapshot { containers: Vec::new(), ..(*data::small()).clone() }));
    assert_eq!(view.picture(), before);
    view.keys("space");
    assert!(view.picture().contains("0 containers"));
}
