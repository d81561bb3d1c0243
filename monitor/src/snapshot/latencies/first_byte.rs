//! How long an answer took to begin, as one interface saw it.

use super::super::{FlowRecord, Talk};
use super::Between;
use crate::model::KernelTime;
use std::time::Duration;

/// From the first data of who opened a connection to the first data of who was asked.
#[derive(Clone, Copy, Debug)]
pub struct FirstByte<'a> {
    pub(super) ends: Between<'a>,
    pub(super) at_server: bool,
    pub(super) took: Duration,
    pub(super) at: KernelTime,
}

impl<'a> FirstByte<'a> {
    /// That of a flow's tick at a container's interface, if there is one.
    #[must_use]
    pub fn of_record(flow: &'a FlowRecord) -> Option<Self> {
        let took = flow.tcp.and_then(|tcp| tcp.first_byte)?;
        Self::at(Between::of_record(flow)?, took, flow.tick_end)
    }

    pub(in crate::snapshot) fn of_talk(talk: &Talk<'a>) -> Option<Self> {
        let took = talk.first_byte()?;
        Self::at(Between::of_talk(talk)?, took, talk.tick_end)
    }

    /// At the server's interface; what the client's saw counts where the server is no container.
    fn at((ends, at_client): (Between<'a>, bool), took: Duration, at: KernelTime) -> Option<Self> {
        let is_counted = !at_client || ends.server.container.is_none();
        is_counted.then_some(Self { ends, at_server: !at_client, took, at })
    }
}
