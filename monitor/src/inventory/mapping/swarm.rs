//! What a swarm tells of a network: every node's engine has it from the others.

use super::{Refusals, address, mac, parsed};
use crate::model::{Overlay, SafeText, SwarmKind, SwarmMember};
use bollard::models::{EndpointResource, NetworkInspect, ServiceInfo};
use serde::Deserialize as _;
use std::net::IpAddr;

/// The driver options of an overlay network.
const VXLAN_IDS: &str = "com.docker.network.driver.overlay.vxlanid_list";
const ENCRYPTED: &str = "encrypted";
/// What a service without a virtual address has in its place.
const NO_ADDRESS: &str = "<nil>";
/// How the endpoint of each node on the ingress network is called.
const INGRESS_ENDPOINT: &str = "ingress-endpoint";
/// What a task says of the node that it runs on.
const NODE: &str = "Host IP";

/// The most members of one network that are kept.
const MOST_MEMBERS: usize = 10_000;
/// The most VXLAN ids and nodes of one network that are kept.
const MOST_LISTED: usize = 1_024;

/// Whether an entry of a network's list is a namespace of the swarm's load balancer, not a container.
pub(super) fn is_load_balancer(id: &str) -> bool {
    id == "ingress-sbox" || id.starts_with("lb-")
}

