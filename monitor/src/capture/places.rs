//! Whose interface packets are captured at.

use super::row::{Possible, Row};
use crate::filter::Filter;
use crate::model::{NetworkId, SafeText};
use crate::snapshot::{ContainerRef, FlowRecord, NetworkRef, Snapshot, reason};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

/// The most interfaces that are kept.
const MOST: usize = 16_384;

/// An interface, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host's end; absent while nothing is known of it.
    pub device: Option<SafeText>,
    /// Its ifindex.
    pub ifindex: u32,
    /// Whose it is.
    pub container: Option<Arc<ContainerRef>>,
    /// Of which network.
    pub network: Option<NetworkRef>,
    /// The container's addresses there.
    pub addresses: Vec<IpAddr>,
    /// Whether Docker may still tell more.
    pub(super) is_new: bool,
}

impl Place {
    /// One that nothing is known of.
    pub(super) fn unknown(ifindex: u32) -> Self {
        let (container, network, addresses) = Default::default();
        Self { device: None, ifindex, container, network, addresses, is_new: true }
    }

    /// What it is called: `web@front`; by its device where nobody knows whose it is.
    #[must_use]
    pub fn name(&self) -> String {
        let network = self.network.as_ref().map_or_else(String::new, |network| format!("@{}", network.name));
        match (&self.container, &self.device) {
            (Some(container), _) => format!("{}{network}", container.name),
            (None, Some(device)) => format!("{device}{network}"),
            (None, None) => format!("interface {}", self.ifindex),
        }
    }

    /// The same at length.
    pub(super) fn description(&self) -> String {
        let mut text = match &self.container {
            Some(container) => format!("container {} ({})", container.name, container.id.short()),
            None => "no container that is known".to_owned(),
        };
        if let Some(service) = self.container.as_ref().and_then(|container| container.service.as_ref()) {
            write!(text, ", service {service}").expect("writing to a String cannot fail");
        }
        if let Some(network) = &self.network {
            write!(text, ", network {}", network.name).expect("writing to a String cannot fail");
        }
        for address in &self.addresses {
            write!(text, ", {address}").expect("writing to a String cannot fail");
        }
        let device = self.device.as_ref().map_or("?", |device| device.as_str());
        write!(text, "; host's end {device}, ifindex {}", self.ifindex)
            .expect("writing to a String cannot fail");
        text
    }
}

/// Whether packets of an interface are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub ifindex: u32,
    /// Whether.
    pub on: bool,
}

/// All interfaces that are known now.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_ifindex: HashMap<u32, Arc<Place>>,
    by_address: HashMap<(NetworkId, IpAddr), Arc<ContainerRef>>,
    /// What was chosen of those; all are captured before.
    chosen: HashMap<u32, bool>,
}

impl Places {
    /// Takes in who is where, and chooses anew. What is to be done otherwise than before.
    pub(super) fn learn(&mut self, snapshot: &Snapshot, filter: &Filter) -> Vec<Choice> {
        self.by_address.clear();
        for place in places(snapshot) {
            // One that has gone is kept: packets of it may still wait.
            if self.by_ifindex.len() < MOST || self.by_ifindex.contains_key(&place.ifindex) {
                self.by_ifindex.insert(place.ifindex, Arc::new(place));
            }
        }
        for row in &snapshot.containers {
            for membership in &row.memberships {
                for address in &membership.addresses {
                    let at = (membership.network.id.clone(), *address);
                    self.by_address.insert(at, Arc::clone(&row.container));
                }
            }
        }
        let Self { by_ifindex, chosen, .. } = self;
        by_ifindex.values().filter_map(|place| choose(chosen, place, filter)).collect()
    }

    /// Takes in where a flow was seen; it may have come and gone between two snapshots.
    pub(super) fn see(&mut self, record: &FlowRecord, filter: &Filter) -> Option<Choice> {
        let ifindex = record.observed_at.ifindex;
        let is_known = self.by_ifindex.get(&ifindex).is_some_and(|place| !place.is_new);
        if is_known || self.by_ifindex.len() >= MOST {
            return None;
        }
        let place = Arc::new(Place {
            device: Some(record.observed_at.interface.clone()),
            ifindex,
            container: record.local.container.clone(),
            network: record.network.clone(),
            addresses: vec![record.local.address],
            is_new: record.local.container.is_none(),
        });
        self.by_ifindex.insert(ifindex, Arc::clone(&place));
        choose(&mut self.chosen, &place, filter)
    }

    /// What is known of an interface.
    pub(super) fn get(&self, ifindex: u32) -> Option<&Arc<Place>> {
        self.by_ifindex.get(&ifindex)
    }

    /// Whether packets of it are wanted; true while that is not known.
    pub(super) fn is_chosen(&self, ifindex: u32) -> bool {
        self.chosen.get(&ifindex).copied().unwrap_or(true)
    }

    /// Who has an address on the network of a place.
    pub(super) fn who_has(&self, place: &Place, address: IpAddr) -> Option<&Arc<ContainerRef>> {
        self.by_address.get(&(place.network.as_ref()?.id.clone(), address))
    }
}

/// Chooses whether packets of a place are wanted, once it is known; nothing where that is as before.
fn choose(chosen: &mut HashMap<u32, bool>, place: &Place, filter: &Filter) -> Option<Choice> {
    if place.is_new {
        return None;
    }
    let on = filter.may_take_at(&Possible, &Row::of_place(place));
    let before = chosen.insert(place.ifindex, on).unwrap_or(true);
    (before != on).then_some(Choice { ifindex: place.ifindex, on })
}

fn places(snapshot: &Snapshot) -> impl Iterator<Item = Place> {
    let of_containers = snapshot.containers.iter().flat_map(|row| {
        row.memberships.iter().filter_map(|membership| {
            let (device, ifindex) = membership.interface.clone()?;
            Some(Place {
                device: Some(device),
                ifindex,
                container: Some(Arc::clone(&row.container)),
                network: Some(membership.network.clone()),
                addresses: membership.addresses.clone(),
                is_new: false,
            })
        })
    });
    let of_nobody = snapshot.unattributed.iter().map(|row| Place {
        device: Some(row.observed_at.interface.clone()),
        network: row.network.clone(),
        is_new: row.reason == reason::NOT_ANNOUNCED_YET,
        ..Place::unknown(row.observed_at.ifindex)
    });
    of_nobody.chain(of_containers)
}
