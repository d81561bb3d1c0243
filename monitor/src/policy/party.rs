//! One end of a conversation, as rules see it.

use crate::attribution::{EndKind, NetworkRef};
use crate::model::Container;
use std::net::IpAddr;

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
    /// The networks it is on.
    pub networks: &'a [NetworkRef],
}
