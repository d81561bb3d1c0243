//! A finding in a sentence or two that a tired person understands.

use super::findings::Finding;
use super::outcome::{Outcome, why};
use super::rules::{Expected, Judgement, Rule, RuleName};
use super::{silent, wrong_mtu};
use crate::attribution::{Attribution, End, EndKind};
use crate::model::{KernelTime, SafeText};

/// What the sentence is about, beside the finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) judgement: Judgement,
    /// What a forged address is, where the source address does not show it.
    pub(super) claim: Option<&'static str>,
    /// Whether the claim is all there is: no packets to anybody.
    pub(super) is_claim_alone: bool,
}

impl About {
    /// Whether it is about no conversation that is followed.
    pub(super) const fn is_alone(&self) -> bool {
        self.is_claim_alone || matches!(self.judgement.rule, Rule::SilentReplica | Rule::WrongMtu)
    }

    /// About packets.
    pub(super) const fn packets(judgement: Judgement, claim: Option<&'static str>) -> Self {
        Self { judgement, claim, is_claim_alone: false }
    }
}

/// The facts for a sentence.
struct Context<'a> {
    facts: &'a Attribution,
    about: &'a About,
}

/// The sentence.
pub(super) fn sentence(facts: &Attribution, about: &About, finding: &Finding) -> String {
    let context = &Context { facts, about };
    if about.is_claim_alone {
        return claimed(context, finding);
    }
    match finding.rule {
        RuleName::Topology(Rule::SilentReplica) => return silent::sentence(finding),
        RuleName::Topology(Rule::WrongMtu) => return wrong_mtu::sentence(finding),
        RuleName::Topology(_) | RuleName::File(_) => {}
    }
    let count = finding.counts.packets;
    let word = if count == 1 { "packet" } else { "packets" };
    format!(
        "{} sent {count} {word} to {}{}; {}; {}.",
        who(&finding.source),
        whom(context, finding),
        ports(finding),
        rule(context, finding),
        outcome(finding),
    )
}

/// The sentence of a claim.
fn claimed(context: &Context<'_>, finding: &Finding) -> String {
    let what = rule(context, finding);
    format!(
        "{}: {what} ({}, {} times).",
        who(&finding.source),
        finding.source.address,
        finding.counts.packets
    )
}

/// The source, with the networks it is on.
fn who(end: &End) -> String {
    match &end.container {
        Some(container) => {
            let networks: Vec<&str> =
                container.networks.iter().map(|network| network.name.as_str()).collect();
            match networks.as_slice() {
                [] => container.name.as_str().to_owned(),
                [one] => format!("{} (network {one})", container.name.as_str()),
                several => format!("{} (networks {})", container.name.as_str(), several.join(", ")),
            }
        }
        None => plain(end),
    }
}

/// The destination, with the network of the address that was used.
fn whom(context: &Context<'_>, finding: &Finding) -> String {
    let end = &finding.destination;
    let network = context.facts.network_of_end(end, finding.last_seen);
    let name = match &end.container {
        Some(container) => format!("{} at {}", container.name.as_str(), end.address),
        None => plain(end),
    };
    match network {
        Some(known) => format!("{name} (network {})", known.network.name.as_str()),
        None => name,
    }
}

fn plain(end: &End) -> String {
    match end.kind {
        EndKind::Host => format!("the host ({})", end.address),
        EndKind::External => format!("{} outside", end.address),
        EndKind::Container | EndKind::Multicast | EndKind::Unknown => end.address.to_string(),
    }
}

fn ports(finding: &Finding) -> String {
    let protocol = &finding.protocol;
    match (finding.ports.as_slice(), finding.port_count) {
        ([], _) => format!(" over {protocol}"),
        ([one], 1) => format!(", port {one}/{protocol}"),
        ([first, ..], count) => format!(", {count} ports from {first}/{protocol} on"),
    }
}

fn rule(context: &Context<'_>, finding: &Finding) -> String {
    because(
        &Reason {
            facts: context.facts,
            name: &finding.rule,
            comment: finding.policy_comment.as_ref(),
            judgement: context.about.judgement,
            source: &finding.source,
            destination: &finding.destination,
            at: finding.last_seen,
        },
        context.about.claim,
    )
}

/// What a rule's words are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reason<'a> {
    pub(super) facts: &'a Attribution,
    pub(super) name: &'a RuleName,
    /// What the policy file says about it.
    pub(super) comment: Option<&'a SafeText>,
    pub(super) judgement: Judgement,
    pub(super) source: &'a End,
    pub(super) destination: &'a End,
    pub(super) at: KernelTime,
}

