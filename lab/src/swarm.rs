//! Two nodes of a swarm on one machine: engines in network namespaces of their own, with a link between them.

use crate::engine::{Engine, run};
use anyhow::Result;
use std::process::Command;

/// The nodes' addresses on the link between them.
pub const NODE_ADDRESSES: [&str; 2] = ["198.18.254.1", "198.18.254.2"];
/// The device of that link, in both.
const LINK: &str = "u0";

/// A manager and a worker; both are gone when dropped.
#[derive(Debug)]
pub struct Swarm {
    /// The engines, the manager's first.
    pub nodes: [Engine; 2],
}

impl Swarm {
    /// Starts both, each with an image of the host's engine.
    ///
    /// # Errors
    /// An engine does not start, or does not join.
    pub fn start(image: &str) -> Result<Self> {
        let nodes = [Engine::start_as("a", "{}", image)?, Engine::start_as("b", "{}", image)?];
        let [manager, worker] = &nodes;
        let [one, other] = [&manager.namespace, &worker.namespace];
        // A veth and no bridge: bridged frames would meet the firewall of the host's own engine.
        ip(&["link", "add", LINK, "netns", one, "type", "veth", "peer", "name", LINK, "netns", other])?;
        for (node, address) in nodes.iter().zip(NODE_ADDRESSES) {
            ip(&["-n", &node.namespace, "address", "add", &format!("{address}/24"), "dev", LINK])?;
            ip(&["-n", &node.namespace, "link", "set", LINK, "up"])?;
        }
        let at = |address: &str| format!("{address}:2377");
        let [first, second] = NODE_ADDRESSES;
        manager.docker(&["swarm", "init", "--advertise-addr", first, "--listen-addr", &at(first)])?;
        let token = manager.docker(&["swarm", "join-token", "--quiet", "worker"])?;
        let listen = at(second);
        let join = ["swarm", "join", "--advertise-addr", second, "--listen-addr", &listen, "--token"];
        worker.docker(&[&join[..], &[token.trim(), &at(first)]].concat())?;
        Ok(Self { nodes })
    }

    /// Has the link between the nodes take so many bytes, of the packets of both.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_mtu(&self, bytes: u16) -> Result<()> {
        let set =
            |node: &Engine| ip(&["-n", &node.namespace, "link", "set", LINK, "mtu", &bytes.to_string()]);
        self.nodes.iter().try_for_each(set)
    }
}

fn ip(words: &[&str]) -> Result<()> {
    run(Command::new("ip").args(words))
}
