//! A shop whose front reaches the database of its billing: every screen has something to say, and every row something
//! to open.

use super::data;
use crate::model::{
    Details, DnsAnswer, DnsExchange, Losses, Mac, NetworkId, Protocol, Resources, SafeText, Traffic, Tuple,
};
use crate::snapshot::{
    BridgeRow, ContainerRow, End, EndKind, Evidence, Expected, Finding, FlowRecord, Kind, LookedUp, Lookups,
    NetworkRef, NetworkRow, Outcome, PairRow, Percentiles, Reach, Rule, RuleName, Severity, Snapshot,
    Standing, Subject, Translated, UnattributedRow, Verdict,
};
use crate::wire::fixtures::{self, NOW, counts, text, traffic};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn network(number: u64, name: &str) -> NetworkRef {
    NetworkRef { id: NetworkId::new(&format!("{number:064x}")).unwrap(), ..fixtures::network(name) }
}

fn end(row: &ContainerRow, port: Option<u16>) -> End {
    End { port, ..End::of_container(Arc::clone(&row.container), row.memberships[0].addresses[0]) }
}

fn verdict(rule: Rule, expected: Expected, outcome: Outcome) -> Option<Verdict> {
    Some(Verdict { rule: RuleName::Topology(rule), expected, outcome })
}

fn evidence(at: &str, saw: &str) -> Evidence {
    Evidence { at: text(at), saw: saw.to_owned() }
}

fn ago(seconds: u64) -> crate::model::KernelTime {
    NOW.minus(Duration::from_secs(seconds))
}

pub(super) fn details() -> Details {
    Details {
        restarts: Some(3),
        health: Some(text("unhealthy")),
        command: Some(text("nginx -g 'daemon off;'")),
        memory_limit: Some(512 << 20),
        nano_cpus: Some(1_500_000_000),
        pids_limit: None,
        capabilities_added: vec![text("NET_ADMIN")],
        capabilities_dropped: vec![text("MKNOD"), text("AUDIT_WRITE")],
        privileged: false,
        restart_policy: Some(text("unless-stopped")),
        labels: vec![
            (text("com.docker.compose.project"), text("shop")),
            (text("maintainer"), text("日本語 <ops@example.org>")),
        ],
        published: vec![("0.0.0.0".parse().unwrap(), 8080, 80, "tcp".to_owned())],
    }
}

fn violation(from: &ContainerRow, to: &ContainerRow) -> Finding {
    Finding {
        id: 71,
        revision: 2,
        is_open: true,
        kind: Kind::Violation,
        severity: Severity::Critical,
        rule: RuleName::Topology(Rule::CrossNetwork),
        policy_comment: None,
        expected: Expected::Deny,
        outcome: Outcome::Answered,
        reason: None,
        source: end(from, None),
        destination: end(to, None),
        protocol: "tcp".into(),
        ports: vec![5_432, 5_433],
        port_count: 40,
        counts: counts(1_203, 99_000),
        first_seen: ago(75),
        last_seen: ago(1),
        drop_reason: None,
        evidence: vec![
            evidence("veth1a2b3c4", "1203 packets sent"),
            evidence("br-5187f141c837", "1203 packets came in"),
            evidence("veth9f8e7d6", "1203 packets delivered"),
        ],
        explanation:
            "shop-nginx-1 sent 1203 packets to billing-db-1 port 5432, which is not on its network; \
                      it was answered."
                .to_owned(),
    }
}

fn broken(from: &ContainerRow, to: &ContainerRow) -> Finding {
    Finding {
        id: 72,
        kind: Kind::Broken,
        severity: Severity::Warning,
        rule: RuleName::File(text("front may ask flask")),
        policy_comment: Some(text("since the audit")),
        expected: Expected::Allow,
        outcome: Outcome::Blocked,
        ports: vec![5_000],
        port_count: 1,
        drop_reason: Some(text("NETFILTER_DROP")),
        evidence: vec![
            evidence("veth1a2b3c4", "3 packets sent"),
            evidence("host", "dropped: NETFILTER_DROP"),
        ],
        explanation: "shop-nginx-1 sent 3 packets to shop-flask_app-1 port 5000; the firewall dropped them."
            .to_owned(),
        counts: counts(3, 222),
        ..violation(from, to)
    }
}

