//! The rows of losses and health: what was not seen or not counted first, then how the agent is.

use crate::model::{Counts, DockerState, SafeText};
use crate::snapshot::Snapshot;
use crate::tui::board::Board;
use crate::tui::column::Tone;
use crate::tui::detail::why_unknown;
use crate::view::names;
use crate::view::units::{exact, share};
use crate::wire::losses::known;
use std::collections::BTreeMap;

/// The most names that a row has one by one.
const MOST_NAMES: usize = 5;

/// One thing that was not seen or not counted, or one that says how the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct HealthRow {
    /// Where it stands in the list.
    pub(in crate::tui) place: u64,
    /// What it is about.
    pub(in crate::tui) what: &'static str,
    /// What exactly.
    pub(in crate::tui) name: SafeText,
    /// How much of it, as text.
    pub(in crate::tui) value: String,
    /// How much of it, where that is a number.
    pub(in crate::tui) number: Option<u64>,
    /// How much it stands out.
    pub(in crate::tui) tone: Tone,
    /// What it means.
    pub(in crate::tui) means: String,
    /// What to do about it; empty where there is nothing to do.
    pub(in crate::tui) todo: String,
    /// All that it is about, by name.
    pub(in crate::tui) all: Vec<String>,
}

/// A reason as a sentence.
fn sentence(reason: &str) -> String {
    let end = if reason.ends_with('.') { "" } else { "." };
    format!("{}{end}", SafeText::new(reason))
}

/// Rows in the order in which they are added.
#[derive(Default)]
pub(super) struct Rows(Vec<HealthRow>);

impl Rows {
    /// Something that is neither lost nor fine in itself.
    pub(super) fn add(
        &mut self,
        what: &'static str,
        name: &str,
        tone: Tone,
        value: String,
        means: &str,
    ) -> &mut HealthRow {
        self.0.push(HealthRow {
            place: self.0.len() as u64,
            what,
            name: SafeText::new(name),
            value,
            number: None,
            tone,
            means: sentence(means),
            todo: String::new(),
            all: Vec::new(),
        });
        self.0.last_mut().expect("one was just added")
    }

    /// A count that is fine as long as it is nothing.
    fn count(
        &mut self,
        what: &'static str,
        name: &str,
        count: u64,
        value: String,
        means: &str,
    ) -> &mut HealthRow {
        let tone = if count == 0 { Tone::Good } else { Tone::Warning };
        let row = self.add(what, name, tone, value, means);
        row.number = Some(count);
        row
    }
}

/// All rows.
pub(in crate::tui) fn rows(board: &Board) -> Vec<HealthRow> {
    let snapshot = board.latest();
    let mut rows = Rows::default();
    losses(&mut rows, board);
    accounts(&mut rows, snapshot);
    not_watched(&mut rows, snapshot);
    not_named(&mut rows, snapshot);
    missing(&mut rows, snapshot);
    docker(&mut rows, snapshot);
    super::agent::agent(&mut rows, snapshot);
    rows.0
}

fn losses(rows: &mut Rows, board: &Board) {
    // Packets that are in no flow have a row of their own, also where there are none.
    let losses = board.losses().into_iter().filter(|(name, _)| *name != "packets_in_no_flow");
    let before = rows.0.len();
    for (name, count) in losses {
        let means = known(name).map_or("A loss that this view does not know.", |loss| loss.means);
        let row = rows.count("lost", name, count, exact(count), means);
        row.todo = known(name).map_or("The changelog may tell.", |loss| loss.todo).to_owned();
    }
    if rows.0.len() == before {
        rows.count("lost", "all losses", 0, "none".to_owned(), "Everything that was to be told was told.");
    }
}

fn accounts(rows: &mut Rows, snapshot: &Snapshot) {
    let missed: Counts = snapshot.containers.iter().map(|row| row.not_recorded).sum();
    let all: Counts = snapshot.containers.iter().map(|row| row.totals.sent + row.totals.received).sum();
    let value = match missed.packets {
        0 => "none".to_owned(),
        missed => format!("{} ({})", exact(missed), share(missed, all.packets)),
    };
    let means = "Packets that are in the totals but in no flow.";
    let row = rows.count("in no flow", "packets", missed.packets, value, means);
    if missed.packets > 0 {
        row.todo = "Raise --max-flows.".to_owned();
        row.all = containers(snapshot, |row| !row.not_recorded.is_zero());
    }
    let checked = snapshot.containers.iter().filter_map(|row| row.unaccounted_bytes);
    let means = "How far our totals are from the devices' own counters.";
    match checked.reduce(u64::saturating_add) {
        None => {
            rows.add("unaccounted", "bytes", Tone::Plain, "not compared".to_owned(), means);
        }
        Some(difference) => {
            let row = rows.count("unaccounted", "bytes", difference, exact(difference), means);
            if difference > 0 {
                row.todo =
                    "If it stays, report it with what `vethwatch containers --json` prints.".to_owned();
                row.all = containers(snapshot, |row| row.unaccounted_bytes.is_some_and(|bytes| bytes > 0));
            }
        }
    }
}

