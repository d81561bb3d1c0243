//! How far a conversation came and where it stopped, in a sentence.

use super::super::case::Side;
use super::super::explain;
use super::super::hops::{self, called};
use super::super::outcome::Outcome;
use super::super::rules::Expected;
use super::AskedEnd;
use super::answer::{Answer, Conversation, Decision, Leg, Place, Stopped};
use crate::attribution::{End, EndKind};

/// Where a conversation stopped. `to` is where it really leads; `at_sockets`: it was seen at a container's sockets, not at an interface.
pub(super) fn of(seen: &Conversation, side: Side, to: &End, at_sockets: bool) -> String {
    let destination = called(to);
    let start = match (side, seen.evidence.first()) {
        (Side::Source, Some(first)) => hops::left(&seen.source, &first.at, at_sockets),
        _ => format!("It came from {}", called(&seen.source)),
    };
    if seen.is_proxied() && seen.outcome == Outcome::Answered && !seen.refused_by_host() {
        return format!("{start} and reached the host's proxy, {}.", by_proxy(seen));
    }
    let reset_by_host = if to.kind == EndKind::Host { ", or a rule of its firewall rejects it" } else { "" };
    let port = match to.port {
        Some(port) => format!("nobody listens on port {port}/{}", seen.protocol.name()),
        None => "nobody listens there".to_owned(),
    };
    let arrival = arrival(seen, to, at_sockets && side == Side::Destination);
    match seen.outcome {
        Outcome::Blocked => {
            let by = hops::stopped(&seen.evidence, seen.drop_reason.as_ref(), to);
            format!("{start} and {by}; nothing reached {destination}.")
        }
        Outcome::Undelivered => format!(
            "{start} and is lost from there on: the kernel told no drop of it, and nothing reached {destination}, at \
             whose interface nothing was missed."
        ),
        Outcome::Attempted => format!("{start}; what became of it was not decided yet when the watch ended."),
        Outcome::Unknown => {
            format!("{start}; whether it arrived cannot be told: {}.", explain::words(seen.reason))
        }
        Outcome::Delivered => {
            format!("{start}{arrival} and was delivered, but no answer left {destination}.")
        }
        Outcome::Answered if seen.refused => {
            format!("{start}{arrival}; {destination} itself refused it with a reset: {port}{reset_by_host}.")
        }
        Outcome::Answered if side == Side::Source && seen.came_back.packets == 0 => {
            format!("{start}{arrival}; {destination} answered, but {}.", lost_answer(seen))
        }
        Outcome::Answered if matches!(to.kind, EndKind::Container) => {
            format!("{start}{arrival}, and {destination} answered.")
        }
        Outcome::Answered => format!("{start}, and an answer came back from {destination}."),
    }
}

/// `, reached interface veth4`: where it was delivered.
fn arrival(seen: &Conversation, to: &End, at_sockets: bool) -> String {
    let there = seen.evidence.iter().find(|one| one.saw.contains("delivered"));
    there.map_or_else(String::new, |there| format!(", {}", hops::reached(to, &there.at, at_sockets)))
}

fn lost_answer(seen: &Conversation) -> String {
    let dropped = seen.evidence.iter().find(|one| one.saw.contains("of reply dropped"));
    match dropped {
        Some(dropped) => format!("the answer was dropped in the host at {}: {}", dropped.at, dropped.saw),
        None => "nothing of the answer came back".to_owned(),
    }
}

fn by_proxy(seen: &Conversation) -> String {
    let Some(Leg { device, port, refused, answered, .. }) = &seen.leg else {
        return "which answered; that it went on to the container was not seen".to_owned();
    };
    let went_on = format!("which went on to interface {device}, port {port}/{}", seen.protocol.name());
    match (refused, answered) {
        (true, _) => format!("{went_on}, and was refused there with a reset: nobody listens"),
        (false, 0) => format!("{went_on}, from where no answer left"),
        (false, _) => format!("{went_on}, and was answered"),
    }
}

/// All of it in one sentence, for whoever reads only that: the latest conversation, and whether others went otherwise.
pub(super) fn summary(answer: &Answer) -> String {
    let went = |seen: &Conversation| (seen.outcome, seen.refused, seen.decision.expected);
    let mut all = answer.forward().map(went);
    let first = all.next();
    let differ = all.any(|other| Some(other) != first);
    let note = if differ { " That is the latest; others went otherwise." } else { "" };
    of_latest(answer) + note
}

