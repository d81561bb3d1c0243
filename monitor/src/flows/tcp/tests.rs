use super::{Connection, TcpState};
use crate::model::{
    Counts, Direction, FlowDelta, FlowId, FlowKey, FlowPorts, Initiator, InterfaceNumber, KernelTime,
    Protocol, TcpFlags, TcpObserved,
};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// One tick: flags sent, flags received, time of a SYN, time of a SYN-ACK (microseconds).
type Tick = (&'static str, &'static str, Option<u64>, Option<u64>);

fn flags(letters: &str) -> TcpFlags {
    let bit = |letter| "FSRPA".find(letter).map_or(0, |bit| 1 << bit);
    TcpFlags(letters.chars().fold(0, |flags, letter| flags | bit(letter)))
}

fn delta(first_direction: Direction) -> FlowDelta {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    FlowDelta {
        key: FlowKey {
            interface: InterfaceNumber(1),
            local: address,
            remote: address,
            protocol: Protocol::TCP,
            ports: FlowPorts::Ports { local: 1, remote: 2 },
            vlan: None,
        },
        flow_id: FlowId(1),
        first_seen: KernelTime(1),
        last_seen: KernelTime(1),
        is_new: true,
        first_direction,
        sent: Counts::default(),
        received: Counts::default(),
        tcp: None,
        origin: None,
        source_mac: None,
        several_source_macs: false,
        cgroup: None,
    }
}

#[track_caller]
fn check(ticks: &[Tick], state: TcpState, initiator: Initiator, handshakes: &[Option<u64>]) {
    check_from(Direction::Sent, ticks, state, initiator, handshakes);
}

#[track_caller]
fn check_from(
    first: Direction,
    ticks: &[Tick],
    state: TcpState,
    initiator: Initiator,
    handshakes: &[Option<u64>],
) {
    let mut connection = Connection::default();
    let micros = |time: Option<u64>| time.map(|micros| KernelTime(micros * 1_000));
    let told: Vec<_> = ticks
        .iter()
        .enumerate()
        .map(|(index, (sent, received, syn, syn_ack))| {
            let seen = TcpObserved {
                sent_flags: flags(sent),
                received_flags: flags(received),
                syn_at: micros(*syn),
                syn_ack_at: micros(*syn_ack),
                ..TcpObserved::default()
            };
            // As the kernel does: only the tick with the flow's first packet says which way that went.
            let is_new = index == 0;
            let first_direction = if is_new { first } else { Direction::Received };
            connection
                .observe(&FlowDelta { is_new, ..delta(first_direction) }, &seen, KernelTime(0))
                .handshake
        })
        .collect();
    assert_eq!((connection.state(), connection.initiator()), (state, initiator));
    let expected: Vec<_> = handshakes.iter().map(|micros| micros.map(Duration::from_micros)).collect();
    assert_eq!(told, expected);
}

#[test]
fn the_states_of_a_connection_that_the_local_end_opens() {
    let local = Initiator::Local;
    check(&[("S", "", Some(1), None)], TcpState::SynSent, local, &[None]);
    check(&[("S", "SA", Some(1), Some(5))], TcpState::SynReceived, local, &[Some(4)]);
    check(&[("SA", "SA", Some(1), Some(5))], TcpState::Established, local, &[Some(4)]);
    check(&[("SAF", "SA", Some(1), Some(5))], TcpState::Closing, local, &[Some(4)]);
    check(&[("SAF", "SAF", Some(1), Some(5))], TcpState::Closed, local, &[Some(4)]);
    check(&[("SAR", "SA", Some(1), Some(5))], TcpState::Reset, local, &[Some(4)]);
    check(&[("S", "RA", Some(1), None)], TcpState::Refused, local, &[None]);
}

#[test]
fn the_first_packet_or_the_only_syn_tells_who_opened() {
    let both = [("SA", "SA", Some(1), Some(5))];
    check_from(Direction::Received, &both, TcpState::Established, Initiator::Remote, &[Some(4)]);
    let only_answer = [("SA", "A", None, Some(5))];
    check(&only_answer, TcpState::Established, Initiator::Remote, &[None]);
    check(&[("AP", "AP", None, None)], TcpState::Established, Initiator::Unknown, &[None]);
}

#[test]
fn a_handshake_is_joined_over_ticks_and_told_once() {
    let ticks = [
        ("S", "", Some(1_000), None),
        ("S", "", Some(2_000), None),
        ("A", "SA", None, Some(2_050)),
        ("A", "A", None, None),
    ];
    let told = [None, None, Some(1_050), None];
    check(&ticks, TcpState::Established, Initiator::Local, &told);
}

