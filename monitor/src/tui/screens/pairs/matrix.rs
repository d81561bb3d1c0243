//! Who talks to whom as a matrix: the busiest ends down as clients, and across as servers.

use super::between::Side;
use super::row::badness;
use crate::tui::board::Board;
use crate::tui::column::Tone;
use crate::tui::context::{Context, Way};
use crate::tui::line::Line;
use crate::tui::subject::{Group, PairKey};
use crate::view::style::{cut_name, width};
use crate::view::units::{duration, plural};
use std::cmp::Reverse;
use std::collections::HashMap;

/// The most ends that it has.
const MOST: usize = 12;
/// Columns of a cell: a space, a sign, and bytes.
const CELL: usize = 10;
/// Columns of an end's name at most, behind its number.
const LONGEST: usize = 24;
/// Columns of an end's number.
const NUMBER: usize = 3;

/// What one end says to another.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    bytes: u64,
    worst: Option<u64>,
}

/// What the numbers are, and the lines: ends that fit `columns`, the busiest first.
pub(in crate::tui) fn matrix(
    board: &Board,
    group: Group,
    context: &Context<'_>,
    columns: usize,
) -> (String, Vec<Line>) {
    let (ends, said) = gather(board, group, context);
    let name = LONGEST.min(columns / 3);
    let room = columns.saturating_sub(NUMBER + name) / CELL;
    let shown = ends.len().min(MOST).min(room.max(1));
    let what = match context.past {
        Some(_) if context.totals => "bytes of that time".to_owned(),
        Some(length) => format!("bytes a second over {}", duration(length)),
        None if context.totals => "bytes since the watch began".to_owned(),
        None => format!("bytes a second over {} s", context.window.seconds()),
    };
    let legend = format!("Rows ask, columns are asked; {what}, both ways. ! is not as it should be.");
    if ends.is_empty() {
        return (legend, vec![Line::of(Tone::Faint, "No conversation was seen yet.")]);
    }
    let mut heading = Line::of(Tone::Faint, " ".repeat(NUMBER + name));
    for number in 1..=shown {
        heading = heading.and(Tone::Faint, format!("{number:>CELL$}"));
    }
    let mut lines = vec![heading];
    for (row, client) in ends.iter().take(shown).enumerate() {
        lines.push(line((row, name), client, &ends[..shown], &said, context));
    }
    if ends.len() > shown {
        let more = plural((ends.len() - shown) as u64, "other end");
        lines.push(Line::of(Tone::Faint, format!("and {more}, less busy")));
    }
    (legend, lines)
}

fn line(
    (row, columns): (usize, usize),
    client: &Side,
    servers: &[Side],
    said: &HashMap<(Side, Side), Said>,
    context: &Context<'_>,
) -> Line {
    let name = cut_name(&client.name(), columns);
    let gap = " ".repeat(columns.saturating_sub(width(&name)));
    let number = format!("{:>2} ", row + 1);
    let mut line = Line::of(Tone::Faint, number).and(Tone::Strong, name).and(Tone::Plain, gap);
    for server in servers {
        let (tone, text) = match said.get(&(client.clone(), server.clone())) {
            None => (Tone::Faint, "·".to_owned()),
            Some(Said { bytes, worst }) => match worst {
                Some(3) => (Tone::Critical, format!("!{}", context.bytes(*bytes))),
                Some(1 | 2) => (Tone::Warning, format!("!{}", context.bytes(*bytes))),
                _ => (Tone::Plain, context.bytes(*bytes)),
            },
        };
        line = line.and(tone, format!("{text:>CELL$}"));
    }
    line
}

/// All ends, busiest first, and what each says to each.
fn gather(board: &Board, group: Group, context: &Context<'_>) -> (Vec<Side>, HashMap<(Side, Side), Said>) {
    let mut said: HashMap<(Side, Side), Said> = HashMap::new();
    let mut busy: HashMap<Side, (u64, u64)> = HashMap::new();
    for pair in board.latest().pairs.iter() {
        let (client, server) = (Side::of(&pair.client, group), Side::of(&pair.server, group));
        let total = Way::Both.of([pair.traffic.sent.bytes, pair.traffic.received.bytes]);
        let recent = board.pair(&PairKey::of(pair));
        let bytes = context.amount(&recent, Some(total), Way::Both).unwrap_or(0);
        for side in [&client, &server] {
            let (now, all) = busy.entry(side.clone()).or_default();
            (*now, *all) = (now.saturating_add(bytes), all.saturating_add(total));
        }
        let cell = said.entry((client, server)).or_default();
        cell.bytes = cell.bytes.saturating_add(bytes);
        cell.worst = cell.worst.max(pair.verdict.as_ref().map(badness));
    }
    let mut ends: Vec<(Side, (u64, u64))> = busy.into_iter().collect();
    ends.sort_by_cached_key(|(side, (now, all))| (Reverse(*now), Reverse(*all), side.name()));
    (ends.into_iter().map(|(side, _)| side).collect(), said)
}
