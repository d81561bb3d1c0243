//! Recorded scenarios of real networks, replayed without a kernel and without Docker.

mod keep;
mod properties;
mod scenario;
mod trim;
mod variations;

use scenario::{FINDINGS, Scenario, text};

/// The least that are kept.
const FEWEST: usize = 30;

#[test]
fn every_scenario_gives_the_findings_that_were_told() {
    let all = Scenario::all();
    assert!(all.len() >= FEWEST, "only {} scenarios", all.len());
    for scenario in all {
        let expected = text(&scenario.name, FINDINGS);
        for (line, (told, expected)) in scenario.told().lines().zip(expected.lines()).enumerate() {
            assert_eq!(told, expected, "{}: finding {line}", scenario.name);
        }
        assert_eq!(scenario.told(), expected, "{}", scenario.name);
    }
}