fn standing() -> Vec<Arc<Standing>> {
    let everywhere = fixtures::standing("shop-nginx-1", Severity::Info);
    let network = Standing {
        id: 8,
        subject: Subject::Network(network(1, "shop_front")),
        what: vec![text("fd00:1::/64"), text("fd00:2::/64")],
        what_count: 5,
        ..fixtures::standing("x", Severity::Warning)
    };
    [fixtures::standing("panel", Severity::Critical), network, everywhere].map(Arc::new).into()
}

fn networks(containers: &[ContainerRow]) -> Arc<[NetworkRow]> {
    let members = |rows: &[ContainerRow]| rows.iter().map(|row| Arc::clone(&row.container)).collect();
    let quiet = |number, name: &str| NetworkRow {
        network: network(number, name),
        members: Vec::new(),
        interfaces_watched: 0,
        totals: Reach::default(),
        window: Reach::default(),
        traits: fixtures::traits(&[], false, None),
        ..fixtures::network_row(name)
    };
    [
        NetworkRow {
            network: network(1, "shop_front"),
            traits: fixtures::traits(&[("172.18.0.0", 16), ("fd00:1::", 64)], false, None),
            members: members(&containers[..2]),
            totals: Reach {
                inside: counts(9_412, 12_900_000),
                host: traffic(counts(10, 900), counts(8, 700)),
                outside: traffic(counts(100, 41_000), counts(90, 2_100_000)),
                networks: traffic(counts(1_203, 99_000), counts(900, 70_000)),
                other: Traffic::default(),
            },
            window: Reach { networks: traffic(counts(12, 990), counts(9, 700)), ..Reach::default() },
            crossings: 2,
            ..fixtures::network_row("shop_front")
        },
        NetworkRow {
            network: network(2, "billing_back"),
            traits: fixtures::traits(&[("172.19.0.0", 16)], true, None),
            members: members(&containers[2..]),
            interfaces_watched: 1,
            crossings: 1,
            ..fixtures::network_row("billing_back")
        },
        quiet(3, "none"),
    ]
    .into()
}

fn pairs(containers: &[ContainerRow]) -> Arc<[PairRow]> {
    let [nginx, flask, db, ..] = containers else { panic!("three containers") };
    let handshake = Percentiles {
        count: 812,
        p50: Duration::from_micros(180),
        p90: Duration::from_micros(410),
        p99: Duration::from_millis(2),
        p999: Duration::from_millis(7),
        max: Duration::from_millis(8),
    };
    let pair = |client: &ContainerRow, server: &ContainerRow, port| PairRow {
        client: end(client, None),
        server: end(server, Some(port)),
        network: Some(network(1, "shop_front")),
        handshake: Some(handshake),
        verdict: verdict(Rule::SameNetwork, Expected::Allow, Outcome::Answered),
        ..fixtures::pair_row()
    };
    [
        pair(nginx, flask, 5_000),
        PairRow {
            verdict: verdict(Rule::CrossNetwork, Expected::Deny, Outcome::Answered),
            traffic: traffic(counts(1_203, 99_000), counts(900, 70_000)),
            network: None,
            handshake: None,
            ..pair(nginx, db, 5_432)
        },
        PairRow {
            client: End::plain(EndKind::External, "203.0.113.9".parse().unwrap()),
            verdict: verdict(Rule::ExposedPort, Expected::Allow, Outcome::Undelivered),
            conversations: 3,
            ..pair(nginx, nginx, 80)
        },
        PairRow {
            server: End::plain(EndKind::Multicast, "224.0.0.251".parse().unwrap()),
            protocol: Protocol(2),
            verdict: None,
            ..pair(flask, flask, 0)
        },
    ]
    .into()
}

