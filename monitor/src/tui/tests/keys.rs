//! What keys and the mouse do.

use super::{View, data};
use crate::model::{DockerState, KernelTime};
use crate::tui::Effect;
use crate::tui::context::{Unit, Window};
use crate::tui::keys::{BINDINGS, Key};
use crate::tui::screens::ScreenId;
use crate::tui::state::State;
use crate::tui::subject::{Group, Subject};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseEventKind};
use std::sync::Arc;

fn view() -> View {
    let mut view = View::new(data::large(), 80, 24);
    view.picture();
    view
}

/// Checks what a state is after some keys.
#[track_caller]
fn check<T: PartialEq + std::fmt::Debug>(keys: &str, of: fn(&State) -> T, expected: T) {
    let mut view = view();
    view.keys(keys);
    assert_eq!(of(&view.app.state), expected, "after {keys:?}");
}

#[test]
fn screens_are_shown_by_number_and_one_after_the_other() {
    let screen = |state: &State| state.screen;
    for (keys, expected) in [
        ("", ScreenId::Containers),
        ("2", ScreenId::Flows),
        ("3", ScreenId::Networks),
        ("4", ScreenId::Pairs),
        ("5", ScreenId::Findings),
        ("6", ScreenId::Health),
        ("7", ScreenId::Names),
        ("8", ScreenId::Failures),
        ("9", ScreenId::Containers),
        ("tab", ScreenId::Flows),
        ("backtab", ScreenId::Failures),
        ("8 tab", ScreenId::Containers),
        ("? 3", ScreenId::Networks),
        ("/ 3", ScreenId::Containers),
    ] {
        check(keys, screen, expected);
    }
}

#[test]
fn esc_and_the_key_behind_it_are_two_keys_where_they_come_at_once() {
    let mut view = view();
    view.keys("enter");
    assert_eq!(view.app.state.opened.len(), 1);
    let together = Event::Key(KeyEvent::new(KeyCode::Char('5'), KeyModifiers::ALT));
    view.app.input(&together);
    assert_eq!((view.app.state.opened.len(), view.app.state.screen), (0, ScreenId::Findings));
}

#[test]
fn the_selection_moves_by_rows_and_pages_and_stays_in_the_list() {
    for (keys, expected) in [
        ("", 0),
        ("j", 1),
        ("down down k", 1),
        ("k", 0),
        ("G", 299),
        ("G j", 299),
        ("end g", 0),
        ("pgdn", 18),
        ("ctrl-d", 9),
        ("ctrl-d ctrl-u", 0),
        ("ctrl-f ctrl-b", 0),
        ("G pgup", 281),
        ("home", 0),
    ] {
        check(keys, |state| state.place().at, expected);
    }
}

#[test]
fn numbers_are_written_as_was_chosen() {
    for (keys, expected) in [
        ("", (Unit::Bytes, Window::Second, false)),
        ("b", (Unit::Bits, Window::Second, false)),
        ("b b w", (Unit::Bytes, Window::TenSeconds, false)),
        ("w w", (Unit::Bytes, Window::Minute, false)),
        ("w w w t", (Unit::Bytes, Window::Second, true)),
        ("t t", (Unit::Bytes, Window::Second, false)),
    ] {
        check(keys, |state| (state.unit, state.window, state.totals), expected);
    }
}

#[test]
fn the_order_goes_through_all_columns_and_turns_round() {
    let order = |state: &State| (state.place().order.column, state.place().order.descending);
    for (keys, expected) in [
        ("", (4, true)),
        ("r", (4, false)),
        ("s", (5, true)),
        ("> >", (6, true)),
        ("S S S S", (0, false)),
        ("S S S S S", (13, false)),
        ("< <", (2, true)),
    ] {
        check(keys, order, expected);
    }
}

#[test]
fn rows_are_gathered_where_they_can_be() {
    check("c", |state| state.options.group, Group::Service);
    check("c c", |state| state.options.group, Group::Project);
    check("c c c", |state| state.options.group, Group::Container);
    check("2 c", |state| state.options.group, Group::Container);
    check("2 i", |state| state.options.both_ends, true);
    check("i", |state| state.options.both_ends, false);
}

#[test]
fn what_is_opened_is_closed_one_by_one() {
    let depth = |state: &State| (state.help.is_some(), state.opened.len());
    for (keys, expected) in [
        ("enter", (false, 1)),
        ("l esc", (false, 0)),
        ("enter ? esc", (false, 1)),
        ("enter ? esc backspace", (false, 0)),
        ("?", (true, 0)),
        ("? ?", (false, 0)),
        ("enter enter", (false, 1)),
        ("enter 2", (false, 0)),
    ] {
        check(keys, depth, expected);
    }
    check("enter", |state| matches!(state.opened[0].subject, Subject::Container(_)), true);
}

