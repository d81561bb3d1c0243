//! What holds of every scenario, wherever it is cut and whatever is in it.

use crate::scenario::{STEPS, Scenario, text};
use monitor::model::{Observation, Step};
use monitor::policy::file::Policy;
use monitor::recording::{Recording, Replay};
use monitor::snapshot::{Finding, Outcome};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

static ALL: LazyLock<Vec<Scenario>> = LazyLock::new(Scenario::all);
/// The latest outcome of each finding of each scenario.
static TRUTH: LazyLock<Vec<HashMap<u64, Outcome>>> =
    LazyLock::new(|| ALL.iter().map(|scenario| outcomes(&scenario.findings())).collect());
static TEXTS: LazyLock<Vec<String>> =
    LazyLock::new(|| ALL.iter().map(|scenario| text(&scenario.name, STEPS)).collect());

fn outcomes(findings: &[Arc<Finding>]) -> HashMap<u64, Outcome> {
    findings.iter().map(|finding| (finding.id, finding.outcome)).collect()
}

/// What arrived was not stopped, and what was stopped did not arrive: no finding says what the whole scenario, in which
/// each finding is about conversations that all went the same way, shows to be false.
fn contradiction(findings: &[Arc<Finding>], truth: &HashMap<u64, Outcome>) -> Option<String> {
    let stopped = |outcome: Outcome| matches!(outcome, Outcome::Blocked | Outcome::Undelivered);
    let is_false = |finding: &&Arc<Finding>| {
        let known = truth.get(&finding.id).copied().unwrap_or(Outcome::Unknown);
        stopped(finding.outcome) && known.reached() || finding.outcome.reached() && stopped(known)
    };
    findings.iter().find(is_false).map(|finding| format!("{finding:?}"))
}

/// Whether a step is of a tick, and not of what is known beside it.
fn is_traffic(step: &Step) -> bool {
    let Step::Observation { seen, .. } = step else { return false };
    matches!(
        seen,
        Observation::Flows(_) | Observation::Drops(_) | Observation::Claims(_) | Observation::Resources(_)
    )
}

/// Where the ticks end.
fn ticks(scenario: &Scenario) -> Vec<usize> {
    let is_end = |step: &Step| matches!(step, Step::Observation { seen: Observation::Resources(_), .. });
    (0..scenario.steps.len()).filter(|at| is_end(&scenario.steps[*at])).map(|at| at + 1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_scenario_that_ends_early_tells_the_beginning_and_nothing_false(which: Index, end: Index) {
        let number = which.index(ALL.len());
        let scenario = &ALL[number];
        let end = end.index(scenario.steps.len());
        let cut = scenario.with(scenario.steps[..end].to_vec());
        prop_assert!(scenario.told().starts_with(&cut.told()), "{} to {end}", scenario.name);
        let wrong = contradiction(&cut.findings(), &TRUTH[number]);
        prop_assert!(wrong.is_none(), "{} to {end}: {wrong:?}", scenario.name);
    }

    #[test]
    fn a_watch_that_begins_later_tells_nothing_false(which: Index, start: Index) {
        let number = which.index(ALL.len());
        let scenario = &ALL[number];
        let ticks = ticks(scenario);
        let start = ticks[start.index(ticks.len())];
        let steps = scenario.steps.iter().enumerate().filter(|(at, step)| *at >= start || !is_traffic(step));
        let late = scenario.with(steps.map(|(_, step)| step.clone()).collect());
        let wrong = contradiction(&late.findings(), &TRUTH[number]);
        prop_assert!(wrong.is_none(), "{} from {start}: {wrong:?}", scenario.name);
    }

    #[test]
    fn numbers_without_sense_never_stop_it(
        which: Index,
        places in prop::collection::vec((any::<Index>(), prop::sample::select(&NUMBERS)), 1..8),
    ) {
        let mut text = TEXTS[which.index(ALL.len())].clone();
        for (place, number) in places {
            put(&mut text, place, number);
        }
        // It may be refused, but never stop the program.
        let Ok(recording) = Recording::open(text.as_bytes()) else { return Ok(()) };
        let mut replay = Replay::new(&recording.header().clone(), Policy::default());
        recording.map_while(Result::ok).for_each(|step| drop(replay.take(step)));
    }
}

/// Numbers that are at the end of something.
const NUMBERS: [&str; 8] =
    ["0", "1", "255", "65535", "4294967295", "9223372036854775807", "18446744073709551615", "-1"];

/// Puts another number in the place of one.
fn put(text: &mut String, place: Index, number: &str) {
    let bytes = text.as_bytes();
    let is_first = |at: &usize| bytes[*at].is_ascii_digit() && matches!(bytes[*at - 1], b':' | b'[' | b',');
    let places: Vec<usize> = (1..bytes.len()).filter(is_first).collect();
    let start = places[place.index(places.len())];
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.replace_range(start..start + length, number);
}
