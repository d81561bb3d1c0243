//! Peers side by side, as many as fit.

use super::names;
use super::style::{Frame, Line, Tone, width};
use super::units::{bytes, per_second};
use crate::snapshot::Peer;
use std::time::Duration;

/// Between two peers.
const GAP: &str = "   ";

/// Adds the busiest peers to a line, as many as fit the frame, at least one.
pub(super) fn push_peers(line: &mut Line, peers: &[Peer], window: Duration, frame: &Frame) {
    let mut shown = 0;
    for peer in peers {
        let (name, rate) = (names::peer(peer), rate(peer, window));
        let gap = if line.width() > 2 { GAP } else { "" };
        let needed = gap.len() + width(&name) + rate.len() + more(peers.len() - shown - 1).len();
        if shown > 0 && line.width() + needed > frame.width {
            break;
        }
        line.push(Tone::Plain, format!("{gap}{name}"));
        line.push(Tone::Faint, rate);
        shown += 1;
    }
    line.push(Tone::Faint, more(peers.len() - shown));
}

/// Columns that the first peer, and the number of the others, take.
pub(super) fn least_width(peers: &[Peer], window: Duration) -> usize {
    let first =
        peers.first().map_or(0, |peer| GAP.len() + width(&names::peer(peer)) + rate(peer, window).len());
    first + more(peers.len().saturating_sub(1)).len()
}

fn more(rest: usize) -> String {
    if rest == 0 { String::new() } else { format!("{GAP}+{rest} more") }
}

/// Bytes a second with a peer, both ways; nothing while there is no window.
fn rate(peer: &Peer, window: Duration) -> String {
    let both = peer.window.sent.bytes.saturating_add(peer.window.received.bytes);
    per_second(both, window).map_or_else(String::new, |rate| format!(" {}/s", bytes(rate)))
}
