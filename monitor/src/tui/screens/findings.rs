//! Findings: what breaks isolation and what is broken first, then what the configuration itself says.

use super::shape::{name, number};
use super::{Options, Screen};
use crate::filter::{Field, Filterable, IsText};
use crate::model::KernelTime;
use crate::snapshot::{ContainerRef, End, Finding, Kind, Severity, Standing, Subject as About};
use crate::tui::board::Board;
use crate::tui::column::{Cell, Column, Rank, Tone};
use crate::tui::context::Context;
use crate::tui::detail::tone;
use crate::tui::line::Line;
use crate::tui::subject::Subject;
use crate::view::names;
use crate::view::units::{age, count, plural};
use std::net::IpAddr;
use std::sync::Arc;

/// The screen.
pub(super) struct Findings;

/// A finding of traffic, or one of the configuration.
#[derive(Debug)]
pub(super) struct Row {
    found: Found,
    source: String,
    destination: String,
}

#[derive(Debug)]
enum Found {
    Traffic(Arc<Finding>),
    Standing(Arc<Standing>),
}

impl Row {
    fn traffic(finding: &Finding) -> Self {
        let (source, destination) = (names::end(&finding.source), names::end(&finding.destination));
        Self { found: Found::Traffic(Arc::new(finding.clone())), source, destination }
    }

    fn standing(standing: &Arc<Standing>) -> Self {
        let what: Vec<&str> = standing.what.iter().map(|what| what.as_str()).collect();
        Self {
            source: standing.subject.name().to_string(),
            destination: what.join(", "),
            found: Found::Standing(Arc::clone(standing)),
        }
    }

    fn severity(&self) -> Severity {
        match &self.found {
            Found::Traffic(finding) => finding.severity,
            Found::Standing(standing) => standing.severity,
        }
    }

    fn tone(&self) -> Tone {
        tone(self.severity())
    }

    fn kind(&self) -> &'static str {
        match &self.found {
            Found::Traffic(finding) => finding.kind.name(),
            Found::Standing(_) => "posture",
        }
    }

    fn rule(&self) -> &str {
        match &self.found {
            Found::Traffic(finding) => finding.rule.as_str(),
            Found::Standing(standing) => standing.rule.name(),
        }
    }

    /// What became of it; what stands has no outcome.
    fn outcome(&self) -> Option<&'static str> {
        match &self.found {
            Found::Traffic(finding) => Some(finding.outcome.name()),
            Found::Standing(_) => None,
        }
    }

    /// How bad it is: by severity, then violations before what is broken, what stands, and what is allowed.
    fn badness(&self) -> u64 {
        let traffic = match &self.found {
            Found::Traffic(finding) => Some(finding.kind),
            Found::Standing(_) => None,
        };
        let kind = match traffic {
            Some(Kind::Violation) => 3,
            Some(Kind::Broken) => 2,
            None => 1,
            Some(Kind::Crossing) => 0,
        };
        let severity = match self.severity() {
            Severity::Critical => 2,
            Severity::Warning => 1,
            Severity::Info => 0,
        };
        severity * 4 + kind
    }

    fn packets(&self) -> Option<u64> {
        match &self.found {
            Found::Traffic(finding) => Some(finding.counts.packets),
            Found::Standing(_) => None,
        }
    }

    fn port(&self) -> Option<u16> {
        match &self.found {
            Found::Traffic(finding) => finding.ports.first().copied(),
            Found::Standing(_) => None,
        }
    }

    fn ports_cell(&self) -> Cell {
        match (&self.found, self.port()) {
            (Found::Traffic(finding), Some(port)) if finding.port_count > 1 => {
                Cell::plain(format!("{port} +{}", finding.port_count - 1))
            }
            (_, Some(port)) => Cell::plain(port.to_string()),
            (_, None) => Cell::absent(),
        }
    }

    /// When it was seen first and last.
    fn seen(&self) -> [KernelTime; 2] {
        match &self.found {
            Found::Traffic(finding) => [finding.first_seen, finding.last_seen],
            Found::Standing(standing) => [standing.first_seen, standing.last_seen],
        }
    }

    fn ago(&self, which: usize, context: &Context<'_>) -> Cell {
        Cell::plain(age(context.now.since(self.seen()[which])))
    }

    fn ends(&self) -> impl Iterator<Item = &End> {
        let finding = match &self.found {
            Found::Traffic(finding) => Some(finding),
            Found::Standing(_) => None,
        };
        finding.into_iter().flat_map(|finding| [&finding.source, &finding.destination])
    }

    fn containers(&self) -> impl Iterator<Item = &ContainerRef> {
        let subject = match &self.found {
            Found::Standing(standing) => match &standing.subject {
                About::Container(container) => Some(&**container),
                About::Network(_) => None,
            },
            Found::Traffic(_) => None,
        };
        self.ends().filter_map(|end| end.container.as_deref()).chain(subject)
    }
}

