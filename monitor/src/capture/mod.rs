//! A capture: which packets are taken, what is said of each, and the file that they make. Pure: packets, flows and
//! snapshots go in, taken packets and pcapng come out.
//!
//! ```text
//! snapshots ─▶ places ─┐
//! records ──▶ known  ──┼─▶ desk ─▶ taken packets ─▶ document (pcapng), or lines
//! packets ─────────────┘
//! ```

mod bpf;
mod comment;
mod desk;
mod document;
mod known;
mod pcapng;
mod places;
mod row;

pub use bpf::{NotAProgram, Program};
pub use desk::{Desk, Taken, Tally};
pub use document::{Document, Section};
pub use places::{Choice, Place};

#[cfg(test)]
mod tests;
