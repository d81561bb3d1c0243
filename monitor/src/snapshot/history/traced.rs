//! How far the conversations of a pair came in a time that is over, hook by hook.
//!
//! What was counted at the interfaces of both ends is kept; what was dropped between them is known by the findings of that
//! time. A step that neither tells is said not to be known.

use crate::model::{Protocol, SafeText};
use crate::policy::{Evidence, Outcome};
use crate::snapshot::{End, EndKind, Finding, Hooks, PairRow, Verdict};

/// How far it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// What was seen, from the client's interface to the server's and back.
    pub evidence: Vec<Evidence>,
    /// Where it ended, in a sentence.
    pub course: String,
}

impl Traced {
    /// Of a pair, by what was found in the same time.
    #[must_use]
    pub fn of(pair: &PairRow, findings: &[Finding]) -> Self {
        let stopped = findings
            .iter()
            .filter(|finding| is_about(finding, pair))
            .find(|finding| matches!(finding.outcome, Outcome::Blocked | Outcome::Undelivered));
        Self { evidence: evidence(pair, stopped), course: course(pair, stopped) }
    }
}

/// Whether a finding is about conversations of a pair.
fn is_about(finding: &Finding, pair: &PairRow) -> bool {
    let are_same = |one: &End, other: &End| match (&one.container, &other.container) {
        (Some(one), Some(other)) => one.id == other.id,
        (None, None) => one.address == other.address,
        _ => false,
    };
    let is_port =
        pair.server.port.is_none_or(|port| finding.ports.is_empty() || finding.ports.contains(&port));
    is_port
        && finding.protocol == pair.protocol.name()
        && are_same(&finding.source, &pair.client)
        && are_same(&finding.destination, &pair.server)
}

fn evidence(pair: &PairRow, stopped: Option<&Finding>) -> Vec<Evidence> {
    let Hooks { devices: [client, server], delivered, came_back } = &pair.hooks;
    let mut seen = Vec::new();
    let mut saw = |at: &SafeText, what: String| seen.push(Evidence { at: at.clone(), saw: what });
    if let Some(client) = client {
        saw(client, format!("{} sent", packets(pair.traffic.sent.packets)));
    }
    // What is at the client's interface is told already, of all of that time.
    let between = stopped.into_iter().flat_map(|finding| &finding.evidence);
    for one in between.filter(|one| Some(&one.at) != client.as_ref()) {
        saw(&one.at, one.saw.clone());
    }
    if let Some(server) = server {
        saw(server, format!("{} delivered", packets(*delivered)));
        saw(server, format!("{} of reply left", packets(pair.traffic.received.packets)));
    }
    if let Some(client) = client {
        saw(client, format!("{} came back", packets(*came_back)));
    }
    seen
}

/// `1 packet`, `no packet`.
fn packets(count: u64) -> String {
    match count {
        0 => "no packet".to_owned(),
        1 => "1 packet".to_owned(),
        count => format!("{count} packets"),
    }
}

fn course(pair: &PairRow, stopped: Option<&Finding>) -> String {
    let Hooks { devices: [client, server], delivered, came_back } = &pair.hooks;
    let (from, to) = (called(&pair.client), called(&pair.server));
    let start = match client {
        Some(device) => format!("It left {from}'s interface {device}"),
        None => format!("It came from {from}, at which no interface is watched"),
    };
    let replied = pair.traffic.received.packets > 0;
    if let Some(device) = server.as_ref().filter(|_| *delivered > 0) {
        let arrived = format!("{start}, reached interface {device}");
        return if is_refused(pair) {
            format!("{arrived}; {to} itself refused it with a reset: {}.", nobody_listens(pair))
        } else if !replied {
            format!("{arrived} and was delivered, but no answer left {to}.")
        } else if client.is_some() && *came_back == 0 {
            format!("{arrived}; {to} answered, but nothing of the answer came back: by what is not kept.")
        } else {
            format!("{arrived}, and {to} answered.")
        };
    }
    let outcome = pair.verdict.as_ref().map(|Verdict { outcome, .. }| *outcome);
    match (stopped.map(|finding| (finding.outcome, finding)), outcome) {
        (Some((Outcome::Blocked, finding)), _) => {
            format!("{start} and {}; nothing reached {to}.", by(finding))
        }
        (None, Some(Outcome::Blocked)) => format!(
            "{start} and was stopped in the host; nothing reached {to}. By what it was stopped is not kept of that time."
        ),
        (Some(_), _) | (None, Some(Outcome::Undelivered)) => {
            format!(
                "{start} and is lost from there on: the kernel told no drop of it, and nothing reached {to}."
            )
        }
        _ if is_refused(pair) => {
            format!(
                "{start}; it was refused with a reset in the name of {to}, at which no interface was seen."
            )
        }
        _ if *came_back > 0 || (client.is_none() && replied) => {
            format!("{start}, and an answer came back from {to}.")
        }
        _ if pair.server.kind == EndKind::Container => {
            format!("{start}; whether it arrived is not known: nothing was seen at an interface of {to}.")
        }
        _ => format!("{start}; nothing came back, and what arrives at {to} is not seen."),
    }
}

/// Whether all of its connections that came to an end by an answer were refused.
fn is_refused(pair: &PairRow) -> bool {
    pair.protocol == Protocol::TCP && pair.answers.refused > 0 && pair.answers.answered == 0
}

fn nobody_listens(pair: &PairRow) -> String {
    match pair.server.port {
        Some(port) => format!("nobody listens on port {port}/{}", pair.protocol.name()),
        None => "nobody listens there".to_owned(),
    }
}

/// By what it was stopped.
fn by(finding: &Finding) -> String {
    let place = finding.evidence.last().map_or("host", |last| last.at.as_str());
    match finding.drop_reason.as_ref().map(SafeText::as_str) {
        Some(reason @ "NETFILTER_DROP") => {
            format!("was dropped in the host at {place} by its firewall ({reason})")
        }
        Some(reason) => format!("was dropped in the host at {place} by the kernel ({reason})"),
        None => "was refused by the host with a reset in the name of the other end".to_owned(),
    }
}

fn called(end: &End) -> String {
    match (&end.container, end.kind) {
        (Some(container), _) => container.name.to_string(),
        (None, EndKind::Host) => "the host".to_owned(),
        (None, _) => end.address.to_string(),
    }
}
