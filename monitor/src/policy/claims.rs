//! Who claims which address on a link, and what is to be told of it.

use super::case::Around;
use super::explain::About;
use super::findings::{Findings, Kind, Sighting};
use super::opening::{SPOOFED, is_link_local};
use super::outcome::{Evidence, Found, Outcome};
use super::rules::{Expected, Rule, RuleName};
use super::testimony::packets;
use crate::attribution::{End, EndKind};
use crate::model::{Claim, ClaimKind, Counts, SafeText};
use std::sync::Arc;

/// Tells a claim, unless the claimed address is the claimant's own.
pub(super) fn see(findings: &mut Findings, around: &Around<'_>, claim: &Claim) {
    let facts = around.attribution;
    let Some(owner) = facts.owner(claim.interface).filter(|owner| !owner.container.endpoints.is_empty())
    else {
        return;
    };
    let own = claim.address.is_unspecified() || facts.is_given(owner, claim.address);
    let (what, protocol) = match claim.kind {
        ClaimKind::Arp if own || is_link_local(claim.address) => return,
        ClaimKind::NeighbourAdvertisement if own || is_link_local(claim.address) => return,
        ClaimKind::Arp => ("it claims an address that is not its own, by ARP", "arp"),
        ClaimKind::NeighbourAdvertisement => {
            ("it claims an address that is not its own, by a neighbour advertisement", "ipv6-icmp")
        }
        ClaimKind::RouterAdvertisement => {
            ("it says that it is a router, by a router advertisement", "ipv6-icmp")
        }
    };
    let interface = facts.interface(claim.interface).map(|watched| watched.observed_at.interface.clone());
    let interface = interface.unwrap_or_else(|| SafeText::new(""));
    let source = End::of_container(Arc::clone(owner.reference()), claim.address);
    let destination = End::plain(EndKind::Multicast, claim.address);
    let saw = format!("{} {} that say so", claim.packets, packets(claim.packets));
    let found = Found {
        outcome: Outcome::Attempted,
        reason: None,
        drop_reason: None,
        evidence: vec![Evidence::new(interface.as_str(), saw)],
    };
    findings.see(&Sighting {
        kind: Kind::Violation,
        rule: &RuleName::Topology(Rule::SpoofedSource),
        severity: None,
        comment: None,
        expected: Expected::Deny,
        source: &source,
        destination: &destination,
        protocol: protocol.into(),
        port: None,
        found: &found,
        counts: Counts { packets: claim.packets, ..Counts::default() },
        first_seen: claim.first_seen,
        last_seen: claim.last_seen,
        about: About { judgement: SPOOFED, claim: Some(what), is_claim_alone: true },
    });
}
