//! Docker's networks, and where the traffic of their containers goes.

use super::recent::Recent;
use super::{
    ContainerRef, End, EndKind, Finding, Kind, NetworkRef, NetworkRow, NetworkSpan, NetworkTraits, Reach,
};
use crate::attribution::{Attribution, KnownNetwork};
use crate::model::{KernelTime, Network, NetworkDriver, NetworkId, NetworkMode};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
struct Account {
    network: NetworkRef,
    /// How it is made, as it was known when the history was told last.
    traits: Option<Arc<NetworkTraits>>,
    totals: Reach,
    /// What of these the history was told.
    told: Reach,
    recent: Recent<Reach>,
}

impl Account {
    fn of(network: &NetworkRef) -> Self {
        let nothing = Reach::default();
        Self {
            network: network.clone(),
            traits: None,
            totals: nothing,
            told: nothing,
            recent: Recent::default(),
        }
    }

    /// Takes in what is known of the network now.
    fn know(&mut self, network: &Network) {
        let traits = NetworkTraits::lasting(network);
        // The history shares what stays the same.
        if self.traits.as_deref() != Some(&traits) {
            self.traits = Some(Arc::new(traits));
        }
    }

    /// What the history was not told yet, if there is something.
    fn tell(&mut self) -> Option<NetworkSpan> {
        let reach = self.totals.since(&self.told);
        self.told = self.totals;
        let span = || NetworkSpan { network: self.network.clone(), traits: self.traits.clone(), reach };
        (reach != Reach::default()).then(span)
    }
}

/// The traffic of all networks.
#[derive(Debug)]
pub(super) struct Networks {
    window: Duration,
    of: HashMap<NetworkId, Account>,
    /// What the history was not told of networks that are gone.
    departed: Vec<NetworkSpan>,
}

impl Networks {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, of: HashMap::new(), departed: Vec::new() }
    }

    /// Adds one tick of a flow at one of a network's interfaces.
    pub(super) fn add(&mut self, network: &NetworkRef, reach: Reach, tick_end: KernelTime) {
        let window = self.window;
        let add = |account: &mut Account| {
            account.totals += reach;
            account.recent.add(tick_end, window, reach);
        };
        match self.of.get_mut(&network.id) {
            Some(account) => add(account),
            None => add(self.of.entry(network.id.clone()).or_insert_with(|| Account::of(network))),
        }
    }

    /// Forgets the networks that are no longer known.
    pub(super) fn keep(&mut self, known: impl Fn(&NetworkId) -> bool) {
        let Self { of, departed, .. } = self;
        of.retain(|id, account| {
            let stays = known(id);
            if !stays {
                departed.extend(account.tell());
            }
            stays
        });
    }

    /// What came since the history was told last, of each network of which something did.
    pub(super) fn tell(&mut self, attribution: &Attribution) -> Vec<NetworkSpan> {
        let mut told = std::mem::take(&mut self.departed);
        for (id, account) in &mut self.of {
            if let Some(known) = attribution.network(id) {
                account.know(&known.network);
            }
            told.extend(account.tell());
        }
        told
    }

    /// The rows, by name; with the window that began at `start`.
    pub(super) fn rows<'a>(
        &self,
        attribution: &Attribution,
        findings: impl Iterator<Item = &'a Finding>,
        start: KernelTime,
    ) -> Arc<[NetworkRow]> {
        let mut members = members(attribution);
        let mut watched = watched(attribution);
        let crossings: Vec<&Finding> =
            findings.filter(|it| matches!(it.kind, Kind::Crossing | Kind::Violation)).collect();
        let row = |known: &KnownNetwork| {
            let id = &known.network.id;
            let counted = self.of.get(id);
            NetworkRow {
                network: known.reference().clone(),
                traits: Some(Arc::new(NetworkTraits::of(&known.network))),
                members: members.remove(id).unwrap_or_default(),
                interfaces_watched: watched.remove(id).unwrap_or(0),
                totals: counted.map_or_else(Reach::default, |counted| counted.totals),
                window: counted.map_or_else(Reach::default, |counted| counted.recent.after(start)),
                crossings: crossings.iter().filter(|it| is_on(known, it)).count(),
            }
        };
        let mut rows: Vec<NetworkRow> = attribution.networks().map(row).collect();
        rows.sort_by(|a, b| (&a.network.name, &a.network.id).cmp(&(&b.network.name, &b.network.id)));
        rows.into()
    }
}

