//! One end of a conversation, as rules see it.

use crate::attribution::{EndKind, NetworkRef};
use crate::model::{Container, SwarmMember};
use std::net::IpAddr;

/// What a swarm says of an end that is no container of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InSwarm<'a> {
    /// It is on no overlay network.
    No,
    /// It is on an overlay network, and nobody told who it is.
    Unnamed,
    /// Who it is.
    Member(&'a SwarmMember),
}

/// One end of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// What it is.
    pub kind: EndKind,
    /// Its address, before any translation on its own side.
    pub address: IpAddr,
    /// Its port, where the protocol has ports.
    pub port: Option<u16>,
    /// The container, when it is one.
    pub container: Option<&'a Container>,
    /// Who it is on another node of a swarm.
    pub swarm: InSwarm<'a>,
    /// The networks it is on.
    pub networks: &'a [NetworkRef],
}
