//! Forged frames: one is enough, and what a container may say of itself is no forgery.

use super::{strings, violation};
use crate::matrix::{Expect, Row};
use anyhow::{Context, Result, ensure};
use lab::{Container, Network};
use std::net::Ipv6Addr;

/// The IPv6 network of a row; others may run at the same time.
fn subnet() -> String {
    format!("fd00:76:{:x}::/64", std::process::id() & 0xffff)
}

/// Everybody's Ethernet address for what goes to all IPv6 nodes.
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const NEXT_HEADER_UDP: u8 = 17;
const NEXT_HEADER_ICMPV6: u8 = 58;

/// An Ethernet frame with an IPv6 packet.
fn ipv6(
    [to_mac, from_mac]: [[u8; 6]; 2],
    [from, to]: [Ipv6Addr; 2],
    next_header: u8,
    mut payload: Vec<u8>,
) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short payload");
    // UDP and ICMPv6 have their checksum over the same pseudo header, at another place.
    let place = if next_header == NEXT_HEADER_UDP { 6 } else { 2 };
    let pseudo = [&from.octets()[..], &to.octets(), &[0, 0], &length.to_be_bytes(), &[0, 0, 0, next_header]];
    let sum = checksum(&[&pseudo.concat()[..], &payload].concat());
    payload[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    let header = [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[next_header, 255]].concat();
    [&to_mac[..], &from_mac, &[0x86, 0xdd], &header, &from.octets(), &to.octets(), &payload].concat()
}

fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

fn udp(port: u16) -> Vec<u8> {
    let port = port.to_be_bytes();
    [&[0x9c, 0x40][..], &port, &9_u16.to_be_bytes(), &[0, 0, b'x']].concat()
}

fn mac(text: &str) -> Result<[u8; 6]> {
    let bytes: Vec<u8> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
    bytes.as_slice().try_into().context("six bytes")
}

/// Sends frames from a container's interface.
fn send(container: &Container, frames: &[Vec<u8>]) -> Result<()> {
    let hex: Vec<String> =
        frames.iter().map(|frame| frame.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    let program = "import socket, sys\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('eth0', 0))\n\
        for frame in sys.argv[1:]:\n s.send(bytes.fromhex(frame))";
    let words: Vec<&str> =
        ["python3", "-c", program].into_iter().chain(hex.iter().map(String::as_str)).collect();
    container.exec(&words).map(drop)
}

/// Sends one frame from `a` beside `b` on a network with IPv6, and says what must be found.
fn check(
    name: &str,
    frame: impl Fn(&Container, &Container, &Network) -> Result<Vec<u8>>,
    expected: Expect<'_>,
) -> Result<serde_json::Value> {
    let row = Row::new(name)?;
    let net = row.network("net", &["--ipv6", "--subnet", &subnet()])?;
    let (a, b) = (row.container("a", &net, &[])?, row.server("b", &net, &[])?);
    let frame = frame(&a, &b, &net)?;
    let watched = row.watch()?;
    send(&a, &[frame])?;
    let found = watched.must_tell(&[expected])?;
    ensure!(found[0]["counts"]["packets"] == 1, "{}", found[0]);
    found.into_iter().next().context("one finding")
}

fn spoofed<'a>(outcome: &'a str, destination: &'a str, protocol: &'a str) -> Expect<'a> {
    violation("spoofed-source", outcome, ["a", destination], protocol)
}

#[test]
fn a_forged_ipv6_source_is_found_with_one_packet() -> Result<()> {
    let frame = |a: &Container, b: &Container, net: &Network| {
        let macs = [mac(&b.mac(net)?)?, mac(&a.mac(net)?)?];
        let from = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);
        Ok(ipv6(macs, [from, b.ipv6_address(net)?.parse()?], NEXT_HEADER_UDP, udp(7)))
    };
    let finding = check("forgedsix", frame, spoofed("delivered", "b", "udp"))?;
    ensure!(finding["source"]["address"] == "2001:db8::77", "{finding}");
    Ok(())
}

#[test]
fn a_router_advertisement_of_a_container_is_found_with_one_packet() -> Result<()> {
    let frame = |a: &Container, _: &Container, net: &Network| {
        // Hop limit 64, no flags, a lifetime of 1,800 s, no times.
        let advertisement = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
        let own = mac(&a.mac(net)?)?;
        Ok(ipv6([ALL_NODES_MAC, own], [link_local(own), ALL_NODES], NEXT_HEADER_ICMPV6, advertisement))
    };
    check("advert", frame, spoofed("attempted", "multicast", "ipv6-icmp")).map(drop)
}

