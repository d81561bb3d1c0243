//! What findings by the topology's own rules can come to. These have a counter from the start: of a series that appears
//! with its first value, `increase` sees no step.

use crate::snapshot::{Kind, Outcome, Rule, Severity};

/// For each kind, the rules that make findings of it, and what becomes of those.
const KNOWN: [(Kind, &[Rule], &[Outcome]); 6] = [
    // Of what a container claims it is seen that it said so, and no more.
    (Kind::Violation, &[Rule::SpoofedSource], &[Outcome::Attempted]),
    (
        Kind::Violation,
        &[
            Rule::SpoofedSource,
            Rule::MetadataService,
            Rule::IccDisabled,
            Rule::CrossNetwork,
            Rule::InternalEgress,
            Rule::HostAccess,
            Rule::ExposedPort,
        ],
        &[Outcome::Unknown, Outcome::Undelivered, Outcome::Blocked, Outcome::Delivered, Outcome::Answered],
    ),
    (
        Kind::Broken,
        &[
            Rule::Linked,
            Rule::SameNetwork,
            Rule::PublishedPort,
            Rule::CrossNetwork,
            Rule::HostAccess,
            Rule::ExposedPort,
            Rule::Egress,
        ],
        &[Outcome::Undelivered, Outcome::Blocked],
    ),
    (Kind::Broken, &[Rule::SilentReplica], &[Outcome::Unknown, Outcome::Delivered]),
    (Kind::Broken, &[Rule::WrongMtu], &[Outcome::Blocked]),
    (
        Kind::Crossing,
        &[Rule::PublishedPort, Rule::CrossNetwork, Rule::HostAccess],
        &[Outcome::Unknown, Outcome::Delivered, Outcome::Answered],
    ),
];

/// All combinations.
pub(super) fn known() -> impl Iterator<Item = (Kind, Rule, Outcome, Severity)> {
    KNOWN.into_iter().flat_map(|(kind, rules, outcomes)| {
        rules.iter().flat_map(move |rule| {
            outcomes.iter().map(move |outcome| (kind, *rule, *outcome, Severity::of(kind, *outcome)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::known;
    use std::collections::HashSet;

    /// What was found on real networks, but for what a policy file says.
    #[test]
    fn what_was_ever_found_is_known() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replay/scenarios");
        let known: HashSet<[&str; 4]> = known()
            .map(|(kind, rule, outcome, severity)| {
                [kind.name(), rule.name(), outcome.name(), severity.name()]
            })
            .collect();
        let mut found = 0;
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if !file.to_string_lossy().ends_with(".findings.jsonl") {
                continue;
            }
            for line in std::fs::read_to_string(&file).unwrap().lines() {
                let finding: serde_json::Value = serde_json::from_str(line).unwrap();
                if finding["kind"] == "posture" || finding.get("policy_comment").is_some() {
                    continue;
                }
                let group =
                    ["kind", "rule", "outcome", "severity"].map(|field| finding[field].as_str().expect(line));
                assert!(known.contains(&group), "{}: {group:?}", file.display());
                found += 1;
            }
        }
        assert!(found > 50, "{found}");
    }
}
