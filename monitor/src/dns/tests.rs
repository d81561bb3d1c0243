//! What is heard, packet by packet; and that no bytes do harm.

use super::{Heard, Listener, Lost, Segment, decode};
use crate::model::{Direction, DnsExchange, DnsPlace, DnsRecord, DnsTransport, InterfaceNumber, KernelTime};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::SocketAddr;

const ASK: u16 = 0x0100;
const NO_ERROR: u16 = 0x8180;
const TRUNCATED: u16 = 0x0200;

/// A message about the address of a name; as an answer it has one record for each address.
fn message(id: u16, flags: u16, name: &str, addresses: &[[u8; 4]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = u16::try_from(addresses.len()).unwrap();
    [id, flags, 1, count, 0, 0].iter().for_each(|word| bytes.extend(word.to_be_bytes()));
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    for address in addresses {
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend(address);
    }
    bytes
}

fn place(number: u32) -> DnsPlace {
    DnsPlace::Interface(InterfaceNumber(number))
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(millis: u64) -> KernelTime {
    KernelTime(1_000_000_000 + millis * 1_000_000)
}

fn packet(direction: Direction, millis: u64, payload: &[u8]) -> Heard<'_> {
    Heard {
        place: place(1),
        at: at(millis),
        direction,
        container: end("172.17.0.2:40000"),
        other: end("172.17.0.1:53"),
        payload,
        is_cut: false,
        segment: None,
        forwarded: false,
    }
}

fn asked(millis: u64, payload: &[u8]) -> Heard<'_> {
    packet(Direction::Sent, millis, payload)
}

fn answered(millis: u64, payload: &[u8]) -> Heard<'_> {
    packet(Direction::Received, millis, payload)
}

