//! A name that a container asks for.

use super::paper::Paper;
use super::words;
use crate::model::{DnsOutcome, DnsRecord};
use crate::snapshot::{NameRow, Snapshot};
use crate::tui::column::Tone;
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::view::units::{duration, exact};

/// A name.
pub(super) fn name(row: &NameRow, snapshot: &Snapshot, context: &Context<'_>, width: usize) -> Vec<Line> {
    let mut paper = Paper::new(width);
    paper.text(
        Tone::Strong,
        0,
        &format!("{} asks for {} ({})", row.container.name, row.name, row.record_type),
    );
    if row.forwarded {
        paper.says(Tone::Faint, "Docker's resolver asked on for it");
    }
    if context.past.is_some() {
        outcomes(&mut paper, row, "What came of it in that time");
        paper.says(Tone::Faint, "Who answered, and what, is not kept.");
        return paper.lines();
    }
    let resolver = if row.is_docker() { "Docker's own".to_owned() } else { words::end(&row.resolver) };
    paper.field("resolver", &resolver);
    paper.field("last asked", &words::moment(row.last, context));
    outcomes(&mut paper, row, "What came of it, since the watch began");
    paper.heading("Latest answer");
    match &row.code {
        None => paper.says(Tone::Warning, "none came"),
        Some(code) => paper.field("code", code.as_str()),
    }
    for record in &row.answers {
        paper.says(Tone::Plain, &record.to_string());
    }
    used(&mut paper, row, snapshot);
    paper.lines()
}

/// How often what came of it, and how long that took.
fn outcomes(paper: &mut Paper, row: &NameRow, heading: &str) {
    paper.heading(heading);
    for outcome in DnsOutcome::ALL.into_iter().filter(|outcome| row.outcomes.of(*outcome) > 0) {
        let tone = if outcome == DnsOutcome::Answered { Tone::Plain } else { Tone::Warning };
        let name = if outcome == DnsOutcome::None { "no answer" } else { outcome.name() };
        paper.toned(tone, name, &exact(row.outcomes.of(outcome)));
    }
    if let (Some(mean), Some(longest)) = (row.mean(), row.longest()) {
        let last = row.last_took.map_or_else(String::new, |last| format!(", the latest {}", duration(last)));
        let took = format!("{} as a mean, {} at most{last}", duration(mean), duration(longest));
        paper.field("took", &took);
    }
}

/// Whether the container talks to an address that was an answer.
fn used(paper: &mut Paper, row: &NameRow, snapshot: &Snapshot) {
    let is_answer = |address| row.answers.contains(&DnsRecord::Address(address));
    let pairs = snapshot.pairs.iter().filter(|pair| {
        let is_ours = pair.client.container.as_ref().is_some_and(|it| it.id == row.container.id);
        is_ours && is_answer(pair.server.address)
    });
    let (mut conversations, mut is_used) = (0_u64, false);
    for pair in pairs {
        conversations = conversations.saturating_add(pair.conversations);
        is_used = true;
    }
    if is_used {
        paper.field("used", &format!("{} conversations with these addresses", exact(conversations)));
    } else if !row.answers.is_empty() {
        paper.toned(Tone::Faint, "used", "no conversation with these addresses was seen");
    }
}
