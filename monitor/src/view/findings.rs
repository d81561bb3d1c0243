//! Findings as text: what a tired person reads first, then how it is known.

use super::style::{Frame, Line, Tone, wrap};
use super::units::plural;
use crate::snapshot::{Finding, Kind, Severity, Snapshot};

/// Columns before what belongs to a finding.
pub(super) const INDENT: usize = 4;

/// Findings that a screen explains.
const EXPLAINED: usize = 3;

/// What breaks isolation or is broken, for the top of a screen.
pub(super) fn worst(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let worst: Vec<&Finding> =
        snapshot.findings.iter().filter(|finding| finding.kind != Kind::Crossing).collect();
    let mut line = Line::of(Tone::Faint, "findings: ");
    if worst.is_empty() {
        line.push(Tone::Plain, "none");
        return vec![line];
    }
    let of = |kind: Kind| worst.iter().filter(|finding| finding.kind == kind).count() as u64;
    let counts = [(of(Kind::Violation), "violation"), (of(Kind::Broken), "broken conversation")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| plural(count, word)).collect();
    line.push(Tone::Warning, counts.join(", "));
    line.push(Tone::Faint, "  (vethwatch violations tells all)");
    let mut lines = vec![line];
    let columns = frame.width.saturating_sub(INDENT).max(1);
    for finding in worst.into_iter().take(EXPLAINED) {
        lines.extend(wrap(&finding.explanation, columns).iter().map(|text| indented(Tone::Plain, text)));
    }
    lines
}

/// A finding: a heading, the explanation, and the evidence hook by hook.
#[must_use]
pub fn finding(finding: &Finding, frame: &Frame) -> Vec<Line> {
    let mut lines = vec![heading(finding, frame)];
    let columns = frame.width.saturating_sub(INDENT).max(1);
    lines.extend(wrap(&finding.explanation, columns).iter().map(|text| indented(Tone::Plain, text)));
    for evidence in &finding.evidence {
        let text = format!("{}: {}", evidence.at.as_str(), evidence.saw);
        lines.extend(wrap(&text, columns).iter().map(|text| indented(Tone::Faint, text)));
    }
    lines
}

fn heading(finding: &Finding, frame: &Frame) -> Line {
    let tone = if finding.severity >= Severity::Warning { Tone::Warning } else { Tone::Strong };
    let mut line = Line::of(Tone::Faint, frame.clock.time_of_day(finding.last_seen));
    line.push(tone, format!("  {} {}", finding.severity.name(), finding.kind.name()));
    line.push(Tone::Strong, format!("  {}: {}", finding.rule.as_str(), finding.outcome.name()));
    if !finding.is_open {
        line.push(Tone::Faint, "  (over: no packet for a minute)");
    } else if finding.revision > 1 {
        line.push(Tone::Faint, "  (goes on)");
    }
    line
}

pub(super) fn indented(tone: Tone, text: &str) -> Line {
    let mut line = Line::of(Tone::Plain, " ".repeat(INDENT));
    line.push(tone, text);
    line
}