/// Why a rule decides, in a few words; `claim` is what is forged, where the source address does not show it.
pub(super) fn because(reason: &Reason<'_>, claim: Option<&'static str>) -> String {
    let source = reason.source.container.as_deref();
    let shared =
        |name: &str| source.is_some_and(|source| source.networks.iter().any(|it| it.name.as_str() == name));
    let network = reason.facts.network_of_end(reason.destination, reason.at);
    let name = network.map_or("", |known| known.network.name.as_str());
    if let RuleName::File(name) = reason.name {
        let comment = reason.comment.map(|text| format!(": {}", text.as_str()));
        return format!("rule {} of the policy file decides{}", name.as_str(), comment.unwrap_or_default());
    }
    match reason.judgement.rule {
        Rule::SpoofedSource => match claim {
            Some(claim) => claim.to_owned(),
            None => format!("{} is not an address of its own", reason.source.address),
        },
        Rule::MetadataService => "that is the metadata service of a cloud".to_owned(),
        Rule::Linked => "they are linked".to_owned(),
        Rule::IccDisabled => format!("network {name} does not let its containers talk to each other"),
        Rule::SameNetwork => format!("both are on network {name}"),
        Rule::PublishedPort => "that port of the host is published by a container".to_owned(),
        Rule::CrossNetwork if shared(name) => {
            format!("it is on network {name} too, but used another of its networks to get there")
        }
        Rule::CrossNetwork => format!("it is not on network {name}"),
        Rule::InternalEgress => "its network is internal, nothing may leave it".to_owned(),
        Rule::HostAccess if source.is_none() => "the host reaches its containers".to_owned(),
        Rule::HostAccess => "that is the host itself".to_owned(),
        Rule::ExposedPort if reason.judgement.expected == Expected::Allow => {
            "that port is published".to_owned()
        }
        Rule::ExposedPort => "that port is not published".to_owned(),
        Rule::SilentReplica => "other replicas answer".to_owned(),
        Rule::WrongMtu => "packets of that size do not fit on the way".to_owned(),
        Rule::Egress => "it may reach the outside".to_owned(),
        Rule::Policy => "the policy file decides".to_owned(),
    }
}

fn outcome(finding: &Finding) -> String {
    let answered = match finding.outcome {
        Outcome::Answered => "they were delivered and answered",
        Outcome::Delivered => "they were delivered, and not answered",
        Outcome::Blocked => return blocked(finding),
        Outcome::Undelivered if finding.destination.kind == EndKind::Unknown => {
            return "they arrived nowhere: no container has that address".to_owned();
        }
        Outcome::Undelivered => return "they never arrived, and no drop was seen".to_owned(),
        Outcome::Attempted => return "what became of them is not decided yet".to_owned(),
        Outcome::Unknown => return format!("whether they arrived cannot be told: {}", words(finding.reason)),
    };
    let ipv6 =
        finding.destination.address.is_ipv6() && finding.rule == RuleName::Topology(Rule::CrossNetwork);
    let note = if ipv6 {
        ", because Docker does not isolate IPv6 networks with the settings it has here"
    } else {
        ""
    };
    format!("{answered}{note}")
}

fn blocked(finding: &Finding) -> String {
    match finding.drop_reason.as_ref().map(SafeText::as_str) {
        Some(reason @ "NETFILTER_DROP") => format!("the host's firewall dropped them ({reason})"),
        Some(reason) => format!("the kernel dropped them ({reason})"),
        None if finding.protocol == "tcp" => "the host refused them with a reset".to_owned(),
        None => "the host refused them".to_owned(),
    }
}

/// A fixed word for a reason, as a person says it.
pub(super) fn words(reason: Option<&'static str>) -> &'static str {
    match reason {
        Some(why::DESTINATION_NOT_WATCHED) => "the destination's interface is not watched",
        Some(why::FLOWS_NOT_RECORDED) => {
            "some packets were in no flow meanwhile, because the flow map was full"
        }
        Some(why::FLOWS_LOST) => "some flows could not be read meanwhile",
        Some(why::DROPS_LOST) => "some drops were not recorded meanwhile",
        Some(why::DROPS_NOT_WATCHED) => "the kernel's drops are not watched here",
        Some(why::OUT_OF_SIGHT) => "what arrives there is not seen from here",
        _ => "it was not seen",
    }
}