#[test]
fn an_answer_from_before_the_syn_is_no_handshake() {
    check(&[("SA", "SA", Some(5), Some(1))], TcpState::Established, Initiator::Local, &[None]);
}

#[test]
fn ports_used_again_are_a_new_connection() {
    let ticks = [("SAF", "SAF", Some(1), Some(2)), ("S", "SA", Some(100), Some(103))];
    check(&ticks, TcpState::SynReceived, Initiator::Local, &[Some(1), Some(3)]);
    let refused = [("S", "RA", Some(1), None), ("SA", "SA", Some(100), Some(107))];
    check(&refused, TcpState::Established, Initiator::Local, &[None, Some(7)]);
    let older = [("AP", "AP", None, None), ("AF", "AF", None, None), ("SA", "SA", Some(100), Some(107))];
    check(&older, TcpState::Established, Initiator::Unknown, &[None, None, Some(7)]);
}

#[test]
fn a_syn_that_comes_again_before_its_answer_arrived_is_the_same_connection() {
    let ticks =
        [("S", "SA", Some(1), Some(3)), ("S", "SA", Some(1_000), Some(1_002)), ("A", "A", None, None)];
    check(&ticks, TcpState::Established, Initiator::Local, &[Some(2), None, None]);
}

#[test]
fn a_reset_of_the_opener_is_no_refusal() {
    check(&[("SAR", "A", Some(1), None)], TcpState::Reset, Initiator::Local, &[None]);
    check(&[("SR", "SA", Some(1), Some(3))], TcpState::Reset, Initiator::Local, &[Some(2)]);
}

#[test]
fn the_end_of_a_connection_is_not_of_the_next_one_whose_syn_comes_in_the_same_tick() {
    let earlier = ("SA", "SA", Some(1), Some(2));
    let (told, none) = (Some(1), None);
    for end in [("SAR", "", Some(50), None), ("SAF", "AF", Some(50), None)] {
        check(&[earlier, end], TcpState::SynSent, Initiator::Local, &[told, none]);
        // Its SYN is lost and comes again: it is no other connection.
        let again = ("SA", "SA", Some(1_050), Some(1_052));
        check(&[earlier, end, again], TcpState::Established, Initiator::Local, &[told, none, Some(1_002)]);
    }
    check(&[earlier, ("SAR", "RA", Some(50), None)], TcpState::Refused, Initiator::Local, &[told, none]);
}

#[test]
fn an_opener_that_resets_what_the_other_end_still_had_goes_on() {
    let stray = ("SR", "A", Some(1), None);
    check(&[stray], TcpState::SynSent, Initiator::Local, &[None]);
    let answered = ("SA", "SA", Some(100), Some(103));
    check(&[stray, answered], TcpState::Established, Initiator::Local, &[None, Some(102)]);
    check(
        &[stray, answered, ("RA", "", None, None)],
        TcpState::Reset,
        Initiator::Local,
        &[None, Some(102), None],
    );
    // The server still has an earlier one that was seen here; the parts of it all may be in ticks of their own.
    let earlier = ("SA", "SA", Some(1), Some(2));
    let asked = ("S", "A", Some(50), None);
    let (told, none, last) = (Some(1), None, Some(53));
    for ticks in [
        &[earlier, ("SR", "A", Some(50), None), answered][..],
        &[earlier, asked, ("R", "", None, None), answered],
        &[earlier, asked, ("SR", "SA", Some(100), Some(103)), ("A", "", None, None)],
    ] {
        let handshakes: Vec<_> = (0..ticks.len())
            .map(|at| {
                if at == 0 {
                    told
                } else if ticks[at].3.is_some() {
                    last
                } else {
                    none
                }
            })
            .collect();
        check(ticks, TcpState::Established, Initiator::Local, &handshakes);
    }
}

#[test]
fn who_acknowledges_has_not_reset() {
    let of_both = ("SAR", "SA", Some(1), Some(3));
    check(&[of_both], TcpState::Reset, Initiator::Local, &[Some(2)]);
    check(&[of_both, ("A", "A", None, None)], TcpState::Established, Initiator::Local, &[Some(2), None]);
    check(&[of_both, ("R", "A", None, None)], TcpState::Reset, Initiator::Local, &[Some(2), None]);
    // What the other end sends before it heard of the reset changes nothing, nor does a reset of its own.
    check(&[of_both, ("", "A", None, None)], TcpState::Reset, Initiator::Local, &[Some(2), None]);
    let refused = ("S", "RA", Some(1), None);
    check(&[refused, ("A", "", None, None)], TcpState::Refused, Initiator::Local, &[None, None]);
}

