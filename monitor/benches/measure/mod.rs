//! What every benchmark needs: statistics, devices of its own, the agent as a process, and a packet generator.
#![expect(dead_code, reason = "each benchmark uses its own part of this module")]

pub(crate) mod devices;
pub(crate) mod process;
pub(crate) mod scene;
pub(crate) mod statistics;
pub(crate) mod traffic;
