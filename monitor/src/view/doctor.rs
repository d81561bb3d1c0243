//! The lines of `doctor`.

use super::style::{Frame, Line, Tone, wrap};
use crate::wire::DoctorBody;

/// Columns before what was found.
const INDENT: usize = 30;

/// Draws what was looked at, one block each: the verdict, the subject, what was found, and what to do.
#[must_use]
pub fn doctor(findings: &[DoctorBody], frame: &Frame) -> Vec<Line> {
    findings.iter().flat_map(|finding| block(finding, frame)).collect()
}

fn block(finding: &DoctorBody, frame: &Frame) -> Vec<Line> {
    let tone = if finding.result == "ok" { Tone::Plain } else { Tone::Warning };
    let columns = frame.width.saturating_sub(INDENT).max(1);
    let mut first = Line::of(tone, format!("{:<9}", finding.result));
    first.push(Tone::Strong, format!("{:<21}", finding.subject));
    let mut found = wrap(finding.found.as_str(), columns).into_iter();
    first.push(Tone::Plain, found.next().unwrap_or_default());
    let mut lines = vec![first];
    lines.extend(found.map(|text| indented(Tone::Plain, &text)));
    if let Some(todo) = &finding.todo {
        let todo = wrap(&format!("→ {todo}"), columns);
        lines.extend(todo.iter().map(|text| indented(Tone::Strong, text)));
    }
    lines
}

fn indented(tone: Tone, text: &str) -> Line {
    let mut line = Line::of(Tone::Plain, " ".repeat(INDENT));
    line.push(tone, text);
    line
}
