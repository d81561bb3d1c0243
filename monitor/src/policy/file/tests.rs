use super::*;
use crate::attribution::{EndKind, NetworkRef};
use crate::document::MOST_BYTES;
use crate::model::{
    Container, ContainerId, ContainerState, NetworkDriver, NetworkId, NetworkMode, SafeText, SwarmKind,
    SwarmMember,
};
use crate::policy::InSwarm;
use proptest::prelude::*;

fn policy(text: &str) -> Policy {
    Policy::read(text.as_bytes()).unwrap_or_else(|mistakes| {
        panic!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// The mistakes of a text, a line each.
fn mistakes(text: &str) -> Vec<String> {
    let told = Policy::read(text.as_bytes()).err().unwrap_or_default();
    told.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check_mistakes(text: &str, expected: &[&str]) {
    assert_eq!(mistakes(text), expected, "{text}");
}

/// A rule with this line in it, at line 4.
fn with(line: &str) -> String {
    format!("[[rule]]\nname = \"r\"\naction = \"deny\"\n{line}\n")
}

/// An end with what it borrows.
struct Who {
    kind: EndKind,
    address: &'static str,
    container: Option<Container>,
    networks: Vec<NetworkRef>,
}

impl Who {
    fn party(&self) -> Party<'_> {
        Party {
            kind: self.kind,
            address: self.address.parse().unwrap(),
            port: None,
            container: self.container.as_ref(),
            swarm: InSwarm::No,
            networks: &self.networks,
        }
    }
}

fn plain(kind: EndKind, address: &'static str) -> Who {
    Who { kind, address, container: None, networks: Vec::new() }
}

/// The container `shop-web-1`, on the network `shop_front`.
fn web() -> Who {
    let text = |raw: &str| SafeText::new(raw);
    let container = Container {
        id: ContainerId::new("aa11").unwrap(),
        name: text("shop-web-1"),
        image: Some(text("registry:5000/shop/web:1.2")),
        project: Some(text("shop")),
        service: Some(text("web")),
        state: ContainerState::Running,
        started_at: None,
        network_mode: NetworkMode::Networks,
        endpoints: Vec::new(),
        namespace: None,
        sandbox: None,
        pid: None,
        labels: vec![(text("tier"), text("front")), (text("team"), text("a=b"))],
        links: Vec::new(),
        aliases: Vec::new(),
        rights: None,
        details: None,
        published: Vec::new(),
    };
    let network = NetworkRef {
        id: NetworkId::new("n1").unwrap(),
        name: text("shop_front"),
        driver: NetworkDriver::Bridge,
    };
    Who {
        kind: EndKind::Container,
        address: "172.18.0.2",
        container: Some(container),
        networks: vec![network],
    }
}

/// The same, known by a network's list only.
fn listed() -> Who {
    let mut who = web();
    if let Some(container) = &mut who.container {
        container.state = ContainerState::Unknown;
        (container.image, container.project, container.service) = (None, None, None);
        container.labels.clear();
    }
    who
}

/// Why a rule with this description as its source passes over an end; `None` if it matches.
#[track_caller]
fn check(description: &str, who: &Who, expected: Option<PassedOver>) {
    let policy = policy(&with(&format!("from = {description}")));
    let outside = plain(EndKind::External, "9.9.9.9");
    let found = policy.rules()[0].passed_over(&who.party(), &outside.party(), Protocol::TCP, Some(80));
    assert_eq!(found, expected, "{description}");
}

#[test]
fn a_container_is_chosen_by_everything_docker_says_of_it() {
    let web = web();
    for fits in [
        "{ container = 'shop-web-*' }",
        "{ container = ['db', 'shop-web-?'] }",
        "{ service = 'web', project = 'shop' }",
        "{ image = 'registry:5000/shop/web' }",
        "{ image = '*/web:1.*' }",
        "{ label = 'tier' }",
        "{ label = 'tier=fr*' }",
        "{ label = 'team=a=b' }",
        "{ network = 'shop_*' }",
        "{ cidr = '172.18.0.0/16' }",
        "{ cidr = ['10.0.0.0/8', '172.18.0.2'] }",
        "{ host = false }",
        "[{ host = true }, { service = 'web' }]",
        "{ project = 'shop', not = { service = 'db' } }",
        "{ not = [{ service = 'db' }, { external = true }] }",
        "{ not = { project = 'shop', service = 'db' } }",
    ] {
        check(fits, &web, None);
    }
    for fits_not in [
        "{ container = 'web' }",
        "{ container = 'SHOP-WEB-1' }",
        "{ service = 'web', project = 'other' }",
        "{ image = 'registry' }",
        "{ image = 'web' }",
        "{ label = 'front' }",
        "{ label = 'tier=back' }",
        "{ network = 'shop' }",
        "{ cidr = '172.19.0.0/16' }",
        "{ cidr = 'fd00::/8' }",
        "{ host = true }",
        "{ external = true }",
        "{ project = 'shop', not = { service = 'web' } }",
        "{ not = [{ service = 'db' }, { network = 'shop_front' }] }",
    ] {
        check(fits_not, &web, Some(PassedOver::From));
    }
}

#[test]
fn the_host_and_the_outside_are_no_containers() {
    let (host, outside) = (plain(EndKind::Host, "172.18.0.1"), plain(EndKind::External, "9.9.9.9"));
    check("{ host = true }", &host, None);
    check("{ external = true }", &outside, None);
    check("{ external = true, cidr = '9.0.0.0/8' }", &outside, None);
    check("{ external = true, not = { cidr = '9.9.9.9' } }", &outside, Some(PassedOver::From));
    check("{ container = '*' }", &host, Some(PassedOver::From));
    check("{ not = { container = '*' } }", &outside, None);
    check("{ network = '*' }", &outside, Some(PassedOver::From));
}

#[test]
fn of_what_nobody_knows_nothing_is_said() {
    let unknown = plain(EndKind::Unknown, "172.18.0.9");
    let cannot_tell = Some(PassedOver::FromUnknown);
    check("{ container = '*' }", &unknown, cannot_tell);
    check("{ not = { container = 'x' } }", &unknown, cannot_tell);
    check("{ host = false }", &unknown, cannot_tell);
    check("{ network = 'x' }", &unknown, cannot_tell);
    check("{ cidr = '172.18.0.0/16' }", &unknown, None);
    check("{ cidr = '10.0.0.0/8', container = 'x' }", &unknown, Some(PassedOver::From));
    check("[{ container = 'x' }, { cidr = '172.18.0.9' }]", &unknown, None);
    let masqueraded = Who { networks: web().networks, ..plain(EndKind::Unknown, "172.19.0.1") };
    check("{ network = 'shop_front' }", &masqueraded, None);
    check("{ network = 'other' }", &masqueraded, Some(PassedOver::From));
}

#[test]
fn a_container_that_was_only_listed_has_a_name_and_nothing_more() {
    let listed = listed();
    let cannot_tell = Some(PassedOver::FromUnknown);
    check("{ container = 'shop-web-1' }", &listed, None);
    check("{ service = 'web' }", &listed, cannot_tell);
    check("{ not = { label = 'x' } }", &listed, cannot_tell);
    check("{ image = '*' }", &listed, cannot_tell);
    check("{ not = { project = 'x' } }", &listed, cannot_tell);
}

#[test]
fn a_container_without_a_label_is_known_not_to_have_it() {
    let mut web = web();
    if let Some(container) = &mut web.container {
        container.labels.clear();
        container.service = None;
    }
    check("{ not = { label = 'x' } }", &web, None);
    check("{ not = { service = 'web' } }", &web, None);
    check("{ label = 'tier' }", &web, Some(PassedOver::From));
}

#[test]
fn protocols_and_ports_are_those_of_the_destination() {
    let (web, outside) = (web(), plain(EndKind::External, "9.9.9.9"));
    let check = |line: &str, protocol: Protocol, port: Option<u16>, expected: Option<PassedOver>| {
        let policy = policy(&with(line));
        let found = policy.rules()[0].passed_over(&web.party(), &outside.party(), protocol, port);
        assert_eq!(found, expected, "{line}");
    };
    check("protocol = 'tcp'", Protocol::TCP, Some(1), None);
    check("protocol = ['udp', 6]", Protocol::TCP, None, None);
    check("protocol = 'udp'", Protocol::TCP, Some(1), Some(PassedOver::Protocol));
    check("protocol = 'icmpv6'", Protocol::ICMPV6, None, None);
    check("protocol = '47'", Protocol(47), None, None);
    check("ports = 443", Protocol::UDP, Some(443), None);
    check("ports = [80, '8000-8100']", Protocol::TCP, Some(8100), None);
    check("ports = [80, '8000-8100']", Protocol::TCP, Some(8101), Some(PassedOver::Ports));
    check("ports = '1-65535'", Protocol::TCP, None, Some(PassedOver::NoPort));
}

#[test]
fn the_first_rule_that_matches_decides_and_without_one_none() {
    let policy = policy(
        "[[rule]]\nname = 'a'\naction = 'allow'\nto = { external = true }\nports = 443\n
         [[rule]]\nname = 'b'\naction = 'report'\nseverity = 'info'\ncomment = 'why'\nto = { external = true }\n
         [[rule]]\nname = 'c'\naction = 'deny'\nfrom = { host = true }\n",
    );
    let (web, outside, host) =
        (web(), plain(EndKind::External, "9.9.9.9"), plain(EndKind::Host, "172.18.0.1"));
    let decide = |to: &Who, port| policy.decide(&web.party(), &to.party(), Protocol::TCP, Some(port));
    assert_eq!(decide(&outside, 443).map(|rule| rule.name.as_str()), Some("a"));
    let second = decide(&outside, 80).unwrap();
    assert_eq!((second.name.as_str(), second.line), ("b", 7));
    assert_eq!((second.action, second.severity), (Action::Report, Some(Severity::Info)));
    assert_eq!(second.comment, Some(SafeText::new("why")));
    assert!(decide(&host, 443).is_none());
}

#[test]
fn a_finding_is_accepted_through_its_last_day() {
    let policy = policy(
        "[[accept]]\nrule = 'cross-network'\nfrom = { service = 'web' }\nports = 80\nuntil = 2027-01-31\n
         [[accept]]\nrule = ['host-mode', 'egress']\nfrom = { service = 'web' }\nuntil = '2027-01-31'\ncomment = 'old'\n",
    );
    let (web, other) = (web(), plain(EndKind::External, "9.9.9.9"));
    // The first moment of 2027-02-01 in UTC.
    const FEBRUARY: WallTime = WallTime(1_801_440_000_000_000_000);
    const BEFORE: WallTime = WallTime(FEBRUARY.0 - 1);
    let accepted = |rule: &str, port, now| {
        let found = policy.accepted(rule, &web.party(), &other.party(), Protocol::TCP, Some(port), now);
        found.map(|accept| accept.line)
    };
    assert_eq!(accepted("cross-network", 80, BEFORE), Some(1));
    assert_eq!(accepted("cross-network", 80, FEBRUARY), None);
    assert_eq!(accepted("cross-network", 81, WallTime(0)), None);
    assert_eq!(accepted("egress", 81, WallTime(0)), Some(7));
    assert_eq!(accepted("linked", 80, WallTime(0)), None);
    let standing = |rule: &str, who: &Who, now| {
        policy.accepted_standing(rule, &who.party(), now).map(|accept| accept.comment.clone())
    };
    assert_eq!(standing("host-mode", &web, BEFORE), Some(Some(SafeText::new("old"))));
    assert_eq!(standing("host-mode", &web, FEBRUARY), None);
    assert_eq!(standing("host-mode", &other, BEFORE), None);
    assert_eq!(standing("cross-network", &web, BEFORE), None, "it asks for ports");
    assert!(policy.accepts()[0].is_over(FEBRUARY));
    assert_eq!(policy.accepts()[0].until.as_str(), "2027-01-31");
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_place() {
    check_mistakes(
        "[[rule]]\nname = \"a b\"\nacton = \"deny\"\nform = { service = \"web\" }\n\n[[rule]]\nname = \"x\"\naction = \"block\"\nto = { contaner = \"db\" }\nports = \"http\"\n\n[[accept]]\nrule = \"y\"\nuntil = 2027\n",
        &[
            "1:1: a rule has no `action`; expected `action = \"allow\", \"deny\" or \"report\"`",
            "2:8: `name` is the text \"a b\"; expected letters, digits, `-`, `_` and `.`, at most 64",
            "3:1: unknown key `acton` in a rule; expected `action`",
            "4:1: unknown key `form` in a rule; expected `from`",
            "8:10: `action` is the text \"block\"; expected `allow`, `deny` or `report`",
            "9:8: unknown key `contaner` in to; expected `container`",
            "10:9: `ports` has the text \"http\"; expected ports from 1 to 65535, such as 443, \"8000-8100\" or a list of them",
            "13:8: there is no rule `y`; expected the name of a rule of this file or of a built-in one, or a list of them",
            "14:9: `until` is the number 2027; expected a day such as 2027-01-31",
        ],
    );
}

#[test]
fn what_was_meant_is_said_where_it_can_be_told() {
    let check = |line: &str, expected: &str| check_mistakes(&with(line), &[expected]);
    check(
        "from = 'web'",
        "4:8: `from` is the text \"web\", which does not say of what; expected { container = … } or { service = … }",
    );
    check(
        "to = 'outside'",
        "4:6: `to` is the text \"outside\", which does not say of what; expected { external = true }",
    );
    check(
        "to = { cidr = '10.1.2.3/8' }",
        "4:15: 10.1.2.3 is inside of the subnet 10.0.0.0/8; expected \"10.0.0.0/8\" or \"10.1.2.3\"",
    );
    check(
        "to = { cidr = 'fd00::1/0' }",
        "4:15: fd00::1 is inside of the subnet ::/0; expected \"::/0\" or \"fd00::1\"",
    );
    check("ports = '90-80'", "4:9: a range of ports from 90 down to 80; expected \"80-90\"");
    check(
        "protocol = 'icmp'\nports = 1",
        "5:9: icmp has no ports; expected no `ports`, or a rule of its own",
    );
    check("protocol = 'tpc'", "4:12: `protocol` is the text \"tpc\"; expected `tcp`");
    check("severity = 'crticial'", "4:12: `severity` is the text \"crticial\"; expected \"critical\"");
    check(
        "to = { host = true, service = 'x' }",
        "4:6: no end fits both `service` and `host`; expected a list for one or the other: [{ … }, { … }]",
    );
    check("to = { host = 'yes' }", "4:15: `host` is the text \"yes\"; expected `true` or `false`");
    check(
        "to = { not = { not = { host = true } } }",
        "4:22: `not` inside `not`; expected what it comes to, without either",
    );
    check("comment = 5", "4:11: `comment` is the number 5; expected a text");
}

#[test]
fn names_are_given_once_and_not_to_built_in_rules() {
    let rule = |name: &str| format!("[[rule]]\nname = '{name}'\naction = 'deny'\nto = {{ host = true }}\n");
    check_mistakes(
        &(rule("a") + &rule("a")),
        &["6:8: a second rule `a`, after the one in line 2; expected a name of its own"],
    );
    check_mistakes(
        &rule("egress"),
        &["2:8: `egress` is the name of a built-in rule; expected a name of its own"],
    );
    check_mistakes(
        "[[accept]]\nrule = 'cros-network'\nuntil = 2027-01-31\n",
        &["2:8: there is no rule `cros-network`; expected \"cross-network\""],
    );
}

#[test]
fn a_rule_after_one_that_matches_everything_is_a_mistake() {
    check_mistakes(
        "[[rule]]\nname = 'all'\naction = 'deny'\n[[rule]]\nname = 'late'\naction = 'allow'\nto = { host = true }\n",
        &["4:1: never reached: rule `all` in line 1 matches everything; expected this rule before that one"],
    );
    assert_eq!(policy("[[rule]]\nname = 'all'\naction = 'deny'\n").rules().len(), 1);
}

#[test]
fn what_is_no_toml_is_told_without_guesses_about_the_rest() {
    let told = mistakes(
        "[[rule]]\nname = \naction = 'deny'\n[[accept]]\nrule = 'later'\nuntil = 2027-01-31\nx = 'a\n",
    );
    assert!(told.iter().any(|line| line.starts_with("2:8: ")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("7:")), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("has no `name`") || line.contains("no rule")), "{told:?}");
}

#[test]
fn columns_count_characters_and_what_is_quoted_is_made_safe() {
    let told = mistakes("'日本' = 1\n\"\\u001b[2J\" = 2\n");
    assert!(told.iter().any(|line| line.starts_with("1:1: unknown key `日本`")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("2:1: unknown key `\\u{1b}[2J`")), "{told:?}");
    check_mistakes(
        "rule = [ {name='é', x=1} ]",
        &[
            "1:10: a rule has no `action`; expected `action = \"allow\", \"deny\" or \"report\"`",
            "1:16: `name` is the text \"é\"; expected letters, digits, `-`, `_` and `.`, at most 64",
            "1:21: unknown key `x` in a rule; expected `name`, `action`, `from`, `to`, `protocol`, `ports`, `severity` or `comment`",
        ],
    );
}

#[test]
fn nothing_is_a_policy_too() {
    assert!(policy("").rules().is_empty() && policy("# nothing yet\r\n").accepts().is_empty());
}

#[test]
fn the_example_is_a_policy() {
    let policy = policy(include_str!("../../../../examples/policy.toml"));
    assert!(policy.rules().len() > 3 && !policy.accepts().is_empty());
}

#[test]
fn a_file_is_bounded_in_every_direction() {
    let one = |text: &str, expected: &str| {
        let told = mistakes(text);
        assert!(told.iter().any(|line| line.contains(expected)), "{expected}: {:?}", told.first());
        assert!(told.len() <= 1_001, "{}", told.len());
    };
    one(&"#".repeat(MOST_BYTES + 1), "larger than 1 MiB");
    let many: String = (0..=MOST_ENTRIES)
        .map(|number| format!("[[rule]]\nname = 'r{number}'\naction = 'deny'\nports = 1\n"))
        .collect();
    one(&many, "4097 entries `[[rule]]`; expected at most 4096");
    one(&with(&format!("ports = [{}]", "1,".repeat(65))), "`ports` has 65 values");
    one(&with(&format!("to = {{ container = '{}' }}", "*a".repeat(200))), "longer than 256 characters");
    one(&with(&format!("comment = '{}'", "x".repeat(1_000_000))), "longer than 256 characters");
    one(&(0..50_000).map(|number| format!("k{number} = 1\n")).collect::<String>(), "49000 more mistakes");
    one(&"=\n".repeat(50_000), "more mistakes");
    one(&format!("x = {}", "[".repeat(1_000_000)), "");
    one(&format!("x = {}", "{x=".repeat(300_000)), "");
    one(&"a.".repeat(500_000), "");
    let names: String = (0..3_000).map(|number| format!("'no-rule-with-a-name-{number}',")).collect();
    one(&format!("[[accept]]\nuntil = 2027-01-31\nrule = [{names}]\n"), "`rule` has 3000 values");
}

#[test]
fn bytes_that_are_no_text_are_told_by_their_place() {
    let told = Policy::read(b"[[rule]]\nname = \"\xff\"\n").unwrap_err();
    assert_eq!(
        told.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["2:9: bytes that are no UTF-8; expected text in UTF-8"]
    );
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "[\\[\\]{}=.,\"'\n ruleactpnmf0-9*é#\\\\]{0,200}") {
        let _ = Policy::read(text.as_bytes());
    }

    #[test]
    fn no_damage_to_a_policy_breaks_the_reader(at in 0_usize..2_000, with in any::<[u8; 3]>()) {
        let mut content = include_bytes!("../../../../examples/policy.toml").to_vec();
        let at = at % content.len();
        content.splice(at..(at + 1), with);
        if let Err(mistakes) = Policy::read(&content) {
            prop_assert!(!mistakes.is_empty());
            let lines = content.split(|byte| *byte == b'\n').count();
            prop_assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line)));
        }
    }
}

