//! Pictures of the screens of networks, pairs, findings and health, and of what Enter opens.

use super::{View, data, world};
use crate::snapshot::{Finding, Snapshot, Standing};
use crate::tui::{Colours, Course, Found, Look};
use crate::wire::fixtures;
use std::sync::Arc;

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (200, 60)];
/// So high that everything is in the picture.
const TALL: [(u16, u16); 2] = [(80, 90), (40, 120)];

fn view(snapshot: &Arc<Snapshot>, keys: &str, (columns, rows): (u16, u16)) -> View {
    let mut view = View::new(Arc::clone(snapshot), columns, rows);
    let mut shop = Arc::clone(snapshot);
    for _ in 0..3 {
        shop = if shop.networks.len() > 1 { world::later(&shop) } else { data::later(&shop, 1) };
        view.app.snapshot(Arc::clone(&shop));
    }
    data::tell(&mut view.app, [world::flow()]);
    // The rows of a screen are there once it was drawn.
    for word in keys.split_whitespace() {
        view.keys(word).picture();
    }
    view
}

fn check(name: &str, sizes: &[(u16, u16)], snapshot: &Arc<Snapshot>, keys: &str) {
    for size in sizes {
        let mut view = view(snapshot, keys, *size);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), view.picture());
    }
}

#[test]
fn networks() {
    check("networks", &SIZES, &world::shop(), "3");
}

#[test]
fn pairs() {
    check("pairs", &SIZES, &world::shop(), "4");
}

#[test]
fn pairs_by_service() {
    check("pairs_by_service", &SIZES[1..2], &world::shop(), "4 c");
}

#[test]
fn findings() {
    check("findings", &SIZES, &world::shop(), "5");
}

#[test]
fn losses_and_health() {
    check("health", &SIZES, &world::shop(), "6");
}

#[test]
fn names_that_are_asked_for() {
    check("names", &SIZES, &world::shop(), "7");
    check("names_by_service", &SIZES[1..2], &world::shop(), "7 c");
    check("name", &TALL[..1], &world::shop(), "7 /flask_app enter enter");
}

#[test]
fn what_fails() {
    check("failures", &SIZES, &world::shop(), "8");
    check("failures_by_service", &SIZES[1..2], &world::shop(), "8 c");
    check("failure", &TALL[..1], &world::shop(), "8 enter");
}

#[test]
fn screens_without_rows_say_so_in_a_line() {
    for (keys, says) in [
        ("3", "Docker has told of no network yet."),
        ("4", "No conversation was seen yet."),
        ("5", "Nothing was found in what is watched."),
        ("6", "Everything that was to be told was told."),
        ("7", "No container has asked for a name yet."),
        ("8", "Nothing was seen to fail."),
    ] {
        let mut view = view(&data::empty(), keys, (120, 24));
        view.line(says);
    }
}

#[test]
fn screens_with_names_made_to_harm() {
    let screens = [
        ("networks", "3"),
        ("pairs", "4"),
        ("findings", "5"),
        ("health", "6"),
        ("dns", "7"),
        ("failures", "8"),
    ];
    for (name, keys) in screens {
        check(&format!("{name}_hostile"), &SIZES[1..2], &world::hostile(), keys);
    }
}

#[test]
fn a_container_that_is_opened() {
    check("container", &TALL, &world::shop(), "/nginx enter enter");
}

#[test]
fn a_container_with_its_last_hour() {
    let shop = world::shop();
    let nginx = shop.containers.iter().find(|row| row.container.name.as_str().contains("nginx")).unwrap();
    let container = &nginx.container.id;
    for ascii in [false, true] {
        let look = Look { colours: Colours::None, ascii };
        let mut view = View::with_look(look, Arc::clone(&shop), 80, 100);
        for word in ["/nginx", "enter", "enter"] {
            view.keys(word).picture();
        }
        assert_eq!(view.app.wanted().course.as_ref(), Some(container));
        let hour = fixtures::past::points("web");
        let minutes = hour[55..].to_vec();
        view.app.found(Found::Course(Course { container: container.clone(), hour, minutes }));
        assert!(view.app.is_stale());
        let picture = view.picture();
        if ascii {
            assert!(picture.contains("failed") && picture.contains("__.."), "{picture}");
        } else {
            insta::assert_snapshot!("container_past_80x100", picture);
        }
        view.keys("esc");
        assert_eq!(view.app.wanted().course, None);
    }
}

#[test]
fn a_container_of_which_docker_has_told_little() {
    check("container_untold", &TALL[..1], &world::shop(), "/flask_app enter enter");
}

#[test]
fn a_flow_that_is_opened() {
    check("flow", &TALL, &world::shop(), "2 enter");
}

#[test]
fn a_network_that_is_opened() {
    check("network", &TALL[..1], &world::shop(), "3 /shop_front enter enter");
}

