//! The lines of `dns`: one for each question, when it is answered, or was not in time.

use super::names;
use super::style::{Frame, Line};
use super::table::{Column, Layout};
use super::units::duration;
use crate::model::{DnsExchange, DnsPlace};
use crate::snapshot::NameRecord;

const COLUMNS: [Column; 8] = [
    Column::name("TIME (UTC)", 12, 12, 3),
    Column::name("CONTAINER", 14, 28, 0),
    Column::name("NAME", 20, 44, 0),
    Column::name("TYPE", 5, 6, 2),
    Column::name("CODE", 9, 9, 0),
    Column::number("LATENCY", 7, 1),
    Column::name("RESOLVER", 12, 30, 4),
    Column::name("ANSWER", 16, 60, 0),
];
/// Records of an answer that are shown.
const MOST_RECORDS: usize = 8;

/// Lays them out as they come, with columns that stay where they are.
#[derive(Debug)]
pub struct NameLines {
    layout: Layout<'static>,
    frame: Frame,
}

impl NameLines {
    /// Lines for a frame.
    #[must_use]
    pub fn new(frame: Frame) -> Self {
        Self { layout: Layout::for_stream(&COLUMNS, frame.width), frame }
    }

    /// What they are laid out for.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The headings.
    #[must_use]
    pub fn heading(&self) -> Line {
        self.layout.heading()
    }

    /// One question, and what came of it.
    #[must_use]
    pub fn name(&self, record: &NameRecord) -> Line {
        let told = &record.told;
        let latency = told.answer.as_ref().map(|answer| answer.at.since(told.asked_at));
        self.layout.row(&[
            self.frame.clock.time_of_day(told.asked_at),
            asker(record),
            told.name.to_string(),
            told.record_type.to_string(),
            told.answer.as_ref().map_or_else(|| "no answer".to_owned(), |answer| answer.code.to_string()),
            latency.map_or_else(String::new, duration),
            resolver(record),
            answer(told),
        ])
    }
}

/// Who asked; behind an arrow, for whom Docker's resolver asked on.
fn asker(record: &NameRecord) -> String {
    let name = names::or_dash(record.container.as_ref().map(|container| &container.name));
    if record.told.forwarded { format!("↳ {name}") } else { name }
}

fn resolver(record: &NameRecord) -> String {
    match record.told.place {
        DnsPlace::Interface(_) => names::end(&record.resolver),
        DnsPlace::Namespace(_) => "docker".to_owned(),
    }
}

fn answer(told: &DnsExchange) -> String {
    let Some(answer) = &told.answer else { return String::new() };
    let shown: Vec<String> = answer.records.iter().take(MOST_RECORDS).map(ToString::to_string).collect();
    let left_out = answer.records.len().saturating_sub(MOST_RECORDS) + answer.left_out as usize;
    let more = if left_out > 0 { format!(" and {left_out} more") } else { String::new() };
    let truncated = if answer.truncated { " (truncated)" } else { "" };
    format!("{}{more}{truncated}", shown.join(" "))
}