#[test]
fn a_filter_holds_while_it_is_typed_and_esc_brings_the_one_before_back() {
    for (keys, typing, text) in [
        ("/ web", true, "web"),
        ("/ web enter", false, "web"),
        ("/ web esc", false, ""),
        ("/ web enter / x esc", false, "web"),
        ("/ web enter esc", false, ""),
        ("/ web enter h", false, "web"),
        ("/ web enter enter esc", false, "web"),
        ("/ web space db ctrl-w", true, "web "),
        ("/ web backspace", true, "we"),
        ("/ web ctrl-u", true, ""),
        ("/ q q", true, "qq"),
    ] {
        check(keys, |state| state.typing.is_some(), typing);
        check(keys, |state| state.filter_text.clone(), text.to_owned());
    }
}

#[test]
fn a_filter_leaves_what_it_takes() {
    let mut view = view();
    view.keys("/ db-1");
    assert!(view.line("/db-1").contains("28 of 300"), "{}", view.picture());
    view.keys("enter");
    assert!(
        view.picture().lines().filter(|line| line.starts_with("shop-")).all(|line| line.contains("db-1"))
    );
    view.keys("/ zzz enter");
    view.line("No row passes the filter");
}

#[test]
fn the_selection_follows_its_row_when_the_order_changes() {
    let mut view = view();
    data::watch(&mut view.app, &data::large(), 2);
    view.picture();
    view.keys("j j j");
    let selected = view.app.state.place().subject.clone();
    view.keys("r");
    view.picture();
    let place = view.app.state.place();
    assert_eq!((place.at, &place.subject), (296, &selected), "the order is turned round");
    assert!(place.top <= 296 && place.top + 19 > 296, "and it is in sight");
}

#[test]
fn a_key_is_about_the_rows_that_are_seen_although_newer_data_would_order_them_anew() {
    let mut view = view();
    let seen = view.app.table.subject(3);
    data::watch(&mut view.app, &data::large(), 2);
    view.keys("j j j");
    assert_eq!(view.app.state.place().subject, seen, "the fourth line of the picture");
    view.picture();
    assert_ne!(view.app.table.subject(3), seen, "the newer data do order them anew");
    assert_eq!(
        view.app.table.subject(view.app.state.place().at),
        seen,
        "and the selection goes with its row"
    );
}

#[test]
fn flows_that_stream_past_do_not_move_what_a_key_selects() {
    let mut view = view();
    view.keys("2");
    data::tell(&mut view.app, (1..=40).map(data::flow));
    view.picture();
    let (rows, seen) = (view.app.table.len(), view.app.table.subject(2));
    data::tell(&mut view.app, (1..=60).map(data::flow));
    assert_eq!((view.app.table.len(), view.app.table.subject(2)), (rows, seen.clone()), "until it is drawn");
    view.keys("j j enter");
    assert_eq!(view.app.state.opened.last().map(|open| open.subject.clone()), seen);
    view.keys("esc");
    view.picture();
    assert_eq!((view.app.table.len(), view.app.state.place().subject.clone()), (60, seen));
}

#[test]
fn as_long_as_nothing_was_selected_the_first_row_is() {
    let mut view = view();
    view.keys("r");
    view.picture();
    assert_eq!(view.app.state.place().at, 0);
}

#[test]
fn from_the_first_row_on_it_is_the_first_again() {
    let mut view = view();
    view.keys("j j j g r");
    view.picture();
    assert_eq!((view.app.state.place().at, view.app.state.place().top), (0, 0));
}

#[test]
fn without_docker_what_is_watched_is_counted_and_no_container_is_said_to_be_none() {
    let mut snapshot = (*data::hostile()).clone();
    snapshot.containers.clear();
    snapshot.docker = DockerState::Down { since: KernelTime(0), reason: "no such file".to_owned() };
    assert_eq!(snapshot.unattributed.len(), 1);
    let sent = crate::view::units::bytes(snapshot.unattributed[0].totals.sent.bytes);
    let mut view = View::new(Arc::new(snapshot), 200, 60);
    view.keys("t");
    view.line("Docker does not answer: there are no names");
    view.line("nothing judged");
    let header = view.line("received");
    assert!(header.contains(&sent) && header.contains("1 interface without a container"), "{header}");
    assert!(!header.contains("0 containers"), "{header}");
    assert_eq!(view.line("[veth99]").matches(" - ").count(), 6, "{}", view.line("[veth99]"));
}

