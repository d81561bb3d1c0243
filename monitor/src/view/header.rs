//! The first lines of a screen: whose traffic this is, when, over which window, and whether Docker answers.

use super::style::{Frame, Line, Tone, width, wrap};
use super::units::{duration, plural};
use crate::model::{AttachedBy, DockerState, SafeText};
use crate::snapshot::Snapshot;
use crate::wire::wall_date_and_time;

/// The header of `top`.
pub(super) fn header(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    if snapshot.past.is_some() {
        return past(snapshot, frame);
    }
    let mut first = Line::of(Tone::Strong, "vethwatch");
    first.push(Tone::Plain, format!("  {}", snapshot.host.name));
    first.push(Tone::Faint, format!("  {}", frame.clock.date_and_time(snapshot.taken_at)));
    first.push(Tone::Plain, format!("  {}", window(snapshot)));
    let mut lines = vec![first];
    lines.extend(agent(snapshot, frame));
    lines.extend(docker(snapshot, frame));
    lines
}

/// The header of a look back: of which time it is, and how exactly that is known.
pub(super) fn past(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let Some(told) = &snapshot.past else { return Vec::new() };
    let length = duration(told.end.kernel.since(told.start.kernel));
    let [from, until] = [told.from, told.end.wall].map(wall_date_and_time);
    let mut first = Line::of(Tone::Strong, "vethwatch");
    first.push(Tone::Plain, format!("  {}", snapshot.host.name));
    let mut lines = vec![first];
    let text =
        format!("from {from} until {until}: {length}, by intervals of {} at most", duration(told.resolution));
    lines.extend(wrap(&text, frame.width).into_iter().map(|text| Line::of(Tone::Plain, text)));
    if told.is_cut {
        let text = "What was before that is not kept.";
        lines.extend(wrap(text, frame.width).into_iter().map(|text| Line::of(Tone::Warning, text)));
    }
    lines
}

/// That not this run watches, and since when it is watched: totals count from there.
fn agent(snapshot: &Snapshot, frame: &Frame) -> Option<Line> {
    let since = frame.clock.date_and_time(snapshot.watching_since);
    snapshot.by_agent.then(|| Line::of(Tone::Plain, format!("the agent watches since {since}")))
}

/// What the rates are about.
pub(super) fn window(snapshot: &Snapshot) -> String {
    if snapshot.window.is_zero() {
        "no rates yet".to_owned()
    } else {
        format!("rates over {}", duration(snapshot.window))
    }
}

fn docker(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let watching = watching(snapshot);
    match &snapshot.docker {
        DockerState::Up { version, api, host, rootless, .. } => {
            let kind = if *rootless { " rootless" } else { "" };
            let short = format!("{watching}  Docker {version}{kind} (API {api})");
            let long = format!("{short} at {host}");
            vec![Line::of(Tone::Plain, if width(&long) <= frame.width { long } else { short })]
        }
        DockerState::Connecting => {
            let mut line = Line::of(Tone::Plain, format!("{watching}  "));
            line.push(Tone::Warning, "Docker has not answered yet: interfaces are not named");
            vec![line]
        }
        DockerState::Down { since, reason } => {
            let since = frame.clock.date_and_time(*since);
            let text = format!("Docker does not answer since {since}: {}", SafeText::new(reason));
            let mut lines = vec![Line::of(Tone::Plain, watching)];
            lines.extend(wrap(&text, frame.width).into_iter().map(|text| Line::of(Tone::Warning, text)));
            lines.push(Line::of(Tone::Warning, "Counting goes on; names may be old or absent."));
            lines
        }
    }
}

fn watching(snapshot: &Snapshot) -> String {
    let interfaces = plural(snapshot.interfaces_watched as u64, "interface");
    match snapshot.attached {
        AttachedBy { tcx: 0, clsact: 0 } => format!("{interfaces} watched"),
        AttachedBy { clsact: 0, .. } => format!("{interfaces} watched by tcx"),
        AttachedBy { tcx: 0, .. } => format!("{interfaces} watched by clsact"),
        AttachedBy { tcx, clsact } => format!("{interfaces} watched by tcx ({tcx}) and clsact ({clsact})"),
    }
}
