//! The JSON against its description: which fields exist, and that a line is one harmless line.

use super::{
    Body, ContainerBody, DetachedBody, DoctorBody, FlowBody, NetworkBody, PairBody, SampleBody, StandingBody,
    StatusBody, Stream, WhyBody, fixtures,
};
use crate::model::{Details, FlowPorts, Initiator, Losses, Protocol, Resources, SafeText, Tuple};
use crate::snapshot::{FlowRecord, PairRow, Severity, Snapshot, Standing, Subject, Translated};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

mod history;
mod rows;

fn line(body: impl Body) -> String {
    Stream::new(fixtures::host()).line(body)
}

fn value(body: impl Body) -> Value {
    serde_json::from_str(&line(body)).unwrap()
}

/// The paths of all fields of a value; a list's elements share the list's path.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                paths(inner, &path, found);
                found.insert(path);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| paths(element, at, found)),
        _ => {}
    }
}

const EVERY: &str = "schema type host boot_id sequence";
const COUNTS: &str = "packets bytes skbs skb_bytes";
const DEVICE_COUNTS: &str = "skbs skb_bytes";
const NETWORK: &str = "id name driver";
const HANDSHAKE: &str = "count p50_us p90_us p99_us p999_us max_us";
const OBSERVED_AT: &str = "kind interface ifindex";

/// `prefix` and `prefix.field` for each field.
fn within(prefix: &str, fields: &str) -> String {
    let inner = fields.split(' ').map(|field| format!("{prefix}.{field}"));
    std::iter::once(prefix.to_owned()).chain(inner).collect::<Vec<_>>().join(" ")
}

fn endpoint(prefix: &str) -> String {
    let container = format!("{prefix}.container");
    [
        within(prefix, "kind address port shares_namespace_with reason"),
        within(&container, "id name image project service"),
        within(&format!("{container}.networks"), NETWORK),
    ]
    .join(" ")
}

/// Checks that a record has exactly the promised fields (those in `absent` excepted), no more.
fn check_fields(record: &Value, promised: &[String], absent: &[&str]) {
    let mut found = BTreeSet::new();
    paths(record, "", &mut found);
    let all = promised.join(" ");
    let promised: BTreeSet<String> = all.split(' ').chain(EVERY.split(' ')).map(str::to_owned).collect();
    let unknown: Vec<_> = found.difference(&promised).collect();
    assert!(unknown.is_empty(), "fields nobody promised: {unknown:?}");
    let missing: BTreeSet<_> = promised.difference(&found).map(String::as_str).collect();
    assert_eq!(missing, absent.iter().copied().collect::<BTreeSet<_>>(), "fields that are absent");
}

fn flow_fields() -> Vec<String> {
    vec![
        "flow_id community_id epoch tick_start tick_end first_seen last_seen final initiator protocol"
            .to_owned(),
        "protocol_number later_fragment vlan several_source_macs".to_owned(),
        within("observed_at", OBSERVED_AT),
        within("network", NETWORK),
        within("icmp", "type code id"),
        endpoint("local"),
        endpoint("remote"),
        within("remote", "name"),
        within("sent", COUNTS),
        within("received", COUNTS),
        within("origin", "kind interface container several"),
        within("origin.network", NETWORK),
        within("tcp", "sent_flags received_flags state handshake_us first_byte_us"),
    ]
}

#[test]
fn a_flow_has_the_promised_fields() {
    let ends = ["local", "remote"];
    let mut absent: Vec<String> = ends
        .iter()
        .flat_map(|end| ["reason", "shares_namespace_with"].map(|it| format!("{end}.{it}")))
        .collect();
    absent.extend(
        ["icmp", "icmp.type", "icmp.code", "icmp.id", "vlan", "later_fragment", "several_source_macs"]
            .map(str::to_owned),
    );
    absent.push("origin.several".to_owned());
    let absent: Vec<&str> = absent.iter().map(String::as_str).collect();
    let flow = FlowRecord { remote_name: Some(fixtures::text("flask_app")), ..fixtures::flow() };
    check_fields(&value(FlowBody::new(&flow, &fixtures::clock())), &flow_fields(), &absent);
}

#[test]
fn a_flow_reads_as_described() {
    insta::assert_snapshot!(line(FlowBody::new(&fixtures::flow(), &fixtures::clock())));
}

