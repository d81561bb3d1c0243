//! Waiting until no program still runs that began before now.

use super::bpf::GraceMap;
use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};
use std::io;

/// The way this kernel can wait.
#[derive(Debug)]
pub(super) enum Grace {
    /// `MEMBARRIER_CMD_GLOBAL`, which waits for every CPU to leave what it was doing.
    Barrier,
    /// An update of a map of maps, which waits for the same; for kernels with isolated CPUs (`nohz_full`).
    Map(GraceMap),
}

impl Grace {
    /// Finds out which.
    ///
    /// # Errors
    /// When neither can be had.
    pub(super) fn new() -> io::Result<Self> {
        if membarrier_query().contains_command(MembarrierCommand::Global) {
            Ok(Self::Barrier)
        } else {
            GraceMap::new().map(Self::Map)
        }
    }

    /// Waits; some milliseconds.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn wait(&self) -> io::Result<()> {
        match self {
            Self::Barrier => membarrier(MembarrierCommand::Global).map_err(io::Error::from),
            Self::Map(map) => map.wait(),
        }
    }
}
