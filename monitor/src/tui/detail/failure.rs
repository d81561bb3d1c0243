//! What fails between two ends, or between those that are gathered.

use super::paper::Paper;
use super::{listed, pair, talk};
use crate::model::Protocol;
use crate::snapshot::{FailureRow, PairRow, Snapshot};
use crate::tui::column::Tone;
use crate::tui::line::Line;
use crate::tui::screens::pairs::Between;
use crate::view::units::{exact, plural};

/// The pairs that it is, those with the most failed connections first, and what was found between them.
pub(super) fn failure(between: &Between, snapshot: &Snapshot, width: usize) -> Option<Vec<Line>> {
    let counted = |pair| {
        let mut row = FailureRow::of(pair);
        row.add(pair, snapshot.sees_retransmits());
        (row, pair)
    };
    let mut pairs: Vec<(FailureRow, &PairRow)> =
        snapshot.pairs.iter().filter(|pair| between.has(pair)).map(counted).collect();
    if pairs.is_empty() {
        return None;
    }
    pairs.sort_by_key(|(row, _)| std::cmp::Reverse(row.failed()));
    let mut paper = Paper::new(width);
    paper.text(Tone::Strong, 0, &between.name());
    for (row, pair) in pairs.iter().take(listed::MOST) {
        let heading = if pairs.len() == 1 { "What failed".to_owned() } else { talk::pair(pair) };
        paper.heading(&heading);
        if pair.protocol == Protocol::TCP {
            connections(&mut paper, row, pair);
        }
        pair::icmp_errors(&mut paper, pair);
    }
    listed::more(&mut paper, pairs.len());
    if let [(_, only)] = &*pairs {
        pair::findings(&mut paper, only, snapshot);
    }
    Some(paper.lines())
}

/// How TCP connections went.
fn connections(paper: &mut Paper, row: &FailureRow, pair: &PairRow) {
    let opened = plural(row.connections, "connection");
    if row.is_not_served() {
        paper.toned(Tone::Warning, "not served", &format!("{opened} asked for, none answered"));
    } else {
        paper.field("opened", &opened);
    }
    pair::how_it_went(paper, pair);
    if row.unanswered() > 0 {
        paper.field("no answer", &format!("to {} so far", exact(row.unanswered())));
    }
}
