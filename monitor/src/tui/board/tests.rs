//! What becomes of snapshots and records.

use super::Board;
use crate::model::{FlowId, Initiator, KernelTime, Losses, SafeText, TcpFlags};
use crate::snapshot::{
    Expected, FlowRecord, Outcome, Record, Rule, RuleName, Snapshot, Tcp, TcpState, Verdict,
};
use crate::tui::tests::data;
use crate::wire::fixtures;
use std::sync::Arc;

fn board() -> Board {
    Board::new(data::small())
}

fn tell(board: &mut Board, flow: FlowRecord) {
    board.record(&Record::Flow(Arc::new(flow)));
}

/// The board's data some seconds later.
fn pass(board: &mut Board, seconds: u64) {
    let later = data::later(board.latest(), seconds);
    board.snapshot(later);
}

/// The numbers of the flows that are shown, each conversation once.
fn shown(board: &Board) -> Vec<u64> {
    let mut ids: Vec<u64> =
        board.flows().iter().filter(|row| !row.is_second).map(|row| row.record.flow_id.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn ticks_of_one_flow_add_up_as_its_client_sees_them() {
    let mut board = board();
    let flow = FlowRecord { initiator: Initiator::Remote, ..data::flow(7) };
    tell(&mut board, flow.clone());
    tell(&mut board, FlowRecord { tick_end: KernelTime(flow.tick_end.0 + data::SECOND), ..flow.clone() });
    let row = board.flows().get(FlowId(7)).unwrap();
    assert_eq!(row.counted.bytes, [2 * flow.received.bytes, 2 * flow.sent.bytes]);
    assert_eq!((row.client.as_str(), row.server.as_str()), ("shop-web-50", "shop-db-7"));
}

#[test]
fn a_verdict_stays_when_the_tick_that_ends_a_flow_tells_none() {
    let mut board = board();
    let flow =
        data::few_flows().into_iter().find(|flow| flow.verdict.is_some()).expect("a flow with a verdict");
    tell(&mut board, flow.clone());
    tell(&mut board, FlowRecord { verdict: None, last: true, ..flow.clone() });
    let row = board.flows().get(flow.flow_id).expect("a flow that was over a moment ago");
    assert_eq!((&row.verdict, row.record.last), (&flow.verdict, true));
}

#[test]
fn a_client_that_is_known_late_turns_what_was_counted() {
    let mut board = board();
    let flow = data::flow(7);
    tell(&mut board, FlowRecord { initiator: Initiator::Unknown, ..flow.clone() });
    tell(&mut board, FlowRecord { initiator: Initiator::Remote, ..flow.clone() });
    let row = board.flows().get(FlowId(7)).unwrap();
    assert_eq!(row.counted.bytes, [2 * flow.received.bytes, 2 * flow.sent.bytes]);
    let recent = row.recent.sum(board.beat.second(flow.tick_end), 1);
    assert_eq!(recent, row.counted.bytes);
}

#[test]
fn a_conversation_seen_at_both_interfaces_is_shown_at_its_clients() {
    let flow = data::flow(3);
    for order in [[flow.clone(), data::other_end(&flow)], [data::other_end(&flow), flow.clone()]] {
        let mut board = board();
        order.into_iter().for_each(|flow| tell(&mut board, flow));
        assert_eq!((shown(&board), board.flows().iter().count()), (vec![3], 2));
        assert_eq!(board.flows().conversations(), 1);
    }
}

#[test]
fn the_other_end_is_shown_once_the_clients_is_over() {
    let flow = data::flow(3);
    let mut board = board();
    tell(&mut board, data::other_end(&flow));
    tell(&mut board, FlowRecord { last: true, ..flow });
    pass(&mut board, 11);
    assert_eq!((shown(&board), board.flows().conversations()), (vec![1_000_003], 1));
}

#[test]
fn a_flow_that_ends_keeps_its_verdict_and_its_flags() {
    let mut board = board();
    let verdict = Verdict {
        rule: RuleName::Topology(Rule::SameNetwork),
        expected: Expected::Allow,
        outcome: Outcome::Answered,
    };
    let flow = FlowRecord { verdict: Some(verdict.clone()), ..data::flow(3) };
    let tcp = flow.tcp.unwrap();
    assert_ne!((tcp.sent_flags.0, tcp.received_flags.0), (0, 0));
    tell(&mut board, flow.clone());
    let nothing = TcpFlags::default();
    let end = Tcp { sent_flags: nothing, received_flags: nothing, handshake: None, ..tcp };
    tell(&mut board, FlowRecord { last: true, verdict: None, tcp: Some(end), ..flow });
    let row = board.flows().get(FlowId(3)).unwrap();
    assert_eq!(row.verdict, Some(verdict));
    assert_eq!(row.flags, [tcp.sent_flags, tcp.received_flags]);
}

#[test]
fn a_conversation_whose_ports_are_used_again_is_shown_at_its_clients_too() {
    let flow = data::flow(3);
    let mut board = board();
    tell(&mut board, flow.clone());
    tell(&mut board, data::other_end(&flow));
    for flow in [flow.clone(), data::other_end(&flow)] {
        tell(&mut board, FlowRecord { last: true, ..flow });
    }
    for flow in [data::other_end(&flow), flow] {
        let again = FlowId(flow.flow_id.0 + 500);
        tell(&mut board, FlowRecord { flow_id: again, ..flow });
    }
    assert_eq!(shown(&board), [3, 503]);
    pass(&mut board, 11);
    assert_eq!(shown(&board), [503]);
}

#[test]
fn two_conversations_with_other_ports_or_containers_are_two() {
    let mut board = board();
    tell(&mut board, data::flow(3));
    tell(&mut board, data::other_end(&data::flow(303)));
    assert_eq!(shown(&board), [3, 1_000_303]);
}

#[test]
fn a_flow_that_is_over_goes_after_a_moment_and_a_quiet_one_after_its_patience() {
    let mut closed = FlowRecord { last: true, ..data::flow(1) };
    closed.tcp.as_mut().unwrap().state = TcpState::Closed;
    let open = data::flow(2);
    let mut half_open = data::flow(3);
    half_open.tcp.as_mut().unwrap().state = TcpState::SynSent;
    let mut board = board();
    [closed, open, half_open].into_iter().for_each(|flow| tell(&mut board, flow));
    for (seconds, expected) in
        [(9, vec![1, 2, 3]), (1, vec![2, 3]), (109, vec![2, 3]), (2, vec![2]), (838, vec![2]), (2, vec![])]
    {
        pass(&mut board, seconds);
        assert_eq!(shown(&board), expected, "at {:?}", board.latest().taken_at);
    }
}

#[test]
fn the_quietest_make_room_and_are_counted() {
    let mut board = board();
    board.flows.most = 320;
    let seen = |number: u64| FlowRecord { last_seen: KernelTime(number * 1_000), ..data::flow(number) };
    (0..320).for_each(|number| tell(&mut board, seen(number)));
    assert_eq!((board.flows().iter().count(), board.losses()), (320, vec![]));
    tell(&mut board, seen(320));
    assert_eq!(board.flows().iter().count(), 320 - 20 + 1);
    assert_eq!(board.losses(), [("flows_not_shown", 20)]);
    assert_eq!(board.flows().iter().map(|row| row.record.flow_id.0).min(), Some(20));
    assert_eq!(board.flows.between.len(), board.flows.rows.len(), "what was forgotten left nothing behind");
}

#[test]
fn everything_that_is_not_shown_is_a_loss() {
    let mut losses = Losses::default();
    losses.add("ring_full", 3);
    let mut snapshot = Snapshot { losses, ..(*data::small()).clone() };
    snapshot.containers[0].not_recorded = fixtures::counts(12, 700);
    let mut board = Board::new(Arc::new(snapshot));
    board.record(&Record::Lost(17));
    assert_eq!(board.losses(), [("ring_full", 3), ("packets_in_no_flow", 12), ("records_not_shown", 17)]);
    board.record(&Record::Lost(20));
    assert_eq!(board.losses()[2], ("records_not_shown", 20), "it is a sum already");
}

#[test]
fn snapshots_between_two_readings_count_nothing_twice_and_no_rate_falls() {
    let mut board = board();
    pass(&mut board, 1);
    let id = board.latest().containers[0].container.id.clone();
    let sent = |board: &Board| board.container(&id).sum(board.reading(), 1);
    let counted = sent(&board);
    assert_eq!(counted, [1_500, 4_500]);
    for tenths in 1..10 {
        let mut between = (**board.latest()).clone();
        between.taken_at = KernelTime(between.taken_at.0 + tenths * 10_000_000);
        board.snapshot(Arc::new(between));
        assert_eq!(sent(&board), counted);
    }
}

#[test]
fn a_reading_that_is_a_little_early_or_late_is_one_a_second() {
    let mut board = board();
    let id = board.latest().containers[0].container.id.clone();
    for (tick, jitter) in [3_i64, -8, 5, -20, 13, 0, -1, 9].into_iter().enumerate() {
        let mut next = (*data::later(board.latest(), 1)).clone();
        let ideal = fixtures::NOW.0 + (tick as u64 + 1) * data::SECOND;
        next.taken_at = KernelTime(ideal.saturating_add_signed(jitter * 1_000_000));
        board.snapshot(Arc::new(next));
        let counted = board.container(&id).sum(board.reading(), 1);
        assert_eq!(counted, [1_500, 4_500], "tick {tick}");
    }
}

#[test]
fn a_container_gets_its_name_without_losing_what_was_counted() {
    let mut board = board();
    let mut unnamed = data::flow(5);
    unnamed.remote.container = None;
    unnamed.remote.kind = crate::snapshot::EndKind::Unknown;
    tell(&mut board, unnamed);
    assert_eq!(board.flows().get(FlowId(5)).unwrap().server.as_str(), "unknown(10.0.0.36)");
    tell(&mut board, data::flow(5));
    let row = board.flows().get(FlowId(5)).unwrap();
    assert_eq!((row.server.as_str(), row.counted.bytes[0]), ("shop-web-36", 12));
    assert_eq!(SafeText::new(row.server.as_str()), row.server, "names are safe");
}
