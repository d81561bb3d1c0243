//! Why two ends can or cannot talk: what is expected of each way, and where what was seen stopped.

use crate::world::{Told, World, bridge_network, container, counts, flow, id, ip, mac, text};
use monitor::model::{
    Drop, DropBatch, DropWatch, FlowPorts, KernelTime, Losses, Network, Observation, Protocol, Resources,
    Translation, TranslationChange, Tuple,
};
use monitor::policy::file::Policy;
use monitor::policy::{Answer, Asked, AskedEnd, Expected, Way};
use std::sync::Arc;
use tokio::sync::watch;

/// A world and what it answers.
struct Inquiry {
    world: World,
    answers: watch::Receiver<Option<Arc<Answer>>>,
}

/// Networks a and b; web on a (interface 1), api on a (2), db on b (3), both on a and b (4 and 5).
fn world() -> World {
    world_with(|_| {}, None)
}

fn world_with(change: impl Fn(&mut Network), policy: Option<&str>) -> World {
    let mut world = World::without_docker(|settings| {
        settings.policy =
            Arc::new(policy.map(|policy| Policy::read(policy.as_bytes()).unwrap()).unwrap_or_default());
    });
    world.docker_up();
    world.two_networks();
    let mut a = bridge_network("a", &[("172.18.0.0", 16)], &["172.18.0.1"]);
    change(&mut a);
    world.network(a);
    world.running("web", 1, "a", "172.18.0.2");
    world.running("api", 2, "a", "172.18.0.3");
    let mut db = container("db", &[("b", "172.19.0.2")]);
    db.published = vec![(ip("0.0.0.0"), 8_080, 80, "tcp".to_owned())];
    world.container(db);
    world.attach(3, "b", Some(mac("172.19.0.2")), None);
    world.container(container("both", &[("a", "172.18.0.4"), ("b", "172.19.0.4")]));
    world.attach(4, "a", Some(mac("172.18.0.4")), None);
    world.attach(5, "b", Some(mac("172.19.0.4")), None);
    world.observe(Observation::DropWatch(DropWatch::Watched));
    world.pass_until(5_000);
    world
}

fn named(name: &str) -> AskedEnd {
    match name {
        "host" => AskedEnd::Host { address: None },
        "outside" => AskedEnd::Outside { address: None },
        name => AskedEnd::Container { id: id(name), address: None },
    }
}

fn ask(mut world: World, from: &str, to: &str, port: Option<u16>) -> Inquiry {
    let asked = Asked { from: named(from), to: named(to), protocol: port.map(|_| Protocol::TCP), port };
    let (told, answers) = watch::channel(None);
    let now = world.now;
    world.state.inquire(asked, told, now);
    Inquiry { world, answers }
}

impl Inquiry {
    /// One tick with these flows, to its end.
    fn tick(&mut self, flows: Vec<Told>) -> Arc<Answer> {
        let next = self.world.now.0 / 1_000_000 + 1_000;
        self.world.at(next).flows(flows);
        self.world.observe(Observation::Resources(Resources::default()));
        let answer = self.answers.borrow().clone();
        answer.unwrap()
    }

    /// Ticks until everything can be decided.
    fn decided(&mut self, flows: Vec<Told>) -> Arc<Answer> {
        self.tick(flows);
        self.tick(Vec::new());
        self.tick(Vec::new())
    }

    fn dropped(&mut self, source: &str, destination: &str, port: u16) {
        let at = KernelTime(self.world.now.0 + 1_000_000_000);
        let drop = Drop {
            source: ip(source),
            destination: ip(destination),
            protocol: Protocol::TCP,
            port: Some(port),
            reason: text("NETFILTER_DROP"),
            device: 10,
            ingress: 101,
            packets: 1,
            bytes: 60,
            first_seen: at,
            last_seen: at,
        };
        self.world.observe(Observation::Drops(DropBatch { epoch: 1, drops: vec![drop] }));
    }
}

/// `172.19.0.2:80 deny cross-network`, `host 172.18.0.1:8080 allow published-port`.
fn in_short(way: &Way) -> String {
    let address = way.address.map_or("any".to_owned(), |address| address.to_string());
    let port = way.port.map_or(String::new(), |port| format!(":{port}"));
    let published = if way.published.is_some() { "host " } else { "" };
    let decision = way.decision.as_ref().map_or("nothing".to_owned(), |decision| {
        let expected = if decision.expected == Expected::Allow { "allow" } else { "deny" };
        format!("{expected} {}", decision.rule.as_str())
    });
    format!("{published}{address}{port} {decision}")
}

