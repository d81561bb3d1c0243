//! What there is to be seen: a client that asks an application through a proxy, a stranger whom Docker stops, an
//! intruder whom a rule lets through, a visitor at a published port, and one whose allowed requests are dropped.

use super::PATIENCE;
use anyhow::Result;
use lab::{Container, Lab, Network, Rules, wait_for};

/// Compose project of the containers.
const PROJECT: &str = "vw-prom";

/// Everything, until it is closed or dropped.
pub(crate) struct Stage {
    /// Before the lab: rules name its bridges.
    rules: Rules,
    lab: Lab,
    pub(crate) front: Network,
}

impl Stage {
    pub(crate) fn set_up() -> Result<Self> {
        let lab = Lab::new("prom")?;
        let [front, back, side] = ["front", "back", "side"].map(|name| lab.network(name, &[]));
        let (front, back, side) = (front?, back?, side?);
        let mut rules = Rules::new();
        for (from, to) in [(&side, &back), (&back, &side)] {
            rules
                .insert("iptables", &format!("DOCKER-USER -i {} -o {} -j ACCEPT", from.bridge, to.bridge))?;
        }
        let inside = &front.bridge;
        rules
            .insert("iptables", &format!("DOCKER-USER -i {inside} -o {inside} -p tcp --dport 81 -j DROP"))?;

        let service =
            |name: &str| lab.container(name).compose(PROJECT, name).options(&["--network-alias", name]);
        let app = service("app").on(&back).options(&["--publish", "5000"]).run(&["serve-http", "5000"])?;
        let proxy = service("proxy").on(&front).on(&back).run(&["proxy", "80", "app:5000"])?;
        let direct = format!("http://{}:5000/", app.address(&back)?);
        let published = format!("http://{}:{}/", front.gateway()?, app.published_port("5000/tcp")?);
        let shut = format!("http://{}:81/", proxy.address(&front)?);
        let asks = |name: &str, network: &Network, url: &str| {
            let words = ["get", url, "--every", "100ms", "--timeout", "1s", "--count", "0"];
            service(name).on(network).run(&words)
        };
        asks("stranger", &front, &direct)?;
        asks("visitor", &front, &published)?;
        asks("late", &front, &shut)?;
        for client in [asks("client", &front, "http://proxy/")?, asks("intruder", &side, &direct)?] {
            wait_for(&format!("an answer to {}", client.name), PATIENCE, || {
                Ok(client.logs()?.contains("200 OK").then_some(()))
            })?;
        }
        Ok(Self { rules, lab, front })
    }

    /// Has a container send so many datagrams to another; neither says anything else.
    pub(crate) fn exchange(&self, datagrams: u32) -> Result<[Container; 2]> {
        let quiet = |name: &str| self.lab.container(name).on(&self.front).run(&["sleep"]);
        let (sender, receiver) = (quiet("sender")?, quiet("receiver")?);
        let to = format!("{}:4001", receiver.address(&self.front)?);
        let count = datagrams.to_string();
        sender.exec(&["/testbox", "udp-send", &to, "--count", &count, "--rate", "1000"])?;
        Ok([sender, receiver])
    }

    /// Removes everything, and tells what could not be removed.
    pub(crate) fn close(self) -> Result<()> {
        drop(self.rules);
        self.lab.close()
    }
}
