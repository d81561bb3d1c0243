//! Whose sockets on the host's network are whose: a conversation that is seen at a control group names the other end of the
//! same one at an interface, where it is an address of the host.

use crate::model::{FlowId, FlowKey, InterfaceNumber, Tuple};
use std::collections::HashMap;

/// The conversations of control groups that are alive, by what their containers send.
#[derive(Debug, Default)]
pub(super) struct Sockets(HashMap<Tuple, (InterfaceNumber, FlowId)>);

impl Sockets {
    /// One was seen at a control group. It has to be forgotten when it is over.
    pub(super) fn note(&mut self, key: &FlowKey, id: FlowId) {
        self.0.insert(key.tuple(), (key.interface, id));
    }

    /// The flow of a conversation at a control group.
    pub(super) fn flow(&self, key: &FlowKey) -> Option<FlowId> {
        self.0.get(&key.tuple()).filter(|(interface, _)| *interface == key.interface).map(|(_, id)| *id)
    }

    /// It is over.
    pub(super) fn forget(&mut self, key: &FlowKey) {
        let tuple = key.tuple();
        if self.0.get(&tuple).is_some_and(|(interface, _)| *interface == key.interface) {
            self.0.remove(&tuple);
        }
    }

    /// At whose control group the other end of a conversation was seen.
    pub(super) fn other_end(&self, key: &FlowKey) -> Option<InterfaceNumber> {
        let Tuple { source, destination, protocol, ports: (local, remote) } = key.tuple();
        let other = Tuple { source: destination, destination: source, protocol, ports: (remote, local) };
        self.0.get(&other).map(|(interface, _)| *interface)
    }
}

#[cfg(test)]
mod tests {
    use super::Sockets;
    use crate::model::{FlowId, FlowKey, FlowPorts, InterfaceNumber, Protocol};

    fn key(interface: u32, local: (&str, u16), remote: (&str, u16)) -> FlowKey {
        FlowKey {
            interface: InterfaceNumber(interface),
            local: local.0.parse().unwrap(),
            remote: remote.0.parse().unwrap(),
            protocol: Protocol::TCP,
            ports: FlowPorts::Ports { local: local.1, remote: remote.1 },
            vlan: None,
        }
    }

    #[test]
    fn the_other_end_is_the_same_conversation_turned_round_until_it_is_over() {
        let (gateway, server) = (("172.18.0.1", 40_000), ("172.18.0.2", 80));
        let (of_group, of_veth) = (key(7, gateway, server), key(1, server, gateway));
        let mut sockets = Sockets::default();
        sockets.note(&of_group, FlowId(3));
        assert_eq!(sockets.flow(&of_group), Some(FlowId(3)));
        assert_eq!(sockets.flow(&key(8, gateway, server)), None, "another group's");
        assert_eq!(sockets.other_end(&of_veth), Some(InterfaceNumber(7)));
        assert_eq!(sockets.other_end(&of_group), None);
        assert_eq!(sockets.other_end(&key(1, server, ("172.18.0.1", 40_001))), None);
        sockets.forget(&key(8, gateway, server));
        assert_eq!(sockets.other_end(&of_veth), Some(InterfaceNumber(7)), "another group's");
        sockets.forget(&of_group);
        assert_eq!(sockets.other_end(&of_veth), None);
    }
}