#[test]
fn an_echo_has_its_type_code_and_id_and_no_tcp() {
    let flow = FlowRecord {
        protocol: Protocol::ICMP,
        ports: FlowPorts::Icmp { id: 77, kind: 8, code: 0 },
        tcp: None,
        origin: None,
        vlan: Some(12),
        last: true,
        initiator: Initiator::Unknown,
        ..fixtures::flow()
    };
    let record = value(FlowBody::new(&flow, &fixtures::clock()));
    assert_eq!(record["icmp"], serde_json::json!({"type": 8, "code": 0, "id": 77}));
    assert_eq!((&record["vlan"], &record["final"]), (&Value::from(12), &Value::from(true)));
    assert!(record.get("tcp").is_none() && record.get("origin").is_none());
}

#[test]
fn a_translated_flow_has_both_tuples() {
    let tuple = |source: &str, destination: &str, ports| {
        let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
        Tuple { source, destination, protocol: Protocol::TCP, ports }
    };
    let translated = Translated {
        kind: "published-port",
        original: Some(tuple("198.51.100.7", "192.0.2.1", (40_112, 8_080))),
        reply: Some(tuple("172.18.0.3", "198.51.100.7", (80, 40_112))),
        evidence: "conntrack",
    };
    let flow = FlowRecord { translated: Some(translated), ..fixtures::flow() };
    let record = value(FlowBody::new(&flow, &fixtures::clock()));
    let expected = serde_json::json!({
        "kind": "published-port", "evidence": "conntrack",
        "original": {"source": "198.51.100.7", "source_port": 40_112, "destination": "192.0.2.1", "destination_port": 8_080},
        "reply": {"source": "172.18.0.3", "source_port": 80, "destination": "198.51.100.7", "destination_port": 40_112},
    });
    assert_eq!(record["translated"], expected);
}

#[test]
fn a_sample_has_the_promised_fields() {
    let promised =
        ["time flow_id direction container length bytes".to_owned(), within("observed_at", OBSERVED_AT)];
    let record = value(SampleBody::new(&fixtures::sample(), &fixtures::clock()));
    check_fields(&record, &promised, &[]);
    assert_eq!(record["bytes"], "0242ac120003");
    assert_eq!(record["flow_id"], "0001000000000007");
}

#[test]
fn a_standing_finding_has_the_promised_fields_and_none_of_traffic() {
    let promised = [
        "id revision state kind severity rule what what_count since first_seen last_seen explanation"
            .to_owned(),
        within("container", "id name image project service"),
        within("container.networks", NETWORK),
        within("network", NETWORK),
    ];
    let clock = fixtures::clock();
    let standing = fixtures::standing("ui", Severity::Critical);
    let record = value(StandingBody::new(&standing, &clock));
    let network = ["network", "network.id", "network.name", "network.driver"];
    check_fields(&record, &promised, &network);
    assert_eq!(
        (&record["type"], &record["kind"], &record["state"]),
        (&"finding".into(), &"posture".into(), &"open".into())
    );
    assert_eq!(record["what"], serde_json::json!(["docker.sock"]));
    let subject = Subject::Network(fixtures::network("six"));
    let over = Standing { subject, is_open: false, what: Vec::new(), what_count: 0, since: None, ..standing };
    let record = value(StandingBody::new(&over, &clock));
    assert_eq!((&record["network"]["name"], &record["state"]), (&"six".into(), &"closed".into()));
    for absent in ["container", "what", "what_count", "since"] {
        assert!(record.get(absent).is_none(), "{absent} was not told");
    }
}

fn container_fields() -> Vec<String> {
    vec![
        "id name image project service state since watched not_watched_reason shares_namespace_with"
            .to_owned(),
        "unaccounted_bytes".to_owned(),
        within("networks", "id name driver address addresses mac interface ifindex"),
        within("sent", COUNTS),
        within("received", COUNTS),
        "before_watch".to_owned(),
        within("before_watch.sent", DEVICE_COUNTS),
        within("before_watch.received", DEVICE_COUNTS),
        within("not_recorded", COUNTS),
        within("handshake", HANDSHAKE),
        within("conversations", "alive opened accepted"),
        "dropped".to_owned(),
        within(
            "details",
            "health restarts restart_policy command privileged labels limits capabilities published",
        ),
        within("details.labels", "com.example.team"),
        within("details.limits", "memory_bytes nano_cpus processes"),
        within("details.capabilities", "added dropped"),
        within("details.published", "address port container_port protocol"),
    ]
}

#[test]
fn an_end_in_a_swarm_has_the_promised_fields() {
    let promised = [
        "kind address port".to_owned(),
        within("swarm", "kind service name node_address vxlan_id"),
        within("swarm.network", NETWORK),
    ];
    let flow = FlowRecord { remote: fixtures::task_end("10.0.1.8", Some(80)), ..fixtures::flow() };
    let record = value(FlowBody::new(&flow, &fixtures::clock()));
    let mut found = BTreeSet::new();
    paths(&record["remote"], "", &mut found);
    let promised = promised.join(" ");
    assert_eq!(found, promised.split(' ').map(str::to_owned).collect());
    insta::assert_snapshot!(record["remote"]);
}

