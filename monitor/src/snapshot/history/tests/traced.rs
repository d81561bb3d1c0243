//! How far a pair came, hook by hook, by what is kept of a time.

use super::finding;
use crate::model::{KernelTime, NetworkDriver};
use crate::policy::{Evidence, Outcome, Rule, RuleName};
use crate::snapshot::history::Traced;
use crate::snapshot::{Answers, ContainerRef, End, EndKind, Finding, Hooks, PairRow, Severity, Verdict};
use crate::wire::fixtures;

/// The beginning of the time.
const SINCE: KernelTime = KernelTime(60);

/// The sentence, and the evidence as lines.
fn traced(pair: &PairRow, findings: &[Finding]) -> (String, Vec<String>) {
    let Traced { evidence, course } = Traced::of(pair, findings, SINCE);
    (course, evidence.iter().map(|one| format!("{}: {}", one.at, one.saw)).collect())
}

fn pair() -> PairRow {
    fixtures::pair_row()
}

fn became(outcome: Outcome, pair: PairRow) -> PairRow {
    let verdict = pair.verdict.clone().map(|verdict| Verdict { outcome, ..verdict });
    let [client, _] = pair.hooks.devices.clone();
    let hooks = Hooks { devices: [client, None], delivered: 0, came_back: 0 };
    let mut pair = PairRow { verdict, hooks, answers: Answers::default(), ..pair };
    pair.traffic.received = fixtures::counts(0, 0);
    pair
}

/// A finding that says by what a pair was stopped.
fn stopped(pair: &PairRow) -> Finding {
    let one = |at: &str, saw: &str| Evidence { at: fixtures::text(at), saw: saw.to_owned() };
    Finding {
        source: pair.client.clone(),
        destination: pair.server.clone(),
        protocol: pair.protocol.name(),
        ports: pair.server.port.into_iter().collect(),
        outcome: Outcome::Blocked,
        last_seen: SINCE,
        drop_reason: Some(fixtures::text("NETFILTER_DROP")),
        evidence: vec![
            one("veth1a2b3c4", "3 packets sent"),
            one("br-1", "3 packets to 172.18.0.3 dropped: NETFILTER_DROP"),
        ],
        ..(*finding(1, Severity::Warning)).clone()
    }
}

#[test]
fn what_works_is_followed_there_and_back() {
    let (course, evidence) = traced(&pair(), &[]);
    assert_eq!(
        course,
        "It left shop-nginx-1's interface veth1a2b3c4, reached interface veth5d6e7f8, and shop-flask_app-1 answered."
    );
    assert_eq!(
        evidence,
        [
            "veth1a2b3c4: 9412 packets sent",
            "veth5d6e7f8: 9412 packets delivered",
            "veth5d6e7f8: 1003111 packets of reply left",
            "veth1a2b3c4: 1003111 packets came back",
        ]
    );
}

#[test]
fn where_nobody_listens_the_destination_refuses() {
    let answers = Answers { refused: 12, ..Answers::default() };
    let (course, _) = traced(&PairRow { answers, ..pair() }, &[]);
    assert!(course.ends_with("itself refused it with a reset: nobody listens on port 5000/tcp."), "{course}");
    let some = Answers { refused: 3, answered: 9, ..Answers::default() };
    let (course, _) = traced(&PairRow { answers: some, ..pair() }, &[]);
    assert!(course.ends_with("shop-flask_app-1 answered."), "{course}");
}

#[test]
fn what_was_stopped_is_told_by_its_finding_or_is_said_not_to_be_kept() {
    let blocked = became(Outcome::Blocked, pair());
    let (course, evidence) = traced(&blocked, &[stopped(&blocked)]);
    assert!(course.contains("dropped in the host at br-1 by its firewall (NETFILTER_DROP)"), "{course}");
    assert_eq!(
        evidence[..2],
        ["veth1a2b3c4: 9412 packets sent", "br-1: packets to 172.18.0.3 dropped: NETFILTER_DROP"]
    );
    let mut other = stopped(&blocked);
    other.ports = vec![1];
    for findings in [&[][..], &[other]] {
        let (course, evidence) = traced(&blocked, findings);
        assert!(course.contains("By what it was stopped is not kept of that time."), "{course}");
        assert_eq!(evidence, ["veth1a2b3c4: 9412 packets sent", "veth1a2b3c4: no packet came back"]);
    }
}

#[test]
fn a_step_that_was_not_seen_is_said_not_to_be_known() {
    let (course, _) = traced(&became(Outcome::Unknown, pair()), &[]);
    assert!(course.contains("whether it arrived is not known"), "{course}");
    let (course, _) = traced(&became(Outcome::Undelivered, pair()), &[]);
    assert!(course.contains("is lost from there on"), "{course}");
    let mut lost = pair();
    lost.hooks.came_back = 0;
    let (course, _) = traced(&lost, &[]);
    assert!(course.contains("nothing of the answer came back: by what is not kept"), "{course}");
    let mut silent = pair();
    silent.traffic.received = fixtures::counts(0, 0);
    let (course, _) = traced(&silent, &[]);
    assert!(course.contains("no answer left shop-flask_app-1"), "{course}");
    let mut outside = became(Outcome::Answered, pair());
    outside.server = fixtures::end(EndKind::External, "192.0.2.7", Some(443));
    let (course, _) = traced(&outside, &[]);
    assert!(course.contains("what arrives at 192.0.2.7 is not seen"), "{course}");
    outside.hooks.came_back = 3;
    let (course, _) = traced(&outside, &[]);
    assert!(course.ends_with("an answer came back from 192.0.2.7."), "{course}");
}