#[test]
fn a_neighbour_advertisement_for_another_is_found_with_one_packet() -> Result<()> {
    let frame = |a: &Container, b: &Container, net: &Network| {
        let own = mac(&a.mac(net)?)?;
        let target: Ipv6Addr = b.ipv6_address(net)?.parse()?;
        // Flag "override", the address of another, and our own Ethernet address for it.
        let head = [136, 0, 0, 0, 0x20, 0, 0, 0];
        let advertisement = [&head[..], &target.octets(), &[2, 1], &own].concat();
        Ok(ipv6([ALL_NODES_MAC, own], [link_local(own), ALL_NODES], NEXT_HEADER_ICMPV6, advertisement))
    };
    check("neighbour", frame, spoofed("attempted", "multicast", "ipv6-icmp")).map(drop)
}

/// The link-local address that an interface makes of its Ethernet address.
fn link_local([a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let [ab, c_ff, fe_d, ef] = [[a ^ 2, b], [c, 0xff], [0xfe, d], [e, f]].map(u16::from_be_bytes);
    Ipv6Addr::new(0xfe80, 0, 0, 0, ab, c_ff, fe_d, ef)
}

#[test]
fn an_address_of_the_host_as_source_is_found_with_one_packet() -> Result<()> {
    let words = |_: &Container, b: &Container, net: &Network| {
        let (gateway, mac, to) = (net.gateway()?, b.mac(net)?, b.address(net)?);
        Ok(strings(["--destination-mac", &mac, "--from", &gateway, "--to", &to]))
    };
    super::check_forged("hostsource", words, spoofed("delivered", "b", "udp")).map(drop)
}

#[test]
fn how_an_interface_gets_its_addresses_is_no_forgery() -> Result<()> {
    let row = Row::new("start")?;
    let net = row.network("net", &["--ipv6", "--subnet", &subnet()])?;
    let (a, _b) = (row.container("a", &net, &[])?, row.container("b", &net, &[])?);
    let own = mac(&a.mac(&net)?)?;
    let [.., d, e, f] = own;
    let tentative = link_local(own);
    let asked = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(d), u16::from_be_bytes([e, f]));
    // Duplicate address detection: a neighbour solicitation from nobody for an address of one's own.
    let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &tentative.octets()].concat();
    let detection = ipv6(
        [[0x33, 0x33, 0xff, d, e, f], own],
        [Ipv6Addr::UNSPECIFIED, asked],
        NEXT_HEADER_ICMPV6,
        solicitation,
    );
    // A router solicitation.
    let routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let solicited = ipv6(
        [[0x33, 0x33, 0, 0, 0, 2], own],
        [tentative, routers],
        NEXT_HEADER_ICMPV6,
        vec![133, 0, 0, 0, 0, 0, 0, 0],
    );
    // An address that it made of a prefix and its Ethernet address, as SLAAC does, and told its neighbours.
    let prefix: Ipv6Addr = subnet().trim_end_matches("/64").parse()?;
    let made = Ipv6Addr::from(u128::from(prefix) | u128::from(tentative) & u128::from(u64::MAX));
    let head = [136, 0, 0, 0, 0x20, 0, 0, 0];
    let told = [&head[..], &made.octets(), &[2, 1], &own].concat();
    let told = ipv6([ALL_NODES_MAC, own], [made, ALL_NODES], NEXT_HEADER_ICMPV6, told);
    let watched = row.watch()?;
    send(&a, &[dhcp_discover(own), arp_probe(own), detection, solicited, told])?;
    watched.must_tell(&[]).map(drop)
}

/// What a DHCP client sends first: from 0.0.0.0 to everybody.
fn dhcp_discover(own: [u8; 6]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..4].copy_from_slice(&[1, 1, 6, 0]);
    message[28..34].copy_from_slice(&own);
    message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, 1, 255]);
    let udp_length = u16::try_from(8 + message.len()).expect("short");
    let total = (20 + udp_length).to_be_bytes();
    let mut header = [0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    let sum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    let udp = [&68_u16.to_be_bytes()[..], &67_u16.to_be_bytes(), &udp_length.to_be_bytes(), &[0, 0]].concat();
    [&[0xff; 6][..], &own, &[8, 0], &header, &udp, &message].concat()
}

/// Address conflict detection (RFC 5227): asks from nobody whether anybody has an address.
fn arp_probe(own: [u8; 6]) -> Vec<u8> {
    let request = [0, 1, 8, 0, 6, 4, 0, 1];
    [&[0xff; 6][..], &own, &[8, 6], &request, &own, &[0; 4], &[0; 6], &[198, 19, 76, 9], &[0; 18]].concat()
}