/// Checks which ways there are, allowed ones first.
#[track_caller]
fn check_ways(world: World, [from, to]: [&str; 2], port: Option<u16>, expected: &[&str]) {
    let answer = ask(world, from, to, port).tick(Vec::new());
    assert_eq!(answer.ways.iter().map(in_short).collect::<Vec<_>>(), expected, "{from} to {to}");
}

#[test]
fn every_address_of_the_destination_is_a_way_with_a_rule_of_its_own() {
    check_ways(world(), ["web", "api"], Some(80), &["172.18.0.3:80 allow same-network"]);
    check_ways(
        world(),
        ["web", "both"],
        Some(80),
        &["172.18.0.4:80 allow same-network", "172.19.0.4:80 deny cross-network"],
    );
    // A container on both networks uses the one that the destination is on.
    check_ways(world(), ["both", "db"], Some(81), &["172.19.0.2:81 allow same-network"]);
}

#[test]
fn a_published_port_is_a_way_if_it_is_the_one_that_is_asked_for() {
    let both = ["host 172.18.0.1:8080 allow published-port", "172.19.0.2:80 deny cross-network"];
    check_ways(world(), ["web", "db"], Some(80), &both);
    check_ways(world(), ["web", "db"], Some(81), &["172.19.0.2:81 deny cross-network"]);
    let outside = ["172.19.0.2:80 allow exposed-port", "host any:8080 allow exposed-port"];
    check_ways(world(), ["outside", "db"], Some(80), &outside);
    check_ways(world(), ["outside", "db"], Some(81), &["172.19.0.2:81 deny exposed-port"]);
}

#[test]
fn host_and_outside_are_ways_as_well() {
    check_ways(world(), ["web", "host"], Some(22), &["172.18.0.1:22 allow host-access"]);
    check_ways(world(), ["host", "api"], None, &["172.18.0.3 allow host-access"]);
    check_ways(world(), ["web", "outside"], Some(443), &["any:443 allow egress"]);
    let internal = world_with(|network| network.internal = true, None);
    check_ways(internal, ["web", "outside"], None, &["any deny internal-egress"]);
    let alone = world_with(|network| network.inter_container = false, None);
    check_ways(alone, ["web", "api"], None, &["172.18.0.3 deny icc-disabled"]);
}

#[test]
fn a_rule_of_the_policy_file_decides_first_and_brings_its_comment() {
    let policy = "[[rule]]\nname = 'no-web'\naction = 'deny'\nto = { container = 'api' }\nports = 80\n\
                  comment = 'ask Ada'";
    let world = |()| world_with(|_| {}, Some(policy));
    check_ways(world(()), ["web", "api"], Some(80), &["172.18.0.3:80 deny no-web"]);
    check_ways(world(()), ["web", "api"], Some(81), &["172.18.0.3:81 allow same-network"]);
    let answer = ask(world(()), "web", "api", Some(80)).tick(Vec::new());
    let decision = answer.decision.clone().unwrap();
    assert_eq!(decision.comment, Some(text("ask Ada")));
    assert!(decision.because.contains("ask Ada"), "{decision:?}");
}

#[test]
fn ways_that_differ_make_no_common_expectation() {
    assert_eq!(ask(world(), "web", "db", Some(80)).tick(Vec::new()).decision, None);
    assert!(ask(world(), "web", "api", Some(80)).tick(Vec::new()).decision.is_some());
}

fn web_to(address: &str, received: &str) -> Told {
    flow(1, "172.18.0.2:4000", address).tcp("S", received, Some(1), None)
}

/// What api's interface sees of that: a SYN, and a reply with these flags.
fn at_api(port: u16, reply: &str) -> Told {
    flow(2, &format!("172.18.0.3:{port}"), "172.18.0.2:4000")
        .tcp(reply, "S", None, None)
        .received(101)
        .counted(counts(u64::from(!reply.is_empty()), 60), counts(1, 60))
}

/// Checks the sentence about the latest conversation, and the summary.
#[track_caller]
fn check_course(answer: &Answer, course: &str, summary: &str) {
    let told = answer.forward().next().map_or("nothing", |seen| seen.course.as_str());
    assert_eq!((told, answer.summary.as_str()), (course, summary));
}