#[test]
fn of_an_opener_that_is_heard_alone_nothing_is_of_another_connection() {
    let alone = ("SAR", "", Some(1), None);
    check(&[alone, ("SAR", "", Some(50), None)], TcpState::Reset, Initiator::Local, &[None, None]);
}

#[test]
fn data_from_before_the_syn_is_of_the_connection_before() {
    let mut connection = Connection::default();
    let both = flags("SAP");
    let told = [(500, 1_500), (1_200, 1_600)].map(|(sent, received)| {
        let seen = TcpObserved {
            sent_flags: both,
            received_flags: both,
            syn_at: Some(KernelTime(1_000)),
            sent_data_at: Some(KernelTime(sent)),
            received_data_at: Some(KernelTime(received)),
            ..TcpObserved::default()
        };
        connection.observe(&delta(Direction::Sent), &seen, KernelTime(0)).first_byte
    });
    assert_eq!(told, [None, Some(Duration::from_nanos(300))]);
}

#[test]
fn ports_used_again_once_the_connection_before_is_forgotten_are_opened_by_the_first_packet() {
    for (first_direction, expected) in
        [(Direction::Sent, Initiator::Local), (Direction::Received, Initiator::Remote)]
    {
        let mut connection = Connection::default();
        let seen = TcpObserved {
            sent_flags: flags("SAF"),
            received_flags: flags("SAF"),
            syn_at: Some(KernelTime(1_000)),
            syn_ack_at: Some(KernelTime(2_000)),
            ..TcpObserved::default()
        };
        connection.observe(&FlowDelta { is_new: false, ..delta(first_direction) }, &seen, KernelTime(0));
        assert_eq!((connection.initiator(), connection.was_opened()), (expected, true));
    }
}

#[test]
fn that_it_failed_is_told_once_and_again_of_the_next_one_with_its_ports() {
    let mut connection = Connection::default();
    let told = [("S", Some(1)), ("", None), ("S", Some(100)), ("S", Some(200))].map(|(sent, syn_at)| {
        let seen = TcpObserved {
            sent_flags: flags(sent),
            received_flags: flags(if syn_at == Some(100) { "" } else { "RA" }),
            syn_at: syn_at.map(KernelTime),
            syn_ack_at: None,
            ..TcpObserved::default()
        };
        connection.observe(&delta(Direction::Sent), &seen, KernelTime(0)).failed
    });
    assert_eq!(told, [true, false, false, true]);
}

#[test]
fn a_reset_after_both_ends_closed_changes_nothing() {
    let ticks = [("SAF", "SAF", Some(1), Some(2)), ("R", "", None, None)];
    check(&ticks, TcpState::Closed, Initiator::Local, &[Some(1), None]);
    check(&[("A", "RA", None, None)], TcpState::Reset, Initiator::Unknown, &[None]);
}

#[test]
fn the_first_byte_of_an_answer_is_timed_over_ticks_and_told_once() {
    let check = |opener: Direction, ticks: &[(Option<u64>, Option<u64>)], expected: &[Option<u64>]| {
        let mut connection = Connection::default();
        let told: Vec<Option<u64>> = ticks
            .iter()
            .map(|(asked, answered)| {
                let [asked, answered] = [*asked, *answered].map(|at| at.map(KernelTime));
                let (sent_data_at, received_data_at) = match opener {
                    Direction::Sent => (asked, answered),
                    Direction::Received => (answered, asked),
                };
                let both = flags("SAP");
                let seen = TcpObserved {
                    sent_flags: both,
                    received_flags: both,
                    syn_at: Some(KernelTime(1)),
                    sent_data_at,
                    received_data_at,
                    ..TcpObserved::default()
                };
                let told = connection.observe(&delta(opener), &seen, KernelTime(0)).first_byte;
                told.map(|took| u64::try_from(took.as_nanos()).unwrap())
            })
            .collect();
        assert_eq!(told, expected);
    };
    for opener in [Direction::Sent, Direction::Received] {
        check(
            opener,
            &[(Some(100), None), (Some(300), Some(700)), (Some(800), Some(900))],
            &[None, Some(600), None],
        );
        check(opener, &[(None, Some(50)), (Some(100), Some(200))], &[None, None]);
    }
}
