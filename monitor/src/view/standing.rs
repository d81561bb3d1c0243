//! Standing findings as text.

use super::findings::{INDENT, indented};
use super::style::{Frame, Line, Tone, wrap};
use super::units::plural;
use crate::snapshot::{Severity, Snapshot, Standing};

/// Standing findings that a screen names.
const NAMED: usize = 3;

/// How many stand, the worst of them by name, and of how many containers that cannot be told, for the top of a screen;
/// nothing if there is nothing to say.
pub(super) fn posture(snapshot: &Snapshot) -> Vec<Line> {
    let standing = &snapshot.standing;
    if standing.is_empty() && snapshot.rights_unknown == 0 {
        return Vec::new();
    }
    let severities = [Severity::Critical, Severity::Warning, Severity::Info];
    let counts = severities.map(|severity| (snapshot.standing_of(severity), severity.name()));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let mut counts: Vec<String> = counts.map(|(count, severity)| format!("{count} {severity}")).collect();
    if snapshot.rights_unknown > 0 {
        counts.push(format!("rights not told of {}", plural(snapshot.rights_unknown as u64, "container")));
    }
    let mut line = Line::of(Tone::Faint, "posture: ");
    line.push(Tone::Plain, counts.join(", "));
    line.push(Tone::Faint, "  (vethwatch violations --kind posture tells all)");
    let bad = standing.iter().filter(|standing| standing.severity > Severity::Info);
    let worst = bad.take(NAMED).map(|standing| {
        let mut line = indented(tone(standing), standing.severity.name());
        line.push(Tone::Plain, format!(" {}: {}", standing.rule.name(), standing.subject.name()));
        line
    });
    std::iter::once(line).chain(worst).collect()
}

/// A standing finding: a heading, and the explanation.
#[must_use]
pub fn standing(standing: &Standing, frame: &Frame) -> Vec<Line> {
    let mut heading = Line::of(Tone::Faint, frame.clock.time_of_day(standing.last_seen));
    heading.push(tone(standing), format!("  {} posture", standing.severity.name()));
    heading.push(Tone::Strong, format!("  {}: {}", standing.rule.name(), standing.subject.name()));
    if !standing.is_open {
        heading.push(Tone::Faint, "  (over)");
    } else if standing.revision > 1 {
        heading.push(Tone::Faint, "  (changed)");
    }
    let columns = frame.width.saturating_sub(INDENT).max(1);
    let explanation = wrap(&standing.explanation, columns);
    std::iter::once(heading).chain(explanation.iter().map(|text| indented(Tone::Plain, text))).collect()
}

fn tone(standing: &Standing) -> Tone {
    if standing.severity >= Severity::Warning { Tone::Warning } else { Tone::Strong }
}
