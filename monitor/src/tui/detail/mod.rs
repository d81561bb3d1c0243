//! What Enter opens: everything that is known of one row, as lines wrapped to a width.
//!
//! Pure, and the same for every terminal: a line is toned text. What is not known says so.

mod container;
mod failure;
mod finding;
mod flow;
mod handshake;
mod health;
mod interface;
mod listed;
mod name;
mod network;
mod pair;
mod paper;
mod past;
mod talk;
mod together;
mod words;

pub(super) use finding::tone;
pub(super) use words::{verdict_tone, why_unknown};

use super::board::Board;
use super::context::Context;
use super::line::Line;
use super::subject::{NameKey, PairKey, Subject};

/// The lines about a subject, at most `width` columns wide; `None` where it is gone.
pub(super) fn lines(
    subject: &Subject,
    board: &Board,
    context: &Context<'_>,
    width: usize,
) -> Option<Vec<Line>> {
    let snapshot = &**board.latest();
    match subject {
        Subject::Container(id) => {
            let row = snapshot.containers.iter().find(|row| row.container.id == *id)?;
            Some(container::container(row, board, context, width))
        }
        Subject::Interface(number) => {
            let row = snapshot.unattributed.iter().find(|row| row.observed_at.number == *number)?;
            Some(interface::interface(row, board, context, width))
        }
        Subject::Together(project, service) => {
            together::containers(project.as_ref(), service.as_ref(), snapshot, width)
        }
        Subject::Flow(id) => board.flows().get(*id).map(|row| flow::flow(row, context, width)),
        Subject::Network(id) => {
            let row = snapshot.networks.iter().find(|row| row.network.id == *id)?;
            Some(network::network(row, board, context, width))
        }
        Subject::Pair(key) => {
            let row = snapshot.pairs.iter().find(|row| PairKey::of(row) == **key)?;
            Some(pair::pair(row, board, context, width))
        }
        Subject::Name(key) => {
            let row = snapshot.asked.names.iter().find(|row| NameKey::of(row) == **key)?;
            Some(name::name(row, snapshot, context, width))
        }
        Subject::Failure(between) => failure::failure(between, snapshot, width),
        Subject::PairsTogether(between) => together::pairs(between, snapshot, width),
        Subject::Finding(id) => {
            let found = snapshot.findings.iter().find(|finding| finding.id == *id)?;
            Some(finding::finding(found, context, width))
        }
        Subject::Standing(id) => {
            let found = snapshot.standing.iter().find(|standing| standing.id == *id)?;
            Some(finding::standing(found, context, width))
        }
        Subject::Health(id) => health::health(id, board, width),
        Subject::Matrix(group) => Some(together::matrix(board, *group, context, width)),
    }
}