#[test]
fn what_was_answered_was_not_stopped_although_some_of_it_was() {
    let mut outside = became(Outcome::Answered, pair());
    outside.server = fixtures::end(EndKind::External, "192.0.2.7", Some(443));
    outside.hooks.came_back = 3;
    outside.traffic.received = fixtures::counts(3, 300);
    for server in [outside.server.clone(), fixtures::end(EndKind::Host, "172.18.0.1", Some(443))] {
        let mixed = PairRow { server, ..outside.clone() };
        let (course, _) = traced(&mixed, &[stopped(&mixed)]);
        assert!(course.contains("an answer came back from ") && !course.contains("nothing"), "{course}");
        assert!(
            course.ends_with("Some of it was dropped in the host at br-1 by its firewall (NETFILTER_DROP).")
        );
        let lost = Finding { outcome: Outcome::Undelivered, ..stopped(&mixed) };
        let (course, _) = traced(&mixed, &[lost]);
        assert!(course.ends_with("Some of it is lost: the kernel told no drop of it."), "{course}");
    }
    let (course, evidence) = traced(&pair(), &[stopped(&pair())]);
    assert!(course.contains("and shop-flask_app-1 answered. Some of it was dropped in the host"), "{course}");
    assert_eq!(evidence[1], "br-1: packets to 172.18.0.3 dropped: NETFILTER_DROP");
    // A firewall's own reset comes back and is no answer; one that came through it is.
    let answers = Answers { refused: 3, ..Answers::default() };
    let refused = PairRow { answers, ..outside };
    let by_host = Finding { drop_reason: None, ..stopped(&refused) };
    let (course, _) = traced(&refused, &[by_host]);
    assert!(course.contains("with a reset in the name of 192.0.2.7; nothing reached"), "{course}");
    let (course, _) = traced(&refused, &[stopped(&refused)]);
    assert!(course.contains("refused with a reset") && !course.contains("nothing reached"), "{course}");
}

#[test]
fn a_reply_that_left_the_server_says_that_it_arrived() {
    let mut pair = pair();
    pair.hooks.delivered = 0;
    let (course, _) = traced(&pair, &[]);
    assert!(course.ends_with("an answer came back from shop-flask_app-1."), "{course}");
    pair.hooks.came_back = 0;
    let (course, _) = traced(&pair, &[]);
    assert!(course.contains("shop-flask_app-1 answered, but nothing of the answer came back"), "{course}");
}

#[test]
fn what_was_found_of_another_time_or_of_no_conversation_stopped_nothing() {
    let silent = became(Outcome::Unknown, pair());
    let of = |rule| Finding { rule: RuleName::Topology(rule), ..stopped(&silent) };
    let before = Finding { last_seen: KernelTime(59), ..stopped(&silent) };
    for finding in [before, of(Rule::SilentReplica), of(Rule::WrongMtu)] {
        assert_eq!(traced(&silent, &[finding]), traced(&silent, &[]));
    }
    // What says most is told.
    let lost = Finding { outcome: Outcome::Undelivered, ..stopped(&silent) };
    let (course, _) = traced(&silent, &[lost, stopped(&silent)]);
    assert!(course.contains("dropped in the host at br-1"), "{course}");
}

#[test]
fn ends_are_called_as_they_are_of_now() {
    let on_host = |end: &End| {
        let network =
            crate::snapshot::NetworkRef { driver: NetworkDriver::Host, ..fixtures::network("host") };
        let container = end.container.as_deref().unwrap().clone();
        let container = Some(ContainerRef { networks: vec![network], ..container }.into());
        End { container, ..end.clone() }
    };
    let group = Some(fixtures::text("cgroup of 123456789abc"));
    let mut pair = pair();
    pair.client = on_host(&pair.client);
    pair.hooks.devices[0].clone_from(&group);
    let (course, _) = traced(&pair, &[]);
    assert!(course.starts_with("It left shop-nginx-1's sockets, reached interface"), "{course}");
    pair.server = on_host(&pair.server);
    pair.hooks.devices[1] = group;
    let (course, _) = traced(&pair, &[]);
    assert!(course.contains(", reached shop-flask_app-1's sockets, and"), "{course}");
    pair.server = fixtures::task_end("10.0.1.8", Some(80));
    pair.hooks.devices[1] = None;
    let (course, _) = traced(&pair, &[]);
    assert!(course.ends_with("came back from shop_web.3(10.0.1.8)."), "{course}");
}