/// The same of an end on another node of a swarm, and of one of which nobody told who it is.
#[track_caller]
fn check_elsewhere(description: &str, swarm: InSwarm<'_>, expected: Option<PassedOver>) {
    let policy = policy(&with(&format!("from = {description}")));
    let outside = plain(EndKind::External, "10.0.1.8");
    let network = NetworkRef {
        id: NetworkId::new("n").unwrap(),
        name: SafeText::new("shop_mesh"),
        driver: NetworkDriver::Overlay,
    };
    let networks = if swarm == InSwarm::Unnamed { &[][..] } else { std::slice::from_ref(&network) };
    let from = Party { swarm, networks, ..outside.party() };
    let found = policy.rules()[0].passed_over(&from, &outside.party(), Protocol::TCP, Some(80));
    assert_eq!(found, expected, "{description}");
}

#[test]
fn a_task_on_another_node_is_chosen_by_what_the_swarm_tells_and_by_nothing_that_it_does_not() {
    let address = "10.0.1.8".parse().unwrap();
    let (service, name) = (Some(SafeText::new("shop_db")), Some(SafeText::new("shop_db.1.abc")));
    let task = SwarmMember { address, kind: SwarmKind::Task, service, name, node: None, mac: None };
    let virtual_ip = SwarmMember { kind: SwarmKind::VirtualIp, name: None, ..task.clone() };
    let balancer = SwarmMember { kind: SwarmKind::LoadBalancer, service: None, ..virtual_ip.clone() };
    let [task, virtual_ip, balancer] = [&task, &virtual_ip, &balancer].map(InSwarm::Member);
    for fits in ["{ service = 'shop_*' }", "{ network = 'shop_mesh' }", "{ external = true }"] {
        check_elsewhere(fits, task, None);
        check_elsewhere(fits, virtual_ip, None);
    }
    check_elsewhere("{ container = 'shop_db.1.*' }", task, None);
    for fits_not in ["{ service = 'web' }", "{ container = 'web' }", "{ not = { service = 'shop_db' } }"] {
        check_elsewhere(fits_not, task, Some(PassedOver::From));
    }
    let unknown = Some(PassedOver::FromUnknown);
    for unknown_of_task in
        ["{ project = 'shop' }", "{ image = 'db' }", "{ label = 'a' }", "{ network = 'x' }"]
    {
        check_elsewhere(unknown_of_task, task, unknown);
    }
    check_elsewhere("{ container = 'shop_db.1.*' }", virtual_ip, unknown);
    for of_nobody_known in ["{ service = 'shop_db' }", "{ not = { service = 'web' } }", "{ container = 'x' }"]
    {
        check_elsewhere(of_nobody_known, balancer, unknown);
        check_elsewhere(of_nobody_known, InSwarm::Unnamed, unknown);
    }
}
