//! Messages of Linux 6.18, caught while a container talked to another through the host's address, and any bytes.

use super::*;
use crate::collector::netlink::messages;
use proptest::prelude::*;

/// UDP, new: 10.99.1.1:40002 → 10.99.0.1:8080, made 10.99.0.1:40002 → 10.99.1.2:5000.
pub(in super::super) const UDP_NEW: &str = "94000000000100060000000000000000020000003400018014000180080001000a6301\
    01080002000a6300011c0002800500010011000000060002009c420000060003001f9000003400028014000180080001000a63010208000200\
    0a6300011c00028005000100110000000600020013880000060003009c42000008000c00c932de3608000300000001b8080007000000\
    0005";
/// The same, gone.
pub(in super::super) const UDP_GONE: &str = "94000000020100000000000000000000020000003400018014000180080001000a630\
    101080002000a6300011c0002800500010011000000060002009c420000060003001f9000003400028014000180080001000a630102080002\
    000a6300011c00028005000100110000000600020013880000060003009c42000008000c00c932de3608000300000003b8080007000000\
    0001";
/// UDP, new: 10.99.1.1:40003 → 10.99.0.1:9999, not translated.
pub(in super::super) const UDP_PLAIN: &str = "94000000000100060000000000000000020000003400018014000180080001000a63\
    0101080002000a6300011c0002800500010011000000060002009c43000006000300270f00003400028014000180080001000a6300010800\
    02000a6301011c000280050001001100000006000200270f0000060003009c43000008000c00de512ac808000300000001880800070000\
    000005";
/// TCP, listed, established.
const TCP_LISTED: &str = "d40000000001220001000000b75c0000020000003400018014000180080001000a630101080002000a6300011\
    c0002800500010006000000060002009c410000060003001f9000003400028014000180080001000a630102080002000a6300011c00028005\
    000100060000000600020013880000060003009c41000008000300000001be080008000000000008000c00509bacfe08000b000000000108\
    00070000000077300004802c0001800500010007000000050002000a000000050003000a0000000600040023000000060005002700\
    0000";
/// TCP, gone.
const TCP_GONE: &str = "a4000000020100000000000000000000020000003400018014000180080001000a630101080002000a6300011c0\
    002800500010006000000060002009c420000060003001f9000003400028014000180080001000a630102080002000a6300011c00028005000\
    100060000000600020013880000060003009c42000008000c00a4b90f9d08000300000003be0800070000000074100004800c00018005000\
    10007000000";
/// Echo, new: 10.99.1.1 → 10.99.0.1, made 10.99.0.1 → 10.99.1.2.
const PING_NEW: &str = "a4000000000100060000000000000000020000003c00018014000180080001000a630101080002000a63000124000\
    2800500010001000000060004005d5b0000050005000800000005000600000000003c00028014000180080001000a630102080002000a630001\
    240002800500010001000000060004005d5b00000500050000000000050006000000000008000c006ab861f708000300000001b808000700000\
    0001e";
/// UDP over IPv6, new: [fd99::1:1]:40002 → [fd99::1]:8080, made [fd99::1]:40002 → [fd99::1:2]:5000.
const UDP6_NEW: &str = "c40000000001000600000000000000000a0000004c0001802c00018014000300fd99000000000000000000000001000\
    114000400fd9900000000000000000000000000011c0002800500010011000000060002009c420000060003001f9000004c0002802c0001801400\
    0300fd99000000000000000000000001000214000400fd9900000000000000000000000000011c00028005000100110000000600020013880000\
    060003009c42000008000c006c3e1d0108000300000001b80800070000000005";
/// Echo over IPv6, gone.
const PING6_GONE: &str = "d40000000201000000000000000000000a000000540001802c00018014000300fd990000000000000000000000010\
    00114000400fd99000000000000000000000000000124000280050001003a000000060007005d5c000005000800800000000500090000000000540\
    002802c00018014000300fd99000000000000000000000001000214000400fd99000000000000000000000000000124000280050001003a0000000\
    60007005d5c00000500080081000000050009000000000008000c00a6a1514f08000300000003ba080007000000001a";
const ALL: [&str; 8] = [UDP_NEW, UDP_GONE, UDP_PLAIN, TCP_LISTED, TCP_GONE, PING_NEW, UDP6_NEW, PING6_GONE];

pub(in super::super) fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn check(hex: &str, kind: u16, protocol: Protocol, original: [(&str, u16); 2], reply: [(&str, u16); 2]) {
    let bytes = bytes(hex);
    let read: Vec<_> = messages(&bytes).collect();
    let [message] = read[..] else { panic!("{read:?}") };
    assert_eq!(message.kind, kind);
    let tuple = |[from, to]: [(&str, u16); 2]| Tuple {
        source: from.0.parse().unwrap(),
        destination: to.0.parse().unwrap(),
        protocol,
        ports: (from.1, to.1),
    };
    let expected = Translation { original: tuple(original), reply: tuple(reply) };
    assert_eq!(entry(message.body), Some(Entry::Translated(expected)));
}

