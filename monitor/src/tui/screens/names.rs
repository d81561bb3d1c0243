//! Names that containers ask for, and what comes of it.

use super::shape::{name, number, rank_of_time, time_cell};
use super::{Options, Screen};
use crate::filter::{Field, Filterable, IsText, serves};
use crate::model::{DnsOutcome, DnsRecord, SafeText};
use crate::snapshot::{AskerRow, ContainerRef, NameRow, Outcomes};
use crate::tui::board::Board;
use crate::tui::column::{Cell, Column, Rank, Tone};
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::tui::subject::{Group, NameKey, Subject};
use crate::view::names;
use crate::view::units::{count, plural};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The screen.
pub(super) struct Names;

/// A name that a container asks for, or all that several containers ask for.
#[derive(Debug)]
pub(super) struct Row {
    subject: Subject,
    who: String,
    containers: Vec<Arc<ContainerRef>>,
    name: String,
    record_type: Option<SafeText>,
    outcomes: Outcomes,
    mean: Option<Duration>,
    longest: Option<Duration>,
    /// Of the latest question; absent where it is about several names.
    code: Option<String>,
    resolver: String,
    answer: String,
    addresses: Vec<IpAddr>,
}

impl Row {
    fn of_name(row: &NameRow) -> Self {
        let arrow = if row.forwarded { "↳ " } else { "" };
        let answers: Vec<String> = row.answers.iter().map(ToString::to_string).collect();
        let addresses = row.answers.iter().filter_map(|record| match record {
            DnsRecord::Address(address) => Some(*address),
            DnsRecord::Other(_) => None,
        });
        Self {
            subject: Subject::Name(Box::new(NameKey::of(row))),
            who: format!("{arrow}{}", row.container.name),
            containers: vec![Arc::clone(&row.container)],
            name: row.name.to_string(),
            record_type: Some(row.record_type.clone()),
            outcomes: row.outcomes,
            mean: row.mean(),
            longest: row.longest(),
            code: Some(row.code.as_ref().map_or_else(|| "no answer".to_owned(), ToString::to_string)),
            resolver: if row.is_docker() { "docker".to_owned() } else { names::end(&row.resolver) },
            answer: answers.join(" "),
            addresses: addresses.collect(),
        }
    }

    /// All that these containers ask for.
    fn together(
        (project, service): (Option<SafeText>, Option<SafeText>),
        askers: &[&AskerRow],
        all: &[NameRow],
    ) -> Self {
        let mut outcomes = Outcomes::default();
        let (mut took, mut answered) = (Duration::ZERO, 0);
        for asker in askers {
            outcomes += asker.outcomes;
            took = took.saturating_add(asker.steps.sum());
            answered += asker.steps.count();
        }
        let is_theirs = |row: &&NameRow| {
            askers.iter().any(|asker| asker.container.id == row.container.id) && !row.forwarded
        };
        let longest = all.iter().filter(is_theirs).filter_map(NameRow::longest).max();
        let listed = all.iter().filter(is_theirs).count() as u64;
        let who = match (&project, &service) {
            (Some(project), Some(service)) => format!("{project}/{service}"),
            (Some(one), None) | (None, Some(one)) => one.to_string(),
            (None, None) => "(not of Compose)".to_owned(),
        };
        Self {
            subject: Subject::Together(project, service),
            who,
            containers: askers.iter().map(|asker| Arc::clone(&asker.container)).collect(),
            name: plural(listed, "name"),
            record_type: None,
            outcomes,
            mean: took.checked_div(u32::try_from(answered).unwrap_or(u32::MAX)),
            longest,
            code: None,
            resolver: String::new(),
            answer: String::new(),
            addresses: Vec::new(),
        }
    }

    fn rank(&self, outcome: DnsOutcome) -> Rank<'_> {
        Rank::Number(Some(self.outcomes.of(outcome)))
    }

    fn cell(&self, outcome: DnsOutcome) -> Cell {
        match self.outcomes.of(outcome) {
            0 => Cell::Text(Tone::Faint, "0".to_owned()),
            times => Cell::Text(Tone::Warning, count(times)),
        }
    }
}

fn text(text: &str) -> Cell {
    if text.is_empty() { Cell::absent() } else { Cell::plain(text) }
}

fn code(row: &Row, _context: &Context<'_>) -> Cell {
    match row.code.as_deref() {
        None => Cell::absent(),
        Some(code) if code == DnsOutcome::Answered.name() => Cell::plain(code),
        Some(code) => Cell::Text(Tone::Warning, code.to_owned()),
    }
}

