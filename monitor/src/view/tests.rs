//! Screens as text.

use super::{
    FlowLines, Frame, Line, NameLines, containers, course, failures, flows_ended, latency, left_out,
    networks, pairs, past_between, past_containers, past_names, services, standing, top,
};
use crate::model::{AttachedBy, DnsPlace, FlowPorts, Initiator, Overlay, Protocol};
use crate::snapshot::{
    ContainerRow, End, EndKind, Expected, FlowRecord, LatencyRow, Membership, NetworkRow, PairRow, Reach,
    Service, Severity, Snapshot, Standing, Verdict,
};
use crate::wire::fixtures;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

fn frame(width: usize) -> Frame {
    Frame { width, height: None, colour: false, clock: fixtures::clock() }
}

fn draw(lines: &[Line], frame: &Frame) -> String {
    lines.iter().map(|line| line.draw(frame) + "\n").collect()
}

fn check_width(text: &str, width: usize) {
    for line in text.lines() {
        assert!(line.width() <= width, "{} columns of {width}: {line}", line.width());
    }
}

/// Draws with a view at each width and compares with the kept screen.
fn check(name: &str, view: fn(&Snapshot, &Frame) -> Vec<Line>, snapshot: &Snapshot) {
    for width in [80, 120, 200] {
        let frame = frame(width);
        let text = draw(&view(snapshot, &frame), &frame);
        check_width(&text, width);
        insta::assert_snapshot!(format!("{name}_{width}"), text);
    }
}

#[test]
fn top_of_the_example() {
    check("top", top, &fixtures::snapshot());
}

#[test]
fn what_an_agent_watches_says_since_when() {
    let frame = frame(100);
    let said = |by_agent| draw(&top(&Snapshot { by_agent, ..fixtures::snapshot() }, &frame), &frame);
    assert!(said(true).contains("\nthe agent watches since 20"), "{}", said(true));
    assert!(!said(false).contains("the agent"), "{}", said(false));
}

#[test]
fn top_in_trouble() {
    check("top_in_trouble", top, &fixtures::troubled_snapshot());
}

#[test]
fn top_without_containers() {
    let snapshot = Snapshot {
        containers: Vec::new(),
        interfaces_watched: 0,
        attached: AttachedBy::default(),
        ..fixtures::snapshot()
    };
    check("top_without_containers", top, &snapshot);
}

#[test]
fn containers_of_the_example() {
    check("containers", containers, &fixtures::snapshot());
    check("containers_in_trouble", containers, &fixtures::troubled_snapshot());
}

