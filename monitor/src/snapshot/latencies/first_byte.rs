//! How long an answer took to begin, as one interface saw it.

use super::super::{End, FlowRecord, Talk};
use crate::model::{Initiator, InterfaceKind, KernelTime};
use std::time::Duration;

/// From the first data of who opened a connection to the first data of who was asked.
#[derive(Clone, Copy, Debug)]
pub struct FirstByte<'a> {
    pub(super) client: &'a End,
    pub(super) server: &'a End,
    pub(super) took: Duration,
    pub(super) at: KernelTime,
}

impl<'a> FirstByte<'a> {
    /// That of a flow's tick at a container's interface, if there is one.
    #[must_use]
    pub fn of_record(flow: &'a FlowRecord) -> Option<Self> {
        let took = flow.tcp.and_then(|tcp| tcp.first_byte)?;
        let is_counted = flow.observed_at.kind != InterfaceKind::Bridge && flow.local.container.is_some();
        is_counted.then(|| Self::at([&flow.local, &flow.remote], flow.initiator, took, flow.tick_end))?
    }

    pub(in crate::snapshot) fn of_talk(talk: &Talk<'a>) -> Option<Self> {
        Self::at([talk.local, talk.remote], talk.initiator, talk.first_byte()?, talk.tick_end)
    }

    /// At the server's interface; what the client's saw counts where the server is no container.
    fn at([local, remote]: [&'a End; 2], opener: Initiator, took: Duration, at: KernelTime) -> Option<Self> {
        match opener {
            Initiator::Remote => Some(Self { client: remote, server: local, took, at }),
            Initiator::Local if remote.container.is_none() => {
                Some(Self { client: local, server: remote, took, at })
            }
            Initiator::Local | Initiator::Unknown => None,
        }
    }
}
