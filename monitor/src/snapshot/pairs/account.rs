//! What is kept of a pair, and what of it the history was told.

use super::Key;
use super::wrong_mtus::is_of_here;
use crate::flows::{Latency, Spread};
use crate::model::{IcmpError, KernelTime, Protocol, SafeText, Traffic};
use crate::policy::WrongMtu;
use crate::snapshot::history::{Others, PairCounts, PairEnds, PairSpan};
use crate::snapshot::recent::Recent;
use crate::snapshot::shares::Shares;
use crate::snapshot::{End, Hooks, IcmpRow, PairRow, Share, Verdict, icmp};
use std::sync::Arc;

/// What is kept of a pair.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) key: Key,
    pub(super) ends: Arc<PairEnds>,
    pub(super) counts: PairCounts,
    /// What of these the history was told.
    pub(super) told: PairCounts,
    pub(super) recent: Recent<Traffic>,
    /// What few pairs have.
    pub(super) rare: Option<Box<Rare>>,
    pub(super) handshakes: Option<Box<Latency>>,
    /// Those that the history was not told.
    pub(super) handshakes_untold: Spread,
    pub(super) verdict: Option<Verdict>,
    pub(super) last_seen: KernelTime,
}

/// What few pairs have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// What the client came to by shared names.
    pub(super) shares: Shares,
    /// Errors of ICMP about its packets.
    pub(super) icmp: icmp::Errors,
    /// What of these the history was told.
    icmp_told: Vec<IcmpRow>,
}

impl Rare {
    /// What the history was not told yet, which it is with this.
    fn tell(&mut self) -> (Vec<Share>, Vec<IcmpRow>) {
        let icmp = icmp::since(&self.icmp.rows, &self.icmp_told);
        self.icmp_told.clone_from(&self.icmp.rows);
        (self.shares.tell(), icmp)
    }
}

/// Whether an end is as it was last seen, but for its port.
fn is_as_seen(end: &End, seen: &End) -> bool {
    let told = |end: &End| (end.address, end.reason);
    told(end) == told(seen) && end.container == seen.container && end.swarm == seen.swarm
}

impl Account {
    /// Packets arrived at the interface of the client, or of the server.
    pub(super) fn crossed(&mut self, is_client: bool, device: Option<&SafeText>, packets: u64) {
        let PairCounts { came_back, delivered, .. } = &mut self.counts;
        let arrived = if is_client { came_back } else { delivered };
        *arrived = arrived.saturating_add(packets);
        let end = usize::from(!is_client);
        if device.is_some() && self.ends.devices[end].as_ref() != device {
            Arc::make_mut(&mut self.ends).devices[end] = device.cloned();
        }
    }

    /// Keeps both ends as they were last seen. They are the same as before as a rule, and comparing costs less than copying.
    pub(super) fn renew(&mut self, [client, server]: [&End; 2], port: Option<u16>) {
        if !is_as_seen(&self.ends.client, client) {
            Arc::make_mut(&mut self.ends).client = End { port: None, ..client.clone() };
        }
        if !is_as_seen(&self.ends.server, server) {
            Arc::make_mut(&mut self.ends).server = End { port, ..server.clone() };
        }
    }

    /// What the history was not told yet, if there is something.
    pub(super) fn tell(&mut self) -> Option<PairSpan> {
        if self.counts == self.told {
            return None;
        }
        let counts = self.counts.since(&self.told);
        self.told = self.counts;
        let (shares, icmp) = self.rare.as_mut().map(|rare| rare.tell()).unwrap_or_default();
        Some(PairSpan {
            ends: Arc::clone(&self.ends),
            counts,
            shares,
            icmp,
            handshakes: std::mem::take(&mut self.handshakes_untold),
            verdict: self.verdict.clone(),
            last_seen: self.last_seen,
        })
    }

    /// It goes before the history was told all of it.
    pub(super) fn departs(&self, others: &mut Others) {
        if self.counts != self.told {
            others.pair(self.counts.since(&self.told));
        }
    }

    /// That the client, or else the server, sends what does not fit. None of datagrams: programs send such to find out what
    /// fits (RFC 8899). None of an end that is elsewhere.
    pub(super) fn wrong_mtu(
        &self,
        of_client: bool,
        told_by: End,
        error: &IcmpError,
        (again, at): (u64, KernelTime),
    ) -> Option<WrongMtu> {
        let PairEnds { client, server, protocol, .. } = &*self.ends;
        let (source, destination) = if of_client { (client, server) } else { (server, client) };
        let mtu = error.mtu.filter(|_| *protocol == Protocol::TCP && is_of_here(source))?;
        Some(WrongMtu {
            source: source.clone(),
            destination: destination.clone(),
            others: 1,
            protocol: *protocol,
            port: server.port,
            told_by,
            reason: error.kind.reason(),
            mtu,
            again,
            at,
        })
    }

    pub(super) fn row(&self, window: Traffic) -> PairRow {
        PairRow {
            client: self.ends.client.clone(),
            server: self.ends.server.clone(),
            protocol: self.key.protocol,
            network: self.ends.network.clone(),
            traffic: self.counts.traffic,
            window,
            conversations: self.counts.conversations,
            answers: self.counts.answers,
            shares: self.rare.as_ref().map(|rare| rare.shares.all.clone()).unwrap_or_default(),
            retransmits: self.counts.retransmits,
            zero_windows: self.counts.zero_windows,
            icmp: self.rare.as_ref().map(|rare| rare.icmp.rows.clone()).unwrap_or_default(),
            handshake: self.handshakes.as_ref().and_then(|handshakes| handshakes.percentiles()),
            verdict: self.verdict.clone(),
            last_seen: self.last_seen,
            hooks: Hooks::default(),
        }
    }
}
