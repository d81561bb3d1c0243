//! What the rows of networks and pairs hold, and what is absent.

use super::{COUNTS, HANDSHAKE, NETWORK, check_fields, endpoint, line, value, within};
use crate::model::{Overlay, Protocol};
use crate::snapshot::{
    Alias, FailureRow, LatencyRow, Meant, NetworkRow, Reach, Replica, Service, ServiceRow, Snapshot,
    failures, services,
};
use crate::wire::{
    ContainerBody, FailureBody, LatencyBody, NameBody, NetworkBody, PairBody, ServiceBody, fixtures,
};
use std::time::Duration;

#[test]
fn drops_that_are_not_watched_are_absent_and_not_none() {
    let (quiet, troubled) = (fixtures::snapshot(), fixtures::troubled_snapshot());
    assert_eq!(value(ContainerBody::new(&quiet.containers[0], &quiet))["dropped"], 0);
    let record = value(ContainerBody::new(&troubled.containers[0], &troubled));
    assert!(record.get("dropped").is_none() && record.get("sent").is_some(), "{record}");
}

#[test]
fn a_pair_has_the_promised_fields() {
    let promised = [
        "protocol protocol_number conversations answered refused reset last_seen".to_owned(),
        "reset_by_client reset_by_server retransmitted_by_client retransmitted_by_server".to_owned(),
        "half_open silent_client silent_server zero_windows_by_client zero_windows_by_server".to_owned(),
        endpoint("client"),
        endpoint("server"),
        within("network", NETWORK),
        within("sent", COUNTS),
        within("received", COUNTS),
        within("handshake", HANDSHAKE),
        within("verdict", "rule expected outcome"),
        within("window", "seconds"),
        within("window.sent", COUNTS),
        within("window.received", COUNTS),
    ];
    let snapshot = fixtures::snapshot();
    let record = value(PairBody::new(&snapshot.pairs[0], &snapshot, &fixtures::clock()));
    let absent = [
        "client.port",
        "client.reason",
        "client.shares_namespace_with",
        "server.reason",
        "server.shares_namespace_with",
    ];
    check_fields(&record, &promised, &absent);
    let early = Snapshot { window: Duration::ZERO, ..fixtures::snapshot() };
    let record = value(PairBody::new(&early.pairs[0], &early, &fixtures::clock()));
    assert!(record.get("window").is_none(), "there is no window before two readings exist");
    insta::assert_snapshot!(line(PairBody::new(&snapshot.pairs[0], &snapshot, &fixtures::clock())));
}

#[test]
fn a_network_has_the_promised_fields_and_what_is_not_watched_no_traffic() {
    let traffic = |name: &str| {
        [
            name.to_owned(),
            within(&format!("{name}.sent"), COUNTS),
            within(&format!("{name}.received"), COUNTS),
        ]
        .join(" ")
    };
    let reach = |prefix: &str| {
        let names = ["host", "outside", "other_networks", "other"];
        let mut parts = names.map(|name| traffic(&format!("{prefix}{name}"))).to_vec();
        parts.push(within(&format!("{prefix}inside"), COUNTS));
        parts.join(" ")
    };
    let promised = [
        format!("{NETWORK} subnets internal interfaces_watched crossings"),
        within("members", "id name project service"),
        within("window", "seconds"),
        "totals".to_owned(),
        reach("totals."),
        reach("window."),
    ];
    let snapshot = fixtures::snapshot();
    check_fields(&value(NetworkBody::new(&snapshot.networks[0], &snapshot)), &promised, &[]);
    insta::assert_snapshot!(line(NetworkBody::new(&snapshot.networks[0], &snapshot)));
    let nodes = vec!["198.51.100.2".parse().unwrap()];
    let overlay = Some(Overlay { vxlan_ids: vec![4_097], encrypted: true, ingress: false, nodes });
    let traits = fixtures::traits(&[("172.18.0.0", 16)], false, overlay);
    let mesh = NetworkRow { traits, ..snapshot.networks[0].clone() };
    let told = serde_json::json!({"vxlan_ids": [4_097], "encrypted": true, "ingress": false,
        "node_addresses": ["198.51.100.2"]});
    assert_eq!(value(NetworkBody::new(&mesh, &snapshot))["overlay"], told);
    let dark = NetworkRow { interfaces_watched: 0, totals: Reach::default(), ..snapshot.networks[0].clone() };
    let record = value(NetworkBody::new(&dark, &snapshot));
    for absent in ["totals", "window"] {
        assert!(record.get(absent).is_none(), "{absent} was not measured");
    }
    let unknown = NetworkRow { traits: None, ..snapshot.networks[0].clone() };
    let record = value(NetworkBody::new(&unknown, &snapshot));
    for absent in ["subnets", "internal", "overlay"] {
        assert!(record.get(absent).is_none(), "{absent} is not known");
    }
}

