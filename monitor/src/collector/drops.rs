//! The drop watcher as the agent has it: its program at the tracepoint, and what it counted.

use super::bpf::{self, Map};
use super::decode;
use super::reasons::Reasons;
use crate::model::Drop as Dropped;
use anyhow::{Context as _, Result, anyhow};
use aya::Ebpf;
use aya::programs::RawTracePoint;
use aya::programs::raw_trace_point::RawTracePointLink;
use monitor_common::drops::{DropEntry, DropKey};
use rustix::fd::{AsFd, OwnedFd};
use std::io;

/// The program.
const PROGRAM: &str = "vethwatch_drop";
/// Where it is attached.
const TRACEPOINT: &str = "kfree_skb";

/// A watcher that is attached; it is taken off when this is dropped.
#[derive(Debug)]
pub(super) struct Drops {
    map: Map<DropKey, DropEntry>,
    reasons: Reasons,
    program: OwnedFd,
    _link: RawTracePointLink,
}

impl Drops {
    /// Loads the program and attaches it.
    ///
    /// # Errors
    /// When the kernel refuses, in its own words.
    pub(super) fn attach(ebpf: &mut Ebpf, map: Map<DropKey, DropEntry>, reasons: Reasons) -> Result<Self> {
        let (program, link) = attach(ebpf, PROGRAM, TRACEPOINT)?;
        Ok(Self { map, reasons, program, _link: link })
    }

    /// Takes what was dropped in a generation, which must be quiet.
    ///
    /// # Errors
    /// What the kernel says. What was not taken then is at the next drain of the same generation.
    pub(super) fn drain(&self, generation: u32) -> io::Result<Vec<Dropped>> {
        let of_it = |key: &DropKey| u32::from(key.generation) == generation;
        let taken = self.map.take(of_it)?;
        Ok(taken.iter().map(|(key, entry)| decode::drop(key, entry, &self.reasons)).collect())
    }

    /// How often a drop came while this CPU's program was still at another.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn missed(&self) -> io::Result<u64> {
        bpf::missed_runs(self.program.as_fd())
    }
}

/// Loads a program and attaches it to a tracepoint, until the link is dropped.
///
/// # Errors
/// When the kernel refuses, in its own words.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    program: &str,
    tracepoint: &str,
) -> Result<(OwnedFd, RawTracePointLink)> {
    let found =
        ebpf.program_mut(program).ok_or_else(|| anyhow!("the kernel programs' object has no {program}"))?;
    let found: &mut RawTracePoint = found.try_into()?;
    found.load().with_context(|| format!("load the kernel program {program}"))?;
    let link = found.attach(tracepoint).with_context(|| format!("attach to {tracepoint}"))?;
    let link = found.take_link(link)?;
    Ok((found.fd()?.as_fd().try_clone_to_owned()?, link))
}
