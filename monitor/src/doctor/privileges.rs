//! What an agent gives up here, and what those that run hold.

use super::Finding;
use crate::confine::Process;

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    /// As whom an agent would run.
    pub user: String,
    /// What this kernel cannot restrain.
    pub limits: Option<String>,
    /// Whether main has to keep a capability, because the kernel wants one for every reading of a map.
    pub keeps_bpf: bool,
    /// The agents that run: main and helper.
    pub agents: Vec<(Process, Process)>,
}

/// Judges it: the host first, then each agent.
#[must_use]
pub fn privileges(known: &Privileges) -> Vec<Finding> {
    let mut lacking: Vec<String> = known.limits.iter().cloned().collect();
    if known.keeps_bpf {
        lacking.push("the kernel wants CAP_BPF of who reads a map: main keeps it".to_owned());
    }
    let gives_up = format!("an agent gives up its rights and runs as {}", known.user);
    let mut findings = vec![if lacking.is_empty() {
        Finding::ok("privileges", gives_up)
    } else {
        Finding::limited(
            "privileges",
            format!("{gives_up}, but {}", lacking.join("; ")),
            "use a newer kernel",
        )
    }];
    findings.extend(known.agents.iter().map(|(main, helper)| agent(main, helper, known.keeps_bpf)));
    findings
}

fn agent(main: &Process, helper: &Process, keeps_bpf: bool) -> Finding {
    let holds = |process: &Process| match process.held.is_empty() {
        true => "nothing".to_owned(),
        false => process.held.join(" "),
    };
    let found = format!(
        "agent {} as user {} holds {}, its helper {} as user {} {}",
        main.pid,
        main.user,
        holds(main),
        helper.pid,
        helper.user,
        holds(helper)
    );
    if main.user != 0 && (main.held.is_empty() || keeps_bpf) {
        Finding::ok("agent", found)
    } else {
        let todo =
            "give it CAP_SETUID, CAP_SETGID and CAP_SETPCAP: it says at its start what it could not give up";
        Finding::limited("agent", found, todo)
    }
}

#[cfg(test)]
mod tests {
    use super::{Privileges, privileges};
    use crate::doctor::Verdict;

    #[test]
    fn what_cannot_be_given_up_is_limited() {
        let check = |known: &Privileges, expected: Verdict, says: &str| {
            let findings = privileges(known);
            assert_eq!(findings[0].verdict, expected);
            assert!(findings[0].found.as_str().contains(says), "{findings:?}");
        };
        let all = Privileges { user: "65534:65534".to_owned(), ..Privileges::default() };
        check(&all, Verdict::Ok, "runs as 65534:65534");
        check(&Privileges { keeps_bpf: true, ..all.clone() }, Verdict::Limited, "main keeps it");
        let limits = Some("no Landlock".to_owned());
        check(&Privileges { limits, ..all }, Verdict::Limited, "but no Landlock");
    }
}
