//! `policy explain`.

use super::super::ask::docker_that_answers;
use super::super::ends::{Found, addresses, find, is_local};
use super::super::failure::Failure;
use super::super::{host, terminal};
use super::{Output, print, read};
use crate::cli::{Target, Who};
use crate::collector::clock;
use crate::doctor::Docker;
use crate::model::{SafeText, WallTime};
use crate::policy::Party;
use crate::policy::file::{Accept, Policy, Rule};
use crate::settings::Settings;
use crate::view;
use crate::wire::{
    Clock, ExplainedAccept, ExplainedEnd, ExplainedPass, ExplainedRule, PolicyExplanationBody, Stream,
};
use std::net::IpAddr;
use std::path::PathBuf;

/// Says which rule of a file decides about a conversation.
pub(in super::super) async fn explain(
    settings: &Settings,
    file: PathBuf,
    from: &Who,
    to: &Target,
) -> Result<(), Failure> {
    let policy = read(settings, file).await?;
    let docker = docker_that_answers(settings, [from, &to.who]).await?;
    let [from, asked] = &find([from, &to.who], &docker, is_local).map_err(Failure::wrong)?;
    let explanation = explanation(&policy, [from, asked], to, &docker, clock::wall_now());
    let lines: Vec<String> = if settings.json {
        vec![Stream::new(host::id()?).line(explanation)]
    } else {
        let frame = terminal::frame(Clock::new(clock::kernel_now(), clock::wall_now()), false);
        view::policy_explanation(&explanation, &frame).iter().map(|line| line.draw(&frame)).collect()
    };
    print(Output::to(std::io::stdout()), lines).await
}

/// What the file decides. Where none of its rules does, the built-in rules do, which see more than two ends.
fn explanation(
    policy: &Policy,
    [from, to]: [&Found<'_>; 2],
    target: &Target,
    docker: &Docker,
    now: WallTime,
) -> PolicyExplanationBody {
    let &Target { protocol, port, .. } = target;
    let at = addresses(from, to, docker);
    let (source, destination) = (from.party(at[0], None), to.party(at[1], port));
    let rule = policy.decide(&source, &destination, protocol, port);
    let accepted =
        rule.and_then(|rule| policy.accepted(rule.name.as_str(), &source, &destination, protocol, port, now));
    let before = policy.rules().iter().map_while(|rule| {
        let reason = rule.passed_over(&source, &destination, protocol, port)?;
        Some(ExplainedPass {
            rule: rule.name.clone(),
            line: rule.line,
            reason: reason.name(),
            words: reason.reason(),
        })
    });
    PolicyExplanationBody {
        from: end(&source, at[0]),
        to: end(&destination, at[1]),
        protocol: SafeText::new(&protocol.name()),
        decided_by: if rule.is_some() { "file" } else { "built_in" },
        rule: rule.map(explained_rule),
        accepted: accepted.map(explained_accept),
        passed_over: before.collect(),
        notes: from.notes.iter().chain(&to.notes).map(|note| SafeText::new(note)).collect(),
    }
}

fn end(party: &Party<'_>, address: Option<IpAddr>) -> ExplainedEnd {
    ExplainedEnd {
        container: party.container.map(|container| container.name.clone()),
        address,
        port: party.port,
        networks: party.networks.iter().map(|network| network.name.clone()).collect(),
        ..ExplainedEnd::of(party.kind)
    }
}

fn explained_rule(rule: &Rule) -> ExplainedRule {
    ExplainedRule {
        name: rule.name.clone(),
        line: rule.line,
        action: rule.action.name(),
        severity: rule.severity.map(|severity| severity.name()),
        comment: rule.comment.clone(),
    }
}

fn explained_accept(accept: &Accept) -> ExplainedAccept {
    ExplainedAccept { line: accept.line, until: accept.until.clone(), comment: accept.comment.clone() }
}

#[cfg(test)]
mod tests {
    use super::explanation;
    use crate::doctor::Docker;
    use crate::model::WallTime;
    use crate::policy::file::Policy;
    use crate::run::ends::find;

    const FILE: &str = "[[rule]]\nname = 'dns'\naction = 'allow'\nports = 53\n
        [[rule]]\nname = 'inside'\naction = 'deny'\nseverity = 'info'\nto = { external = true }\n
        [[accept]]\nrule = 'inside'\nuntil = 1970-01-01\n";

    /// Checks what decides about the host's asking somebody outside: by whom, the rule, and whether it is accepted.
    #[track_caller]
    fn check(to: &str, now: i64, expected: (&str, Option<&str>, bool), passed_over: &[&str]) {
        let (policy, docker) = (Policy::read(FILE.as_bytes()).unwrap(), Docker::default());
        let target = to.parse::<crate::cli::Target>().unwrap();
        let ends = find([&"host".parse().unwrap(), &target.who], &docker, |_| false).unwrap();
        let found = explanation(&policy, [&ends[0], &ends[1]], &target, &docker, WallTime(now));
        let rule = found.rule.as_ref().map(|rule| rule.name.as_str());
        assert_eq!((found.decided_by, rule, found.accepted.is_some()), expected);
        assert_eq!(found.passed_over.iter().map(|pass| pass.reason).collect::<Vec<_>>(), passed_over);
    }

    #[test]
    fn the_rule_that_decides_is_told_with_those_before_it() {
        check("outside:53/udp", 0, ("file", Some("dns"), false), &[]);
        check("outside:80", 0, ("file", Some("inside"), true), &["ports"]);
        check("192.0.2.1/icmp", i64::MAX, ("file", Some("inside"), false), &["no_port"]);
        check("host:80", 0, ("built_in", None, false), &["ports", "to"]);
    }
}