#[test]
fn a_frozen_picture_stays_while_data_are_taken_in() {
    let mut view = view();
    view.keys("space");
    let frozen = view.picture();
    assert!(frozen.contains("FROZEN"), "{frozen}");
    data::watch(&mut view.app, &data::large(), 5);
    assert!(!view.app.is_stale(), "nothing that can be seen has changed");
    assert_eq!(view.picture(), frozen);
    view.keys("p");
    let live = view.picture();
    assert!(!live.contains("FROZEN") && live != frozen, "{live}");
    assert!(live.contains("KiB/s") || live.contains("MiB/s"), "five seconds were counted meanwhile:\n{live}");
}

#[test]
fn nothing_is_stale_that_would_look_the_same() {
    let mut view = view();
    assert!(!view.app.is_stale());
    view.app.snapshot(data::large());
    assert!(!view.app.is_stale(), "the same data");
    view.keys("k");
    assert!(view.app.state.place().subject.is_some());
    view.picture();
    view.keys("k");
    assert!(!view.app.is_stale(), "the first row has none above it");
    view.app.snapshot(data::later(&data::large(), 1));
    assert!(view.app.is_stale());
}

#[test]
fn the_mouse_selects_orders_scrolls_and_shows_screens() {
    let mut view = view();
    let picture = view.picture();
    let row = |with: &str| picture.lines().position(|line| line.contains(with)).unwrap();
    let heads = row("CONTAINER");
    let column = |with: &str| picture.lines().nth(heads).unwrap().find(with).unwrap();
    let number = |place: usize| u16::try_from(place).unwrap();
    view.click(3, number(heads + 4));
    assert_eq!(view.app.state.place().at, 3);
    view.click(number(column("SENT")), number(heads));
    assert_eq!(view.app.state.place().order.column, 2);
    view.click(number(column("SENT")), number(heads));
    assert!(!view.app.state.place().order.descending);
    view.keys("g").mouse(MouseEventKind::ScrollDown, 5, 10);
    assert_eq!(view.app.state.place().at, 3);
    view.mouse(MouseEventKind::ScrollUp, 5, 10);
    assert_eq!(view.app.state.place().at, 0);
    let tabs = row("1 Containers");
    let flows = picture.lines().nth(tabs).unwrap().find(" 2 ").unwrap() + 1;
    view.click(number(flows), number(tabs));
    assert_eq!(view.app.state.screen, ScreenId::Flows);
}

#[test]
fn quit_and_suspend_are_told_wherever_the_view_is() {
    for before in ["", "?", "enter", "/", "/ x"] {
        let mut view = view();
        view.keys(before);
        assert_eq!(view.press(KeyCode::Char('c'), KeyModifiers::CONTROL), Effect::Quit, "{before:?}");
        assert_eq!(view.press(KeyCode::Char('z'), KeyModifiers::CONTROL), Effect::Suspend, "{before:?}");
    }
    assert_eq!(view().press(KeyCode::Char('q'), KeyModifiers::NONE), Effect::Quit);
}

#[test]
fn the_help_lists_every_key() {
    let mut view = View::new(data::small(), 120, 200);
    view.keys("?");
    let help = view.picture();
    for binding in BINDINGS {
        let says = |line: &str| line.contains(&binding.names()) && line.ends_with(binding.words);
        assert!(help.lines().any(says), "{:?} is not in the help:\n{help}", binding.words);
    }
}

#[test]
fn no_key_does_two_things_in_one_place() {
    for (index, one) in BINDINGS.iter().enumerate() {
        for other in &BINDINGS[index + 1..] {
            let shared: Vec<&Key> = one.keys.iter().filter(|key| other.keys.contains(key)).collect();
            let apart = (one.works == crate::tui::keys::Where::Typing)
                != (other.works == crate::tui::keys::Where::Typing);
            assert!(shared.is_empty() || apart, "{shared:?}: {} and {}", one.words, other.words);
        }
    }
}

#[test]
fn what_must_not_be_passed_over_is_on_a_screen_of_any_size() {
    for (columns, rows) in [(20, 5), (30, 8), (40, 12), (80, 24), (200, 60)] {
        let mut view = View::new(data::hostile(), columns, rows);
        assert!(view.picture().contains("LOSSES"), "{columns}x{rows}:\n{}", view.picture());
        view.keys("space");
        assert!(view.picture().contains("FROZEN"), "{columns}x{rows}:\n{}", view.picture());
    }
}

#[test]
fn columns_stay_where_they_are_when_numbers_change() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        let mut view = View::new(data::large(), size.0, size.1);
        data::watch(&mut view.app, &data::large(), 1);
        view.keys("s S").picture();
        let before = view.line("CONTAINER");
        let mut snapshot = (*data::later(&data::large(), 2)).clone();
        for row in &mut snapshot.containers {
            row.totals.sent.bytes = row.totals.sent.bytes.saturating_mul(1 << 30);
            row.conversations.alive = 999_999;
        }
        view.app.snapshot(Arc::new(snapshot));
        assert_eq!(view.line("CONTAINER"), before);
    }
}
