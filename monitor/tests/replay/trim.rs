//! Makes a row's recording small: what the judgement never reads goes, and so does what is not the row's own: other
//! containers of the host, the harness's marker. That this changes no finding is checked where it is called.

use crate::scenario::Scenario;
use monitor::model::{
    Change, Container, ContainerId, FlowBatch, HostAddresses, Interface, InterfaceNumber, KernelTime,
    Network, NetworkId, Observation, Reading, Resources, Step, TranslationChange,
};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

/// Networks that every Docker has.
const BUILT_IN: [&str; 3] = ["bridge", "host", "none"];
/// How often time alone is looked after, if that is enough.
const RARELY: Duration = Duration::from_millis(400);

/// How many of the moments at which nothing was told are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moments {
    /// A few.
    Few,
    /// All.
    All,
}

/// What belongs to a row.
pub(crate) struct Own {
    prefix: String,
    containers: HashSet<ContainerId>,
    networks: HashSet<NetworkId>,
    subnets: Vec<(IpAddr, u8)>,
    bridges: HashSet<String>,
    interfaces: HashSet<InterfaceNumber>,
    veths: HashSet<InterfaceNumber>,
    sandboxes: HashSet<String>,
}

impl Own {
    /// Finds out, from all that was told of containers, networks and interfaces.
    pub(crate) fn of(scenario: &Scenario, prefix: &str) -> Self {
        let mut own = Self {
            prefix: format!("{prefix}-"),
            containers: HashSet::new(),
            networks: HashSet::new(),
            subnets: Vec::new(),
            bridges: HashSet::new(),
            interfaces: HashSet::new(),
            veths: HashSet::new(),
            sandboxes: HashSet::new(),
        };
        for step in &scenario.steps {
            if let Step::Change(change) = step {
                own.learn(change);
            }
        }
        for step in &scenario.steps {
            if let Step::Observation {
                seen: Observation::Attached { interface, .. } | Observation::Changed { interface, .. },
                ..
            } = step
            {
                own.see(interface);
            }
        }
        own
    }

    fn learn(&mut self, change: &Change) {
        match change {
            Change::Network { network, .. } if self.has_network(network) => {
                self.networks.insert(network.id.clone());
                self.bridges.extend(network.bridge.iter().map(|bridge| bridge.as_str().to_owned()));
                let is_built_in = BUILT_IN.contains(&network.name.as_str());
                self.subnets.extend(network.subnets.iter().filter(|_| !is_built_in));
            }
            Change::Container { container, .. } if self.is_own(container.name.as_str()) => {
                self.containers.insert(container.id.clone());
                self.sandboxes.extend(container.sandbox.clone());
            }
            Change::Endpoint { container, name, .. } if self.is_own(name.as_str()) => {
                self.containers.insert(container.clone());
            }
            _ => {}
        }
    }

    fn see(&mut self, interface: &Interface) {
        let master = interface.master.as_ref().map(|(_, name)| name.as_str());
        if master.is_some_and(|name| self.bridges.contains(name)) {
            self.interfaces.insert(interface.number);
            self.veths.insert(interface.number);
        } else if self.bridges.contains(interface.name.as_str()) {
            self.interfaces.insert(interface.number);
        }
    }