/// What there is to an overlay network beside its addresses.
pub(super) fn overlay(raw: &NetworkInspect, refusals: &mut Refusals) -> Overlay {
    let option = |name: &str| raw.options.as_ref().and_then(|options| options.get(name)).map(String::as_str);
    let ids = option(VXLAN_IDS).unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
    let peers = raw.peers.iter().flatten().take(MOST_LISTED);
    let mut nodes: Vec<IpAddr> = peers.filter_map(|peer| address(peer.ip.as_deref(), refusals)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    Overlay {
        vxlan_ids: ids
            .take(MOST_LISTED)
            .filter_map(|text| parsed(text.parse(), "a VXLAN id", text, refusals))
            .collect(),
        // Its presence is enough: `docker network create --opt encrypted` has an empty text.
        encrypted: option(ENCRYPTED).is_some_and(|text| !super::network::is_false(text)),
        ingress: raw.ingress.unwrap_or(false),
        nodes,
    }
}

/// Who is on a network beside this node's containers, in the order of their addresses. An address that is told of two is
/// nobody's: one of the nodes that told it has not heard of a change yet.
pub(in super::super) fn members(raw: &NetworkInspect, refusals: &mut Refusals) -> Vec<SwarmMember> {
    let mut told = Vec::new();
    for (_, listed) in raw.containers.iter().flatten().filter(|(id, _)| is_load_balancer(id)) {
        told.extend(load_balancer(listed, refusals));
    }
    let is_ingress = raw.ingress.unwrap_or(false);
    for (service, body) in raw.services.iter().flatten() {
        let body = parsed(ServiceInfo::deserialize(body), "a service", service, refusals);
        told.extend(body.into_iter().flat_map(|body| of_service(service, body, is_ingress, refusals)));
    }
    told.sort_unstable();
    // This node's own load balancer is in both lists, in the second one with the node's address. Of tasks and services with
    // one address, only those with one name are the same.
    told.dedup_by(|later, first| {
        let is_named_alike = later.service == first.service && later.name == first.name;
        let is_alike = first.kind == SwarmKind::LoadBalancer || is_named_alike;
        let is_it =
            later.address == first.address && later.kind == first.kind && is_alike && first.node.is_none();
        if is_it {
            first.node = later.node;
        }
        is_it || later == first
    });
    let mut members: Vec<SwarmMember> = told
        .chunk_by(|one, other| one.address == other.address)
        .filter_map(|of_address| match of_address {
            [only] => Some(only.clone()),
            _ => None,
        })
        .collect();
    if members.len() > MOST_MEMBERS {
        let count = members.len();
        refusals.refuse(format_args!("{count} of a swarm on one network, only {MOST_MEMBERS} are kept"));
        members.truncate(MOST_MEMBERS);
    }
    members
}

/// A namespace of this node's own.
fn load_balancer(
    listed: &EndpointResource,
    refusals: &mut Refusals,
) -> impl Iterator<Item = SwarmMember> + use<> {
    let addresses = [listed.ipv4_address.as_deref(), listed.ipv6_address.as_deref()];
    let addresses = addresses.map(|text| address(text, refusals));
    let mac = mac(listed.mac_address.as_deref(), refusals);
    addresses.into_iter().flatten().map(move |address| SwarmMember {
        address,
        kind: SwarmKind::LoadBalancer,
        service: None,
        name: None,
        node: None,
        mac,
    })
}

/// A service's own address and its tasks. What is on the network and of no service has a service without a name.
fn of_service(name: &str, told: ServiceInfo, is_ingress: bool, refusals: &mut Refusals) -> Vec<SwarmMember> {
    let service = (!name.is_empty()).then(|| SafeText::new(name));
    let virtual_ip = told.vip.filter(|text| text != NO_ADDRESS);
    let virtual_ip = address(virtual_ip.as_deref(), refusals).map(|address| SwarmMember {
        address,
        kind: SwarmKind::VirtualIp,
        service: service.clone(),
        name: None,
        node: None,
        mac: None,
    });
    let mut members: Vec<SwarmMember> = virtual_ip.into_iter().collect();
    for task in told.tasks.into_iter().flatten() {
        let Some(at) = address(task.endpoint_ip.as_deref(), refusals) else { continue };
        let node = task.info.as_ref().and_then(|info| info.get(NODE)).map(String::as_str);
        let of_node = task.name.as_deref() == Some(INGRESS_ENDPOINT) && is_ingress;
        let kind = match &service {
            Some(_) => SwarmKind::Task,
            None if of_node => SwarmKind::LoadBalancer,
            None => SwarmKind::Container,
        };
        let name = task.name.filter(|name| !name.is_empty() && !of_node);
        members.push(SwarmMember {
            address: at,
            kind,
            service: service.clone(),
            name: name.as_deref().map(SafeText::new),
            node: address(node, refusals),
            mac: None,
        });
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Change;

    /// What a worker of two nodes told, cut: a service with a virtual address, one without, and a container of none.
    const TOLD: &str = r#"{"Id":"hva8cwifts1cc0z2rkwibgwaf","Driver":"overlay","Ingress":false,
        "Options":{"com.docker.network.driver.overlay.vxlanid_list":"4097,4098","encrypted":""},
        "Peers":[{"Name":"f1","IP":"172.29.0.2"},{"Name":"e6","IP":"172.29.0.1"},{"Name":"x","IP":""}],
        "Containers":{"lb-vw-ov":{"Name":"vw-ov-endpoint","IPv4Address":"10.55.0.3/24","IPv6Address":""},
            "d99f":{"Name":"vw-att1","IPv4Address":"10.55.0.2/24"}},
        "Services":{
            "":{"VIP":"<nil>","Ports":[],"Tasks":[{"Name":"vw-att2","EndpointIP":"10.55.0.4","Info":{"Host IP":"172.29.0.2"}}]},
            "rr":{"VIP":"<nil>","Tasks":[{"Name":"rr.1.97q0","EndpointIP":"10.55.0.11","Info":{"Host IP":"172.29.0.2"}}]},
            "svc":{"VIP":"10.55.0.6","Tasks":[{"Name":"svc.3.kl73","EndpointIP":"10.55.0.8","Info":null}]}}}"#;

    fn read(json: &str) -> (Vec<SwarmMember>, Overlay, Option<(u64, String)>) {
        let (raw, mut refusals) = (serde_json::from_str(json).unwrap(), Refusals::default());
        let (members, overlay) = (members(&raw, &mut refusals), overlay(&raw, &mut refusals));
        let refused = match refusals.news() {
            Some(Change::Refused { answers, last }) => Some((answers, last)),
            _ => None,
        };
        (members, overlay, refused)
    }

    fn text(member: &SwarmMember) -> String {
        let or_dash = |text: Option<&SafeText>| text.map_or("-", SafeText::as_str).to_owned();
        let node = member.node.map_or_else(|| "-".to_owned(), |node| node.to_string());
        let (service, name) = (or_dash(member.service.as_ref()), or_dash(member.name.as_ref()));
        format!("{} {} {service} {name} {node}", member.address, member.kind.name())
    }

    #[test]
    fn tasks_containers_virtual_addresses_and_load_balancers_are_told_apart() {
        let (members, overlay, refused) = read(TOLD);
        let told: Vec<String> = members.iter().map(text).collect();
        let expected = [
            "10.55.0.3 load-balancer - - -",
            "10.55.0.4 container - vw-att2 172.29.0.2",
            "10.55.0.6 virtual-ip svc - -",
            "10.55.0.8 task svc svc.3.kl73 -",
            "10.55.0.11 task rr rr.1.97q0 172.29.0.2",
        ];
        assert_eq!(told, expected);
        let nodes = ["172.29.0.1", "172.29.0.2"].map(|node| node.parse().unwrap()).to_vec();
        assert_eq!(
            overlay,
            Overlay { vxlan_ids: vec![4_097, 4_098], encrypted: true, ingress: false, nodes }
        );
        assert_eq!(refused, None);
    }

    #[test]
    fn load_balancers_of_the_ingress_network_are_those_of_all_nodes_and_this_ones_is_one() {
        let (members, overlay, _) = read(
            r#"{"Driver":"overlay","Ingress":true,
                "Containers":{"ingress-sbox":{"Name":"ingress-endpoint","IPv4Address":"10.0.0.2/24"}},
                "Services":{"":{"Tasks":[
                    {"Name":"ingress-endpoint","EndpointIP":"10.0.0.2","Info":{"Host IP":"172.29.0.1"}},
                    {"Name":"ingress-endpoint","EndpointIP":"10.0.0.3","Info":{"Host IP":"172.29.0.2"}}]}}}"#,
        );
        let told: Vec<String> = members.iter().map(text).collect();
        assert_eq!(told, ["10.0.0.2 load-balancer - - 172.29.0.1", "10.0.0.3 load-balancer - - 172.29.0.2"]);
        assert!(overlay.ingress && !overlay.encrypted);
    }

    #[test]
    fn an_address_of_two_is_nobodys() {
        let (members, _, refused) = read(
            r#"{"Services":{"a":{"VIP":"10.0.0.9","Tasks":[{"Name":"a.1.x","EndpointIP":"10.0.0.7"}]},
                "b":{"VIP":"10.0.0.7"}}}"#,
        );
        let told: Vec<String> = members.iter().map(text).collect();
        assert_eq!(told, ["10.0.0.9 virtual-ip a - -"]);
        assert_eq!(refused, None);
    }

    #[test]
    fn an_address_of_two_of_one_kind_is_nobodys_unless_they_have_one_name() {
        let (members, ..) = read(
            r#"{"Services":{"a":{"VIP":"10.0.0.9"},"b":{"VIP":"10.0.0.9"},
                "c":{"Tasks":[{"Name":"c.1.x","EndpointIP":"10.0.0.7"}]},
                "d":{"Tasks":[{"Name":"d.1.y","EndpointIP":"10.0.0.7","Info":{"Host IP":"172.29.0.2"}}]},
                "e":{"Tasks":[{"Name":"e.1.z","EndpointIP":"10.0.0.8"},
                    {"Name":"e.1.z","EndpointIP":"10.0.0.8","Info":{"Host IP":"172.29.0.2"}}]}}}"#,
        );
        let told: Vec<String> = members.iter().map(text).collect();
        assert_eq!(told, ["10.0.0.8 task e e.1.z 172.29.0.2"]);
    }

    #[test]
    fn what_makes_no_sense_is_dropped_and_counted_and_names_are_made_safe() {
        let (members, overlay, refused) = read(
            r#"{"Options":{"com.docker.network.driver.overlay.vxlanid_list":"x,,7"},"Peers":[{"IP":"here"}],
                "Services":{"a\u001b[2J":7,"b\u001b[2J":{"VIP":"10.0.0.300",
                    "Tasks":[{"EndpointIP":"no"},{"EndpointIP":"10.0.0.8","Name":"\u001b","Info":{"Host IP":"?"}}]}}}"#,
        );
        let told: Vec<String> = members.iter().map(text).collect();
        assert_eq!(told, ["10.0.0.8 task b\\u{1b}[2J \\u{1b} -"]);
        assert_eq!(overlay.vxlan_ids, [7]);
        assert_eq!(refused.unwrap().0, 6);
    }

    #[test]
    fn a_million_tasks_are_not_kept() {
        let tasks: Vec<String> = (0..20_000_u32)
            .map(|task| format!(r#"{{"EndpointIP":"10.1.{}.{}"}}"#, task / 256, task % 256))
            .collect();
        let (members, _, refused) =
            read(&format!(r#"{{"Services":{{"a":{{"Tasks":[{}]}}}}}}"#, tasks.join(",")));
        assert_eq!(members.len(), MOST_MEMBERS);
        assert_eq!(refused.unwrap().0, 1);
    }
}
