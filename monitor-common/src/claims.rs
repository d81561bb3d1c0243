//! Who claims which address on a link: senders of ARP packets, targets of neighbour advertisements, sources of router
//! advertisements. Read from a [`ByteSource`] as everything else, so any bytes at all claim something or nothing.

use crate::flow::key_kind;
use crate::packet::{ByteSource, Ip};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries of `CLAIMS`, for both generations together.
pub const MOST_CLAIMS: u32 = 8_192;

/// Values of [`ClaimKey::kind`].
pub mod claim_kind {
    /// Sender of an ARP packet.
    pub const ARP: u8 = 1;
    /// Target of a neighbour advertisement.
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 2;
    /// Source of a router advertisement.
    pub const ROUTER_ADVERTISEMENT: u8 = 3;
}

/// Key of `CLAIMS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ClaimKey {
    /// [`crate::interface::InterfaceEntry::number`].
    pub interface: u32,
    /// The address that is claimed, in network order; an IPv4 address is in the first four bytes.
    pub address: [u8; 16],
    /// The Ethernet address it is said to be at; zero if the packet does not say.
    pub mac: [u8; 6],
    /// One of [`claim_kind`].
    pub kind: u8,
    /// The lowest bit of the epoch.
    pub generation: u8,
}

const _: () = assert!(size_of::<ClaimKey>() == 28);

/// Value of `CLAIMS`. The counter is added to atomically; the entry is shared by all CPUs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ClaimEntry {
    /// How often.
    pub packets: u64,
    /// Coarse monotonic time of the first, nanoseconds.
    pub first_seen: u64,
    /// Coarse monotonic time of the last, nanoseconds.
    pub last_seen: u64,
}

const _: () = assert!(size_of::<ClaimEntry>() == 24);

/// What a packet claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// One of [`claim_kind`].
    pub kind: u8,
    /// See [`ClaimKey::address`].
    pub address: [u8; 16],
    /// See [`ClaimKey::mac`].
    pub mac: [u8; 6],
}

/// Types of ICMPv6.
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Options of neighbour discovery: the Ethernet address of who sends, and of who is asked for.
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;
/// Options that are walked; what is behind more is not seen.
const MAX_OPTIONS: usize = 4;

/// What an ARP packet claims that begins at `offset`; `None` if it is not about IPv4 over Ethernet, or asks whether
/// an address is free, which claims none.
#[inline(always)]
pub fn of_arp<S: ByteSource + ?Sized>(source: &S, offset: usize) -> Option<Claimed> {
    let [_, _, ipv4_high, ipv4_low, mac_length, address_length, _, _, rest @ ..] =
        source.read::<18>(offset)?;
    let [m0, m1, m2, m3, m4, m5, a, b, c, d] = rest;
    let is_ipv4 = (ipv4_high, ipv4_low, mac_length, address_length) == (0x08, 0x00, 6, 4);
    let is_probe = (a | b | c | d) == 0;
    (is_ipv4 && !is_probe).then_some(Claimed {
        kind: claim_kind::ARP,
        address: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        mac: [m0, m1, m2, m3, m4, m5],
    })
}

/// Whether [`of_neighbour`] would find a claim: a neighbour's or a router's advertisement.
#[inline(always)]
#[must_use]
pub const fn is_advertisement(ip: &Ip<16>) -> bool {
    let [kind, _] = ip.transport.destination_port.to_be_bytes();
    ip.transport.kind == key_kind::ICMP && matches!(kind, ROUTER_ADVERTISEMENT | NEIGHBOUR_ADVERTISEMENT)
}

/// What an advertisement claims whose ICMPv6 header begins at `offset`; `from` is the packet's source address.
#[inline(always)]
pub fn of_neighbour<S: ByteSource + ?Sized>(source: &S, offset: usize, from: [u8; 16]) -> Option<Claimed> {
    let [kind] = source.read(offset)?;
    match kind {
        NEIGHBOUR_ADVERTISEMENT => Some(Claimed {
            kind: claim_kind::NEIGHBOUR_ADVERTISEMENT,
            address: source.read(offset + 8)?,
            mac: option(source, offset + 24, TARGET_ADDRESS),
        }),
        ROUTER_ADVERTISEMENT => Some(Claimed {
            kind: claim_kind::ROUTER_ADVERTISEMENT,
            address: from,
            mac: option(source, offset + 16, SOURCE_ADDRESS),
        }),
        _ => None,
    }
}