    /// Whether a name is the row's, and not its marker's.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        name.strip_prefix(&self.prefix).is_some_and(|rest| !rest.starts_with("marker"))
    }

    fn has_network(&self, network: &Network) -> bool {
        self.is_own(network.name.as_str()) || BUILT_IN.contains(&network.name.as_str())
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|(subnet, length)| is_in(address, *subnet, *length))
    }

    fn has_device(&self, name: &str) -> bool {
        self.bridges.contains(name) || !["veth", "br-"].iter().any(|other| name.starts_with(other))
    }

    fn container(&self, container: &Container) -> Option<Box<Container>> {
        let mut kept = Box::new(container.clone());
        kept.labels.retain(|(name, _)| name.as_str() != lab::LABEL);
        self.containers.contains(&container.id).then_some(kept)
    }

    fn change(&self, change: &Change) -> Option<Change> {
        let (has, on) = (|id| self.containers.contains(id), |id| self.networks.contains(id));
        match change {
            Change::Container { container, at } => {
                let container = self.container(container)?;
                return Some(Change::Container { container, at: *at });
            }
            Change::Complete { containers, networks, at } => {
                let containers = containers.iter().filter(|id| has(id)).cloned().collect();
                let networks = networks.iter().filter(|id| on(id)).cloned().collect();
                return Some(Change::Complete { containers, networks, at: *at });
            }
            _ => {}
        }
        let is_own = match change {
            Change::Network { network, .. } => on(&network.id),
            Change::NetworkGone { id, .. } => on(id),
            Change::Endpoint { container, .. } => has(container),
            Change::EndpointGone { container, network, .. } => has(container) && on(network),
            Change::ContainerStopped { id, .. } | Change::ContainerGone { id, .. } => has(id),
            Change::Docker(_) => true,
            Change::Swarm { network, .. } => on(network),
            Change::Refused { .. } | Change::Container { .. } | Change::Complete { .. } => false,
        };
        is_own.then(|| change.clone())
    }

    fn observation(&self, seen: &Observation) -> Option<Observation> {
        Some(match seen {
            Observation::Attached { interface, at, mode, .. }
                if self.interfaces.contains(&interface.number) =>
            {
                let (interface, at, mode) = (interface.clone(), *at, *mode);
                Observation::Attached { interface, at, mode, before: None, after: None }
            }
            Observation::Changed { interface, .. } if self.interfaces.contains(&interface.number) => {
                seen.clone()
            }
            Observation::Detached { number, at, .. } if self.interfaces.contains(number) => {
                let last = Box::new(Reading {
                    number: *number,
                    at: *at,
                    totals: Default::default(),
                    device_before: None,
                    device_after: None,
                });
                Observation::Detached { number: *number, at: *at, last }
            }
            Observation::Flows(batch) => {
                let flows = batch.flows.iter().filter(|flow| self.veths.contains(&flow.key.interface));
                let batch = FlowBatch { flows: flows.copied().collect(), ..*batch };
                let says_something = batch.last || !batch.flows.is_empty();
                return says_something.then_some(Observation::Flows(batch));
            }
            Observation::Drops(batch) => {
                let mut batch = batch.clone();
                batch.drops.retain(|drop| self.holds(drop.source) || self.holds(drop.destination));
                return (!batch.drops.is_empty()).then_some(Observation::Drops(batch));
            }
            Observation::Claims(claims) => {
                let claims = claims.iter().filter(|claim| self.interfaces.contains(&claim.interface));
                let claims: Vec<_> = claims.copied().collect();
                return (!claims.is_empty()).then_some(Observation::Claims(claims));
            }
            Observation::Translations(changes) => {
                let changes: Vec<_> =
                    changes.iter().filter(|change| self.translates(change)).copied().collect();
                return (!changes.is_empty()).then_some(Observation::Translations(changes));
            }
            Observation::Host(host) => Observation::Host(HostAddresses {
                addresses: host
                    .addresses
                    .iter()
                    .filter(|it| self.has_device(it.1.as_str()))
                    .cloned()
                    .collect(),
                devices: host.devices.iter().filter(|it| self.has_device(it.1.as_str())).cloned().collect(),
            }),
            Observation::Resources(_) => Observation::Resources(Resources::default()),
            Observation::DropWatch(_) | Observation::Conntrack(_) | Observation::Losses(_) => seen.clone(),
            Observation::Namespace { sandbox, .. } if self.sandboxes.contains(sandbox) => seen.clone(),
            _ => return None,
        })
    }

    fn translates(&self, change: &TranslationChange) -> bool {
        let (TranslationChange::Known(translation) | TranslationChange::Gone(translation)) = change;
        let tuples = [translation.original, translation.reply];
        tuples.iter().any(|tuple| self.holds(tuple.source) || self.holds(tuple.destination))
    }
}

/// The row's own, and of that what is judged.
pub(crate) fn trim(scenario: &Scenario, own: &Own, moments: Moments) -> Scenario {
    let mut steps: Vec<Step> = Vec::new();
    // What replaces what was told before says nothing if it is the same.
    let (mut losses, mut host) = (None, None);
    let mut looked_after = KernelTime::default();
    for step in &scenario.steps {
        let kept = match step {
            Step::Change(change) => own.change(change).map(Step::Change),
            Step::Observation { at, seen } => {
                let seen = own.observation(seen);
                let said_before = match &seen {
                    Some(Observation::Losses(_)) => Some(&mut losses),
                    Some(Observation::Host(_)) => Some(&mut host),
                    _ => None,
                };
                let is_new =
                    said_before.is_none_or(|before| before.replace(seen.clone()) != Some(seen.clone()));
                seen.filter(|_| is_new).map(|seen| Step::Observation { at: *at, seen })
            }
            Step::Housekeeping(at) if moments == Moments::Few => {
                let due = at.since(looked_after) >= RARELY;
                if due {
                    looked_after = *at;
                }
                due.then(|| step.clone())
            }
            Step::Snapshot(_) if moments == Moments::Few => None,
            Step::Housekeeping(_) | Step::Snapshot(_) | Step::Finish(_) => Some(step.clone()),
        };
        steps.extend(kept);
    }
    scenario.with(steps)
}

fn is_in(address: IpAddr, subnet: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((address, width), (subnet, same)) = (bits(address), bits(subnet));
    let shift = 128 - u32::from(length.min(width));
    width == same && address.checked_shr(shift) == subnet.checked_shr(shift)
}