/// What is told of these packets, and what is lost.
fn listen(packets: &[Heard<'_>]) -> (Vec<DnsExchange>, Lost) {
    let (mut listener, mut told) = (Listener::default(), Vec::new());
    packets.iter().for_each(|packet| listener.hear(packet, &mut told));
    (told, listener.lost())
}

#[test]
fn an_answer_is_told_with_its_question_and_the_time_between_them() {
    let question = message(7, ASK, "Web.Example.org", &[]);
    let answer = message(7, NO_ERROR, "web.example.ORG", &[[203, 0, 113, 9], [203, 0, 113, 10]]);
    let (told, lost) = listen(&[asked(0, &question), answered(5, &answer)]);
    let [told] = &told[..] else { panic!("{told:?}") };
    let answer = told.answer.as_ref().unwrap();
    assert_eq!((told.name.as_str(), told.record_type.as_str()), ("Web.Example.org", "A"));
    assert_eq!((told.asked_at, answer.at, told.transport), (at(0), at(5), DnsTransport::Udp));
    let addresses = ["203.0.113.9", "203.0.113.10"].map(|text| DnsRecord::Address(text.parse().unwrap()));
    assert_eq!((answer.code.as_str(), &answer.records[..]), ("NOERROR", &addresses[..]));
    assert_eq!(lost, Lost::default());
}

#[test]
fn what_is_asked_again_is_one_question_and_one_that_is_not_answered_is_told_when_it_is_over() {
    let question = message(7, ASK, "silent", &[]);
    let (mut listener, mut told) = (Listener::default(), Vec::new());
    [0, 5_000].iter().for_each(|millis| listener.hear(&asked(*millis, &question), &mut told));
    listener.expire(at(9_999), &mut told);
    assert_eq!(told, []);
    listener.expire(at(10_000), &mut told);
    assert_eq!((told.len(), told[0].asked, told[0].asked_at, &told[0].answer), (1, 2, at(0), &None));
    listener.hear(&answered(10_001, &message(7, NO_ERROR, "silent", &[])), &mut told);
    assert_eq!((told.len(), listener.lost().unasked), (1, 1));
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let question = message(7, ASK, "web", &[]);
    let other = |bytes| Heard { other: end("172.17.0.9:53"), ..answered(1, bytes) };
    let id = message(8, NO_ERROR, "web", &[]);
    let name = message(7, NO_ERROR, "evil", &[[6, 6, 6, 6]]);
    let right = message(7, NO_ERROR, "web", &[[1, 2, 3, 4]]);
    let elsewhere = Heard { place: place(2), ..answered(1, &right) };
    let packets = [
        asked(0, &question),
        answered(1, &id),
        answered(1, &name),
        other(&right),
        elsewhere,
        answered(2, &right),
    ];
    let (told, lost) = listen(&packets);
    assert_eq!((told.len(), lost.unasked), (1, 4));
    assert_eq!(told[0].answer.as_ref().unwrap().at, at(2));
}

#[test]
fn dockers_resolver_answers_from_another_port_than_it_is_asked_at() {
    let (question, answer) = (message(7, ASK, "web", &[]), message(7, 0x8183, "web", &[]));
    let asked = Heard { other: end("127.0.0.11:41234"), ..asked(0, &question) };
    let answered = Heard { other: end("127.0.0.11:53"), ..answered(1, &answer) };
    let (told, _) = listen(&[asked, answered]);
    assert_eq!((told.len(), told[0].resolver), (1, end("127.0.0.11:53")));
    assert_eq!(told[0].answer.as_ref().unwrap().code.as_str(), "NXDOMAIN");
}

#[test]
fn another_question_with_the_same_id_ends_the_one_before() {
    let (one, two) = (message(7, ASK, "one", &[]), message(7, ASK, "two", &[]));
    let answer = message(7, NO_ERROR, "two", &[]);
    let (told, _) = listen(&[asked(0, &one), asked(1, &two), answered(2, &answer)]);
    let told: Vec<_> = told.iter().map(|told| (told.name.as_str(), told.answer.is_some())).collect();
    assert_eq!(told, [("one", false), ("two", true)]);
}

#[test]
fn of_a_long_answer_the_first_records_are_told_and_the_rest_is_counted() {
    let question = message(7, ASK, "many", &[]);
    let answer = message(7, NO_ERROR, "many", &[[10, 0, 0, 1]; 100]);
    let (told, lost) = listen(&[asked(0, &question), answered(1, &answer)]);
    let whole = told[0].answer.as_ref().unwrap();
    assert_eq!((whole.records.len(), whole.left_out, lost), (32, 68, Lost::default()));
    let cut = Heard { is_cut: true, ..answered(1, &answer[..100]) };
    let (told, lost) = listen(&[asked(0, &question), cut]);
    let cut = told[0].answer.as_ref().unwrap();
    assert_eq!((cut.records.len(), cut.left_out, lost.cut), (4, 96, 1));
    // Without having been cut, it is none.
    let (told, lost) = listen(&[asked(0, &question), answered(1, &answer[..100])]);
    assert_eq!((told.len(), lost.malformed), (0, 1));
}

#[test]
fn names_are_made_safe() {
    let question = message(7, ASK, "a\x1b[31m.\u{202e}b", &[]);
    let name = decode(&question, false).unwrap().asked.name();
    assert!(name.as_str().bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{name}");
}

/// The same bytes as segments of a stream that began with a SYN, so many bytes each.
fn segments(direction: Direction, bytes: &[u8], length: usize) -> Vec<Heard<'_>> {
    let syn =
        Heard { segment: Some(Segment { sequence: u32::MAX - 3, syn: true }), ..packet(direction, 0, &[]) };
    let parts = bytes.chunks(length).enumerate().map(|(index, part)| {
        let sequence = u32::try_from(index * length).unwrap().wrapping_sub(3);
        Heard { segment: Some(Segment { sequence, syn: false }), ..packet(direction, 1, part) }
    });
    std::iter::once(syn).chain(parts).collect()
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = messages.iter().flat_map(|message| {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        length.into_iter().chain(message.iter().copied())
    });
    framed.collect()
}

#[test]
fn messages_in_a_stream_are_read_however_they_are_cut() {
    let names = ["one", "two.example", "three"];
    let of = |flags| {
        let all: Vec<Vec<u8>> = (1..).zip(names).map(|(id, name)| message(id, flags, name, &[])).collect();
        framed(&all)
    };
    let (questions, answers) = (of(ASK), of(NO_ERROR | TRUNCATED));
    for length in 1..questions.len() {
        let mut packets = segments(Direction::Sent, &questions, length);
        // What comes again is no news.
        packets.push(packets[1]);
        packets.extend(segments(Direction::Received, &answers, length));
        let (told, lost) = listen(&packets);
        let told: Vec<&str> = told.iter().map(|told| told.name.as_str()).collect();
        assert_eq!((&told[..], lost), (&names[..], Lost::default()), "{length}");
    }
}

#[test]
fn a_stream_with_a_gap_is_given_up_once() {
    let questions = framed(&[message(1, ASK, "one", &[]), message(2, ASK, "two", &[])]);
    let mut packets = segments(Direction::Sent, &questions, 8);
    packets.remove(3);
    let (mut listener, mut told) = (Listener::default(), Vec::new());
    packets.iter().for_each(|packet| listener.hear(packet, &mut told));
    listener.finish(&mut told);
    assert_eq!((told.len(), listener.lost().streams), (0, 1));
}

/// A SYN of a connection of its own, and a segment behind it, at this second.
fn stream(port: u16, second: u64, bytes: &[u8]) -> [Heard<'_>; 2] {
    let container = SocketAddr::new(end("172.17.0.2:0").ip(), port);
    let packet = Heard { container, ..packet(Direction::Sent, second * 1_000, &[]) };
    let segment = |sequence, syn| Some(Segment { sequence, syn });
    [
        Heard { segment: segment(0, true), ..packet },
        Heard { segment: segment(1, false), payload: bytes, ..packet },
    ]
}

#[test]
fn the_stream_that_rested_longest_makes_room_for_a_new_one_of_its_place() {
    let (mut listener, mut told) = (Listener::default(), Vec::new());
    let whole = framed(&[message(1, ASK, "whole", &[])]);
    let half = &whole[..whole.len() / 2];
    // As many as there is room for, the first one half way through its message.
    for number in 0..64 {
        let bytes = if number == 0 { half } else { &[] };
        stream(1_000 + number, u64::from(number) / 16, bytes)
            .iter()
            .for_each(|heard| listener.hear(heard, &mut told));
    }
    assert_eq!(listener.lost(), Lost::default());
    // The next takes the first one's room: what lay in that is lost, and all of the new one is read.
    stream(2_000, 5, &whole).iter().for_each(|heard| listener.hear(heard, &mut told));
    assert_eq!(listener.lost().streams, 1);
    // The one after that takes the second's, in which nothing lay.
    stream(2_001, 5, &whole).iter().for_each(|heard| listener.hear(heard, &mut told));
    assert_eq!(listener.lost().streams, 1);
    listener.finish(&mut told);
    assert_eq!(told.iter().filter(|told| told.name.as_str() == "whole").count(), 2);
}

#[test]
fn one_that_asks_for_more_names_than_there_is_room_for_takes_no_room_from_others() {
    let (mut listener, mut told) = (Listener::default(), Vec::new());
    let mut asked_for = 0;
    for second in 0..3 {
        for name in 0..6_000_u32 {
            let question = message(u16::try_from(name).unwrap(), ASK, &format!("n{second}-{name}"), &[]);
            listener.hear(&asked(second * 1_000, &question), &mut told);
            asked_for += 1;
        }
    }
    let other = message(1, ASK, "other", &[]);
    listener.hear(&Heard { place: place(2), ..asked(3_000, &other) }, &mut told);
    let answer = message(1, NO_ERROR, "other", &[]);
    let before = told.len();
    listener.hear(&Heard { place: place(2), ..answered(3_001, &answer) }, &mut told);
    assert_eq!((told.len(), told[before].name.as_str()), (before + 1, "other"));
    told.remove(before);
    listener.finish(&mut told);
    // Each question is told, or counted as one that was not kept.
    assert_eq!(told.len() as u64 + listener.lost().not_kept, asked_for);
    assert_eq!(listener.lost().not_kept, 3 * (6_000 - 4_096));
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..600), is_cut: bool) {
        if let Some(message) = decode(&bytes, is_cut) {
            let records = message.answered.map_or(0, |answered| answered.records.len());
            prop_assert!(records <= 32);
            prop_assert!(message.asked.name().as_str().chars().count() <= 1_025);
        }
    }

    #[test]
    fn no_change_of_a_message_does_harm(at in 0_usize..200, to: u8, cut in 0_usize..200) {
        let mut bytes = message(7, NO_ERROR, "web.example.org", &[[1, 2, 3, 4]; 8]);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        bytes.truncate(cut);
        for is_cut in [false, true] {
            if let Some(message) = decode(&bytes, is_cut) {
                prop_assert!(message.asked.name().as_str().bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            }
        }
    }

    #[test]
    fn every_packet_is_told_or_counted_and_what_waits_is_bounded(
        packets in vec((vec(any::<u8>(), 0..64), any::<bool>(), any::<bool>(), any::<u32>(), any::<bool>()), 0..64)
    ) {
        let (mut listener, mut told) = (Listener::default(), Vec::new());
        for (payload, sent, is_tcp, sequence, syn) in &packets {
            let direction = if *sent { Direction::Sent } else { Direction::Received };
            let segment = is_tcp.then_some(Segment { sequence: *sequence, syn: *syn });
            listener.hear(&Heard { segment, ..packet(direction, 0, payload) }, &mut told);
        }
        listener.finish(&mut told);
        let Lost { malformed, not_kept, unasked, .. } = listener.lost();
        let udp = packets.iter().filter(|packet| !packet.2).count() as u64;
        prop_assert!(told.len() as u64 + malformed + not_kept + unasked >= udp);
    }
}