#[test]
fn nothing_seen_is_told_with_what_to_try() {
    let answer = ask(world(), "web", "api", Some(80)).tick(Vec::new());
    check_course(&answer, "nothing", "Nothing was seen from web to api on port 80/tcp.");
    assert_eq!(answer.look[0].command, "docker exec web nc -vz -w 3 172.18.0.3 80");
}

#[test]
fn an_answer_is_followed_to_the_other_end() {
    let mut inquiry = ask(world(), "web", "api", Some(80));
    let answer = inquiry.tick(vec![web_to("172.18.0.3:80", "SA").and_received(102), at_api(80, "SA")]);
    check_course(
        &answer,
        "It left web's interface veth1, reached interface veth2, and api answered.",
        "It works.",
    );
    let commands: Vec<&str> = answer.look.iter().map(|look| look.command.as_str()).collect();
    assert_eq!(
        commands,
        [
            "tcpdump -ni veth1 host 172.18.0.3 and port 80",
            "tcpdump -ni veth2 port 80",
            "nsenter -t 1 -n ss -ltn",
            "nsenter -t 1 -n ip route get 172.18.0.3",
        ]
    );
}

#[test]
fn a_reset_of_the_destination_is_a_refusal() {
    let mut inquiry = ask(world(), "web", "api", Some(81));
    let answer = inquiry.tick(vec![web_to("172.18.0.3:81", "RA").and_received(102), at_api(81, "RA")]);
    check_course(
        &answer,
        "It left web's interface veth1, reached interface veth2; api itself refused it with a reset: nobody listens \
         on port 81/tcp.",
        "It arrives, but api refuses it: nobody listens there.",
    );
}

#[test]
fn what_is_delivered_and_not_answered_got_there() {
    let mut inquiry = ask(world(), "web", "api", None);
    let answer = inquiry.tick(vec![web_to("172.18.0.3:81", ""), at_api(81, "")]);
    check_course(
        &answer,
        "It left web's interface veth1, reached interface veth2 and was delivered, but no answer left api.",
        "It arrives, but api does not answer.",
    );
}

#[test]
fn a_drop_is_told_with_its_place_and_how_to_find_the_rule() {
    let mut inquiry = ask(world(), "web", "db", Some(80));
    inquiry.dropped("172.18.0.2", "172.19.0.2", 80);
    let answer = inquiry.tick(vec![web_to("172.19.0.2:80", "")]);
    check_course(
        &answer,
        "It left web's interface veth1 and was dropped in the host at br-a by its firewall (NETFILTER_DROP); nothing \
         reached db.",
        "It is stopped, as it should be (cross-network).",
    );
    assert_eq!(answer.look[0].command, "iptables -nvL DOCKER-USER");
    assert_eq!(answer.decision.as_ref().map(|decision| decision.expected), Some(Expected::Deny));
}

#[test]
fn what_went_astray_is_lost_only_if_nothing_was_missed() {
    let astray = |lost: bool| {
        let mut inquiry = ask(world(), "web", "api", Some(80));
        inquiry.tick(vec![web_to("172.18.0.3:80", "")]);
        let mut losses = Losses::default();
        losses.add("flow_map_full", u64::from(lost));
        inquiry.world.observe(Observation::Losses(losses));
        inquiry.decided(Vec::new())
    };
    check_course(
        &astray(false),
        "It left web's interface veth1 and is lost from there on: the kernel told no drop of it, and nothing reached \
         api, at whose interface nothing was missed.",
        "It should work (same-network), but does not arrive.",
    );
    check_course(
        &astray(true),
        "It left web's interface veth1; whether it arrived cannot be told: some packets were in no flow meanwhile, \
         because the flow map was full.",
        "It cannot be told from what was seen.",
    );
}

#[test]
fn what_is_young_is_not_decided() {
    let answer = ask(world(), "web", "api", Some(80)).tick(vec![web_to("172.18.0.3:80", "")]);
    assert!(answer.is_undecided());
    check_course(
        &answer,
        "It left web's interface veth1; what became of it was not decided yet when the watch ended.",
        "It is not decided yet; watch longer (--for).",
    );
}

