//! A watched interface whose container is not known.

use super::paper::Paper;
use super::words;
use crate::snapshot::UnattributedRow;
use crate::tui::board::Board;
use crate::tui::column::Tone;
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::view::units::{bytes, plural};

/// An interface.
pub(super) fn interface(
    row: &UnattributedRow,
    board: &Board,
    context: &Context<'_>,
    width: usize,
) -> Vec<Line> {
    let mut paper = Paper::new(width);
    let at = &row.observed_at;
    paper.text(Tone::Strong, 0, &format!("interface {} ({})", at.interface, at.ifindex));
    paper.toned(Tone::Warning, "no container", words::why_unknown(Some(row.reason)));
    match &row.network {
        Some(network) => paper.field("network", &words::network(network)),
        None => paper.toned(Tone::Faint, "network", "not known"),
    }
    paper.heading("Traffic");
    words::rate(&mut paper, &board.interface(at.number), context);
    paper.field("sent", &words::counts(row.totals.sent));
    paper.field("received", &words::counts(row.totals.received));
    let before = row.before_watch.sent + row.before_watch.received;
    let text = format!("{} in {} of the kernel", bytes(before.skb_bytes), plural(before.skbs, "buffer"));
    paper.field("before", &format!("{text}, before it was watched"));
    paper.lines()
}
