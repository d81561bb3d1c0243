//! The last lines of a screen: everything that was lost, not watched or not named. "none" is said only of none.

use super::names;
use super::style::{Frame, Line, Tone, cut_name, wrap};
use super::units::{exact, plural, share};
use crate::model::{Counts, SafeText};
use crate::snapshot::{Snapshot, reason};
use std::collections::BTreeMap;

/// The most names that are listed one by one; the JSON has all.
const MOST_NAMES: usize = 5;
/// The most columns of each of them, as in the tables: a long name must not push the tables off the screen.
const NAME: usize = 40;

/// The footer of `top`.
pub(super) fn footer(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let mut lines = together([losses(snapshot), not_recorded(snapshot), unaccounted(snapshot)], frame);
    lines.extend(
        not_watched(snapshot)
            .iter()
            .flat_map(|(reason, names)| entry(frame, "not watched", &some(names), reason)),
    );
    lines.extend(snapshot.missing.iter().flat_map(|(what, why)| {
        let what = match *what {
            "drops" => "what the kernel drops",
            "translations" => "how the host changes addresses",
            "pins" => "what crosses while no agent runs",
            "retransmits" => "what TCP connections send again",
            "resolver" => "what Docker's resolver is asked",
            other => other,
        };
        entry(frame, "not seen", what, why.as_str())
    }));
    lines.extend(
        snapshot
            .docker_refused
            .iter()
            .flat_map(|why| entry(frame, "refused", "an answer of Docker", why.as_str())),
    );
    lines.extend(
        not_named(snapshot)
            .iter()
            .flat_map(|(reason, names)| entry(frame, "not named", &some(names), reason)),
    );
    lines
}

/// Interfaces whose container is not known, by the reason.
fn not_named(snapshot: &Snapshot) -> BTreeMap<&'static str, Vec<String>> {
    let mut by_reason: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for row in &snapshot.unattributed {
        let reason = match row.reason {
            reason::DOCKER_DOWN => "Docker does not answer",
            reason::NOT_ANNOUNCED_YET => "Docker has not announced the container yet",
            reason::NOT_A_CONTAINER => "no container of this Docker",
            reason::SWARM_LOAD_BALANCER => "the swarm's load balancer",
            other => other,
        };
        by_reason.entry(reason).or_default().push(names::interface(row));
    }
    by_reason
}

/// Containers and interfaces that are not watched, by the reason.
fn not_watched(snapshot: &Snapshot) -> BTreeMap<&str, Vec<String>> {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in snapshot.containers.iter().filter(|row| !row.watched) {
        let reason = row.unwatched_reason.as_deref().unwrap_or("no interface of it was found");
        by_reason.entry(reason).or_default().push(row.container.name.to_string());
    }
    for device in &snapshot.not_watched {
        by_reason.entry(&device.reason).or_default().push(format!("interface {}", device.name));
    }
    by_reason
}

/// The first few names, and how many more there are.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES).map(|name| cut_name(name, NAME)).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Short lines side by side, as far as they fit.
fn together(parts: [Line; 3], frame: &Frame) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.width() + 3 + part.width() <= frame.width => {
                line.push(Tone::Plain, "   ");
                line.extend(part);
            }
            _ => lines.push(part),
        }
    }
    lines
}

/// Losses by name.
pub(super) fn losses(snapshot: &Snapshot) -> Line {
    let mut line = Line::of(Tone::Faint, "losses: ");
    if snapshot.losses.is_empty() {
        line.push(Tone::Plain, "none");
    } else {
        let named = snapshot.losses.iter().map(|(name, count)| format!("{name} {}", exact(count)));
        line.push(Tone::Warning, named.collect::<Vec<_>>().join(", "));
    }
    line
}

/// What is in the totals but in no flow.
fn not_recorded(snapshot: &Snapshot) -> Line {
    let missed: Counts = snapshot.containers.iter().map(|row| row.not_recorded).sum();
    let mut line = Line::of(Tone::Faint, "in no flow: ");
    if missed.is_zero() {
        line.push(Tone::Plain, "none");
        return line;
    }
    let all: Counts = snapshot.containers.iter().map(|row| row.totals.sent + row.totals.received).sum();
    let share = share(missed.packets, all.packets);
    line.push(Tone::Warning, format!("{} ({share}): raise --max-flows", plural(missed.packets, "packet")));
    line
}

/// How far our totals are from the devices' own counters.
fn unaccounted(snapshot: &Snapshot) -> Line {
    let mut line = Line::of(Tone::Faint, "unaccounted: ");
    let checked = snapshot.containers.iter().filter_map(|row| row.unaccounted_bytes);
    match checked.reduce(u64::saturating_add) {
        None => line.push(Tone::Plain, "not compared yet"),
        Some(0) => line.push(Tone::Plain, "0 bytes"),
        Some(difference) => line.push(Tone::Warning, plural(difference, "byte")),
    }
    line
}

/// `label: who: why`, continued under itself.
fn entry(frame: &Frame, label: &str, who: &str, why: &str) -> Vec<Line> {
    let why = SafeText::new(why);
    let wrapped = wrap(&format!("{who}: {why}"), frame.width.saturating_sub(label.len() + 2));
    let mut texts = wrapped.into_iter();
    let mut first = Line::of(Tone::Faint, format!("{label}: "));
    first.push(Tone::Plain, texts.next().unwrap_or_default());
    let indent = " ".repeat(label.len() + 2);
    std::iter::once(first).chain(texts.map(|text| Line::of(Tone::Plain, format!("{indent}{text}")))).collect()
}

/// The rows that a screen left out for want of room.
pub(super) fn left_out(rows: usize) -> Line {
    Line::of(Tone::Faint, format!("{} more, less busy", exact(rows as u64)))
}