#[test]
fn a_published_port_by_the_hosts_proxy_is_followed_to_the_container() {
    let mut inquiry = ask(world(), "web", "db", Some(80));
    let answer = inquiry.tick(vec![
        web_to("172.18.0.1:8080", "SA").and_received(0),
        flow(3, "172.19.0.2:80", "172.19.0.1:5000")
            .tcp("SA", "S", None, None)
            .received(0)
            .counted(counts(2, 120), counts(3, 180)),
    ]);
    check_course(
        &answer,
        "It left web's interface veth1 and reached the host's proxy, which went on to interface veth3, port 80/tcp, \
         and was answered.",
        "It works.",
    );
    let seen = answer.forward().next().unwrap();
    assert_eq!(seen.translated.as_ref().map(|it| (it.kind, it.evidence)), Some(("proxy", "port-map")));
    assert_eq!(seen.decision.rule.as_str(), "published-port");
}

#[test]
fn a_redirection_counts_for_whom_it_leads_to() {
    let mut inquiry = ask(world(), "web", "db", Some(80));
    let tuple = |source: &str, destination: &str, ports: (u16, u16)| Tuple {
        source: ip(source),
        destination: ip(destination),
        protocol: Protocol::TCP,
        ports,
    };
    let translation = Translation {
        original: tuple("172.18.0.2", "172.18.0.1", (4_000, 7_000)),
        reply: tuple("172.19.0.2", "172.18.0.2", (80, 4_000)),
    };
    inquiry.world.observe(Observation::Translations(vec![TranslationChange::Known(translation)]));
    let answer = inquiry.tick(vec![
        web_to("172.18.0.1:7000", ""),
        flow(3, "172.19.0.2:80", "172.18.0.2:4000").tcp("", "S", None, None).received(10),
    ]);
    let seen = answer.forward().next().unwrap();
    assert_eq!(seen.decision.rule.as_str(), "cross-network");
    assert_eq!(seen.translated.as_ref().map(|it| it.kind), Some("redirect"));
    assert_eq!(answer.summary, "It gets through and must not (cross-network).");
    let last = answer.look.last().unwrap();
    assert_eq!(last.command, "conntrack -L -s 172.18.0.2 -d 172.18.0.1");
}

#[test]
fn what_comes_from_outside_and_is_dropped_on_its_way_is_told() {
    let mut inquiry = ask(world(), "outside", "db", Some(81));
    inquiry.dropped("203.0.113.9", "172.19.0.2", 81);
    inquiry.dropped("172.18.0.3", "172.19.0.2", 81);
    let answer = inquiry.tick(Vec::new());
    assert_eq!(answer.stopped.len(), 1, "{:?}", answer.stopped);
    assert_eq!(
        answer.summary,
        "It is stopped at br-a by the host's firewall (NETFILTER_DROP), before it reaches db, as it should be \
         (exposed-port)."
    );
}

#[test]
fn other_ports_and_other_ends_are_not_told_and_the_other_way_round_is() {
    let mut inquiry = ask(world(), "web", "api", Some(80));
    let answer = inquiry.tick(vec![
        web_to("172.18.0.3:81", ""),
        web_to("172.18.0.4:80", ""),
        flow(2, "172.18.0.3:4000", "172.18.0.2:99").tcp("S", "", Some(1), None),
        flow(2, "172.18.0.3:4000", "172.18.0.4:99").tcp("S", "", Some(1), None),
    ]);
    let told: Vec<_> =
        answer.conversations.iter().map(|seen| (seen.heading.name(), seen.destination.port)).collect();
    assert_eq!(told, [("backward", Some(99))]);
}

#[test]
fn a_ping_that_is_older_than_the_watch_is_one_conversation_as_it_was_asked() {
    let mut inquiry = ask(world(), "web", "api", None);
    let echo = |interface: u32, local: &str, remote: &str| {
        let mut told = flow(interface, local, remote).and_received(0).not_new();
        told.delta.key.protocol = Protocol::ICMP;
        told.delta.key.ports = FlowPorts::Icmp { id: 7, kind: 8, code: 0 };
        told
    };
    for ends in [[2, 1], [1, 2]] {
        let told = ends.map(|end| match end {
            1 => echo(1, "172.18.0.2:0", "172.18.0.3:0"),
            _ => echo(2, "172.18.0.3:0", "172.18.0.2:0"),
        });
        let answer = inquiry.tick(told.into());
        let headings: Vec<_> = answer.conversations.iter().map(|seen| seen.heading.name()).collect();
        assert_eq!((headings, answer.more), (vec!["forward"], 0));
    }
}