impl Screen for Findings {
    type Item = Row;
    const COLUMNS: &'static [Column<Row>] = &[
        name(
            "SEVERITY",
            [9, 9],
            0,
            |row, _| Rank::Number(Some(row.badness())),
            |row, _| Cell::Text(row.tone(), row.severity().name().to_owned()),
        ),
        name("KIND", [9, 9], 5, |row, _| Rank::Name(row.kind()), |row, _| Cell::plain(row.kind())),
        name(
            "RULE",
            [13, 24],
            1,
            |row, _| Rank::Name(row.rule()),
            |row, _| Cell::Text(row.tone(), row.rule().to_owned()),
        ),
        name(
            "OUTCOME",
            [11, 11],
            2,
            |row, _| Rank::Name(row.outcome().unwrap_or_default()),
            |row, _| row.outcome().map_or_else(Cell::absent, Cell::plain),
        ),
        name(
            "FROM",
            [12, 40],
            0,
            |row, _| Rank::Name(&row.source),
            |row, _| Cell::Text(Tone::Strong, row.source.clone()),
        ),
        name(
            "TO / WHAT",
            [14, 40],
            0,
            |row, _| Rank::Name(&row.destination),
            |row, _| {
                if row.destination.is_empty() { Cell::absent() } else { Cell::plain(&row.destination) }
            },
        ),
        number("PORT", 8, 3, |row, _| Rank::Number(row.port().map(u64::from)), |row, _| row.ports_cell()),
        number(
            "PACKETS",
            7,
            6,
            |row, _| Rank::Number(row.packets()),
            |row, _| row.packets().map_or_else(Cell::absent, |packets| Cell::plain(count(packets))),
        ),
        number(
            "FIRST",
            6,
            7,
            |row, _| Rank::Number(Some(row.seen()[0].0)),
            |row, context| row.ago(0, context),
        ),
        number(
            "LAST",
            6,
            4,
            |row, _| Rank::Number(Some(row.seen()[1].0)),
            |row, context| row.ago(1, context),
        ),
    ];
    const ORDER: (usize, bool) = (0, true);
    const EMPTY: &'static str = "Nothing was found in what is watched.";

    fn items(board: &Board, _options: &Options) -> Vec<Arc<Row>> {
        let snapshot = board.latest();
        let traffic = snapshot.findings.iter().map(Row::traffic);
        traffic.chain(snapshot.standing.iter().map(Row::standing)).map(Arc::new).collect()
    }

    fn subject(row: &Row) -> Subject {
        match &row.found {
            Found::Traffic(finding) => Subject::Finding(finding.id),
            Found::Standing(standing) => Subject::Standing(standing.id),
        }
    }

    fn summary(board: &Board, _context: &Context<'_>) -> Vec<Line> {
        let unknown = board.latest().rights_unknown as u64;
        if unknown == 0 {
            return Vec::new();
        }
        let text = format!("Docker has not told rights and mounts of {}.", plural(unknown, "container"));
        vec![Line::of(Tone::Warning, text)]
    }
}

impl Filterable for Row {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let mut of_containers = |which: fn(&ContainerRef) -> Option<&str>| {
            self.containers().any(|container| which(container).is_some_and(&mut *is_it))
        };
        match field {
            Field::Any => {
                let fields = [
                    Field::Service,
                    Field::Project,
                    Field::Network,
                    Field::Protocol,
                    Field::State,
                    Field::Kind,
                    Field::Severity,
                    Field::Rule,
                    Field::Image,
                ];
                is_it(&self.source)
                    || is_it(&self.destination)
                    || fields.into_iter().any(|field| self.texts(field, is_it))
            }
            Field::Container => {
                of_containers(|it| Some(it.name.as_str())) || self.ends().any(|end| end.texts(field, is_it))
            }
            Field::Service => {
                of_containers(|it| it.service.as_ref().map(|text| text.as_str()))
                    || self.ends().any(|end| end.texts(field, is_it))
            }
            Field::Project => of_containers(|it| it.project.as_ref().map(|text| text.as_str())),
            Field::Image => of_containers(|it| it.image.as_ref().map(|text| text.as_str())),
            Field::Network => {
                let of_subject = match &self.found {
                    Found::Standing(standing) => match &standing.subject {
                        About::Network(network) => is_it(network.name.as_str()),
                        About::Container(_) => false,
                    },
                    Found::Traffic(_) => false,
                };
                let mut networks = self.containers().flat_map(|container| &container.networks);
                of_subject || networks.any(|network| is_it(network.name.as_str()))
            }
            Field::Protocol => match &self.found {
                Found::Traffic(finding) => is_it(&finding.protocol),
                Found::Standing(_) => false,
            },
            Field::State => self.outcome().is_some_and(is_it),
            Field::Kind => is_it(self.kind()),
            Field::Severity => is_it(self.severity().name()),
            Field::Rule => is_it(self.rule()),
            Field::Port | Field::Address => false,
        }
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.containers().any(|container| is_it(container.id.as_str()))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        match &self.found {
            Found::Traffic(finding) => finding.ports.iter().any(|port| is_it(*port)),
            Found::Standing(_) => false,
        }
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.ends().any(|end| is_it(end.address))
    }
}
