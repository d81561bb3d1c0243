//! With whom a container talks.

use super::paper::Paper;
use crate::model::Traffic;
use crate::snapshot::{ContainerRow, PairRow, Snapshot};
use crate::tui::column::Tone;
use crate::view::names;
use crate::view::units::{bytes, duration, per_second};
use std::time::Duration;

/// A container's peers, busiest first.
pub(super) fn peers(paper: &mut Paper, row: &ContainerRow, snapshot: &Snapshot) {
    // Of a time that is over all of it is in the window.
    let window = if snapshot.past.is_some() { Duration::ZERO } else { snapshot.window };
    match window.is_zero() {
        true => paper.heading("Peers"),
        false => paper.heading(&format!("Peers, over the last {}, and in all", duration(window))),
    }
    if row.peers.is_empty() {
        paper.says(Tone::Faint, "none was seen");
    }
    for peer in &row.peers {
        let rate =
            |count| per_second(count, window).map_or_else(String::new, |rate| format!("{}/s, ", bytes(rate)));
        let Traffic { sent, received } = peer.traffic;
        let sent = format!("sent {}{}", rate(peer.window.sent.bytes), bytes(sent.bytes));
        let received = format!("received {}{}", rate(peer.window.received.bytes), bytes(received.bytes));
        paper.says(Tone::Plain, &format!("{}  {sent}; {received}", names::peer(peer)));
    }
}

/// `shop-nginx-1 → shop-flask_app-1:5000, tcp`.
pub(super) fn pair(pair: &PairRow) -> String {
    let arrow = if pair.server.port.is_some() { "→" } else { "↔" };
    let (client, server) = (names::end(&pair.client), names::end_and_port(&pair.server));
    format!("{client} {arrow} {server}, {}", pair.protocol.name())
}