impl Screen for Names {
    type Item = Row;
    const COLUMNS: &'static [Column<Row>] = &[
        name(
            "CONTAINER",
            [12, 28],
            0,
            |row, _| Rank::Name(&row.who),
            |row, _| Cell::Text(Tone::Strong, row.who.clone()),
        ),
        name("NAME", [16, 44], 0, |row, _| Rank::Name(&row.name), |row, _| Cell::plain(row.name.clone())),
        name(
            "TYPE",
            [5, 6],
            8,
            |row, _| Rank::name(row.record_type.as_ref()),
            |row, _| text(row.record_type.as_ref().map_or("", SafeText::as_str)),
        ),
        number(
            "ASKED",
            7,
            3,
            |row, _| Rank::Number(Some(row.outcomes.sum())),
            |row, _| Cell::plain(count(row.outcomes.sum())),
        ),
        number(
            "NXDOM",
            6,
            4,
            |row, _| row.rank(DnsOutcome::NoSuchName),
            |row, _| row.cell(DnsOutcome::NoSuchName),
        ),
        number(
            "SERVF",
            6,
            5,
            |row, _| row.rank(DnsOutcome::ServerFailed),
            |row, _| row.cell(DnsOutcome::ServerFailed),
        ),
        number("NONE", 6, 6, |row, _| row.rank(DnsOutcome::None), |row, _| row.cell(DnsOutcome::None)),
        number("MEAN", 7, 7, |row, _| rank_of_time(row.mean), |row, _| time_cell(row.mean)),
        number("MAX", 7, 2, |row, _| rank_of_time(row.longest), |row, _| time_cell(row.longest)),
        name("CODE", [9, 9], 1, |row, _| Rank::Name(row.code.as_deref().unwrap_or_default()), code),
        name("RESOLVER", [10, 24], 10, |row, _| Rank::Name(&row.resolver), |row, _| text(&row.resolver)),
        name("ANSWER", [12, 48], 9, |row, _| Rank::Name(&row.answer), |row, _| text(&row.answer)),
    ];
    const ORDER: (usize, bool) = (3, true);
    const EMPTY: &'static str = "No container has asked for a name yet.";
    const GROUPS: bool = true;

    fn items(board: &Board, options: &Options) -> Vec<Arc<Row>> {
        let asked = &board.latest().asked;
        if options.group == Group::Container {
            let row = |row| match board.then() {
                None => Row::of_name(row),
                // Who answered, and what, is not kept.
                Some(_) => Row { code: None, resolver: String::new(), ..Row::of_name(row) },
            };
            return asked.names.iter().map(|name| Arc::new(row(name))).collect();
        }
        let mut together: BTreeMap<_, Vec<&AskerRow>> = BTreeMap::new();
        for asker in &asked.containers {
            let ContainerRef { project, service, .. } = &*asker.container;
            let by_service = options.group == Group::Service;
            let key = (project.clone(), service.clone().filter(|_| by_service));
            together.entry(key).or_default().push(asker);
        }
        let rows = together.into_iter().map(|(key, askers)| Row::together(key, &askers, &asked.names));
        rows.map(Arc::new).collect()
    }

    fn subject(row: &Row) -> Subject {
        row.subject.clone()
    }

    fn is(row: &Row, subject: &Subject) -> bool {
        row.subject == *subject
    }

    fn summary(board: &Board, _context: &Context<'_>) -> Vec<Line> {
        let why = board.latest().missing.get("resolver");
        let not_seen =
            |why| Line::of(Tone::Warning, format!("What Docker's resolver is asked is not seen: {why}."));
        why.map(not_seen).into_iter().collect()
    }
}

impl Filterable for Row {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let mut of_containers = |which: fn(&ContainerRef) -> Option<&SafeText>| {
            self.containers.iter().any(|it| which(it).is_some_and(|text| is_it(text.as_str())))
        };
        match field {
            Field::Any => {
                of_containers(|it| Some(&it.name))
                    || of_containers(|it| it.project.as_ref())
                    || self.texts(Field::Service, is_it)
                    || [&self.name, &self.resolver, &self.answer].into_iter().any(|text| is_it(text))
                    || self.code.as_deref().is_some_and(is_it)
            }
            Field::Container => of_containers(|it| Some(&it.name)),
            Field::Service => self.containers.iter().any(|it| serves(it, is_it)),
            Field::Project => of_containers(|it| it.project.as_ref()),
            Field::Image => of_containers(|it| it.image.as_ref()),
            Field::State => self.code.as_deref().is_some_and(is_it),
            Field::Kind => self.record_type.as_ref().is_some_and(|text| is_it(text.as_str())),
            _ => false,
        }
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.containers.iter().any(|container| is_it(container.id.as_str()))
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.addresses.iter().any(|address| is_it(*address))
    }
}