/// The Ethernet address in the first option `wanted` of those that begin at `offset`; zero if there is none.
#[inline(always)]
fn option<S: ByteSource + ?Sized>(source: &S, mut offset: usize, wanted: u8) -> [u8; 6] {
    for _ in 0..MAX_OPTIONS {
        let Some([kind, length, m0, m1, m2, m3, m4, m5]) = source.read::<8>(offset) else { break };
        // An option's length is in words of eight bytes; one without length would never end.
        if length == 0 {
            break;
        }
        if kind == wanted {
            return [m0, m1, m2, m3, m4, m5];
        }
        offset += usize::from(length) * 8;
    }
    [0; 6]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Network, parse};
    use proptest::prelude::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
    const FROM: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const TARGET: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

    fn arp(kind: [u8; 6], sender: [u8; 4]) -> Vec<u8> {
        [&kind[..], &[0, 2], &MAC, &sender, &[0; 10]].concat()
    }

    const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

    #[test]
    fn an_arp_packet_claims_its_senders_address() {
        let claimed = of_arp(arp(ETHERNET_IPV4, [10, 0, 0, 1]).as_slice(), 0).unwrap();
        assert_eq!((claimed.kind, claimed.mac), (claim_kind::ARP, MAC));
        assert_eq!(claimed.address, [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn an_arp_probe_and_other_address_families_claim_nothing() {
        assert_eq!(of_arp(arp(ETHERNET_IPV4, [0; 4]).as_slice(), 0), None);
        assert_eq!(of_arp(arp([0, 1, 0x86, 0xdd, 6, 16], [10, 0, 0, 1]).as_slice(), 0), None);
        assert_eq!(of_arp(arp([0, 1, 8, 0, 8, 4], [10, 0, 0, 1]).as_slice(), 0), None);
        assert_eq!(of_arp(&arp(ETHERNET_IPV4, [10, 0, 0, 1])[..17], 0), None, "cut off");
    }

    fn advertisement(kind: u8, options: &[u8]) -> Vec<u8> {
        let body = if kind == NEIGHBOUR_ADVERTISEMENT { TARGET.to_vec() } else { vec![0; 8] };
        [&[kind, 0, 0, 0, 0, 0, 0, 0], body.as_slice(), options].concat()
    }

    fn check(kind: u8, options: &[u8], address: [u8; 16], mac: [u8; 6]) {
        let packet = advertisement(kind, options);
        let claimed = of_neighbour(packet.as_slice(), 0, FROM).unwrap();
        assert_eq!((claimed.address, claimed.mac), (address, mac), "{kind} {options:?}");
    }

    #[test]
    fn an_advertisement_claims_with_the_option_that_is_its_own() {
        let source = [&[SOURCE_ADDRESS, 1][..], &MAC].concat();
        let target = [&[TARGET_ADDRESS, 1][..], &MAC].concat();
        let other = [[5, 2].as_slice(), &[0; 14]].concat();
        check(NEIGHBOUR_ADVERTISEMENT, &target, TARGET, MAC);
        check(NEIGHBOUR_ADVERTISEMENT, &source, TARGET, [0; 6]);
        check(NEIGHBOUR_ADVERTISEMENT, &[], TARGET, [0; 6]);
        check(NEIGHBOUR_ADVERTISEMENT, &[other.clone(), target.clone()].concat(), TARGET, MAC);
        check(ROUTER_ADVERTISEMENT, &source, FROM, MAC);
        check(ROUTER_ADVERTISEMENT, &target, FROM, [0; 6]);
        check(ROUTER_ADVERTISEMENT, &[other, source].concat(), FROM, MAC);
    }

    #[test]
    fn an_option_without_length_ends_the_search() {
        let options = [&[5, 0, 0, 0, 0, 0, 0, 0, TARGET_ADDRESS, 1][..], &MAC].concat();
        check(NEIGHBOUR_ADVERTISEMENT, &options, TARGET, [0; 6]);
    }

    #[test]
    fn other_icmp_is_no_advertisement() {
        let frame = |next: u8, payload: &[u8]| {
            let ip = [&[0x60, 0, 0, 0, 0, 0, next, 255][..], &FROM, &TARGET, payload].concat();
            let frame = [&[0; 12][..], &[0x86, 0xdd], &ip].concat();
            let Network::Ipv6(ip) = parse(frame.as_slice(), None).network else { panic!("IPv6") };
            is_advertisement(&ip)
        };
        assert!(frame(58, &advertisement(NEIGHBOUR_ADVERTISEMENT, &[])));
        assert!(frame(58, &advertisement(ROUTER_ADVERTISEMENT, &[])));
        assert!(!frame(58, &[135, 0, 0, 0, 0, 0, 0, 0]));
        assert!(!frame(58, &[128, 0, 0, 0, 0, 0, 0, 0]));
        assert!(!frame(17, &[0, 1, 136, 0, 0, 0, 0, 0]));
        assert!(!frame(58, &[136]), "cut off");
    }

    proptest! {
        #[test]
        fn any_bytes_claim_something_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..64) {
            let _ = of_arp(bytes.as_slice(), at);
            let _ = of_neighbour(bytes.as_slice(), at, FROM);
        }
    }
}