fn of_latest(answer: &Answer) -> String {
    let latest = answer.forward().next();
    if let Some(stopped) = answer.stopped.iter().max_by_key(|stopped| stopped.last_seen)
        && latest.is_none_or(|latest| latest.last_seen < stopped.last_seen)
    {
        return dropped(answer, stopped);
    }
    let Some(latest) = latest else { return nothing(answer) };
    let to = name(&answer.asked.to, &answer.to);
    let expected = latest.decision.expected;
    let rule = latest.decision.rule.as_str();
    if let (true, Expected::Allow, Outcome::Answered) = (latest.is_proxied(), expected, latest.outcome) {
        match &latest.leg {
            _ if latest.refused_by_host() => {}
            None => return format!("The host's proxy answers, but was not seen to reach {to}."),
            Some(leg) if leg.answered == 0 => {
                return format!("The host's proxy reaches {to}, which is silent.");
            }
            Some(_) => {}
        }
    }
    match (expected, latest.outcome) {
        (Expected::Allow, Outcome::Answered) if latest.refused => {
            format!("It arrives, but {to} refuses it: nobody listens there.")
        }
        (Expected::Allow, Outcome::Answered) if latest.came_back.packets == 0 => {
            format!("It arrives and {to} answers, but the answer is lost.")
        }
        (Expected::Allow, Outcome::Answered) => "It works.".to_owned(),
        (Expected::Allow, Outcome::Delivered) => format!("It arrives, but {to} does not answer."),
        (Expected::Allow, Outcome::Blocked) => {
            format!("It should work ({rule}), but the host stops it.")
        }
        (Expected::Allow, Outcome::Undelivered) => format!("It should work ({rule}), but does not arrive."),
        (Expected::Deny, Outcome::Blocked) => format!("It is stopped, as it should be ({rule})."),
        (Expected::Deny, Outcome::Undelivered) => {
            format!("It does not arrive, and should not ({rule}); the kernel told no drop.")
        }
        (Expected::Deny, Outcome::Answered | Outcome::Delivered) => {
            format!("It gets through and must not ({rule}).")
        }
        (_, Outcome::Attempted) => "It is not decided yet; watch longer (--for).".to_owned(),
        (_, Outcome::Unknown) => "It cannot be told from what was seen.".to_owned(),
    }
}

/// What was dropped before it reached any interface.
fn dropped(answer: &Answer, stopped: &Stopped) -> String {
    let to = name(&answer.asked.to, &answer.to);
    let by = match stopped.reason.as_str() {
        reason @ "NETFILTER_DROP" => format!("the host's firewall ({reason})"),
        reason => format!("the kernel ({reason})"),
    };
    let judged = match &answer.decision {
        Some(Decision { expected: Expected::Deny, rule, .. }) => {
            format!(", as it should be ({})", rule.as_str())
        }
        Some(Decision { expected: Expected::Allow, rule, .. }) => {
            format!(", but it should work ({})", rule.as_str())
        }
        None => String::new(),
    };
    format!("It is stopped at {} by {by}, before it reaches {to}{judged}.", stopped.at)
}

fn nothing(answer: &Answer) -> String {
    let Answer { asked, from, to, .. } = answer;
    let (from, name_of_to) = (name(&asked.from, from), name(&asked.to, to));
    let what = match (asked.port, asked.protocol) {
        (Some(port), _) => format!(" on port {port}/{}", asked.protocol().name()),
        (None, Some(protocol)) => format!(" over {}", protocol.name()),
        (None, None) => String::new(),
    };
    format!("Nothing was seen from {from} to {name_of_to}{what}.")
}

/// What an asked end is called.
pub(super) fn name(subject: &AskedEnd, place: &Place) -> String {
    match (&place.container, subject) {
        (Some(container), _) => container.name.as_str().to_owned(),
        (None, AskedEnd::Host { .. }) => "the host".to_owned(),
        (None, AskedEnd::Outside { address: None }) => "outside".to_owned(),
        (None, AskedEnd::Container { id, .. }) => id.short().to_owned(),
        (None, AskedEnd::Outside { address: Some(address) } | AskedEnd::Address(address)) => {
            address.to_string()
        }
    }
}
