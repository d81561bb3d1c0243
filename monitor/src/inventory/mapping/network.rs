//! Networks, and the endpoints a network lists.

use super::{MOST_ENDPOINTS, Refusals, address, mac, parsed, swarm};
use crate::model::{ContainerId, Endpoint, GatewayMode, Network, NetworkDriver, NetworkId, SafeText};
use bollard::models::{self, IpamConfig, NetworkInspect};
use std::collections::HashMap;
use std::net::IpAddr;

/// The driver option that names the bridge device.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// The driver option that lets containers of a network talk to each other.
const INTER_CONTAINER: &str = "com.docker.network.bridge.enable_icc";
/// The driver options that say how a network is connected to others.
const GATEWAY_MODE_IPV4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const GATEWAY_MODE_IPV6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
/// How the list of `docker_gwbridge` names a container's endpoint: not by the container's name.
const GATEWAY_ENDPOINT: &str = "gateway_";
/// The most endpoints of one network's list that are looked at.
const MOST_LISTED: usize = 10_000;

/// An endpoint in a network's own list.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct ListedEndpoint {
    /// Whose.
    pub(in super::super) container: ContainerId,
    /// The container's name, if the list tells it.
    pub(in super::super) name: Option<SafeText>,
    /// The endpoint.
    pub(in super::super) endpoint: Endpoint,
}

/// A network, as `GET /networks/ID` tells it. Before Docker 27 an engine keeps the options of gateway modes and does nothing about
/// them; such a network is what one without is.
pub(in super::super) fn network(
    raw: &NetworkInspect,
    has_gateway_modes: bool,
    refusals: &mut Refusals,
) -> Option<Network> {
    let text = raw.id.as_deref().unwrap_or("");
    let id = parsed(NetworkId::new(text), "a network id", text, refusals)?;
    let option = |name: &str| raw.options.as_ref().and_then(|options| options.get(name)).map(String::as_str);
    let mut mode = |name: &str| match option(name) {
        text if has_gateway_modes => gateway_mode(text, refusals),
        _ => GatewayMode::default(),
    };
    let (gateway_mode_ipv4, gateway_mode_ipv6) = (mode(GATEWAY_MODE_IPV4), mode(GATEWAY_MODE_IPV6));
    let driver = driver(raw.driver.as_deref().unwrap_or(""));
    let configs = raw.ipam.as_ref().and_then(|ipam| ipam.config.as_deref()).unwrap_or_default();
    let configs = &configs[..configs.len().min(MOST_ENDPOINTS)];
    Some(Network {
        name: SafeText::new(raw.name.as_deref().unwrap_or("")),
        bridge: (driver == NetworkDriver::Bridge).then(|| bridge(&id, option(BRIDGE_NAME))),
        overlay: (driver == NetworkDriver::Overlay).then(|| swarm::overlay(raw, refusals)),
        driver,
        subnets: configs.iter().filter_map(|config| subnet(config, refusals)).collect(),
        gateways: configs.iter().filter_map(|config| address(config.gateway.as_deref(), refusals)).collect(),
        internal: raw.internal.unwrap_or(false),
        inter_container: !option(INTER_CONTAINER).is_some_and(is_false),
        ipv6: raw.enable_ipv6.unwrap_or(false),
        gateway_mode_ipv4,
        gateway_mode_ipv6,
        id,
    })
}

/// An entry of `GET /networks` in the form of `GET /networks/ID`.
pub(in super::super) fn from_list(raw: models::Network) -> NetworkInspect {
    NetworkInspect {
        id: raw.id,
        name: raw.name,
        driver: raw.driver,
        enable_ipv6: raw.enable_ipv6,
        internal: raw.internal,
        ipam: raw.ipam,
        options: raw.options,
        ingress: raw.ingress,
        peers: raw.peers,
        ..NetworkInspect::default()
    }
}

