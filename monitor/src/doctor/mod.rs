//! What works here, what does not, and what bears on isolation: pure judgement of what the probes found and Docker told.

mod docker;
mod kernel;
mod privileges;

pub use docker::Docker;
pub use privileges::{Privileges, privileges};

use crate::collector::probe::Report;
use crate::model::{AttachMode, SafeText, WallTime};
use crate::policy::file::Policy;
use std::path::Path;

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It can all be seen, and bears on isolation.
    Posture,
    /// Something cannot be seen; the rest can.
    Limited,
    /// The main job cannot be done.
    Missing,
}

impl Verdict {
    /// Its name in JSON and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Posture => "posture",
            Self::Limited => "limited",
            Self::Missing => "missing",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What, by a fixed name.
    pub subject: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: SafeText,
    /// What to do about it, unless it is fine.
    pub todo: Option<SafeText>,
}

impl Finding {
    fn ok(subject: &'static str, found: impl AsRef<str>) -> Self {
        Self { subject, verdict: Verdict::Ok, found: SafeText::new(found.as_ref()), todo: None }
    }

    fn limited(subject: &'static str, found: impl AsRef<str>, todo: impl AsRef<str>) -> Self {
        let todo = Some(SafeText::new(todo.as_ref()));
        Self { verdict: Verdict::Limited, todo, ..Self::ok(subject, found) }
    }

    fn posture(subject: &'static str, found: impl AsRef<str>, todo: impl AsRef<str>) -> Self {
        Self { verdict: Verdict::Posture, ..Self::limited(subject, found, todo) }
    }

    fn missing(subject: &'static str, found: impl AsRef<str>, todo: impl AsRef<str>) -> Self {
        Self { verdict: Verdict::Missing, ..Self::limited(subject, found, todo) }
    }
}

/// Judges everything: the kernel first, then Docker and its configuration, but for what the policy file accepts at
/// `wall`, then what cannot be seen.
#[must_use]
pub fn judge(
    report: &Report,
    docker: &mut Docker,
    policy: &Policy,
    attach: Option<AttachMode>,
    wall: WallTime,
) -> Vec<Finding> {
    let mut findings = kernel::judge(report, attach);
    findings.extend(docker.judge(policy, wall, report));
    let has_ends_inside = |path: &Path| report.can_watch_inside().is_ok() && docker.is_of_overlay(path);
    findings.extend(kernel::elsewhere(report, has_ends_inside));
    findings
}

/// Whether the main job can be done.
#[must_use]
pub fn works(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Missing)
}

#[cfg(test)]
mod tests;