/// Running containers by network; those in host mode are on the network with that driver.
fn members(attribution: &Attribution) -> HashMap<&NetworkId, Vec<Arc<ContainerRef>>> {
    let mut members: HashMap<&NetworkId, Vec<Arc<ContainerRef>>> = HashMap::new();
    let host = attribution.networks().find(|known| known.network.driver == NetworkDriver::Host);
    for known in attribution.containers().filter(|known| known.is_running()) {
        let in_host_mode = known.container.network_mode == NetworkMode::Host;
        let of_host = host.filter(|_| in_host_mode).map(|host| &host.network.id);
        let networks = known.container.endpoints.iter().map(|endpoint| &endpoint.network);
        for network in networks.filter(|network| Some(*network) != of_host).chain(of_host) {
            members.entry(network).or_default().push(known.reference().clone());
        }
    }
    for members in members.values_mut() {
        members.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    }
    members
}

/// How many containers' interfaces are watched, by network.
fn watched(attribution: &Attribution) -> HashMap<&NetworkId, usize> {
    let mut watched: HashMap<&NetworkId, usize> = HashMap::new();
    for interface in attribution.interfaces() {
        let is_live = interface.life.until.is_none() && interface.interface.kind.is_of_container();
        if let Some(network) = interface.network.as_ref().filter(|_| is_live) {
            *watched.entry(&network.id).or_default() += 1;
        }
    }
    watched
}

/// Whether an end of a finding is on a network, by the address that was used.
fn is_on(known: &KnownNetwork, finding: &Finding) -> bool {
    let is_on =
        |end: &End| matches!(end.kind, EndKind::Container | EndKind::Unknown) && known.holds(end.address);
    is_on(&finding.source) || is_on(&finding.destination)
}

#[cfg(test)]
mod tests {
    use super::Account;
    use crate::model::{GatewayMode, Network, NetworkDriver, Overlay, SafeText};
    use crate::snapshot::{NetworkTraits, Reach};
    use crate::wire::fixtures;
    use std::sync::Arc;

    #[test]
    fn history_shares_what_it_knows_of_a_network_however_its_nodes_change() {
        let reference = fixtures::network("mesh");
        let network = |nodes: u8, vxlan_id| Network {
            id: reference.id.clone(),
            name: SafeText::new("mesh"),
            driver: NetworkDriver::Overlay,
            subnets: vec![("10.0.1.0".parse().unwrap(), 24)],
            gateways: Vec::new(),
            internal: true,
            inter_container: true,
            ipv6: false,
            gateway_mode_ipv4: GatewayMode::Nat,
            gateway_mode_ipv6: GatewayMode::Nat,
            bridge: None,
            overlay: Some(Overlay {
                vxlan_ids: vec![vxlan_id],
                encrypted: true,
                ingress: false,
                nodes: (0..nodes).map(|node| [198, 51, 100, node].into()).collect(),
            }),
        };
        let mut account = Account::of(&reference);
        let mut told = |network: &Network| {
            account.know(network);
            account.totals += Reach { inside: fixtures::counts(1, 100), ..Reach::default() };
            account.tell().unwrap().traits.unwrap()
        };
        let [first, second] = [2, 200].map(|nodes| told(&network(nodes, 4_097)));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*first, NetworkTraits::of(&network(0, 4_097)), "all but the nodes");
        let third = told(&network(200, 4_098));
        assert_eq!(*third, NetworkTraits::of(&network(0, 4_098)), "what changes else is told");
    }
}
