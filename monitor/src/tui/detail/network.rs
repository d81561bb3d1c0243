//! A Docker network: who is on it, where its traffic goes, and what is wrong on it.

use super::paper::Paper;
use super::{listed, words};
use crate::model::{Overlay, Traffic};
use crate::snapshot::{End, Finding, Kind, NetworkRow, Reach, Snapshot, Subject};
use crate::tui::board::{Board, Toward};
use crate::tui::column::Tone;
use crate::tui::context::{Context, Way};
use crate::tui::line::Line;
use crate::view::units::{exact, plural};

/// The most members that are listed.
const MOST_MEMBERS: usize = 100;

/// A network.
pub(super) fn network(row: &NetworkRow, board: &Board, context: &Context<'_>, width: usize) -> Vec<Line> {
    let snapshot = board.latest();
    let mut paper = Paper::new(width);
    paper.text(Tone::Strong, 0, &words::network(&row.network));
    if context.past.is_some() {
        paper.says(Tone::Faint, words::OF_NOW);
    }
    let subnets: Vec<String> =
        row.subnets().iter().map(|(address, length)| format!("{address}/{length}")).collect();
    match (&row.traits, subnets.is_empty()) {
        (None, _) => paper.toned(Tone::Faint, "subnets", words::NOT_KNOWN),
        (_, true) => paper.toned(Tone::Faint, "subnets", "none"),
        (_, false) => paper.field("subnets", &subnets.join(", ")),
    }
    match &row.traits {
        None => paper.toned(Tone::Faint, "internal", words::NOT_KNOWN),
        Some(traits) if traits.internal => paper.field("internal", "yes: nothing leads outside"),
        Some(_) => paper.field("internal", "no"),
    }
    if let Some(overlay) = row.overlay() {
        of_overlay(&mut paper, overlay);
    }
    paper.field("watched", &plural(row.interfaces_watched as u64, "interface"));
    for bridge in snapshot.bridges.iter().filter(|bridge| bridge.network.as_ref() == Some(&row.network)) {
        paper.field("bridge", &format!("{} ({})", bridge.observed_at.interface, bridge.observed_at.ifindex));
    }
    paper.field("id", row.network.id.as_str());
    reach(&mut paper, row, board, context);
    members(&mut paper, row, snapshot);
    findings(&mut paper, row, snapshot);
    paper.lines()
}

fn of_overlay(paper: &mut Paper, overlay: &Overlay) {
    let Overlay { vxlan_ids, encrypted, ingress, nodes } = overlay;
    let listed = |texts: Vec<String>| match texts.is_empty() {
        true => words::NOT_TOLD.to_owned(),
        false => texts.join(", "),
    };
    paper.field("VXLAN ids", &listed(vxlan_ids.iter().map(ToString::to_string).collect()));
    paper.field("encrypted", if *encrypted { "yes, between nodes" } else { "no" });
    if *ingress {
        paper.field("ingress", "yes: what is published on all nodes comes by it");
    }
    paper.field("nodes", &listed(nodes.iter().map(ToString::to_string).collect()));
}

fn reach(paper: &mut Paper, row: &NetworkRow, board: &Board, context: &Context<'_>) {
    let Reach { inside, host, outside, networks, other } = row.totals;
    paper.heading("Where its traffic goes");
    let sent = context.rate(&board.network(&row.network.id, Toward::Inside), Way::Sent);
    let rate = sent.filter(|rate| *rate > 0).map(|rate| format!("; now {}/s", context.bytes(rate)));
    paper.field("inside", &format!("{}{}", words::counts(inside), rate.unwrap_or_default()));
    for (label, all, toward) in [
        ("the host", host, Toward::Host),
        ("outside", outside, Toward::Outside),
        ("other networks", networks, Toward::Networks),
        ("untold, groups", other, Toward::Other),
    ] {
        if all == Traffic::default() {
            paper.toned(Tone::Faint, label, "nothing");
            continue;
        }
        let recent = board.network(&row.network.id, toward);
        let is_quiet = context.rate(&recent, Way::Both) == Some(0);
        let rates = words::rates(&recent, context).filter(|_| !is_quiet);
        let rates = rates.map_or_else(String::new, |rates| format!("; now {rates}"));
        paper.field(label, &format!("{}{rates}", words::traffic(all)));
    }
}

fn members(paper: &mut Paper, row: &NetworkRow, snapshot: &Snapshot) {
    paper.heading(&format!("Members ({})", exact(row.members.len() as u64)));
    if row.members.is_empty() {
        paper.says(Tone::Faint, "no running container");
    }
    for member in row.members.iter().take(MOST_MEMBERS) {
        let container = snapshot.containers.iter().find(|row| row.container.id == member.id);
        let memberships = container.into_iter().flat_map(|row| &row.memberships);
        let here = memberships.filter(|membership| membership.network.id == row.network.id);
        let addresses = here.flat_map(|membership| membership.addresses.iter().map(ToString::to_string));
        let addresses: Vec<String> = addresses.collect();
        paper.says(Tone::Plain, format!("{}  {}", member.name, addresses.join(", ")).trim_end());
    }
    let more = row.members.len().saturating_sub(MOST_MEMBERS);
    if more > 0 {
        paper.says(Tone::Faint, &format!("and {} more", exact(more as u64)));
    }
}

fn findings(paper: &mut Paper, row: &NetworkRow, snapshot: &Snapshot) {
    paper.heading("Findings");
    let is_on = |end: &End| {
        let networks = end.container.iter().flat_map(|container| &container.networks);
        networks.into_iter().any(|network| network.id == row.network.id)
    };
    let found: Vec<&Finding> = snapshot
        .findings
        .iter()
        .filter(|finding| finding.kind != Kind::Broken || is_on(&finding.source))
        .filter(|finding| is_on(&finding.source) || is_on(&finding.destination))
        .collect();
    found.iter().take(listed::MOST).for_each(|finding| listed::finding(paper, finding));
    listed::more(paper, found.len());
    let mut stands = 0;
    for standing in &snapshot.standing {
        if matches!(&standing.subject, Subject::Network(network) if network.id == row.network.id) {
            let text = format!("{} posture: {}", standing.severity.name(), standing.rule.name());
            paper.says(super::finding::tone(standing.severity), &text);
            stands += 1;
        }
    }
    if found.is_empty() && stands == 0 {
        paper.says(Tone::Faint, "none");
    }
}
