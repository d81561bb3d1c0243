//! Findings and flows of something, a line each.

use super::finding::tone;
use super::paper::Paper;
use super::words;
use crate::snapshot::{ContainerRef, Finding, Snapshot, Subject};
use crate::tui::board::{Board, FlowRow};
use crate::tui::column::Tone;
use crate::tui::context::{Context, Way};
use crate::view::names;
use crate::view::units::exact;
use std::cmp::Reverse;
use std::sync::Arc;

/// The most of each that are listed.
pub(super) const MOST: usize = 20;

/// Says how many more there are than are listed.
pub(super) fn more(paper: &mut Paper, count: usize) {
    let more = count.saturating_sub(MOST);
    if more > 0 {
        paper.says(Tone::Faint, &format!("and {} more", exact(more as u64)));
    }
}

/// The findings about a container: what it did, what was done to it, and what stands.
pub(super) fn findings(paper: &mut Paper, snapshot: &Snapshot, container: &ContainerRef) {
    paper.heading("Findings");
    let is_about = |finding: &&Finding| {
        words::is_of(&finding.source, container) || words::is_of(&finding.destination, container)
    };
    let found: Vec<&Finding> = snapshot.findings.iter().filter(is_about).collect();
    found.iter().take(MOST).for_each(|finding| self::finding(paper, finding));
    more(paper, found.len());
    let standing = snapshot.standing.iter().filter(
        |standing| matches!(&standing.subject, Subject::Container(about) if about.id == container.id),
    );
    let mut stands = 0;
    for standing in standing {
        let text = format!("{} posture: {}", standing.severity.name(), standing.rule.name());
        paper.says(tone(standing.severity), &text);
        stands += 1;
    }
    if found.is_empty() && stands == 0 {
        paper.says(Tone::Faint, "none");
    }
}

/// One finding in a line.
pub(super) fn finding(paper: &mut Paper, finding: &Finding) {
    let text = format!(
        "{} {}: {}, {}: {} → {}",
        finding.severity.name(),
        finding.kind.name(),
        finding.rule.as_str(),
        finding.outcome.name(),
        names::end(&finding.source),
        names::end(&finding.destination),
    );
    paper.says(tone(finding.severity), &text);
}

/// The flows at a container's interfaces, busiest first.
pub(super) fn flows(paper: &mut Paper, board: &Board, container: &ContainerRef, context: &Context<'_>) {
    paper.heading("Flows");
    if context.past.is_some() {
        return paper.says(Tone::Faint, "single flows are not kept");
    }
    let of_it = |flow: &&Arc<FlowRow>| words::is_of(&flow.record.local, container);
    let mut flows: Vec<(u64, &Arc<FlowRow>)> = board
        .flows()
        .iter()
        .filter(of_it)
        .map(|flow| (context.rate(&flow.recent, Way::Both).unwrap_or(0), flow))
        .collect();
    flows.sort_by_key(|(rate, flow)| (Reverse(*rate), Reverse(flow.record.last_seen), flow.record.flow_id.0));
    if flows.is_empty() {
        paper.says(Tone::Faint, "none since this view was opened");
    }
    for (rate, flow) in flows.iter().take(MOST) {
        let text = format!(
            "{}/s  {} → {}, {}",
            context.bytes(*rate),
            names::end(flow.client_end()),
            names::end_and_port(flow.server_end()),
            flow.record.protocol.name()
        );
        paper.row(Tone::Plain, &text);
    }
    more(paper, flows.len());
}