/// A quiet example, a network that is not watched, names made to harm, and ends of every kind.
fn crowd() -> Snapshot {
    let snapshot = fixtures::snapshot();
    let [back, front] = [&snapshot.networks[0], &snapshot.networks[1]];
    let internal = NetworkRow {
        traits: fixtures::traits(&[("172.19.0.0", 16), ("fd00:19::", 64)], true, None),
        members: (0..40).map(|number| fixtures::container(&format!("worker-{number}"), None)).collect(),
        crossings: 3,
        ..front.clone()
    };
    let hostile = NetworkRow {
        network: fixtures::network("evil\x1b[31m\u{202e}日本語ネットワーク🐳"),
        members: vec![fixtures::container("日本語🐳コンテナ", None)],
        interfaces_watched: 0,
        totals: Reach::default(),
        traits: fixtures::traits(&[], false, None),
        ..front.clone()
    };
    let pair = &snapshot.pairs[0];
    let asked_from_outside = PairRow {
        client: fixtures::end(EndKind::External, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", None),
        server: fixtures::container_end("日本語🐳コンテナ", "172.18.0.3", Some(443)),
        ..pair.clone()
    };
    let denied = PairRow {
        server: fixtures::end(EndKind::Unknown, "172.19.0.9", None),
        protocol: Protocol::ICMP,
        network: None,
        handshake: None,
        verdict: pair.verdict.clone().map(|verdict| Verdict { expected: Expected::Deny, ..verdict }),
        ..pair.clone()
    };
    let nodes = ["198.51.100.1", "198.51.100.2"].map(|node| node.parse().unwrap()).to_vec();
    let overlay = Overlay { vxlan_ids: vec![4_097], encrypted: true, ingress: false, nodes };
    let mesh =
        NetworkRow { traits: fixtures::traits(&[("172.18.0.0", 16)], false, Some(overlay)), ..front.clone() };
    let to_task = PairRow { server: fixtures::task_end("10.0.1.8", Some(80)), ..pair.clone() };
    Snapshot {
        networks: [back.clone(), internal, hostile, mesh].into(),
        pairs: [pair.clone(), asked_from_outside, denied, to_task].into(),
        ..fixtures::snapshot()
    }
}

fn all_pairs(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    pairs(snapshot, snapshot.pairs.iter(), frame)
}

#[test]
fn networks_of_the_example() {
    check("networks", networks, &crowd());
    let nothing = Snapshot { networks: [].into(), ..fixtures::snapshot() };
    let frame = frame(80);
    assert!(draw(&networks(&nothing, &frame), &frame).contains("no networks"));
}

#[test]
fn pairs_of_the_example() {
    check("pairs", all_pairs, &crowd());
    let nothing = Snapshot { pairs: [].into(), ..fixtures::snapshot() };
    let frame = frame(80);
    assert!(draw(&all_pairs(&nothing, &frame), &frame).contains("no traffic"));
}

#[test]
fn networks_that_do_not_fit_their_column_are_counted() {
    let mut snapshot = fixtures::snapshot();
    let membership = snapshot.containers[0].memberships[0].clone();
    for name in ["a-second-network-with-a-name", "third"] {
        let network = fixtures::network(name);
        snapshot.containers[0].memberships.push(Membership { network, ..membership.clone() });
    }
    let wide = frame(200);
    assert!(draw(&top(&snapshot, &wide), &wide).contains("  shop_front +2  "));
    let narrow = frame(80);
    let text = draw(&top(&snapshot, &narrow), &narrow);
    assert!(text.contains("shop/nginx on shop_front, a-second-network-with-a-name, third"), "{text}");
}

#[test]
fn the_worst_that_stands_is_named_and_the_rest_counted() {
    let frame = frame(80);
    let text = draw(&top(&fixtures::troubled_snapshot(), &frame), &frame);
    assert!(text.contains("findings: none\nposture: 4 critical, 1 info  (vethwatch violations"), "{text}");
    assert!(text.contains("\n    critical docker-socket: panel\n"), "{text}");
    assert!(!text.contains("fourth") && !text.contains("published-everywhere"), "{text}");
    assert!(!draw(&top(&fixtures::snapshot(), &frame), &frame).contains("posture"));
    let early = Snapshot { rights_unknown: 1, ..fixtures::snapshot() };
    let text = draw(&top(&early, &frame), &frame);
    assert!(text.contains("posture: rights not told of 1 container"), "{text}");
}

#[test]
fn a_standing_finding_reads_as_described() {
    let frame = frame(80);
    let changed = fixtures::standing("ui", Severity::Critical);
    let text = draw(&standing(&changed, &frame), &frame);
    assert!(
        text.starts_with("09:10:03.004  critical posture  docker-socket: ui  (changed)\n    ui: who "),
        "{text}"
    );
    let text = draw(&standing(&Standing { is_open: false, ..changed }, &frame), &frame);
    assert!(text.lines().next().is_some_and(|line| line.ends_with("docker-socket: ui  (over)")), "{text}");
}

#[test]
fn losses_are_none_only_when_nothing_was_lost() {
    let frame = frame(80);
    assert!(draw(&top(&fixtures::snapshot(), &frame), &frame).contains("losses: none"));
    let text = draw(&top(&fixtures::troubled_snapshot(), &frame), &frame);
    assert!(!text.contains("losses: none") && text.contains("flow_map_full 1,203, ring_full 3"));
}

#[test]
fn a_low_screen_keeps_the_footer_and_says_who_is_left_out() {
    let mut snapshot = fixtures::snapshot();
    let row = snapshot.containers[0].clone();
    snapshot.containers.extend(std::iter::repeat_n(row, 30));
    for height in 12..60 {
        let frame = Frame { height: Some(height), ..frame(80) };
        let text = draw(&top(&snapshot, &frame), &frame);
        assert!(text.lines().count() <= height);
        assert!(text.contains("losses: none"), "at {height} rows");
        assert!(text.contains("more, less busy"), "at {height} rows");
    }
}

fn flow_lines() -> Vec<FlowRecord> {
    let flow = fixtures::flow();
    let reverse = FlowRecord {
        initiator: Initiator::Remote,
        local: flow.remote.clone(),
        remote: flow.local.clone(),
        sent: flow.received,
        received: flow.sent,
        tcp: flow.tcp.map(|tcp| crate::snapshot::Tcp { handshake: None, ..tcp }),
        observed_at: fixtures::observed_at("veth9f8e7d6"),
        ..flow.clone()
    };
    let from_outside = FlowRecord {
        initiator: Initiator::Remote,
        local: fixtures::container_end("shop-nginx-1", "172.19.0.2", Some(80)),
        remote: fixtures::end(EndKind::External, "2001:db8::17", Some(51_000)),
        network: None,
        ..flow.clone()
    };
    let echo = FlowRecord {
        initiator: Initiator::Unknown,
        protocol: Protocol::ICMP,
        ports: FlowPorts::Icmp { id: 1, kind: 8, code: 0 },
        local: fixtures::container_end("日本語🐳コンテナ\x1b[2J", "172.18.0.9", None),
        remote: fixtures::end(EndKind::Host, "172.18.0.1", None),
        tcp: None,
        last: true,
        ..flow.clone()
    };
    vec![flow, reverse, from_outside, echo]
}

#[test]
fn flows_as_they_stream() {
    for width in [80, 120, 200] {
        let frame = frame(width);
        let mut lines = FlowLines::new(frame);
        let mut drawn = vec![lines.heading()];
        for flow in flow_lines() {
            drawn.extend(lines.flow(&flow));
            drawn.push(lines.sample(&fixtures::sample()));
        }
        drawn.push(flows_ended(4, 4, &fixtures::snapshot(), 7));
        let text = draw(&drawn, &frame);
        check_width(&text, width);
        insta::assert_snapshot!(format!("flows_{width}"), text);
    }
}

#[test]
fn an_end_outside_is_called_by_the_name_that_was_asked_for() {
    let frame = frame(200);
    let remote = fixtures::end(EndKind::External, "203.0.113.9", Some(443));
    let named = |remote: End| {
        let remote_name = Some(fixtures::text("example.org"));
        let line = FlowLines::new(frame).flow(&FlowRecord { remote, remote_name, ..fixtures::flow() });
        draw(&[line.unwrap()], &frame)
    };
    assert!(named(remote).contains("→ example.org(203.0.113.9):443"));
    // A container has a name of its own.
    assert!(!named(fixtures::flow().remote).contains("example.org"));
}

#[test]
fn names_that_were_asked_for_as_they_stream() {
    let frame = frame(220);
    let lines = NameLines::new(frame);
    let asked_on = fixtures::name();
    let mut silent = fixtures::name();
    silent.told.forwarded = false;
    silent.told.answer = None;
    silent.container = None;
    let mut of_docker = fixtures::name();
    of_docker.told.place = DnsPlace::Namespace(4_026_531_840);
    of_docker.told.forwarded = false;
    let drawn: Vec<Line> = [asked_on, silent, of_docker].iter().map(|name| lines.name(name)).collect();
    let text = draw(&[vec![lines.heading()], drawn].concat(), &frame);
    check_width(&text, 220);
    let [_, asked_on, silent, of_docker] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    for words in
        ["↳ shop-nginx-1", "flask_app", "NOERROR", "182 µs", "172.18.0.3 CNAME web. and 3 more (truncated)"]
    {
        assert!(asked_on.contains(words), "{words}: {asked_on}");
    }
    assert!(silent.contains("no answer") && !silent.contains("µs"), "{silent}");
    assert!(of_docker.contains("  docker  "), "{of_docker}");
}

#[test]
fn a_record_that_only_ends_a_flow_is_no_line() {
    let mut lines = FlowLines::new(frame(120));
    let nothing = fixtures::counts(0, 0);
    let flow = fixtures::flow();
    let over = FlowRecord { sent: nothing, received: nothing, last: true, ..flow.clone() };
    assert!(lines.flow(&over).is_none());
    for (sent, received) in [(flow.sent, nothing), (nothing, flow.received)] {
        assert!(lines.flow(&FlowRecord { sent, received, ..over.clone() }).is_some());
    }
}

#[test]
fn many_that_are_not_watched_for_one_reason_are_one_entry() {
    let mut snapshot = fixtures::snapshot();
    for number in 0..98 {
        let row = fixtures::row(&format!("idle-{number}"), None, "shop_back", Vec::new());
        let reason = Some("no interface of it is watched".into());
        snapshot.containers.push(ContainerRow { watched: false, unwatched_reason: reason, ..row });
    }
    let frame = frame(120);
    let text = draw(&top(&snapshot, &frame), &frame);
    let entry =
        "not watched: idle-0, idle-1, idle-2, idle-3, idle-4 and 93 more: no interface of it is watched\n";
    assert!(text.contains(entry), "{text}");
    assert_eq!(text.matches("not watched").count(), 1, "{text}");
}

#[test]
fn long_names_below_the_table_leave_room_for_the_table() {
    let mut snapshot = fixtures::snapshot();
    for number in 0..5 {
        let name = format!("long-{number}{}", "\u{202e}".repeat(4_000));
        let row = fixtures::row(&name, None, "shop_back", Vec::new());
        snapshot.containers.push(ContainerRow { watched: false, ..row });
    }
    let frame = Frame { height: Some(24), ..frame(120) };
    let text = draw(&top(&snapshot, &frame), &frame);
    assert!(text.contains("long-4") && text.contains("shop-nginx-1"), "{text}");
}

#[test]
fn tones_are_escapes_only_when_asked_for() {
    let plain = frame(80);
    let toned = Frame { colour: true, ..plain };
    let lines = top(&fixtures::troubled_snapshot(), &plain);
    assert!(!draw(&lines, &plain).contains('\x1b'));
    let text = draw(&lines, &toned);
    let unescaped = ["\x1b[1m", "\x1b[2m", "\x1b[1;33m", "\x1b[0m"]
        .iter()
        .fold(text.clone(), |text, escape| text.replace(escape, ""));
    assert_ne!(text, unescaped);
    assert_eq!(unescaped.replace(' ', ""), draw(&lines, &plain).replace(' ', ""));
}

proptest! {
    #[test]
    fn no_name_breaks_a_line_or_its_width(name in "\\PC{0,60}|[\u{0}-\u{ff}\u{200b}-\u{206f}]{0,40}", width in 20_usize..200) {
        let mut snapshot = fixtures::troubled_snapshot();
        let client = fixtures::container_end(&name, "172.18.0.3", None);
        let server = fixtures::container_end(&name, "172.18.0.3", Some(65_535));
        snapshot.networks = [fixtures::network_row(&name)].into();
        snapshot.pairs = [PairRow { client, server, ..fixtures::pair_row() }].into();
        let peers = vec![fixtures::peer(fixtures::container_end(&name, "172.18.0.3", Some(80)))];
        snapshot.containers[0] = fixtures::row(&name, Some(&name), &name, peers);
        snapshot.containers[2].unwatched_reason = Some(name);
        let stands = fixtures::standing(&snapshot.containers[0].container.name.to_string(), Severity::Warning);
        let frame = frame(width);
        for line in standing(&stands, &frame) {
            prop_assert!(line.draw(&frame).width() <= width);
        }
        for view in [top, containers, networks, all_pairs] {
            for line in view(&snapshot, &frame) {
                let text = line.draw(&frame);
                prop_assert!(text.width() <= width);
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}

fn all_latencies(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    latency(snapshot, snapshot.latencies.iter(), frame)
}

fn all_services(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    services(snapshot, &crate::snapshot::services(&snapshot.pairs, &[], &snapshot.containers), frame)
}

#[test]
fn latencies_of_the_example_have_a_line_for_each_end_that_saw_them() {
    let snapshot = fixtures::snapshot();
    let outside = LatencyRow {
        server: Service::Outside(Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap())),
        at_server: None,
        between: None,
        ..snapshot.latencies[0].clone()
    };
    let hostile = LatencyRow {
        client: Service::Container(crate::model::SafeText::new("evil\x1b[31m日本語コンテナ🐳")),
        ..snapshot.latencies[0].clone()
    };
    let latencies = [snapshot.latencies[0].clone(), outside, hostile].into();
    check("latency", all_latencies, &Snapshot { latencies, ..snapshot });
    let nothing = Snapshot { latencies: [].into(), ..fixtures::snapshot() };
    let frame = frame(80);
    assert!(draw(&all_latencies(&nothing, &frame), &frame).contains("no TCP connection"));
}

fn all_failures(snapshot: &Snapshot, frame: &Frame) -> Vec<Line> {
    let rows = crate::snapshot::failures(
        &snapshot.pairs,
        &[],
        snapshot.sees_retransmits(),
        &crate::snapshot::Meant::by(None, []),
    );
    failures(snapshot, &rows, frame)
}

#[test]
fn failures_of_the_example_have_a_line_where_something_failed() {
    let snapshot = fixtures::snapshot();
    let closed = PairRow {
        server: fixtures::container_end("shop-flask_app-1", "172.18.0.3", Some(5001)),
        conversations: 3,
        answers: crate::snapshot::Answers { refused: 2, ..Default::default() },
        retransmits: Default::default(),
        ..snapshot.pairs[0].clone()
    };
    let datagrams = PairRow {
        protocol: Protocol::UDP,
        answers: Default::default(),
        icmp: vec![fixtures::icmp_row()],
        ..closed.clone()
    };
    let mut pairs = [snapshot.pairs.to_vec(), vec![closed, datagrams]].concat();
    pairs[0].answers.half_open = 2;
    pairs[0].answers.silent_server = 1;
    pairs[0].zero_windows.by_client = 1_234;
    let pairs = pairs.into();
    check("failures", all_failures, &Snapshot { pairs, ..snapshot });
    let nothing = Snapshot { pairs: [].into(), ..fixtures::snapshot() };
    let frame = frame(80);
    assert!(draw(&all_failures(&nothing, &frame), &frame).contains("nothing was seen to fail"));
}

#[test]
fn services_of_the_example_have_a_line_for_each_replica() {
    check("services", all_services, &fixtures::snapshot());
    let nothing = Snapshot { pairs: [].into(), ..fixtures::snapshot() };
    let frame = frame(80);
    assert!(draw(&all_services(&nothing, &frame), &frame).contains("no service and no shared name"));
}

#[test]
fn a_look_back_of_the_example() {
    let past = fixtures::past::past("shop-web-1");
    let name = "shop-web-1";
    for width in [80, 120, 200] {
        let frame = frame(width);
        let pairs = past.snapshot.pairs.iter().collect();
        for (of, lines) in [
            ("past_containers", past_containers(&past, &frame)),
            ("course", course(&past, name, &frame)),
            ("past_names", past_names(&past, past.names.iter(), &frame)),
            ("past_between", past_between(&past, pairs, &frame)),
        ] {
            let text = draw(&lines, &frame);
            check_width(&text, width);
            insta::assert_snapshot!(format!("{of}_{width}"), text);
        }
    }
    let left_out = left_out(&past.others).unwrap();
    assert_eq!(left_out, "not told one by one, for want of room: 3 pairs (0 B), 1 name, 2 findings");
    let mut others = past.others;
    (others.counts.answers.half_open, others.counts.icmp_errors) = (2, 3);
    let failed = super::left_out(&others).unwrap();
    assert!(failed.contains("3 pairs (0 B, 5 failed)"), "{failed}");
    (others.services, others.handshakes) = (2, 7);
    let latency = super::left_out(&others).unwrap();
    assert!(latency.contains(", latency of 2 pairs of services (7 handshakes), "), "{latency}");
    let hostile = draw(&course(&past, "evil\u{1b}[31m\u{202e}", &frame(80)), &frame(80));
    assert!(!hostile.contains(['\u{1b}', '\u{202e}']), "{hostile:?}");
}