/// The endpoints of a network's list that belong to containers. (Swarm lists its own sandboxes among them.)
pub(in super::super) fn listed_endpoints(
    network: &NetworkId,
    listed: Option<HashMap<String, models::EndpointResource>>,
    refusals: &mut Refusals,
) -> Vec<ListedEndpoint> {
    let listed = listed.unwrap_or_default();
    if listed.len() > MOST_LISTED {
        refusals.refuse(format_args!("more than {MOST_LISTED} endpoints in network {}", network.short()));
    }
    let listed = listed.into_iter().filter(|(id, _)| !swarm::is_load_balancer(id)).take(MOST_LISTED);
    listed.filter_map(|(id, raw)| listed_endpoint(network, &id, &raw, refusals)).collect()
}

/// While a container starts, Docker lists its endpoint under the endpoint's id with this in front; the container's own
/// id comes with a later answer.
const UNFINISHED: &str = "ep-";

fn listed_endpoint(
    network: &NetworkId,
    id: &str,
    raw: &models::EndpointResource,
    refusals: &mut Refusals,
) -> Option<ListedEndpoint> {
    if id.starts_with(UNFINISHED) {
        return None;
    }
    let container = parsed(ContainerId::new(id), "a container id", id, refusals)?;
    let name = raw.name.as_deref().filter(|name| !name.is_empty() && !name.starts_with(GATEWAY_ENDPOINT));
    let addresses = [raw.ipv4_address.as_deref(), raw.ipv6_address.as_deref()];
    let endpoint = Endpoint {
        network: network.clone(),
        mac: mac(raw.mac_address.as_deref(), refusals),
        addresses: addresses.into_iter().filter_map(|text| address(text, refusals)).collect(),
    };
    Some(ListedEndpoint { container, name: name.map(SafeText::new), endpoint })
}

fn driver(name: &str) -> NetworkDriver {
    match name {
        "bridge" => NetworkDriver::Bridge,
        "host" => NetworkDriver::Host,
        "null" => NetworkDriver::Null,
        "macvlan" => NetworkDriver::Macvlan,
        "ipvlan" => NetworkDriver::Ipvlan,
        "overlay" => NetworkDriver::Overlay,
        other => NetworkDriver::Other(SafeText::new(other)),
    }
}

/// The bridge device's name: the option's, else as Docker makes one.
fn bridge(id: &NetworkId, option: Option<&str>) -> SafeText {
    match option {
        Some(name) if !name.is_empty() => SafeText::new(name),
        _ => SafeText::new(&format!("br-{}", id.short())),
    }
}

