//! Several rows that are shown as one, and who talks to whom as a matrix.

use super::paper::Paper;
use super::{listed, talk, words};
use crate::model::SafeText;
use crate::snapshot::{ContainerRow, PairRow, Snapshot};
use crate::tui::board::Board;
use crate::tui::column::Tone;
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::tui::screens::pairs::{Between, matrix as square};
use crate::tui::subject::Group;
use crate::view::units::{bytes, exact};

/// The containers of a Compose project, or of a service of it.
pub(super) fn containers(
    project: Option<&SafeText>,
    service: Option<&SafeText>,
    snapshot: &Snapshot,
    width: usize,
) -> Option<Vec<Line>> {
    let is_of = |row: &&ContainerRow| {
        let container = &row.container;
        container.project.as_ref() == project && (service.is_none() || container.service.as_ref() == service)
    };
    let rows: Vec<&ContainerRow> = snapshot.containers.iter().filter(is_of).collect();
    let first = rows.first()?;
    let mut paper = Paper::new(width);
    let title = match (project, service) {
        (None, None) => "containers of no Compose project".to_owned(),
        (Some(project), None) => format!("project {project}"),
        (None, Some(service)) => format!("service {service}"),
        (Some(project), Some(service)) => format!("service {service} of project {project}"),
    };
    paper.text(Tone::Strong, 0, &title);
    if service.is_some() {
        paper.field("image", words::told(first.container.image.as_ref()));
    }
    paper.heading(&format!("Containers ({})", exact(rows.len() as u64)));
    for row in rows.iter().take(listed::MOST) {
        let traffic = match row.watched {
            true => words::traffic(row.totals),
            false => "not watched".to_owned(),
        };
        paper.says(Tone::Plain, &format!("{}  {traffic}", row.container.name));
    }
    listed::more(&mut paper, rows.len());
    Some(paper.lines())
}

/// The pairs between two ends that stand for several.
pub(super) fn pairs(between: &Between, snapshot: &Snapshot, width: usize) -> Option<Vec<Line>> {
    let pairs: Vec<&PairRow> = snapshot.pairs.iter().filter(|pair| between.has(pair)).collect();
    if pairs.is_empty() {
        return None;
    }
    let mut paper = Paper::new(width);
    paper.text(Tone::Strong, 0, &between.name());
    paper.heading(&format!("Pairs ({})", exact(pairs.len() as u64)));
    for pair in pairs.iter().take(listed::MOST) {
        let (sent, received) = (bytes(pair.traffic.sent.bytes), bytes(pair.traffic.received.bytes));
        paper.says(Tone::Plain, &format!("{}: {sent} sent, {received} received", talk::pair(pair)));
    }
    listed::more(&mut paper, pairs.len());
    Some(paper.lines())
}

/// Who talks to whom: clients down, servers across.
pub(super) fn matrix(board: &Board, group: Group, context: &Context<'_>, width: usize) -> Vec<Line> {
    let mut paper = Paper::new(width);
    paper.text(Tone::Strong, 0, "Who talks to whom");
    let (legend, rows) = square(board, group, context, width);
    paper.text(Tone::Faint, 0, &legend);
    let mut lines = paper.lines();
    lines.push(Line::default());
    lines.extend(rows);
    lines
}
