//! Scenarios changed: in ways that must not change what is found, and in ways that must make it unknown.

use crate::scenario::Scenario;
use monitor::model::{
    Change, DropWatch, FlowBatch, InterfaceNumber, KernelTime, Losses, Observation, SafeText, Step,
};
use monitor::snapshot::{EndKind, Finding, Outcome};
use std::collections::HashSet;
use std::net::IpAddr;

#[track_caller]
fn check_same(how: &str, vary: impl Fn(Step) -> Vec<Step>) {
    let mut varied = 0;
    for scenario in Scenario::all() {
        let other = scenario.with(scenario.steps.iter().cloned().flat_map(&vary).collect());
        varied += usize::from(other.steps != scenario.steps);
        assert_eq!(other.told(), scenario.told(), "{} with {how}", scenario.name);
    }
    assert!(varied >= 20, "with {how} only {varied} scenarios are others");
}

fn observed(at: KernelTime, seen: Observation) -> Step {
    Step::Observation { at, seen }
}

#[test]
fn parts_of_a_generation_are_as_good_as_the_whole() {
    check_same("each flow in a part of its own", |step| match step {
        Step::Observation {
            at,
            seen: Observation::Flows(FlowBatch { epoch, tick_start, tick_end, flows, last }),
        } => {
            let part = |flows, last| FlowBatch { epoch, tick_start, tick_end, flows, last };
            let parts = flows.iter().map(|flow| part(vec![*flow], false));
            parts.chain([part(Vec::new(), last)]).map(|part| observed(at, Observation::Flows(part))).collect()
        }
        other => vec![other],
    });
}

#[test]
fn a_generation_that_is_told_twice_counts_once() {
    check_same("each generation twice", |step| match &step {
        Step::Observation { seen: Observation::Flows(_), .. } => vec![step.clone(), step],
        _ => vec![step],
    });
}

#[test]
fn what_docker_told_may_be_told_again() {
    check_same("each change twice", |step| match &step {
        Step::Change(_) => vec![step.clone(), step],
        _ => vec![step],
    });
}

#[test]
fn looking_after_time_more_often_changes_nothing() {
    check_same("housekeeping and a snapshot before each observation", |step| match step {
        Step::Observation { at, .. } => vec![Step::Housekeeping(at), Step::Snapshot(at), step],
        other => vec![other],
    });
}

