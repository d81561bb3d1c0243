//! Lines of a look back.

use super::{COUNTS, HANDSHAKE, NETWORK, check_fields, is_harmless, line, value, within};
use crate::snapshot::Point;
use crate::wire::fixtures::past::{kept, past};
use crate::wire::{HistoryBody, LookupBody, PastBody};
use serde_json::json;

fn container() -> String {
    [within("container", "id name image project service"), within("container.networks", NETWORK)].join(" ")
}

#[test]
fn a_look_back_has_the_promised_fields() {
    let past = past("web");
    let dns = [
        within("dns", "questions"),
        within("dns.codes", "NOERROR NXDOMAIN"),
        within("dns.latency", HANDSHAKE),
    ];
    let connections = "connections answered refused reset half_open silent_client silent_server";
    let promised = [
        "start end seconds dropped".to_owned(),
        container(),
        within("sent", COUNTS),
        within("received", COUNTS),
        within("connections_opened", connections),
        within("connections_accepted", connections),
        dns.join(" "),
        within("findings", "violation broken crossing"),
    ];
    let point = value(HistoryBody::of_point(&past.points[9], true));
    check_fields(&point, &promised, &[]);
    assert_eq!((&point["start"], &point["seconds"]), (&json!("2026-11-30T03:09:00.000Z"), &json!(60.0)));
    let service = value(HistoryBody::of_point(&Point { is_service: true, ..past.points[9].clone() }, true));
    assert_eq!((&service["service"], &service["container"]), (&json!("shop/web"), &json!(null)));
    let whole = value(HistoryBody::new(&past.containers[0], &past.told, false));
    let absent = ["dropped", "findings", "findings.broken", "findings.crossing", "findings.violation"];
    check_fields(&whole, &promised, &absent);
    assert_eq!((&whole["end"], &whole["seconds"]), (&json!("2026-11-30T04:00:00.000Z"), &json!(3_600.0)));

    let promised = [
        "start end name record_type forwarded questions".to_owned(),
        container(),
        within("codes", "NXDOMAIN none"),
        within("latency", HANDSHAKE),
    ];
    check_fields(&value(LookupBody::new(&past.names[0], &past.told)), &promised, &[]);

    let promised = [
        "start end resolution_seconds is_cut".to_owned(),
        within("others", "pairs sent received conversations icmp_errors service_pairs handshakes"),
        within("others", "lookups questions networks findings standing"),
        within(
            "others.answers",
            "answered refused reset reset_by_client reset_by_server half_open silent_client silent_server",
        ),
        within("others.sent", COUNTS),
        within("others.received", COUNTS),
        within("history", "since intervals_of_seconds intervals_of_minutes bytes"),
    ];
    check_fields(&value(PastBody::new(&past.told, &past.others, kept())), &promised, &[]);
}

#[test]
fn names_made_to_harm_are_harmless_in_a_look_back() {
    let past = past("evil\u{1b}[31m\u{202e}\n日本語");
    let lines = [
        line(HistoryBody::of_point(&past.points[0], true)),
        line(HistoryBody::new(&past.containers[0], &past.told, true)),
        line(LookupBody::new(&past.names[0], &past.told)),
    ];
    assert!(lines.iter().all(|line| is_harmless(line)), "{lines:?}");
}
