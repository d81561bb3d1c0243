//! How far the conversations of a pair came in a time that is over, hook by hook.
//!
//! What was counted at the interfaces of both ends is kept; what was dropped between them is known by the findings of that
//! time. A step that neither tells is said not to be known.

use crate::model::{KernelTime, Protocol, SafeText};
use crate::policy::hops::{self, called};
use crate::policy::{Evidence, Outcome, Rule, RuleName};
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
    /// Of a pair, by what was found in the same time, which began `since`.
    #[must_use]
    pub fn of(pair: &PairRow, findings: &[Finding], since: KernelTime) -> Self {
        let about = findings.iter().filter(|finding| finding.last_seen >= since && is_about(finding, pair));
        let stopped = about.filter(|finding| is_stop(finding.outcome)).max_by_key(|finding| finding.outcome);
        Self { evidence: evidence(pair, stopped), course: course(pair, stopped) }
    }
}

const fn is_stop(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Blocked | Outcome::Undelivered)
}

/// Whether a finding is about conversations of a pair.
fn is_about(finding: &Finding, pair: &PairRow) -> bool {
    let are_same = |one: &End, other: &End| match (&one.container, &other.container) {
        (Some(one), Some(other)) => one.id == other.id,
        (None, None) => one.address == other.address,
        _ => false,
    };
    let is_of_none = matches!(finding.rule, RuleName::Topology(Rule::SilentReplica | Rule::WrongMtu));
    let is_port =
        pair.server.port.is_none_or(|port| finding.ports.is_empty() || finding.ports.contains(&port));
    !is_of_none
        && is_port
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
    // What is at the ends' interfaces is told already, of all of that time. What a finding counts is of one conversation
    // from its beginning on, which may be before that time.
    let ends = [client, server].map(Option::as_ref);
    let between = stopped.into_iter().flat_map(|finding| &finding.evidence);
    for one in between.filter(|one| !ends.contains(&Some(&one.at))) {
        saw(&one.at, without_count(&one.saw).to_owned());
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

/// `packets to 172.18.0.3 dropped` of `3 packets to 172.18.0.3 dropped`.
fn without_count(saw: &str) -> &str {
    saw.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start()
}

fn course(pair: &PairRow, stopped: Option<&Finding>) -> String {
    let Hooks { devices: [client, server], delivered, came_back } = &pair.hooks;
    let to = called(&pair.server);
    let start = match client {
        Some(device) => hops::left(&pair.client, device, is_at_sockets(&pair.client)),
        None => format!("It came from {}, at which no interface is watched", called(&pair.client)),
    };
    let replied = pair.traffic.received.packets > 0;
    let stop = Stop::of(pair, stopped);
    let some = stop.as_ref().map_or_else(String::new, |stop| format!(" Some of it {}.", stop.how()));
    let answered = if client.is_some() && *came_back == 0 {
        format!("{to} answered, but nothing of the answer came back: by what is not kept.")
    } else {
        format!("an answer came back from {to}.")
    };
    if let Some(device) = server.as_ref().filter(|_| *delivered > 0) {
        let arrived =
            format!("{start}, {}", hops::reached(&pair.server, device, is_at_sockets(&pair.server)));
        let end = if is_refused(pair) {
            format!("; {to} itself refused it with a reset: {}.", nobody_listens(pair))
        } else if !replied {
            format!(" and was delivered, but no answer left {to}.")
        } else if client.is_some() && *came_back == 0 {
            format!("; {answered}")
        } else {
            format!(", and {to} answered.")
        };
        return format!("{arrived}{end}{some}");
    }
    let is_answered = replied || *came_back > 0;
    match &stop {
        _ if is_answered && !is_refused(pair) => format!("{start}, and {answered}{some}"),
        // The reset may be of whom the host stopped it for; else it came through.
        Some(stop) if !is_answered || stop.may_reset() => stop.all(&start, &to),
        _ if is_refused(pair) => format!(
            "{start}; it was refused with a reset in the name of {to}, at which no interface was seen.{some}"
        ),
        _ if pair.server.kind == EndKind::Container => {
            format!("{start}; whether it arrived is not known: nothing was seen at an interface of {to}.")
        }
        _ => format!("{start}; nothing came back, and what arrives at {to} is not seen."),
    }
}

/// How conversations of a pair were stopped, as far as that is known.
enum Stop {
    /// By what a finding says.
    By { how: String, is_reset: bool },
    /// By what is not kept.
    Somehow,
    /// The kernel told no drop.
    Lost,
}

impl Stop {
    /// By a finding, or else by what became of the latest.
    fn of(pair: &PairRow, stopped: Option<&Finding>) -> Option<Self> {
        let latest = pair.verdict.as_ref().map(|Verdict { outcome, .. }| *outcome);
        match stopped.map(|finding| (finding.outcome, finding)) {
            Some((Outcome::Blocked, Finding { evidence, drop_reason, .. })) => Some(Self::By {
                how: hops::stopped(evidence, drop_reason.as_ref(), &pair.server),
                is_reset: drop_reason.is_none(),
            }),
            None if latest == Some(Outcome::Blocked) => Some(Self::Somehow),
            None if latest != Some(Outcome::Undelivered) => None,
            _ => Some(Self::Lost),
        }
    }

    /// Whether that answers with a reset.
    const fn may_reset(&self) -> bool {
        matches!(self, Self::By { is_reset: true, .. } | Self::Somehow)
    }

    /// Of some of them.
    fn how(&self) -> &str {
        match self {
            Self::By { how, .. } => how,
            Self::Somehow => "was stopped in the host, by what is not kept of that time",
            Self::Lost => "is lost: the kernel told no drop of it",
        }
    }

    /// Of all of them.
    fn all(&self, start: &str, to: &str) -> String {
        match self {
            Self::By { how, .. } => format!("{start} and {how}; nothing reached {to}."),
            Self::Somehow => format!(
                "{start} and was stopped in the host; nothing reached {to}. By what it was stopped is not kept of that time."
            ),
            Self::Lost => format!(
                "{start} and is lost from there on: the kernel told no drop of it, and nothing reached {to}."
            ),
        }
    }
}

/// Whether an end is seen at its sockets, not at an interface.
fn is_at_sockets(end: &End) -> bool {
    end.container.as_ref().is_some_and(|container| container.is_on_host_network())
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