fn containers(snapshot: &Snapshot, which: impl Fn(&crate::snapshot::ContainerRow) -> bool) -> Vec<String> {
    snapshot.containers.iter().filter(|row| which(row)).map(|row| row.container.name.to_string()).collect()
}

/// One row for each reason.
fn by_reason(
    rows: &mut Rows,
    what: &'static str,
    fine: &str,
    todo: impl Fn(&str) -> String,
    reasons: BTreeMap<&str, Vec<String>>,
) {
    if reasons.is_empty() {
        rows.count(what, "all", 0, "none".to_owned(), fine);
    }
    for (reason, names) in reasons {
        let count = names.len() as u64;
        let row = rows.count(what, &some(&names), count, exact(count), reason);
        row.todo = todo(reason);
        row.all = names;
    }
}

/// The first few names, and how many more there are.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{more} more and {shown}"),
    }
}

fn not_watched(rows: &mut Rows, snapshot: &Snapshot) {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in snapshot.containers.iter().filter(|row| !row.watched) {
        let reason = row.unwatched_reason.as_deref().unwrap_or("no interface of it was found");
        reasons.entry(reason).or_default().push(row.container.name.to_string());
    }
    for device in &snapshot.not_watched {
        reasons.entry(&device.reason).or_default().push(format!("interface {}", device.name));
    }
    let todo = |_: &str| "Nothing of their traffic is counted here.".to_owned();
    by_reason(rows, "not watched", "Every container and interface is watched.", todo, reasons);
}

fn not_named(rows: &mut Rows, snapshot: &Snapshot) {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in &snapshot.unattributed {
        reasons.entry(why_unknown(Some(row.reason))).or_default().push(names::interface(row));
    }
    let todo = |_: &str| "Their traffic is counted, by interface.".to_owned();
    by_reason(rows, "not named", "Every interface has its container.", todo, reasons);
    let unknown = snapshot.rights_unknown as u64;
    if unknown > 0 {
        let means = "Running containers of which Docker has not told rights and mounts.";
        let row = rows.count("not told", "rights", unknown, exact(unknown), means);
        row.todo = "Posture findings about them may be missing. See whether Docker answers.".to_owned();
    }
}

fn missing(rows: &mut Rows, snapshot: &Snapshot) {
    for (what, why) in &snapshot.missing {
        let name = match *what {
            "drops" => "what the kernel drops",
            "translations" => "how the host changes addresses",
            "pins" => "what crosses while no agent runs",
            "retransmits" => "what TCP connections send again",
            "resolver" => "what Docker's resolver is asked",
            other => other,
        };
        let row = rows.add("not seen", name, Tone::Warning, "missing".to_owned(), why.as_str());
        row.todo = "`vethwatch doctor` says what this host lacks, and what to do about it.".to_owned();
    }
    if snapshot.missing.is_empty() {
        let means = "Drops, translations, all containers, what Docker's resolver is asked and what is sent again are seen.";
        rows.add("not seen", "all", Tone::Good, "none".to_owned(), means);
    }
}

fn docker(rows: &mut Rows, snapshot: &Snapshot) {
    let (tone, value, means, todo) = match &snapshot.docker {
        DockerState::Up { version, api, host, rootless, .. } => {
            let rootless = if *rootless { ", rootless" } else { "" };
            (Tone::Good, version.to_string(), format!("It answers at {host} (API {api}{rootless})."), "")
        }
        DockerState::Connecting => {
            let means = "It has not answered yet: interfaces are not named.".to_owned();
            (Tone::Warning, "not yet".to_owned(), means, "")
        }
        DockerState::Down { reason, .. } => {
            let todo = "Counting goes on; names may be old or absent. See whether Docker runs.";
            (Tone::Critical, "down".to_owned(), format!("It does not answer: {reason}"), todo)
        }
    };
    rows.add("docker", "engine", tone, value, &means).todo = todo.to_owned();
    if let Some(why) = &snapshot.docker_refused {
        let means = format!("Not understood: {why}");
        let row = rows.add("docker", "answers", Tone::Warning, "refused".to_owned(), &means);
        row.todo = known("docker_answers_refused").map_or("", |loss| loss.todo).to_owned();
    }
}
