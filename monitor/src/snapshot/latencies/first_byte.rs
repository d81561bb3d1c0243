//! How long an answer took to begin, as one interface saw it.

use super::super::{End, FlowRecord, NetworkRef, Talk};
use super::Between;
use crate::model::{Initiator, InterfaceKind, KernelTime};
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
        let is_counted = flow.observed_at.kind != InterfaceKind::Bridge && flow.local.container.is_some();
        let (ends, network) = ([&flow.local, &flow.remote], flow.network.as_ref());
        is_counted.then(|| Self::at(ends, network, flow.initiator, (took, flow.tick_end)))?
    }

    pub(in crate::snapshot) fn of_talk(talk: &Talk<'a>) -> Option<Self> {
        let taken = (talk.first_byte()?, talk.tick_end);
        Self::at([talk.local, talk.remote], talk.network, talk.initiator, taken)
    }

    /// At the server's interface; what the client's saw counts where the server is no container.
    fn at(
        [local, remote]: [&'a End; 2],
        network: Option<&'a NetworkRef>,
        opener: Initiator,
        (took, at): (Duration, KernelTime),
    ) -> Option<Self> {
        let (client, server, at_server) = match opener {
            Initiator::Remote => (remote, local, true),
            Initiator::Local if remote.container.is_none() => (local, remote, false),
            Initiator::Local | Initiator::Unknown => return None,
        };
        Some(Self { ends: Between { client, server, network }, at_server, took, at })
    }
}