fn subnet(config: &IpamConfig, refusals: &mut Refusals) -> Option<(IpAddr, u8)> {
    let text = config.subnet.as_deref().filter(|text| !text.is_empty())?;
    let parse = |text: &str| {
        let (address, length) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let length: u8 = length.parse().ok()?;
        (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
    };
    parsed(parse(text).ok_or(()), "a subnet", text, refusals)
}

/// A network's gateway mode; Docker's default where it says nothing, or nothing that is known.
fn gateway_mode(option: Option<&str>, refusals: &mut Refusals) -> GatewayMode {
    let text = option.unwrap_or("");
    let mode = match text {
        "" | "nat" => Ok(GatewayMode::Nat),
        "nat-unprotected" => Ok(GatewayMode::NatUnprotected),
        "routed" => Ok(GatewayMode::Routed),
        "isolated" => Ok(GatewayMode::Isolated),
        _ => Err(()),
    };
    parsed(mode, "a gateway mode", text, refusals).unwrap_or_default()
}

/// Whether a driver option switches something off, as Docker reads it.
pub(super) fn is_false(text: &str) -> bool {
    matches!(text, "0" | "f" | "F" | "false" | "False" | "FALSE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Change;

    const ID: &str = "1105f48893fb0c5a1105f48893fb0c5a1105f48893fb0c5a1105f48893fb0c5a";

    fn inspect(json: &str) -> NetworkInspect {
        serde_json::from_str(&json.replace("ID", ID)).unwrap()
    }

    fn refused(mut refusals: Refusals) -> Option<(u64, String)> {
        match refusals.news() {
            Some(Change::Refused { answers, last }) => Some((answers, last)),
            _ => None,
        }
    }

    #[test]
    fn a_bridge_network_is_read_whole() {
        let raw = inspect(
            r#"{"Id":"ID","Name":"shop_front","Driver":"bridge","EnableIPv6":true,"Internal":true,
                "IPAM":{"Driver":"default","Options":null,"Config":[
                    {"Subnet":"172.18.0.0/16","Gateway":"172.18.0.1"},{"Subnet":"fd00:1::/64","Gateway":"fd00:1::1/64"}]},
                "Options":{"com.docker.network.bridge.enable_icc":"false"}}"#,
        );
        let mut refusals = Refusals::default();
        let network = network(&raw, true, &mut refusals).unwrap();
        assert_eq!(network.id.as_str(), ID);
        assert_eq!(network.name.as_str(), "shop_front");
        assert_eq!(network.bridge, Some(SafeText::new("br-1105f48893fb")));
        let subnets = [("172.18.0.0".parse().unwrap(), 16), ("fd00:1::".parse().unwrap(), 64)];
        assert_eq!(network.subnets, subnets);
        assert_eq!(network.gateways, ["172.18.0.1", "fd00:1::1"].map(|text| text.parse::<IpAddr>().unwrap()));
        assert!(network.internal && network.ipv6 && !network.inter_container);
        assert_eq!(refused(refusals), None);
    }

    #[test]
    fn the_bridge_is_named_by_its_option_and_only_bridge_networks_have_one() {
        let check = |json: &str, bridge: Option<&str>, driver: &str| {
            let network = network(&inspect(json), true, &mut Refusals::default()).unwrap();
            assert_eq!(network.bridge.as_ref().map(SafeText::as_str), bridge);
            assert_eq!(network.driver.name(), driver);
        };
        let named = r#"{"Id":"ID","Driver":"bridge","Options":{"com.docker.network.bridge.name":"docker0"}}"#;
        check(named, Some("docker0"), "bridge");
        check(r#"{"Id":"ID","Driver":"host"}"#, None, "host");
        check(r#"{"Id":"ID","Driver":"macvlan","Options":null}"#, None, "macvlan");
        check(r#"{"Id":"ID","Driver":"we\u001bave"}"#, None, "we\\u{1b}ave");
    }

    #[test]
    fn a_network_without_a_usable_id_is_refused() {
        let mut refusals = Refusals::default();
        assert_eq!(network(&inspect(r#"{"Id":"../../etc"}"#), true, &mut refusals), None);
        assert_eq!(network(&inspect("{}"), true, &mut refusals), None);
        assert_eq!(refused(refusals), Some((2, "not a network id: ".to_owned())));
    }

    #[test]
    fn subnets_that_make_no_sense_are_dropped_and_counted() {
        let raw = inspect(
            r#"{"Id":"ID","IPAM":{"Config":[{"Subnet":"172.18.0.0/33"},{"Subnet":"x","Gateway":"y"},{"Subnet":""},
                {"Subnet":"10.0.0.0/8"}]}}"#,
        );
        let mut refusals = Refusals::default();
        let network = network(&raw, true, &mut refusals).unwrap();
        assert_eq!(network.subnets, [("10.0.0.0".parse().unwrap(), 8)]);
        assert_eq!(refused(refusals), Some((3, "not an address: y".to_owned())));
    }

    #[test]
    fn each_family_has_its_own_gateway_mode_and_an_unknown_one_is_counted() {
        let check = |options: &str, expected: [GatewayMode; 2], last: Option<&str>| {
            let raw = inspect(&format!(r#"{{"Id":"ID","Driver":"bridge","Options":{options}}}"#));
            let mut refusals = Refusals::default();
            let network = network(&raw, true, &mut refusals).unwrap();
            assert_eq!([network.gateway_mode_ipv4, network.gateway_mode_ipv6], expected, "{options}");
            assert_eq!(refused(refusals).map(|(_, last)| last).as_deref(), last, "{options}");
        };
        use GatewayMode::{Isolated, Nat, NatUnprotected, Routed};
        let of =
            |v4: &str, v6: &str| format!(r#"{{"{GATEWAY_MODE_IPV4}":"{v4}","{GATEWAY_MODE_IPV6}":"{v6}"}}"#);
        check("null", [Nat, Nat], None);
        check(&of("", "nat"), [Nat, Nat], None);
        check(&of("nat-unprotected", "routed"), [NatUnprotected, Routed], None);
        check(&of("isolated", "nat"), [Isolated, Nat], None);
        let raw = inspect(&format!(r#"{{"Id":"ID","Options":{}}}"#, of("routed", "x")));
        let mut refusals = Refusals::default();
        let old = network(&raw, false, &mut refusals).unwrap();
        assert_eq!(
            [old.gateway_mode_ipv4, old.gateway_mode_ipv6],
            [Nat, Nat],
            "an engine that does not look at them"
        );
        assert_eq!(refused(refusals), None);
        check(&of("ROUTED", "\\u001b[2J"), [Nat, Nat], Some("not a gateway mode: \\u{1b}[2J"));
    }

    fn listed(json: &str) -> (Vec<ListedEndpoint>, Option<(u64, String)>) {
        let mut refusals = Refusals::default();
        let network = NetworkId::new(ID).unwrap();
        let endpoints = listed_endpoints(&network, serde_json::from_str(json).unwrap(), &mut refusals);
        (endpoints, refused(refusals))
    }

    #[test]
    fn an_endpoint_of_the_list_has_name_and_addresses() {
        let (endpoints, refused) = listed(
            r#"{"aa11":{"Name":"web","EndpointID":"e","MacAddress":"02:42:ac:12:00:02","IPv4Address":"172.18.0.2/16",
                "IPv6Address":"fd00::2/64"}}"#,
        );
        let [listed] = &endpoints[..] else { panic!("{endpoints:?}") };
        assert_eq!(listed.container.as_str(), "aa11");
        assert_eq!(listed.name, Some(SafeText::new("web")));
        assert_eq!(listed.endpoint.mac.unwrap().to_string(), "02:42:ac:12:00:02");
        assert_eq!(
            listed.endpoint.addresses,
            ["172.18.0.2", "fd00::2"].map(|text| text.parse::<IpAddr>().unwrap())
        );
        assert_eq!(refused, None);
    }

    #[test]
    fn the_sandboxes_of_swarm_are_no_containers_and_gateway_endpoints_have_no_name() {
        let (endpoints, refused) = listed(
            r#"{"ingress-sbox":{"Name":"ingress-endpoint"},"lb-net":{"Name":"net-endpoint"},
                "aa11":{"Name":"gateway_33ab","IPv4Address":"172.19.0.3/16","IPv6Address":""}}"#,
        );
        assert_eq!(endpoints.len(), 1);
        assert_eq!(endpoints[0].name, None);
        assert_eq!(refused, None);
    }

    #[test]
    fn endpoints_that_make_no_sense_are_dropped_and_counted() {
        let (endpoints, refused) = listed(
            r#"{"NOT AN ID":{"Name":"x"},"aa11":{"Name":"web","MacAddress":"zz","IPv4Address":"999.1.1.1/8"}}"#,
        );
        assert_eq!(endpoints.len(), 1);
        assert_eq!((endpoints[0].endpoint.mac, endpoints[0].endpoint.addresses.len()), (None, 0));
        assert_eq!(refused.unwrap().0, 3);
    }
}
