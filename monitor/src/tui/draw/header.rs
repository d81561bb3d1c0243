//! The first lines: whose traffic it is, when, how much, and all that is not as it should be.

use super::write::write_line;
use super::{Scene, take_top};
use crate::model::DockerState;
use crate::snapshot::Kind;
use crate::tui::back::{Back, Span};
use crate::tui::board::Then;
use crate::tui::column::Tone;
use crate::tui::context::Way;
use crate::tui::line::Line;
use crate::view::{style::width, units};
use crate::wire::wall_time_of_day;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Losses that take more columns are not named one by one; their screen has them all.
const MOST_LOSSES: usize = 48;

/// As many findings a snapshot has at most.
const MOST_FINDINGS: usize = 100;

/// A piece of a line; those with a greater number are left out first, and 0 never is.
struct Piece(u8, Tone, String);

/// Draws the header; of a small terminal, what must not be passed over.
pub(super) fn draw(scene: &Scene<'_>, is_small: bool, rest: &mut Rect, buffer: &mut Buffer) {
    let lines = if !scene.is_told() {
        vec![who_and_when(scene)]
    } else if is_small {
        let mut pieces = who_and_when(scene);
        pieces.extend(how_much(scene).into_iter().filter(|piece| piece.0 < 2));
        pieces.sort_by_key(|piece| piece.0);
        vec![pieces]
    } else {
        vec![who_and_when(scene), how_much(scene)]
    };
    for pieces in lines {
        let area = take_top(rest, 1);
        write_line(buffer, area, &fit(pieces, area.width.into()), scene.look);
    }
}

/// The pieces that fit, two columns apart.
fn fit(mut pieces: Vec<Piece>, room: usize) -> Line {
    let needs = |pieces: &[Piece]| pieces.iter().map(|piece| width(&piece.2) + 2).sum::<usize>();
    while needs(&pieces) > room + 2 {
        let least = pieces.iter().enumerate().filter(|(_, piece)| piece.0 > 0);
        let Some((at, _)) = least.max_by_key(|(at, piece)| (piece.0, *at)) else { break };
        pieces.remove(at);
    }
    let mut line = Line::default();
    for Piece(_, tone, text) in pieces {
        if !line.0.is_empty() {
            line = line.and(Tone::Plain, "  ");
        }
        line = line.and(tone, text);
    }
    line
}

fn who_and_when(scene: &Scene<'_>) -> Vec<Piece> {
    let snapshot = scene.board.latest();
    let state = scene.state;
    let mut pieces = vec![Piece(2, Tone::Strong, "vethwatch".to_owned())];
    if scene.is_cut_off {
        pieces.push(Piece(0, Tone::Critical, "THE AGENT DOES NOT ANSWER".to_owned()));
    }
    if let Some(back) = &state.back {
        pieces.extend(looking_back(back, scene.board.then()));
        pieces.push(Piece(4, Tone::Plain, snapshot.host.name.to_string()));
        return pieces;
    }
    if state.frozen {
        pieces.push(Piece(0, Tone::Warning, "FROZEN".to_owned()));
    }
    pieces.push(Piece(4, Tone::Plain, snapshot.host.name.to_string()));
    pieces.push(Piece(3, Tone::Faint, scene.context.clock.date_and_time(snapshot.taken_at)));
    if snapshot.by_agent {
        let since = scene.context.clock.date_and_time(snapshot.watching_since);
        pieces.push(Piece(5, Tone::Plain, format!("the agent's, since {since}")));
    }
    let rates = if state.totals {
        "totals since the watch began".to_owned()
    } else {
        format!("rates over {} s", state.window.seconds())
    };
    pieces.push(Piece(6, Tone::Faint, rates));
    match &snapshot.docker {
        DockerState::Up { version, .. } => {
            pieces.push(Piece(7, Tone::Faint, format!("Docker {version}")));
        }
        DockerState::Connecting => {
            pieces.push(Piece(1, Tone::Warning, "Docker has not answered yet".to_owned()));
        }
        DockerState::Down { .. } => {
            let names =
                if snapshot.containers.is_empty() { "there are no names" } else { "names may be old" };
            pieces.push(Piece(1, Tone::Warning, format!("Docker does not answer: {names}")));
        }
    }
    pieces
}