#[test]
fn a_container_has_the_promised_fields() {
    let mut row = fixtures::row("web", Some("web"), "shop_front", Vec::new());
    row.details = Some(std::sync::Arc::new(fixtures::details()));
    let snapshot = fixtures::snapshot();
    let record = value(ContainerBody::new(&row, &snapshot));
    check_fields(&record, &container_fields(), &["not_watched_reason", "shares_namespace_with"]);
    assert_eq!(record["networks"][0]["address"], "172.18.0.2");
    insta::assert_snapshot!(line(ContainerBody::new(&row, &snapshot)));
}

#[test]
fn a_container_that_is_not_watched_has_no_counts() {
    let snapshot = fixtures::troubled_snapshot();
    let record = value(ContainerBody::with_window(&snapshot.containers[2], &snapshot));
    let measured = ["sent", "received", "before_watch", "not_recorded", "unaccounted_bytes", "window"];
    for field in measured.into_iter().chain(["conversations", "dropped", "details"]) {
        assert!(record.get(field).is_none(), "{field} was not measured");
    }
    assert_eq!(record["not_watched_reason"], "host mode: it uses the host's own network");
}

#[test]
fn a_container_of_top_adds_the_window() {
    let snapshot = fixtures::snapshot();
    let record = value(ContainerBody::with_window(&snapshot.containers[0], &snapshot));
    assert_eq!(record["window"]["seconds"], 1.0);
    assert_eq!(record["window"]["peers"][0]["peer"]["port"], 5000);
    let early = Snapshot { window: Duration::ZERO, ..snapshot };
    let early = value(ContainerBody::with_window(&early.containers[0], &early));
    assert!(early.get("window").is_none(), "there is no window before two readings exist");
}

#[test]
fn a_status_has_the_promised_fields() {
    let promised = [
        "time watching_since watched_by window_seconds interfaces_watched unaccounted_bytes docker_refused"
            .to_owned(),
        within("docker", "state since reason"),
        within("attached", "tcx clsact"),
        within("interfaces_not_watched", "interface ifindex reason"),
        within("containers_not_watched", "id name reason"),
        within("unattributed", "reason before_watch"),
        within("unattributed.observed_at", OBSERVED_AT),
        within("unattributed.network", NETWORK),
        within("unattributed.sent", COUNTS),
        within("unattributed.received", COUNTS),
        within("unattributed.before_watch.sent", DEVICE_COUNTS),
        within("unattributed.before_watch.received", DEVICE_COUNTS),
        "bridges".to_owned(),
        within("bridges.observed_at", OBSERVED_AT),
        within("bridges.network", NETWORK),
        within("bridges.into_host", COUNTS),
        within("bridges.out_of_host", COUNTS),
        within("not_recorded", COUNTS),
        within("missing", "drops"),
        within("posture", "critical warning info"),
        within("losses", "flow_map_full ring_full"),
        within(
            "maps",
            "flows_last_tick ipv6_flows_last_tick flow_capacity flows_kept interface_slots interface_slot_capacity generations drain_ns \
                drops_last_tick drop_capacity claims_last_tick claim_capacity ring_bytes_last_tick \
                ring_capacity",
        ),
        within("agent", "cpu_seconds resident_bytes"),
        within("history", "since intervals_of_seconds intervals_of_minutes bytes"),
    ];
    let snapshot = fixtures::troubled_snapshot();
    check_fields(&value(StatusBody::new(&snapshot, &fixtures::clock())), &promised, &[]);
}

#[test]
fn what_no_generation_told_is_not_zero_but_absent() {
    let troubled = fixtures::troubled_snapshot();
    let early = Snapshot { resources: Resources::default(), ..troubled };
    let maps = &value(StatusBody::new(&early, &fixtures::clock()))["maps"];
    let told: Vec<&String> = maps.as_object().unwrap().keys().collect();
    assert_eq!(told, ["flows_kept"]);
}

