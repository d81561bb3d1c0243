//! What TCP connections send again, as the agent has it: the programs at the tracepoints, and what they counted.

use super::bpf::{self, Map};
use super::decode;
use super::drops::attach;
use crate::model::Retransmit;
use anyhow::Result;
use aya::Ebpf;
use aya::programs::raw_trace_point::RawTracePointLink;
use monitor_common::retransmits::{RetransmitEntry, RetransmitKey};
use rustix::fd::{AsFd, OwnedFd};
use std::io;

/// The programs, and where they are attached.
const PROGRAMS: [(&str, &str); 2] =
    [("vethwatch_again", "tcp_retransmit_skb"), ("vethwatch_resyn", "tcp_retransmit_synack")];

/// Programs that are attached; they are taken off when this is dropped.
#[derive(Debug)]
pub(super) struct Retransmits {
    map: Map<RetransmitKey, RetransmitEntry>,
    /// Number of the namespace that is watched.
    own: u32,
    programs: [(OwnedFd, RawTracePointLink); 2],
}

impl Retransmits {
    /// Loads the programs and attaches them. `own`: the number of the namespace that is watched.
    ///
    /// # Errors
    /// When the kernel refuses, in its own words.
    pub(super) fn attach(
        ebpf: &mut Ebpf,
        map: Map<RetransmitKey, RetransmitEntry>,
        own: u32,
    ) -> Result<Self> {
        let [skb, answer] = PROGRAMS;
        let programs = [attach(ebpf, skb.0, skb.1)?, attach(ebpf, answer.0, answer.1)?];
        Ok(Self { map, own, programs })
    }

    /// Takes what was sent again in a generation, which must be quiet.
    ///
    /// # Errors
    /// What the kernel says. What was not taken then is at the next drain of the same generation.
    pub(super) fn drain(&self, generation: u32) -> io::Result<Vec<Retransmit>> {
        let of_it = |key: &RetransmitKey| u32::from(key.generation) == generation;
        let taken = self.map.take(of_it)?;
        Ok(taken.iter().map(|(key, entry)| decode::retransmit(key, entry, self.own)).collect())
    }

    /// How often something was sent again while this CPU's program was still at another.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn missed(&self) -> io::Result<u64> {
        let [(skb, _), (answer, _)] = &self.programs;
        Ok(bpf::missed_runs(skb.as_fd())? + bpf::missed_runs(answer.as_fd())?)
    }
}