#[test]
fn a_latency_has_the_promised_fields_and_an_end_that_saw_nothing_none() {
    let promised = [
        "port protocol since".to_owned(),
        within("client", "kind project service"),
        within("server", "kind project service"),
        within("at_client", HANDSHAKE),
        within("at_server", HANDSHAKE),
        within("between", HANDSHAKE),
        within("first_byte", HANDSHAKE),
        "first_byte_seen_at".to_owned(),
    ];
    let snapshot = fixtures::snapshot();
    let (row, since) = (&snapshot.latencies[0], snapshot.watching_since);
    check_fields(&value(LatencyBody::new(row, since, &fixtures::clock())), &promised, &[]);
    insta::assert_snapshot!(line(LatencyBody::new(row, since, &fixtures::clock())));
    let server = Service::Outside(Some("192.0.2.7".parse().unwrap()));
    let outside = LatencyRow { server, at_server: None, between: None, ..row.clone() };
    let record = value(LatencyBody::new(&outside, since, &fixtures::clock()));
    assert_eq!(record["server"], serde_json::json!({"kind": "external", "address": "192.0.2.7"}));
    assert!(record.get("at_server").is_none() && record.get("between").is_none(), "{record}");
    let at_client = LatencyRow {
        first_byte_at_server: None,
        first_byte_at_client: row.first_byte_at_server,
        ..row.clone()
    };
    let both = LatencyRow { first_byte_at_server: row.at_client, ..at_client.clone() };
    let [at_client, both] =
        [at_client, both].map(|row| value(LatencyBody::new(&row, since, &fixtures::clock())));
    assert_eq!(
        (&at_client["first_byte_seen_at"], &both["first_byte_seen_at"]),
        (&"client".into(), &"server".into())
    );
    assert_eq!(at_client["first_byte"], both["first_byte_at_client"]);
    assert!(
        both["first_byte"] != both["first_byte_at_client"] && at_client.get("first_byte_at_client").is_none()
    );
}