fn why_fields() -> Vec<String> {
    let decision = "expected rule because crossing policy_comment";
    let place = |end: &str| {
        [
            within(end, "kind address pid"),
            within(&format!("{end}.container"), "id name image project service"),
            within(&format!("{end}.container.networks"), NETWORK),
            within(&format!("{end}.interfaces"), "interface ifindex addresses"),
            within(&format!("{end}.interfaces.network"), NETWORK),
        ]
        .join(" ")
    };
    let tuple = "source source_port destination destination_port";
    vec![
        format!("protocol port since until summary more_ways conversation_count notes {decision}"),
        place("from"),
        place("to"),
        within("ways", "source_address address port published_port_of expected rule because crossing"),
        within("ways.source_network", NETWORK),
        within("ways.network", NETWORK),
        within(
            "conversations",
            "direction protocol port outcome reason drop_reason refused first_seen last_seen",
        ),
        within("conversations", "explanation expected rule because crossing"),
        within("conversations.sent", COUNTS),
        within("conversations.received", COUNTS),
        within("conversations.evidence", "at saw"),
        within("conversations.translated", "kind evidence"),
        within("conversations.translated.original", tuple),
        within("conversations.translated.reply", tuple),
        endpoint("conversations.source"),
        endpoint("conversations.destination"),
        within("drops", "source destination protocol port reason at packets last_seen"),
        within("losses", "flow_map_full"),
        within("look", "shows command"),
    ]
}

#[test]
fn an_answer_to_why_has_the_promised_fields() {
    let mut losses = Losses::default();
    losses.add("flow_map_full", 12);
    let (answer, notes) = (fixtures::why::everything(), [fixtures::text("a note")]);
    let record = value(WhyBody::new(&answer, &losses, &notes, &fixtures::clock()));
    // Those of the one end that is outside here, and of containers without Compose; the other end has them.
    let absent = [
        "from.container",
        "from.container.id",
        "from.container.name",
        "from.container.image",
        "from.container.project",
        "from.container.service",
        "from.container.networks",
        "from.container.networks.id",
        "from.container.networks.name",
        "from.container.networks.driver",
        "from.interfaces",
        "from.interfaces.interface",
        "from.interfaces.ifindex",
        "from.interfaces.addresses",
        "from.interfaces.network",
        "from.interfaces.network.id",
        "from.interfaces.network.name",
        "from.interfaces.network.driver",
        "from.pid",
        "to.address",
        "to.container.project",
        "to.container.service",
        "conversations.source.reason",
        "conversations.source.shares_namespace_with",
        "conversations.destination.reason",
        "conversations.destination.shares_namespace_with",
    ];
    check_fields(&record, &why_fields(), &absent);
    assert_eq!(
        (&record["expected"], &record["conversation_count"]),
        (&Value::from("deny"), &Value::from(103))
    );
}

#[test]
fn a_stream_numbers_its_lines_without_gaps() {
    let mut stream = Stream::new(fixtures::host());
    for expected in 0..5_u64 {
        let line = stream.line(SampleBody::new(&fixtures::sample(), &fixtures::clock()));
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["sequence"], expected);
        assert_eq!(record["schema"], "vethwatch/1");
    }
}

/// Whether a terminal shows every character as itself.
fn is_harmless(line: &str) -> bool {
    !line.chars().any(|character| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{61c}' | '\u{feff}')
    })
}

proptest! {
    #[test]
    fn a_line_is_one_line_without_control_or_direction_characters(raw in ".{0,80}|\\PC{0,40}", marks in "[\u{0}-\u{ff}\u{200b}-\u{206f}]{0,40}") {
        let mut snapshot = fixtures::troubled_snapshot();
        let name = format!("{raw}{marks}");
        snapshot.containers[2].unwatched_reason = Some(name.clone());
        snapshot.not_watched[0].reason.clone_from(&name);
        snapshot.not_watched[0].name = SafeText::new(&name);
        snapshot.containers[0] = fixtures::row(&name, Some(&name), &name, Vec::new());
        let labels = vec![(SafeText::new(&name), SafeText::new(&name))];
        let details = Details { command: Some(SafeText::new(&name)), labels, ..fixtures::details() };
        snapshot.containers[0].details = Some(std::sync::Arc::new(details));
        let client = fixtures::container_end(&name, "172.18.0.2", None);
        let pair = PairRow { client, network: Some(fixtures::network(&name)), ..fixtures::pair_row() };
        let clock = fixtures::clock();
        let safe = SafeText::new(&name);
        let lines = [
            line(StatusBody::new(&snapshot, &clock)),
            line(ContainerBody::new(&snapshot.containers[0], &snapshot)),
            line(ContainerBody::new(&snapshot.containers[2], &snapshot)),
            line(NetworkBody::new(&fixtures::network_row(&name), &snapshot)),
            line(PairBody::new(&pair, &snapshot, &clock)),
            line(StandingBody::new(&fixtures::standing(&name, Severity::Info), &clock)),
            line(DoctorBody { subject: "btf", result: "ok", found: safe.clone(), todo: Some(safe.clone()) }),
            line(DetachedBody { interface: Some(safe.clone()), what: safe }),
        ];
        for line in lines {
            prop_assert!(is_harmless(&line), "{line:?}");
            prop_assert!(serde_json::from_str::<Value>(&line).is_ok());
        }
    }
}
