//! What is told of a time, and of whom.

use super::{
    BOOTED, asked, at, bytes_of, check_order, container, finding, latency, pair, tick, traffic, wall,
};
use crate::model::{SafeText, WallTime};
use crate::snapshot::history::{AskedPast, Counted, History, NotKept, look_back};
use crate::snapshot::{Alias, ContainerRef, ContainerRow, Service, Severity, Snapshot};
use crate::wire::fixtures;
use std::sync::Arc;
use std::time::Duration;

/// A container that sends its second's number in each of 100 seconds; after 50 of them the wall clock is set.
fn set_after_fifty(by: i64) -> History {
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=100 {
        if second == 51 {
            history.clock_is(WallTime(BOOTED.0 + by));
        }
        history.container(&container(1)).traffic += traffic(second);
        tick(&mut history, second, Vec::new());
    }
    history
}

#[test]
fn whole_intervals_of_the_time_that_is_asked_for_are_told() {
    let history = set_after_fifty(0);
    assert_eq!(bytes_of(&history, &asked(10, 13)), Ok(11 + 12 + 13));
    assert_eq!(bytes_of(&history, &AskedPast::default()), Ok(5_050));
    assert_eq!(bytes_of(&history, &asked(100, 200)), Err(NotKept::Time));
    let nobody = AskedPast { name: Some("nobody".into()), ..asked(10, 13) };
    assert_eq!(bytes_of(&history, &nobody), Err(NotKept::Name));
    let past = look_back(&history.intervals(), &asked(10, 13), &fixtures::snapshot()).unwrap();
    assert_eq!((past.told.from, past.told.end.wall, past.told.is_cut), (wall(10), wall(13), false));
    assert_eq!(
        (past.told.resolution, past.snapshot.window),
        (Duration::from_secs(1), Duration::from_secs(3))
    );
}

#[test]
fn a_clock_that_is_set_moves_nothing_that_was_before() {
    for hour in [3_600, -3_600_i64] {
        let history = set_after_fifty(hour * 1_000_000_000);
        check_order(&history.intervals());
        let moved = |second: u64| second.saturating_add_signed(hour);
        assert_eq!(bytes_of(&history, &AskedPast::default()), Ok(5_050));
        if hour > 0 {
            assert_eq!(bytes_of(&history, &asked(10, 13)), Ok(11 + 12 + 13));
            assert_eq!(bytes_of(&history, &asked(moved(60), moved(62))), Ok(61 + 62));
            // The interval in which it was set is as long as both clocks say.
            assert_eq!(bytes_of(&history, &asked(1_000, 1_001)), Ok(51));
        }
    }
    let early = History::new(at(7_200), BOOTED);
    let mut history = early;
    history.container(&container(1)).traffic += traffic(1);
    history.seal(at(7_201), Counted::default());
    history.clock_is(WallTime(BOOTED.0 - 3_600_000_000_000));
    history.container(&container(1)).traffic += traffic(2);
    history.seal(at(7_202), Counted::default());
    assert_eq!(
        bytes_of(&history, &asked(3_600, 3_602)),
        Ok(2),
        "set back: as far before its end as it is long"
    );
    assert_eq!(bytes_of(&history, &asked(7_200, 7_201)), Ok(1));
}

#[test]
fn a_course_has_rows_that_a_person_would_choose() {
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=3_000 {
        if second % 2 == 0 {
            history.container(&container(1)).traffic += traffic(1);
        }
        tick(&mut history, second, Vec::new());
    }
    let course = |since, step: Option<u64>| {
        let step = step.map(Duration::from_secs);
        let asked = AskedPast { since: Some(wall(since)), until: None, name: Some("c1".into()), step };
        look_back(&history.intervals(), &asked, &fixtures::snapshot()).unwrap().points
    };
    let all = course(0, None);
    assert_eq!((all.len(), all[0].length.as_secs(), all[49].length.as_secs()), (50, 60, 60));
    assert!(all.iter().all(|point| point.span.traffic.sent.packets == 30));
    let minute = course(2_940, None);
    assert_eq!((minute.len(), minute[0].length.as_secs()), (60, 1));
    assert_eq!(minute.iter().map(|point| point.span.traffic.sent.packets).sum::<u64>(), 30);
    assert_eq!(course(2_940, Some(10)).len(), 6);
}

fn of(number: u64, name: &str, project: &str, service: &str) -> Arc<ContainerRef> {
    let [name, project, service] = [name, project, service].map(SafeText::new);
    Arc::new(ContainerRef {
        name,
        project: Some(project),
        service: Some(service),
        ..(*container(number)).clone()
    })
}

/// Whose course is told by a name, where each container sends 100 bytes in each of six seconds: the container's own
/// name, whether it is of a service, and all bytes.
fn course_of(containers: &[Arc<ContainerRef>], name: &str) -> Result<(String, bool, u64), NotKept> {
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=6 {
        for container in containers {
            history.container(container).traffic += traffic(100);
        }
        tick(&mut history, second, Vec::new());
    }
    let asked = AskedPast { name: Some(name.into()), ..AskedPast::default() };
    let past = look_back(&history.intervals(), &asked, &fixtures::snapshot())?;
    let bytes = past.points.iter().map(|point| point.span.traffic.sent.bytes).sum();
    let last = past.points.last().unwrap();
    Ok((last.span.container.name.to_string(), last.is_service, bytes))
}

