//! What a CPU adds up before it goes to a flow's entry: nothing is lost on the way, counted twice or held back that is new.

use crate::features::{load, tcp};
use crate::rig::{Rig, Skb};
use monitor_common::counters::Direction::{Received, Sent};
use monitor_common::flow::{FlowKey4, mark};
use monitor_common::flow_table::Words as _;
use monitor_common::packet::tcp_flag::ACK;
use monitor_common::pending::{line, mix};
use monitor_common::settings::Settings;
use zerocopy::FromBytes as _;

/// The FIN flag.
const FIN: u8 = 1;

/// The programs, and this thread on one CPU, which so has all lines.
fn load_on_one_cpu() -> Rig {
    let mut set = rustix::thread::CpuSet::new();
    set.set(0);
    rustix::thread::sched_setaffinity(None, &set).expect("a thread that may stay on CPU 0");
    load(&Settings::default())
}

fn send(rig: &Rig, port: u16, times: u64) {
    (0..times).for_each(|_| rig.pass(Sent, &tcp(Sent, port, ACK), &Skb::ordinary()));
}

/// What each flow's entry has, by itself and with the lines: (local port, skbs in the entry, skbs in all).
fn sent(rig: &Rig, generation: u32) -> Vec<(u16, u64, u64)> {
    let bare = rig.entries::<20>(generation).expect("a readable map");
    let whole = rig.flows::<20>(generation).expect("a readable map");
    let mut sent: Vec<(u16, u64, u64)> = bare
        .iter()
        .zip(&whole)
        .map(|((key, bare), (_, whole))| {
            let port = FlowKey4::read_from_bytes(key).expect("the sizes agree").local_port;
            (port, bare.sent.counters.skbs, whole.sent.counters.skbs)
        })
        .collect();
    sent.sort_unstable();
    sent
}

#[test]
fn a_flow_gets_its_line_with_its_second_packet_and_is_added_up_there() {
    let rig = load_on_one_cpu();
    send(&rig, 1, 2);
    assert_eq!(sent(&rig, 0), [(1, 2, 2)]);
    send(&rig, 1, 98);
    assert_eq!(sent(&rig, 0), [(1, 2, 100)]);
    rig.pass(Received, &tcp(Received, 1, ACK), &Skb::ordinary());
    let entry = rig.only_flow();
    assert_eq!((entry.sent.counters.skbs, entry.received.counters.skbs), (100, 1));
}

#[test]
fn what_a_line_has_goes_to_its_flow_when_another_gets_the_line() {
    let rig = load_on_one_cpu();
    send(&rig, 1, 10);
    let at = |port: u16| {
        let (key, _) = rig.flows::<20>(0).expect("a readable map")[0];
        let key = FlowKey4 { local_port: port, ..FlowKey4::read_from_bytes(&key).expect("the sizes agree") };
        line(mix(&key.words()), Sent)
    };
    let other = (2..).find(|port| at(*port) == at(1)).expect("a port with the same line");
    send(&rig, other, 1);
    send(&rig, 1, 1);
    assert_eq!(sent(&rig, 0), [(1, 2, 11), (other, 1, 1)], "one packet takes no line");
    send(&rig, other, 5);
    assert_eq!(sent(&rig, 0), [(1, 11, 11), (other, 2, 6)]);
    for _ in 0..50 {
        send(&rig, 1, 1);
        send(&rig, other, 1);
    }
    let whole: Vec<u64> = sent(&rig, 0).iter().map(|(.., whole)| *whole).collect();
    assert_eq!(whole, [61, 56]);
}

#[test]
fn what_is_new_goes_to_the_entry_at_once() {
    let rig = load_on_one_cpu();
    send(&rig, 1, 5);
    rig.pass(Sent, &tcp(Sent, 1, ACK | FIN), &Skb::ordinary());
    let bare = |rig: &Rig| rig.entries::<20>(0).expect("a readable map")[0].1;
    assert_eq!(bare(&rig).sent.marks & mark::TCP_FLAGS, u32::from(ACK | FIN));
    let mut forged = tcp(Sent, 1, ACK);
    forged[11] ^= 0xff;
    rig.pass(Sent, &forged, &Skb::ordinary());
    assert_ne!(bare(&rig).sent.marks & mark::SEVERAL_SOURCE_MACS, 0);
    for ingress_ifindex in [7, 7, 7, 9] {
        let from = Skb { ingress_ifindex, ..Skb::ordinary() };
        rig.pass(Received, &tcp(Received, 1, ACK), &from);
    }
    assert_ne!(bare(&rig).received.marks & mark::SEVERAL_ORIGINS, 0);
    assert_eq!(bare(&rig).received.origin, 7);
    let entry = rig.only_flow();
    assert_eq!((entry.sent.counters.skbs, entry.received.counters.skbs), (7, 4));
}

#[test]
fn a_new_generation_starts_with_nothing_and_the_old_one_keeps_what_is_left() {
    let mut rig = load_on_one_cpu();
    send(&rig, 1, 10);
    rig.flip().expect("a writable map");
    send(&rig, 1, 1);
    assert_eq!((sent(&rig, 0), sent(&rig, 1)), (vec![(1, 2, 10)], vec![(1, 1, 1)]));
    send(&rig, 1, 6);
    assert_eq!((sent(&rig, 0), sent(&rig, 1)), (vec![(1, 2, 10)], vec![(1, 2, 7)]));
    rig.flip().expect("a writable map");
    send(&rig, 1, 3);
    assert_eq!(
        (sent(&rig, 0), sent(&rig, 1)),
        (vec![(1, 1, 3)], vec![(1, 2, 7)]),
        "nothing of two ticks ago"
    );
}
