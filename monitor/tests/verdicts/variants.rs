//! The rows again with other protocols and address families: what differs by them is recorded too.

use crate::matrix::{Expect, Row, Rules, attempt, datagrams};
use crate::{ICMP, TCP, UDP, broken, crossing, violation};
use anyhow::{Result, ensure};

const ICMP_6: &str = "ipv6-icmp";
/// The networks of IPv6 rows; other than those of `six`, which may not be gone yet.
const SUBNETS: [[&str; 3]; 2] =
    [["--ipv6", "--subnet", "fd00:76:3::/64"], ["--ipv6", "--subnet", "fd00:76:4::/64"]];

/// What a container sends to an address, whether it works or not.
fn send(protocol: &str, to: &str) -> Vec<String> {
    let words: &[&str] = match protocol {
        TCP => &["nc", "-z", "-w1", to, "80"],
        UDP => return vec!["sh".to_owned(), "-c".to_owned(), format!("echo hello | nc -u -w1 {to} 7")],
        _ => &["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", to],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Two networks with `options` and rules between them: `{a}` and `{b}` are their bridges.
fn check_between(
    name: &str,
    options: [&[&str]; 2],
    rules: &[(&'static str, &str)],
    protocol: &str,
    expected: Expect<'_>,
) -> Result<()> {
    let row = Row::new(name)?;
    let nets = [row.network("a", options[0])?, row.network("b", options[1])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let mut made = Rules::new();
    for (program, words) in rules {
        made.insert(program, &words.replace("{a}", &nets[0].bridge).replace("{b}", &nets[1].bridge))?;
    }
    let watched = row.watch()?;
    let to = if options[1].contains(&"--ipv6") { b.ipv6_address(&nets[1])? } else { b.address(&nets[1])? };
    let words = send(protocol, &to);
    attempt(&a, &words.iter().map(String::as_str).collect::<Vec<_>>());
    watched.must_tell(&[expected]).map(drop)
}

/// One network with `options` and a rule inside it.
fn check_within(
    name: &str,
    options: &[&str],
    rule: Option<(&'static str, &str)>,
    protocol: &str,
    expected: &[Expect<'_>],
) -> Result<()> {
    let row = Row::new(name)?;
    let net = row.network("net", options)?;
    let (a, b) = (row.container("a", &net, &[])?, row.server("b", &net, &[])?);
    let mut made = Rules::new();
    if let Some((program, words)) = rule {
        made.insert(program, &words.replace("{a}", &net.bridge))?;
    }
    let watched = row.watch()?;
    let to = if options.contains(&"--ipv6") { b.ipv6_address(&net)? } else { b.address(&net)? };
    let words = send(protocol, &to);
    attempt(&a, &words.iter().map(String::as_str).collect::<Vec<_>>());
    watched.must_tell(expected).map(drop)
}

const ENDS: [&str; 2] = ["a", "b"];
const LET_THROUGH: [(&str, &str); 2] = [
    ("iptables", "DOCKER-USER -i {a} -o {b} -j ACCEPT"),
    ("iptables", "DOCKER-USER -i {b} -o {a} -j ACCEPT"),
];
const ONE_WAY: [(&str, &str); 2] =
    [("iptables", "DOCKER-USER -i {a} -o {b} -j ACCEPT"), ("iptables", "DOCKER-USER -i {b} -o {a} -j DROP")];
const NO_ICC: &[&str] = &["--opt", "com.docker.network.bridge.enable_icc=false"];

#[test]
fn udp_that_an_operator_lets_through() -> Result<()> {
    let expected = violation("cross-network", "answered", ENDS, UDP);
    check_between("throughudp", [&[], &[]], &LET_THROUGH, UDP, expected)
}

#[test]
fn pings_that_an_operator_lets_through() -> Result<()> {
    let expected = violation("cross-network", "answered", ENDS, ICMP);
    check_between("throughicmp", [&[], &[]], &LET_THROUGH, ICMP, expected)
}

#[test]
fn a_udp_reply_that_is_dropped_was_still_sent() -> Result<()> {
    let expected = violation("cross-network", "answered", ENDS, UDP);
    check_between("onewayudp", [&[], &[]], &ONE_WAY, UDP, expected)
}

#[test]
fn a_ping_reply_that_is_dropped_was_still_sent() -> Result<()> {
    let expected = violation("cross-network", "answered", ENDS, ICMP);
    check_between("onewayicmp", [&[], &[]], &ONE_WAY, ICMP, expected)
}

#[test]
fn a_ping_that_is_rejected_is_blocked() -> Result<()> {
    let reject = [("iptables", "DOCKER-USER -i {a} -o {b} -p icmp -j REJECT")];
    let expected = violation("cross-network", "blocked", ENDS, ICMP);
    check_between("rejecticmp", [&[], &[]], &reject, ICMP, expected)
}

#[test]
fn tcp_between_ipv6_networks() -> Result<()> {
    let expected = violation("cross-network", "answered", ENDS, TCP);
    check_between("sixtcp", [&SUBNETS[0], &SUBNETS[1]], &[], TCP, expected).map(drop)
}

#[test]
fn udp_that_an_internal_network_lets_not_out() -> Result<()> {
    let expected = violation("cross-network", "blocked", ENDS, UDP);
    check_between("internaludp", [&["--internal"], &[]], &[], UDP, expected)
}

#[test]
fn pings_that_an_internal_network_lets_not_out() -> Result<()> {
    let expected = violation("cross-network", "blocked", ENDS, ICMP);
    check_between("internalicmp", [&["--internal"], &[]], &[], ICMP, expected)
}

#[test]
fn ipv6_that_a_rule_keeps_apart() -> Result<()> {
    let drop = [("ip6tables", "FORWARD -i {a} -o {b} -j DROP")];
    let expected = violation("cross-network", "blocked", ENDS, ICMP_6);
    check_between("sixdrop", [&SUBNETS[0], &SUBNETS[1]], &drop, ICMP_6, expected)
}

#[test]
fn ipv6_within_one_network() -> Result<()> {
    check_within("sixsame", &SUBNETS[0], None, TCP, &[])
}

#[test]
fn udp_where_containers_may_not_talk() -> Result<()> {
    check_within("iccudp", NO_ICC, None, UDP, &[violation("icc-disabled", "blocked", ENDS, UDP)])
}

#[test]
fn pings_where_containers_may_not_talk() -> Result<()> {
    check_within("iccicmp", NO_ICC, None, ICMP, &[violation("icc-disabled", "blocked", ENDS, ICMP)])
}

#[test]
fn a_rule_in_the_way_of_udp() -> Result<()> {
    let rule = ("iptables", "DOCKER-USER -i {a} -o {a} -p udp --dport 7 -j DROP");
    check_within("insideudp", &[], Some(rule), UDP, &[broken("blocked", ENDS, UDP)])
}

#[test]
fn a_rule_in_the_way_of_pings() -> Result<()> {
    let rule = ("iptables", "DOCKER-USER -i {a} -o {a} -p icmp -j DROP");
    check_within("insideicmp", &[], Some(rule), ICMP, &[broken("blocked", ENDS, ICMP)])
}

#[test]
fn the_host_over_tcp_and_a_ping() -> Result<()> {
    let row = Row::new("hosttcp")?;
    let net = row.network("a", &[])?;
    let a = row.container("a", &net, &[])?;
    let gateway = net.gateway()?;
    let watched = row.watch()?;
    a.exec(&["ping", "-q", "-c", "1", "-W", "1", &gateway])?;
    let found = |protocol| crossing("host-access", "answered", ["a", "host"], protocol);
    // Nobody listens there: the host answers with a reset.
    attempt(&a, &["nc", "-z", "-w1", &gateway, "9"]);
    watched.must_tell(&[found(ICMP), found(TCP)]).map(drop)
}

#[test]
fn a_scan_that_is_small_enough_to_keep() -> Result<()> {
    let row = Row::new("scanfew")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.container("b", &nets[1], &[])?);
    let watched = row.watch()?;
    let ports: Vec<u16> = (1..=40).collect();
    datagrams(&a, &b.address(&nets[1])?, 0, &ports)?;
    let found = watched.must_tell(&[violation("cross-network", "blocked", ENDS, UDP)])?;
    ensure!(found[0]["port_count"] == 40, "{}", found[0]);
    Ok(())
}