/// What must become of findings when it was not seen what became of the packets.
#[track_caller]
fn check_blind(how: &str, reason: &str, vary: impl Fn(&Scenario) -> Vec<Step>) {
    let mut seen = 0;
    for scenario in Scenario::all() {
        let stopped: HashSet<u64> = last(&scenario).into_iter().filter(is_stopped).map(|it| it.id).collect();
        let varied = scenario.with(vary(&scenario));
        for finding in varied.findings() {
            let told =
                format!("{} with {how}: {:?} {}", scenario.name, finding.evidence, finding.explanation);
            // To an address that nobody has there is no interface that could be watched.
            let is_nobodys =
                reason == "destination_not_watched" && finding.destination.kind == EndKind::Unknown;
            assert!(finding.outcome != Outcome::Undelivered || is_nobodys, "{told}");
            // The host's own reset proves it without any drop.
            assert!(finding.outcome != Outcome::Blocked || is_reset(&finding), "{told}");
            if stopped.contains(&finding.id) && finding.outcome == Outcome::Unknown {
                let reason = if is_out_of_sight(&finding) { "out_of_sight" } else { reason };
                assert_eq!(finding.reason, Some(reason), "{told}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "with {how} only {seen} findings are unknown");
}

fn is_stopped(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::Blocked | Outcome::Undelivered)
}

/// What arrives outside, or at the host, is never seen: only a drop tells.
fn is_out_of_sight(finding: &Finding) -> bool {
    matches!(finding.destination.kind, EndKind::External | EndKind::Host)
}

fn is_reset(finding: &Finding) -> bool {
    finding.evidence.iter().any(|it| it.at.as_str() == "host" && it.saw.contains("reset"))
}

/// The latest revision of each finding.
fn last(scenario: &Scenario) -> Vec<Finding> {
    let mut latest: Vec<Finding> = Vec::new();
    for finding in scenario.findings() {
        latest.retain(|other| other.id != finding.id);
        latest.push((*finding).clone());
    }
    latest
}

fn without_drops(steps: &[Step]) -> impl Iterator<Item = Step> + '_ {
    let is_drop = |step: &&Step| matches!(step, Step::Observation { seen: Observation::Drops(_), .. });
    steps.iter().filter(move |step| !is_drop(step)).cloned()
}

/// The same without drops, and with one more loss of this name in each tick.
fn losing(scenario: &Scenario, name: &'static str) -> Vec<Step> {
    let mut count = 0;
    let steps = without_drops(&scenario.steps).flat_map(|step| match step {
        Step::Observation { seen: Observation::Losses(_), .. } => Vec::new(),
        Step::Observation { at, seen: Observation::Resources(_) } => {
            let mut losses = Losses::default();
            count += 1;
            losses.set(name, count);
            vec![observed(at, Observation::Losses(losses)), step]
        }
        other => vec![other],
    });
    steps.collect()
}

#[test]
fn without_its_drop_what_was_blocked_is_undelivered() {
    let mut seen = 0;
    for scenario in Scenario::all() {
        let varied = scenario.with(without_drops(&scenario.steps).collect());
        let blocked: HashSet<u64> =
            last(&scenario).iter().filter(|it| it.outcome == Outcome::Blocked).map(|it| it.id).collect();
        for finding in last(&varied).iter().filter(|it| blocked.contains(&it.id) && !is_reset(it)) {
            let expected = if is_out_of_sight(finding) { Outcome::Unknown } else { Outcome::Undelivered };
            assert_eq!(finding.outcome, expected, "{}: {}", scenario.name, finding.explanation);
            seen += 1;
        }
    }
    assert!(seen >= 8, "only {seen} findings");
}

#[test]
fn where_drops_are_lost_nothing_is_known() {
    check_blind("lost drops", "drops_lost", |scenario| losing(scenario, "drop_map_full"));
}

#[test]
fn where_flows_find_no_room_nothing_is_known() {
    check_blind("a full flow map", "flows_not_recorded", |scenario| losing(scenario, "flow_map_full"));
}

#[test]
fn where_a_generation_is_lost_nothing_is_known() {
    check_blind("lost flows", "flows_lost", |scenario| losing(scenario, "drain_failed"));
}

#[test]
fn where_drops_are_not_watched_nothing_is_known() {
    check_blind("no watch for drops", "drops_not_watched", |scenario| {
        let off = |step| match step {
            Step::Observation { at, seen: Observation::DropWatch(_) } => {
                observed(at, Observation::DropWatch(DropWatch::Off(SafeText::new("no BTF"))))
            }
            other => other,
        };
        without_drops(&scenario.steps).map(off).collect()
    });
}

/// The interfaces that hold the addresses of findings' destinations: their container's end has that address' MAC.
fn at_destinations(scenario: &Scenario) -> HashSet<InterfaceNumber> {
    let addresses: HashSet<IpAddr> = last(scenario).iter().map(|it| it.destination.address).collect();
    let mut macs = HashSet::new();
    let mut interfaces = HashSet::new();
    for step in &scenario.steps {
        if let Step::Change(Change::Container { container, .. }) = step {
            let holders =
                container.endpoints.iter().filter(|it| it.addresses.iter().any(|it| addresses.contains(it)));
            macs.extend(holders.filter_map(|it| it.mac));
        }
    }
    for step in &scenario.steps {
        if let Step::Observation {
            seen: Observation::Attached { interface, .. } | Observation::Changed { interface, .. },
            ..
        } = step
            && interface.peer.as_ref().and_then(|peer| peer.mac).is_some_and(|mac| macs.contains(&mac))
        {
            interfaces.insert(interface.number);
        }
    }
    interfaces
}

/// The same as if some interfaces had never been watched.
fn unwatched(scenario: &Scenario, never: &HashSet<InterfaceNumber>) -> Vec<Step> {
    let of = |number: &InterfaceNumber| never.contains(number);
    let seen = without_drops(&scenario.steps).filter_map(|step| match step {
        Step::Observation {
            seen: Observation::Attached { ref interface, .. } | Observation::Changed { ref interface, .. },
            ..
        } if of(&interface.number) => None,
        Step::Observation { seen: Observation::Detached { number, .. }, .. } if of(&number) => None,
        Step::Observation { at, seen: Observation::Flows(mut batch) } => {
            batch.flows.retain(|flow| !of(&flow.key.interface));
            Some(observed(at, Observation::Flows(batch)))
        }
        other => Some(other),
    });
    seen.collect()
}

#[test]
fn where_the_destination_is_not_watched_nothing_is_known() {
    check_blind("the destinations unwatched", "destination_not_watched", |scenario| {
        unwatched(scenario, &at_destinations(scenario))
    });
}

#[test]
fn what_arrived_is_not_said_to_be_lost_where_the_destination_is_not_watched() {
    let mut seen = 0;
    for scenario in Scenario::all() {
        let never = at_destinations(&scenario);
        if never.is_empty() {
            continue;
        }
        let varied = scenario.with(unwatched(&scenario, &never));
        let arrived: HashSet<u64> =
            last(&scenario).iter().filter(|it| it.outcome.reached()).map(|it| it.id).collect();
        for finding in last(&varied).iter().filter(|it| arrived.contains(&it.id)) {
            assert!(!is_stopped(finding), "{}: {}", scenario.name, finding.explanation);
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} findings");
}
