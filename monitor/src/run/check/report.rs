//! What a check found, as a summary and an exit code.

use super::super::failure::Failure;
use super::super::output::Closed;
use super::super::watch::Watch;
use crate::snapshot::{Finding, Severity, Snapshot, Standing};
use crate::wire::{CheckBody, FindingBody, StandingBody, StatusBody};
use std::sync::Arc;
use std::time::Duration;

/// What a check found.
#[derive(Debug)]
pub(super) struct Report {
    /// Of the kinds that count, worst first.
    pub(super) findings: Vec<Arc<Finding>>,
    /// What the configuration says, worst first.
    pub(super) standing: Vec<Arc<Standing>>,
    /// Whether that counts.
    pub(super) posture_counts: bool,
    /// Why something may have been missed.
    pub(super) blind: Vec<String>,
    pub(super) watched_for: Duration,
    /// How bad a finding must be to fail.
    pub(super) fail_on: Severity,
}

impl Report {
    /// The severities of all that counts.
    fn counted(&self) -> impl Iterator<Item = Severity> {
        let standing = self.standing.iter().filter(|_| self.posture_counts);
        let of_traffic = self.findings.iter().map(|finding| finding.severity);
        of_traffic.chain(standing.map(|standing| standing.severity))
    }

    fn failing(&self) -> usize {
        self.counted().filter(|severity| *severity >= self.fail_on).count()
    }

    pub(super) async fn print(&self, watch: &mut Watch, snapshot: &Snapshot) -> Result<(), Closed> {
        if !watch.json {
            return watch.output.print(&self.markdown()).await;
        }
        let clock = watch.clock();
        for finding in &self.findings {
            watch.record(FindingBody::new(finding, &clock)).await?;
        }
        for standing in &self.standing {
            watch.record(StandingBody::new(standing, &clock)).await?;
        }
        watch.record(StatusBody::new(snapshot, &clock)).await?;
        let counted = self.counted().count();
        let body = CheckBody::new(self.result(), counted, self.failing(), self.standing.len(), &self.blind);
        watch.record(body).await
    }

    fn result(&self) -> &'static str {
        match (self.failing(), self.blind.is_empty()) {
            (0, true) => "held",
            (0, false) => "blind",
            _ => "findings",
        }
    }

    fn markdown(&self) -> String {
        let mut text = String::from("# Isolation check\n\n");
        let (seconds, count) = (self.watched_for.as_secs_f64(), self.counted().count());
        let findings = if count == 1 { "finding" } else { "findings" };
        let found = match (count, self.failing()) {
            (0, _) => format!("nothing was found in {seconds} s"),
            (_, 0) => format!("{count} {findings} in {seconds} s, none as bad as {}", self.fail_on.name()),
            _ => format!("{count} {findings} in {seconds} s"),
        };
        text += &match self.result() {
            "held" => format!("It held: {found}.\n"),
            "blind" => format!("It cannot be told: {found}, but not everything was seen.\n"),
            _ => format!("{found}.\n"),
        };
        if !self.findings.is_empty() {
            text += "\n| severity | kind | rule | outcome | what |\n| --- | --- | --- | --- | --- |\n";
            for finding in &self.findings {
                text += &format!(
                    "| {} | {} | {} | {} | {} |\n",
                    finding.severity.name(),
                    finding.kind.name(),
                    finding.rule.as_str(),
                    finding.outcome.name(),
                    cell(&finding.explanation),
                );
            }
        }
        text += &self.posture();
        if !self.blind.is_empty() {
            text += "\n## Not seen\n\n";
            for what in &self.blind {
                text += &format!("- {what}\n");
            }
        }
        text
    }

    /// What the configuration says, under a heading of its own.
    fn posture(&self) -> String {
        if self.standing.is_empty() {
            return String::new();
        }
        let counts = if self.posture_counts { "" } else { " It does not count without `--kind posture`." };
        let mut text = format!("\n## Posture\n\nWhat the configuration says, without any traffic.{counts}\n");
        text += "\n| severity | rule | what |\n| --- | --- | --- |\n";
        for standing in &self.standing {
            let (severity, rule) = (standing.severity.name(), standing.rule.name());
            let over = if standing.is_open { "" } else { " (It is over.)" };
            text += &format!("| {severity} | {rule} | {}{over} |\n", cell(&standing.explanation));
        }
        text
    }

    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.result() {
            "held" => Ok(()),
            "blind" => Err(Failure::blind("not everything was seen".to_owned())),
            _ => Err(Failure::found(format!("{} findings fail the check", self.failing()))),
        }
    }
}

/// A text that ends no cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::Report;
    use crate::snapshot::Severity;
    use crate::wire::fixtures;
    use std::sync::Arc;
    use std::time::Duration;

    fn report(severity: Severity, posture_counts: bool, fail_on: Severity) -> Report {
        Report {
            findings: Vec::new(),
            standing: vec![Arc::new(fixtures::standing("a|b\n", severity))],
            posture_counts,
            blind: Vec::new(),
            watched_for: Duration::from_secs(3),
            fail_on,
        }
    }

    /// Checks how a check ends that found one standing finding of a severity, and what it says of that.
    #[track_caller]
    fn check(found: Severity, posture_counts: bool, fail_on: Severity, result: &str, says: &str) {
        let report = report(found, posture_counts, fail_on);
        assert_eq!(report.result(), result);
        assert_eq!(report.verdict().is_ok(), result == "held");
        let text = report.markdown();
        assert!(text.contains(says), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("a\\|b\\u{a}")).count(), 1, "{text}");
    }

    use Severity::{Critical, Info, Warning};

    #[test]
    fn posture_is_always_listed_and_fails_a_check_only_if_it_counts_and_is_bad_enough() {
        check(Critical, false, Warning, "held", "It does not count without `--kind posture`.");
        check(Critical, true, Warning, "findings", "1 finding in 3 s.");
        check(Info, true, Warning, "held", "It held: 1 finding in 3 s, none as bad as warning.");
        check(Info, true, Info, "findings", "## Posture");
    }

    #[test]
    fn what_was_not_seen_is_told_beside_what_was_found() {
        let report = Report { blind: vec!["something".to_owned()], ..report(Info, true, Warning) };
        assert_eq!(report.result(), "blind");
        assert!(report.markdown().ends_with("\n## Not seen\n\n- something\n"));
    }
}