/// Which time is shown, how exactly that is known, and whether another one is asked for.
fn looking_back(back: &Back, then: Option<&Then>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    match (back.shown(), then) {
        (Some(Span { since, until }), Some(then)) => {
            let [since, until] = [since, until].map(wall_time_of_day);
            pieces.push(Piece(0, Tone::Warning, format!("LOOKING BACK: {since} to {until} UTC")));
            let [length, each] = [then.length, then.resolution].map(units::duration);
            let exactly = if then.length == then.resolution { length } else { format!("{length} by {each}") };
            pieces.push(Piece(3, Tone::Plain, exactly));
        }
        _ => pieces.push(Piece(0, Tone::Warning, "LOOKING BACK".to_owned())),
    }
    if back.is_asking() {
        pieces.push(Piece(1, Tone::Faint, "asking".to_owned()));
    }
    pieces
}

fn how_much(scene: &Scene<'_>) -> Vec<Piece> {
    let snapshot = scene.board.latest();
    let mut pieces = Vec::new();
    // Who was never told of a container can say neither that there is none, nor that all is well between them.
    let is_told = !snapshot.containers.is_empty() || matches!(snapshot.docker, DockerState::Up { .. });
    let violations = snapshot.findings.iter().filter(|finding| finding.kind == Kind::Violation).count();
    match violations {
        0 if !is_told => pieces.push(Piece(3, Tone::Warning, "nothing judged".to_owned())),
        0 => pieces.push(Piece(3, Tone::Faint, "no violation".to_owned())),
        // The snapshot has the worst of them and no more.
        some @ MOST_FINDINGS.. => pieces.push(Piece(0, Tone::Critical, format!("{some} or more violations"))),
        some => pieces.push(Piece(0, Tone::Critical, units::plural(some as u64, "violation"))),
    }
    let broken = snapshot.findings.iter().filter(|finding| finding.kind == Kind::Broken).count();
    if broken > 0 {
        pieces.push(Piece(1, Tone::Warning, format!("{broken} broken")));
    }
    let context = &scene.context;
    let per_second = if context.totals { "" } else { "/s" };
    for (word, way) in [("sent", Way::Sent), ("received", Way::Received)] {
        if let Some(bytes) = scene.board.everything(context, way) {
            let bytes = format!("{word} {:>8}{per_second}", context.bytes(bytes));
            pieces.push(Piece(2, Tone::Plain, bytes));
        }
    }
    if is_told {
        let containers = units::plural(snapshot.containers.len() as u64, "container");
        pieces.push(Piece(5, Tone::Plain, containers));
    }
    if !snapshot.unattributed.is_empty() {
        let interfaces = units::plural(snapshot.unattributed.len() as u64, "interface");
        pieces.push(Piece(5, Tone::Plain, format!("{interfaces} without a container")));
    }
    if scene.board.then().is_none() {
        let flows = units::plural(scene.board.flows().conversations() as u64, "flow");
        pieces.push(Piece(6, Tone::Faint, flows));
    }
    let unwatched =
        snapshot.containers.iter().filter(|row| !row.watched).count() + snapshot.not_watched.len();
    if unwatched > 0 {
        pieces.push(Piece(1, Tone::Warning, format!("{unwatched} not watched")));
    }
    if !snapshot.missing.is_empty() {
        let missing = snapshot.missing.keys().copied().collect::<Vec<_>>().join(", ");
        pieces.push(Piece(1, Tone::Warning, format!("not seen: {missing}")));
    }
    pieces.extend(losses(scene));
    pieces
}

/// What was lost: all of it by name, or how many kinds there are.
fn losses(scene: &Scene<'_>) -> Vec<Piece> {
    let losses = scene.board.losses();
    let Some((name, count)) = losses.first() else {
        return vec![Piece(2, Tone::Faint, "losses: none".to_owned())];
    };
    let first = format!("LOSSES: {name} {}", units::exact(*count));
    let more = losses[1..].iter().map(|(name, count)| format!(", {name} {}", units::exact(*count)));
    let more = more.collect::<String>();
    if width(&first) + width(&more) <= MOST_LOSSES {
        return vec![Piece(0, Tone::Warning, first + &more)];
    }
    vec![Piece(0, Tone::Warning, format!("{first} and {} more", losses.len() - 1))]
}