#[test]
fn a_service_has_the_promised_fields() {
    let counted = "connections answered refused unanswered reset gets_none clients client_count";
    let promised = [
        "port protocol since connections".to_owned(),
        within("service", "kind project service"),
        within("replicas", counted),
        within("replicas", "half_open silent_client silent_server"),
        within("replicas.container", "id name image project service"),
        within("replicas.container.networks", NETWORK),
        within("replicas.sent", COUNTS),
        within("replicas.received", COUNTS),
    ];
    let snapshot = fixtures::snapshot();
    let rows = services(&snapshot.pairs, &[], &snapshot.containers);
    let body = || ServiceBody::new(&rows[0], snapshot.watching_since, &fixtures::clock());
    check_fields(&value(body()), &promised, &[]);
    insta::assert_snapshot!(line(body()));
    let mut elsewhere = rows[0].clone();
    elsewhere.replicas[0].who = Replica::Elsewhere(fixtures::task_end("10.0.1.8", None).swarm.unwrap());
    let elsewhere = value(ServiceBody::new(&elsewhere, snapshot.watching_since, &fixtures::clock()));
    let replica = &elsewhere["replicas"][0];
    assert_eq!((&replica["address"], &replica["container"]), (&"10.0.1.8".into(), &serde_json::Value::Null));
    assert_eq!(
        (&replica["swarm"]["service"], &replica["swarm"]["node_address"]),
        (&"shop_web".into(), &"198.51.100.2".into())
    );
    let alias = Alias { network: fixtures::network("shop_back"), name: fixtures::text("pool") };
    let mut shared = ServiceRow { service: Service::Alias(alias), ..rows[0].clone() };
    shared.replicas[0].by_name = Some(7);
    let shared = value(ServiceBody::new(&shared, snapshot.watching_since, &fixtures::clock()));
    assert_eq!((&shared["service"]["kind"], &shared["service"]["alias"]), (&"alias".into(), &"pool".into()));
    assert_eq!(
        (&shared["service"]["network"]["name"], &shared["replicas"][0]["by_name"]),
        (&"shop_back".into(), &7.into())
    );
}

#[test]
fn what_failed_has_the_promised_fields() {
    let reset = "reset reset_by_client reset_by_server retransmitted_by_client retransmitted_by_server";
    let promised = [
        "port protocol since connections answered refused unanswered not_served".to_owned(),
        reset.to_owned(),
        "half_open silent_client silent_server zero_windows_by_client zero_windows_by_server".to_owned(),
        "wrong_mtu icmp_errors".to_owned(),
        within("icmp_errors", "reason type code packets_of mtu packets largest_bytes too_big_again"),
        within("icmp_errors.sender", "kind address"),
        within("client", "kind project service"),
        within("server", "kind project service"),
    ];
    let snapshot = fixtures::snapshot();
    let mut pairs = snapshot.pairs.to_vec();
    pairs[0].icmp = vec![fixtures::icmp_row()];
    let rows = failures(&pairs, &[], snapshot.sees_retransmits(), &Meant::by(None, []));
    let body = || FailureBody::new(&rows[0], snapshot.watching_since, &fixtures::clock());
    check_fields(&value(body()), &promised, &[]);
    insta::assert_snapshot!(line(body()));
    // Of other protocols there is nothing of connections.
    let datagrams = FailureRow { protocol: Protocol::UDP, ..rows[0].clone() };
    let record = value(FailureBody::new(&datagrams, snapshot.watching_since, &fixtures::clock()));
    assert!(record.get("connections").is_none() && record.get("not_served").is_none(), "{record}");
    assert_eq!((&record["protocol"], &record["wrong_mtu"]), (&"udp".into(), &true.into()));
}

fn name_fields() -> Vec<String> {
    vec![
        "time transport forwarded id asked name record_type rcode answers answers_left_out truncated"
            .to_owned(),
        "latency_us".to_owned(),
        within("observed_at", "kind interface ifindex"),
        within("network", NETWORK),
        within("container", "id name image project service"),
        within("container.networks", NETWORK),
        endpoint("resolver"),
    ]
}

#[test]
fn a_name_that_was_asked_for_has_the_promised_fields() {
    let absent = ["resolver.reason", "resolver.shares_namespace_with"];
    let record = value(NameBody::new(&fixtures::name(), &fixtures::clock()));
    check_fields(&record, &name_fields(), &absent);
    assert_eq!((&record["latency_us"], &record["answers"][0]), (&182.into(), &"172.18.0.3".into()));
}

#[test]
fn what_was_not_answered_has_neither_a_code_nor_a_time() {
    let mut name = fixtures::name();
    name.told.answer = None;
    let record = value(NameBody::new(&name, &fixtures::clock()));
    for absent in ["rcode", "answers", "answers_left_out", "truncated", "latency_us"] {
        assert!(record.get(absent).is_none(), "{absent}: {record}");
    }
}