#[test]
fn the_latest_conversations_are_kept_and_all_are_counted() {
    let mut inquiry = ask(world(), "web", "api", None);
    let many = |from: u16, to: u16| {
        (from..to).map(|port| flow(1, &format!("172.18.0.2:{port}"), "172.18.0.3:80")).collect::<Vec<_>>()
    };
    inquiry.tick(many(1_000, 1_200));
    let answer = inquiry.tick(many(2_000, 2_010));
    assert_eq!((answer.conversations.len(), answer.more), (64, 146));
    let latest = answer.conversations.iter().take(10).map(|seen| seen.first_seen);
    assert!(latest.into_iter().all(|first| first == inquiry.world.now));
}

#[test]
fn a_conversation_that_is_over_is_still_told() {
    let mut inquiry = ask(world(), "web", "api", Some(81));
    inquiry.tick(vec![web_to("172.18.0.3:81", "RA").and_received(102), at_api(81, "RA")]);
    inquiry.tick(Vec::new());
    let until = inquiry.world.now.0 / 1_000_000 + 120_000;
    inquiry.world.pass_until(until);
    assert_eq!(inquiry.world.snapshot().flows_kept, 0, "its flow is gone");
    let answer = inquiry.tick(Vec::new());
    assert_eq!(answer.summary, "It arrives, but api refuses it: nobody listens there.");
}

#[test]
fn whoever_reads_no_longer_makes_room_for_others() {
    let mut world = world();
    let asked = Asked { from: named("web"), to: named("api"), protocol: None, port: None };
    let ask = |world: &mut World| {
        let (told, answers) = watch::channel(None);
        let now = world.now;
        world.state.inquire(asked.clone(), told, now);
        answers
    };
    let readers: Vec<_> = (0..16).map(|_| ask(&mut world)).collect();
    assert!(ask(&mut world).has_changed().is_err(), "one too many is refused");
    drop(readers);
    assert!(ask(&mut world).has_changed().is_ok());
}

#[test]
fn a_container_whose_name_no_shell_may_read_is_called_by_its_id() {
    let command = |name: &str| {
        let mut world = world();
        let mut web = container("web", &[("a", "172.18.0.2")]);
        web.name = text(name);
        world.container(web);
        let answer = ask(world, "web", "api", Some(80)).tick(Vec::new());
        answer.look[0].command.clone()
    };
    let by = |name: &str| format!("docker exec {name} nc -vz -w 3 172.18.0.3 80");
    assert_eq!(command("shop_web-1.a"), by("shop_web-1.a"));
    for hostile in ["web;reboot", "$(reboot)", "-web", "web\u{1b}", "", "we b"] {
        assert_eq!(command(hostile), by(id("web").short()), "{hostile}");
    }
}

#[test]
fn names_that_a_shell_would_read_are_quoted_or_left_out() {
    let interface = |name: &str| monitor::model::Interface {
        number: monitor::model::InterfaceNumber(2),
        ifindex: 102,
        name: text(name),
        kind: monitor::model::InterfaceKind::Veth,
        mac: None,
        master: Some((10, text("br-a"))),
        peer: Some(monitor::model::PeerDevice {
            namespace: None,
            ifindex: 2,
            name: None,
            mac: Some(mac("172.18.0.3")),
        }),
    };
    let command = |device: &str| {
        let mut world = world();
        let at = world.now;
        world.observe(Observation::Detached {
            number: monitor::model::InterfaceNumber(2),
            at,
            last: Box::new(world.reading(2)),
        });
        world.observe(Observation::Attached {
            interface: interface(device),
            at,
            mode: monitor::model::AttachMode::Tcx,
            before: None,
            after: None,
        });
        let answer = ask(world, "web", "api", Some(80)).tick(Vec::new());
        let at_api = answer.look.iter().find(|look| look.shows == "what arrives at api");
        at_api.map(|look| look.command.clone())
    };
    assert_eq!(command("eth0.5@x").as_deref(), Some("tcpdump -ni eth0.5@x port 80"));
    assert_eq!(command("$(reboot)").as_deref(), Some("tcpdump -ni '$(reboot)' port 80"));
    assert_eq!(command("it's;").as_deref(), Some(r"tcpdump -ni 'it'\''s;' port 80"));
    // What is shown is not its name: there is nothing to paste.
    assert_eq!(command("a\u{1b}[2J"), None);
}