#[test]
fn both_tuples_of_a_translation_are_read() {
    let udp = |hex, kind| {
        check(
            hex,
            kind,
            Protocol::UDP,
            [("10.99.1.1", 40002), ("10.99.0.1", 8080)],
            [("10.99.1.2", 5000), ("10.99.0.1", 40002)],
        );
    };
    udp(UDP_NEW, ENTRY);
    udp(UDP_GONE, GONE);
    let tcp = |hex, kind, port| {
        check(
            hex,
            kind,
            Protocol::TCP,
            [("10.99.1.1", port), ("10.99.0.1", 8080)],
            [("10.99.1.2", 5000), ("10.99.0.1", port)],
        );
    };
    tcp(TCP_LISTED, ENTRY, 40001);
    tcp(TCP_GONE, GONE, 40002);
    check(
        UDP6_NEW,
        ENTRY,
        Protocol::UDP,
        [("fd99::1:1", 40002), ("fd99::1", 8080)],
        [("fd99::1:2", 5000), ("fd99::1", 40002)],
    );
}

#[test]
fn an_echo_has_its_identifier_for_both_ports() {
    check(
        PING_NEW,
        ENTRY,
        Protocol::ICMP,
        [("10.99.1.1", 0x5d5b), ("10.99.0.1", 0x5d5b)],
        [("10.99.1.2", 0x5d5b), ("10.99.0.1", 0x5d5b)],
    );
    check(
        PING6_GONE,
        GONE,
        Protocol::ICMPV6,
        [("fd99::1:1", 0x5d5c), ("fd99::1", 0x5d5c)],
        [("fd99::1:2", 0x5d5c), ("fd99::1", 0x5d5c)],
    );
}

#[test]
fn a_reply_that_is_the_original_turned_round_is_no_translation() {
    assert_eq!(entry(&bytes(UDP_PLAIN)[16..]), Some(Entry::Plain));
}

#[test]
fn a_protocol_without_ports_has_none_even_if_there_are_some() {
    let gre = UDP_NEW.replace("0500010011000000", "050001002f000000");
    let Some(Entry::Translated(translation)) = entry(&bytes(&gre)[16..]) else { panic!("not read") };
    assert_eq!((translation.original.ports, translation.reply.ports), ((0, 0), (0, 0)));
}

#[test]
fn an_entry_that_lacks_something_is_not_read() {
    let damaged = |old: &str, new: &str| {
        let damaged = UDP_NEW.replacen(old, new, 1);
        assert_ne!(damaged, UDP_NEW, "{old}");
        assert_eq!(entry(&bytes(&damaged)[16..]), None, "{old} → {new}");
    };
    // No reply, no protocol, no port, no source; an address of another length, or of the other family.
    damaged("34000280", "34000580");
    damaged("0500010011", "0500090011");
    damaged("060002009c42", "060009009c42");
    damaged("080001000a630101", "080009000a630101");
    damaged("080001000a630101", "070001000a630101");
    damaged("080002000a630001", "080004000a630001");
}

#[test]
fn the_two_lists_have_nothing_in_common_and_are_all_translations() {
    let picks: Vec<(u32, u32)> = lists()
        .into_iter()
        .map(|request| {
            let bytes = request.finish(0, 1);
            let message = messages(&bytes).next().unwrap();
            assert_eq!(message.kind, GET);
            let number = |wanted| {
                let mut all = attributes_after(message.body, HEADER);
                let (_, value) = all.find(|(kind, _)| *kind == wanted).unwrap();
                u32::from_be_bytes(value.try_into().unwrap())
            };
            (number(STATUS), number(STATUS_MASK))
        })
        .collect();
    for status in 0..=u32::from(u8::MAX) {
        let picked = picks.iter().filter(|(bits, mask)| status & mask == *bits).count();
        let translated = status & (SOURCE_CHANGED | DESTINATION_CHANGED) != 0;
        assert_eq!(picked, usize::from(translated), "{status:#x}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        entry(&bytes);
        messages(&bytes).for_each(|message| {
            entry(message.body);
        });
    }

    #[test]
    fn no_prefix_of_a_message_is_more_than_the_message(which in 0..ALL.len(), length in 0..1_000_usize) {
        let whole = bytes(ALL[which]);
        let body = &whole[16..];
        let read = entry(&body[..length.min(body.len())]);
        prop_assert!(read.is_none() || read == entry(body));
    }

    #[test]
    fn no_changed_byte_makes_it_panic(which in 0..ALL.len(), at in 0..1_000_usize, value in any::<u8>()) {
        let mut whole = bytes(ALL[which]);
        let length = whole.len();
        whole[at % length] = value;
        messages(&whole).for_each(|message| {
            entry(message.body);
        });
    }
}