/// nginx looks up Flask, a name that there is not, and one that nobody answers.
fn asked(containers: &[ContainerRow]) -> Arc<LookedUp> {
    let mut lookups = Lookups::default();
    let told = fixtures::name().told;
    let answer = |code: &str| {
        told.answer.clone().map(|answer| DnsAnswer { code: text(code), records: Vec::new(), ..answer })
    };
    let resolver = End::plain(EndKind::Host, "127.0.0.11".parse().unwrap());
    for (container, name, answer, forwarded) in [
        (0, "flask_app", told.answer.clone(), false),
        (0, "flask_app", told.answer.clone(), false),
        (0, "api.example.org", answer("NXDOMAIN"), false),
        (0, "api.example.org", answer("NXDOMAIN"), true),
        (1, "redis", answer("SERVFAIL"), false),
        (2, "silent.example.org", None, false),
    ] {
        let told = DnsExchange { name: text(name), answer, forwarded, ..told.clone() };
        lookups.take(&containers[container].container, &told, resolver.clone());
    }
    lookups.finish();
    lookups.rows(NOW)
}

/// All of it.
pub(super) fn shop() -> Arc<Snapshot> {
    let mut containers = data::small().containers.clone();
    let mut db = containers[1].clone();
    let reference = Arc::make_mut(&mut db.container);
    reference.id = crate::model::ContainerId::new(&"db".repeat(32)).unwrap();
    (reference.name, reference.project, reference.service) =
        (text("billing-db-1"), Some(text("billing")), Some(text("db")));
    reference.networks = vec![network(2, "billing_back")];
    db.memberships[0].network = network(2, "billing_back");
    db.memberships[0].addresses = vec!["172.19.0.3".parse().unwrap()];
    db.memberships[0].interface = Some((text("veth9f8e7d6"), 43));
    containers.push(db);
    for (number, address) in [(0, "172.18.0.2"), (1, "172.18.0.3")] {
        let row = &mut containers[number];
        row.memberships[0].network = network(1, "shop_front");
        row.memberships[0].addresses = vec![address.parse().unwrap()];
        row.memberships[0].mac = Some("02:42:ac:12:00:02".parse::<Mac>().unwrap());
        Arc::make_mut(&mut row.container).networks = vec![network(1, "shop_front")];
    }
    let service = |row: &mut ContainerRow, name: &str| {
        Arc::make_mut(&mut row.container).service = Some(text(name));
    };
    service(&mut containers[0], "nginx");
    service(&mut containers[1], "flask_app");
    containers[0].details = Some(Arc::new(details()));
    containers[0].dropped = 4;
    containers[0].peers = vec![fixtures::peer(end(&containers[1], Some(5_000)))];
    let findings = vec![violation(&containers[0], &containers[2]), broken(&containers[0], &containers[1])];
    let mut losses = Losses::default();
    losses.add("flow_map_full", 1_203);
    losses.add("ring_full", 3);
    Arc::new(Snapshot {
        networks: networks(&containers),
        asked: asked(&containers),
        pairs: pairs(&containers),
        findings,
        standing: standing(),
        losses,
        missing: BTreeMap::from([("drops", text("the kernel does not describe its types"))]),
        docker_refused: Some(text("not a container id: ../x")),
        rights_unknown: 1,
        unattributed: vec![UnattributedRow {
            observed_at: fixtures::observed_at("veth99"),
            network: Some(network(1, "shop_front")),
            reason: "not_announced_yet",
            totals: traffic(counts(10, 4_096), counts(20, 8_192)),
            window: Traffic::default(),
            before_watch: Traffic::default(),
        }],
        bridges: vec![BridgeRow {
            observed_at: fixtures::observed_at("br-4f4f4f4f4f4f"),
            network: Some(network(1, "shop_front")),
            totals: Traffic::default(),
        }],
        resources: Resources {
            flows: 60_001,
            flow_capacity: 65_536,
            flows_ipv6: 0,
            slots: 3,
            slot_capacity: 1_024,
            grace_ns: 41_000,
            drain_ns: 3_900_000,
            flips: 1_204,
            drops: 3,
            drop_capacity: 16_384,
            claims: 0,
            claim_capacity: 8_192,
            ring_bytes: 4_096,
            ring_capacity: 1 << 20,
            cpu_ns: Some(12_000_000),
            resident_bytes: Some(24 << 20),
        },
        containers,
        ..fixtures::snapshot()
    })
}