#[test]
fn a_pair_that_is_opened() {
    check("pair", &TALL[..1], &world::shop(), "4 /5000 enter enter");
}

#[test]
fn several_pairs_that_are_opened() {
    check("pair_by_project", &[(80, 24)], &world::shop(), "4 c c enter");
}

#[test]
fn who_talks_to_whom() {
    check("matrix", &[(40, 12), (80, 24), (120, 24)], &world::shop(), "4 m");
    check("matrix_by_service", &[(80, 24)], &world::shop(), "4 c t m");
}

#[test]
fn a_violation_that_is_opened() {
    check("violation", &TALL, &world::shop(), "5 enter");
}

#[test]
fn what_is_broken_and_opened() {
    check("broken", &TALL[..1], &world::shop(), "5 /broken enter enter");
}

#[test]
fn what_stands_and_is_opened() {
    check("standing", &TALL[..1], &world::shop(), "5 /docker-socket enter enter");
}

#[test]
fn a_loss_that_is_opened() {
    check("loss", &[(80, 24)], &world::shop(), "6 /flow_map enter enter");
}

#[test]
fn an_interface_and_a_service_that_are_opened() {
    check("interface", &[(80, 24)], &world::shop(), "/veth99 enter enter");
    check("service", &[(80, 24)], &world::shop(), "c /nginx enter enter");
}

#[test]
fn nothing_that_is_opened_breaks_in_any_size_whatever_the_names_are() {
    for keys in ["enter", "2 enter", "3 enter", "4 enter", "4 m", "4 c enter", "5 enter", "6 enter"] {
        for size in [(1, 1), (7, 4), (20, 5), (33, 200), (80, 24), (300, 300)] {
            view(&world::hostile(), keys, size).picture();
        }
    }
}

#[test]
fn the_worst_findings_come_first() {
    let mut shop = (*world::shop()).clone();
    shop.findings.reverse();
    shop.standing.reverse();
    let picture = view(&Arc::new(shop), "5", (200, 60)).picture();
    let place = |text: &str| picture.find(text).unwrap_or_else(|| panic!("no {text}:\n{picture}"));
    let places =
        ["critical   violation", "panel", "warning    broken", "fd00:1::/64", "0.0.0.0:8080"].map(place);
    assert!(places.is_sorted(), "{picture}");
}

#[test]
fn five_hundred_findings_have_rows() {
    let shop = world::shop();
    let findings = (0..500).map(|id| Finding { id, ..shop.findings[0].clone() }).collect();
    let standing = (0..500)
        .map(|id| Arc::new(Standing { id, ..fixtures::standing("x", crate::snapshot::Severity::Info) }));
    let many = Arc::new(Snapshot { findings, standing: standing.collect(), ..(*shop).clone() });
    check("findings_large", &[(80, 24)], &many, "5");
}

#[test]
fn a_container_is_found_by_the_beginning_of_its_id_and_by_no_other_part() {
    for (keys, found) in [("/c:dbdb enter", true), ("/c:bd enter", false), ("/c:bdbd enter", false)] {
        let picture = view(&world::shop(), keys, (80, 24)).picture();
        assert_eq!(picture.contains("billing-db-1"), found, "{keys}:\n{picture}");
    }
}

#[test]
fn drops_that_are_not_seen_are_not_none() {
    let mut shop = (*world::shop()).clone();
    let drops = |shop: &Snapshot| {
        let line = view(&Arc::new(shop.clone()), "", (80, 24)).line("shop-nginx-1");
        let words: Vec<&str> = line.split_whitespace().collect();
        words[words.len() - 2].to_owned()
    };
    assert_eq!(drops(&shop), "-");
    shop.missing.clear();
    assert_eq!(drops(&shop), "4");
}

#[test]
fn totals_follow_the_key_and_absent_is_not_zero() {
    let mut view = view(&world::shop(), "3 t", (200, 30));
    assert!(view.line("none").contains(" - "), "a network without an interface has no figures");
    assert!(view.line("shop_front").contains("14.3 MiB"));
}

#[test]
fn of_what_is_gone_its_last_lines_stay() {
    let mut view = View::new(data::small(), 80, 24);
    view.keys("enter");
    let before = view.picture();
    let mut snapshot = (*data::later(&data::small(), 2)).clone();
    snapshot.containers.clear();
    view.app.snapshot(Arc::new(snapshot));
    for _ in 0..2 {
        let picture = view.picture();
        assert_eq!(picture.matches("It is gone; this is what was known last.").count(), 1, "{picture}");
        let image = before.lines().find(|line| line.contains("  image ")).unwrap();
        assert!(picture.contains(image), "{picture}");
    }
    view.keys("esc enter");
    assert!(!view.picture().contains("It is gone"));
}
