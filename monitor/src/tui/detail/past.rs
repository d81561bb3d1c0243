//! The last hour of a container, as lines of bars.

use super::paper::Paper;
use crate::snapshot::{Connections, Point};
use crate::tui::board::Course;
use crate::tui::column::Tone;
use crate::tui::context::Context;
use crate::tui::spark::spark;
use crate::view::units::{duration, exact, plural};
use crate::wire::wall_time_of_day;
use std::time::Duration;

/// Columns before the bars.
const BEFORE: usize = 12;

/// Writes what is known of it; the last five minutes more finely.
pub(super) fn past(paper: &mut Paper, course: Option<&Course>, context: &Context<'_>) {
    let Some(Course { hour, minutes, .. }) = course else {
        paper.heading("The last hour");
        paper.says(Tone::Faint, "not told yet");
        return;
    };
    bars(paper, "The last hour", hour, context);
    bars(paper, "The last five minutes", minutes, context);
}

fn bars(paper: &mut Paper, heading: &str, points: &[Point], context: &Context<'_>) {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        paper.heading(heading);
        return paper.says(Tone::Faint, "nothing was counted");
    };
    let each = points.iter().map(|point| point.length).max().unwrap_or_default();
    let [from, until] = [first.start, last.end].map(wall_time_of_day);
    paper.heading(&format!("{heading}: {from} to {until} UTC, a bar is {}", duration(each)));
    let bytes = |point: &Point| {
        let traffic = point.span.traffic;
        traffic.sent.bytes.saturating_add(traffic.received.bytes)
    };
    let most = points.iter().max_by_key(|point| bytes(point));
    let said = most.map_or_else(String::new, |point| {
        let a_second = per_second(bytes(point), point.length);
        format!("at most {}/s, at {}", context.bytes(a_second), wall_time_of_day(point.start))
    });
    line(paper, Tone::Plain, "traffic", points, bytes, &said);
    let failed = |of: &Connections| of.answers.refused.saturating_add(of.answers.reset);
    let all: u64 = points.iter().map(|point| point.span.asked.opened + point.span.served.opened).sum();
    let connections = |point: &Point| failed(&point.span.asked).saturating_add(failed(&point.span.served));
    counted(paper, "failed", points, connections, |sum| {
        format!("{} of {}", exact(sum), plural(all, "connection"))
    });
    let half_open =
        |point: &Point| [point.span.asked, point.span.served].iter().map(|of| of.answers.half_open).sum();
    counted(paper, "half-open", points, half_open, |sum| plural(sum, "connection"));
    counted(paper, "not found", points, |point| point.span.names_failed(), |sum| plural(sum, "name"));
    counted(paper, "dropped", points, |point| point.span.dropped, |sum| plural(sum, "packet"));
    counted(
        paper,
        "findings",
        points,
        |point| point.findings.iter().sum(),
        |sum| format!("told {}", plural(sum, "time")),
    );
}

/// What is bad, if there was any.
fn counted(
    paper: &mut Paper,
    label: &str,
    points: &[Point],
    value: impl Fn(&Point) -> u64,
    say: impl Fn(u64) -> String,
) {
    let sum = points.iter().fold(0, |sum: u64, point| sum.saturating_add(value(point)));
    if sum > 0 {
        line(paper, Tone::Warning, label, points, value, &say(sum));
    }
}

fn line(
    paper: &mut Paper,
    tone: Tone,
    label: &str,
    points: &[Point],
    value: impl Fn(&Point) -> u64,
    said: &str,
) {
    let values: Vec<u64> = points.iter().map(value).collect();
    let bars = spark(&values, paper.room().saturating_sub(BEFORE + 2).min(values.len()));
    paper.row(tone, &format!("{label:<BEFORE$}{bars}|"));
    paper.row(Tone::Faint, &format!("{:<BEFORE$}{said}", ""));
}

fn per_second(count: u64, length: Duration) -> u64 {
    crate::view::units::per_second(count, length).unwrap_or_default()
}