/// The same shop a second later: whoever talks has said more.
pub(super) fn later(shop: &Snapshot) -> Arc<Snapshot> {
    let mut later = Arc::unwrap_or_clone(data::later(shop, 1));
    let mut pairs = later.pairs.to_vec();
    for (number, pair) in pairs.iter_mut().enumerate() {
        pair.traffic.sent += counts(2, 10_000 >> number);
        pair.traffic.received += counts(3, 700_000 >> number);
    }
    later.pairs = pairs.into();
    let mut networks = later.networks.to_vec();
    networks[0].totals.inside += counts(5, 710_000);
    networks[0].totals.networks.sent += counts(2, 2_500);
    networks[0].totals.networks.received += counts(3, 175_000);
    networks[1].totals.networks.received += counts(2, 2_500);
    later.networks = networks.into();
    Arc::new(later)
}

/// What nginx asks the database, through a port that the host publishes.
pub(super) fn flow() -> FlowRecord {
    let shop = shop();
    let tuple = |source: &str, destination: &str, ports| Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol: Protocol::TCP,
        ports,
    };
    FlowRecord {
        local: end(&shop.containers[0], Some(40_112)),
        remote: End { port: Some(15_432), ..fixtures::end(EndKind::Host, "172.18.0.1", None) },
        network: Some(network(1, "shop_front")),
        translated: Some(Translated {
            kind: "published-port",
            original: Some(tuple("172.18.0.2", "172.18.0.1", (40_112, 15_432))),
            reply: Some(tuple("172.19.0.3", "172.19.0.1", (5_432, 40_112))),
            evidence: "conntrack",
        }),
        verdict: verdict(Rule::PublishedPort, Expected::Allow, Outcome::Answered),
        ..fixtures::flow()
    }
}

/// The same shop, where every name is made to harm.
pub(super) fn hostile() -> Arc<Snapshot> {
    let long = "very-long-".repeat(400);
    let names = ["e\u{301}\u{301}vil\x1b[31m\u{202e}gnp", "日本語🐳コンテナ", &long];
    let mut shop = Arc::unwrap_or_clone(shop());
    let harm = |name: &mut SafeText, number: usize| *name = SafeText::new(names[number % names.len()]);
    for (number, row) in shop.containers.iter_mut().enumerate() {
        harm(&mut Arc::make_mut(&mut row.container).name, number);
    }
    let asked = Arc::make_mut(&mut shop.asked);
    for (number, row) in asked.names.iter_mut().enumerate() {
        harm(&mut Arc::make_mut(&mut row.container).name, number);
        harm(&mut row.name, number + 1);
    }
    let mut pairs = shop.pairs.to_vec();
    for (number, pair) in pairs.iter_mut().enumerate() {
        for container in [&mut pair.client.container, &mut pair.server.container].into_iter().flatten() {
            harm(&mut Arc::make_mut(container).name, number);
        }
    }
    shop.pairs = pairs.into();
    let mut networks = shop.networks.to_vec();
    networks.iter_mut().enumerate().for_each(|(number, row)| harm(&mut row.network.name, number + 1));
    shop.networks = networks.into();
    for (number, finding) in shop.findings.iter_mut().enumerate() {
        for container in [&mut finding.source.container, &mut finding.destination.container] {
            let container = Arc::make_mut(container.as_mut().unwrap());
            harm(&mut container.name, number);
        }
        finding.explanation = "x".repeat(4_000);
    }
    let mut details = details();
    details.command = Some(SafeText::new(&long));
    details.labels = (0..64).map(|_| (SafeText::new(&long), SafeText::new("\u{202e}日本"))).collect();
    shop.containers[0].details = Some(Arc::new(details));
    Arc::new(shop)
}