#[test]
fn a_service_that_two_projects_have_is_ambiguous() {
    let all = [of(1, "shop-web-1", "shop", "web"), of(2, "blog-web-1", "blog", "web")];
    let both = vec!["blog/web".to_owned(), "shop/web".to_owned()];
    let refused = course_of(&all, "web").unwrap_err();
    assert_eq!(refused, NotKept::Ambiguous(both));
    assert_eq!(refused.to_string(), "that name is ambiguous, it may be blog/web or shop/web");
    assert_eq!(course_of(&all, "blog/web"), Ok(("blog-web-1".to_owned(), false, 600)));
    assert_eq!(course_of(&all, "shop-web-1"), Ok(("shop-web-1".to_owned(), false, 600)));
    let by_id = &all[0].id.as_str()[..12];
    let names = vec!["blog-web-1".to_owned(), "shop-web-1".to_owned()];
    assert_eq!(course_of(&all, by_id), Err(NotKept::Ambiguous(names)), "both ids begin so");
}

#[test]
fn a_container_that_was_made_anew_is_no_service() {
    let all = [
        of(1, "shop-web-1", "shop", "web"),
        of(3, "shop-web-2", "shop", "web"),
        of(2, "shop-web-1", "shop", "web"),
    ];
    assert_eq!(course_of(&all, "shop-web-1"), Ok(("shop-web-1".to_owned(), false, 1_200)));
    for name in ["web", "shop/web"] {
        let (_, is_service, bytes) = course_of(&all, name).unwrap();
        assert_eq!((is_service, bytes), (true, 1_800), "{name}");
    }
    let anew = [all[0].clone(), all[2].clone()];
    assert_eq!(course_of(&anew, "web"), Ok(("shop-web-1".to_owned(), false, 1_200)));
}

#[test]
fn a_container_that_got_another_name_is_one() {
    let renamed = [of(1, "shop-web-1", "shop", "web"), of(1, "old", "shop", "web")];
    let id = renamed[0].id.as_str();
    assert_eq!(course_of(&renamed, id), Ok(("old".to_owned(), false, 1_200)));
}

#[test]
fn a_containers_own_name_is_meant_before_a_service() {
    let all = [container(7), of(1, "shop-c7-1", "shop", "c7"), of(2, "shop-c7-2", "shop", "c7")];
    assert_eq!(course_of(&all, "c7"), Ok(("c7".to_owned(), false, 600)));
    assert_eq!(course_of(&all, "shop/c7").map(|told| told.2), Ok(1_200));
}

#[test]
fn a_course_comes_without_all_that_was_beside_it() {
    let mut history = History::new(at(0), BOOTED);
    for second in 1..=1_000 {
        for number in 0..64 {
            history.container(&container(number)).traffic += traffic(second);
        }
        history.finding(&finding(second % 20, Severity::Info));
        let pairs = (0..200).map(|number| pair(u16::try_from(second % 10 * 200 + number).unwrap(), 100));
        let counted = Counted { pairs: pairs.collect(), latencies: vec![latency(1)], ..Counted::default() };
        history.seal(at(second), counted);
    }
    let intervals = history.intervals();
    let whole = look_back(&intervals, &AskedPast::default(), &fixtures::snapshot()).unwrap();
    assert_eq!((whole.containers.len(), whole.snapshot.pairs.len()), (64, 2_000));
    let asked = AskedPast { name: Some("c1".into()), ..AskedPast::default() };
    let past = look_back(&intervals, &asked, &fixtures::snapshot()).unwrap();
    assert_eq!(past.points.iter().map(|point| point.span.traffic.sent.packets).sum::<u64>(), 1_000);
    assert_eq!((past.told, past.snapshot.past), (whole.told, Some(whole.told)));
    assert_eq!((past.containers.len(), past.names.len()), (0, 0));
    let snapshot = &past.snapshot;
    assert!(snapshot.pairs.is_empty() && snapshot.latencies.is_empty() && snapshot.findings.is_empty());
    assert_eq!(snapshot.containers.len(), whole.snapshot.containers.len(), "the footer tells of them");
    let [small, all] = [&past, &whole].map(|past| serde_json::to_vec(past).unwrap().len());
    assert!(small < 100_000 && all > 1_000_000, "{small} of {all} bytes");
}

#[test]
fn behind_a_shared_name_are_those_who_had_it_then() {
    let of = |number| {
        let alias = Alias { network: fixtures::network("back"), name: fixtures::text("pool") };
        Arc::new(ContainerRef { service: None, aliases: vec![alias], ..(*container(number)).clone() })
    };
    let (then, now) = (of(1), of(2));
    let mut history = History::new(at(0), BOOTED);
    history.container(&then).dropped = 1;
    history.seal(at(1), Counted::default());
    let row = fixtures::row("now", None, "back", Vec::new());
    let containers = vec![ContainerRow { container: Arc::clone(&now), ..row }];
    let latest = Snapshot { containers, ..fixtures::snapshot() };
    let past = look_back(&history.intervals(), &AskedPast::default(), &latest).unwrap();
    let is_meant = |name, who| past.meant(Some(name)).has(&Service::Host, &Service::of_container(who));
    assert!(is_meant("pool", &then) && !is_meant("pool", &now) && !is_meant("other", &then));
}
