//! The matrix: set-ups of real Docker networks, real traffic, and exactly the findings that must come of it.
//!
//! Needs root, Docker, iptables and the images.

mod controls;
mod engine;
mod forgery;
mod matrix;
mod outside;
mod quiet;
mod recorded;
mod shared;
mod translated;
mod variants;

use anyhow::{Context, Result, ensure};
use lab::{Container, Network, Vethwatch, image, kernel_counter};
use matrix::{Expect, Row, Rules, attempt};
use serde_json::Value;
use std::time::Duration;

const TCP: &str = "tcp";
const UDP: &str = "udp";
const ICMP: &str = "icmp";

fn violation<'a>(
    rule: &'a str,
    outcome: &'a str,
    [source, destination]: [&'a str; 2],
    protocol: &'a str,
) -> Expect<'a> {
    Expect { kind: "violation", rule, outcome, source, destination, protocol }
}

fn broken<'a>(outcome: &'a str, [source, destination]: [&'a str; 2], protocol: &'a str) -> Expect<'a> {
    Expect { kind: "broken", rule: "same-network", outcome, source, destination, protocol }
}

fn crossing<'a>(
    rule: &'a str,
    outcome: &'a str,
    [source, destination]: [&'a str; 2],
    protocol: &'a str,
) -> Expect<'a> {
    Expect { kind: "crossing", rule, outcome, source, destination, protocol }
}

#[test]
fn within_one_network_nothing_is_found() -> Result<()> {
    let row = Row::new("same")?;
    let net = row.network("net", &[])?;
    let (a, b) = (row.container("a", &net, &[])?, row.server("b", &net, &[])?);
    let watched = row.watch()?;
    let to = b.address(&net)?;
    a.exec(&["ping", "-q", "-c", "3", "-i", "0.1", &to])?;
    a.exec(&["curl", "-sS", "-o", "/dev/null", &format!("http://{to}:80/passwd")])?;
    a.exec(&["sh", "-c", &format!("echo hello | nc -u -w1 {to} 7")])?;
    // A closed port refuses: nothing is broken.
    attempt(&a, &["nc", "-z", "-w1", &to, "4444"]);
    watched.must_tell(&[]).map(drop)
}

#[test]
fn two_networks_are_kept_apart() -> Result<()> {
    let row = Row::new("apart")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let watched = row.watch()?;
    let to = b.address(&nets[1])?;
    attempt(&a, &["nc", "-z", "-w1", &to, "80"]);
    attempt(&a, &["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", &to]);
    attempt(&a, &["sh", "-c", &format!("echo hello | nc -u -w1 {to} 7")]);
    let ends = ["a", "b"];
    let found = watched.must_tell(&[
        violation("cross-network", "blocked", ends, TCP),
        violation("cross-network", "blocked", ends, UDP),
        violation("cross-network", "blocked", ends, ICMP),
    ])?;
    for finding in &found {
        ensure!(finding["drop_reason"] == "NETFILTER_DROP", "{finding}");
        ensure!(finding["severity"] == "warning", "{finding}");
    }
    ensure!(found[0]["ports"] == serde_json::json!([80]), "{}", found[0]);
    ensure!(found[2]["counts"]["packets"] == 2, "{}", found[2]);
    Ok(())
}

#[test]
fn what_an_operator_lets_through_is_delivered_and_answered() -> Result<()> {
    let row = Row::new("through")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let mut rules = Rules::new();
    for (from, to) in [(&nets[0], &nets[1]), (&nets[1], &nets[0])] {
        rules.insert("iptables", &format!("DOCKER-USER -i {} -o {} -j ACCEPT", from.bridge, to.bridge))?;
    }
    let watched = row.watch()?;
    let to = b.address(&nets[1])?;
    a.exec(&["curl", "-sS", "-o", "/dev/null", &format!("http://{to}:80/passwd")])?;
    let found = watched.must_tell(&[violation("cross-network", "answered", ["a", "b"], TCP)])?;
    ensure!(found[0]["severity"] == "critical", "{}", found[0]);
    Ok(())
}

#[test]
fn a_reply_that_is_dropped_was_still_sent() -> Result<()> {
    let row = Row::new("oneway")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let mut rules = Rules::new();
    rules
        .insert("iptables", &format!("DOCKER-USER -i {} -o {} -j ACCEPT", nets[0].bridge, nets[1].bridge))?;
    rules.insert("iptables", &format!("DOCKER-USER -i {} -o {} -j DROP", nets[1].bridge, nets[0].bridge))?;
    let watched = row.watch()?;
    attempt(&a, &["nc", "-z", "-w1", &b.address(&nets[1])?, "80"]);
    watched.must_tell(&[violation("cross-network", "answered", ["a", "b"], TCP)]).map(drop)
}

#[test]
fn a_reject_is_a_block_although_the_source_sees_an_answer() -> Result<()> {
    let row = Row::new("reject")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let mut rules = Rules::new();
    let (from, to) = (&nets[0].bridge, &nets[1].bridge);
    rules.insert("iptables", &format!("DOCKER-USER -i {from} -o {to} -p udp -j REJECT"))?;
    rules.insert(
        "iptables",
        &format!("DOCKER-USER -i {from} -o {to} -p tcp -j REJECT --reject-with tcp-reset"),
    )?;
    let watched = row.watch()?;
    let address = b.address(&nets[1])?;
    attempt(&a, &["nc", "-z", "-w1", &address, "80"]);
    attempt(&a, &["sh", "-c", &format!("echo hello | nc -u -w1 {address} 7")]);
    let ends = ["a", "b"];
    let found = watched.must_tell(&[
        violation("cross-network", "blocked", ends, TCP),
        violation("cross-network", "blocked", ends, UDP),
    ])?;
    ensure!(found.iter().all(|finding| finding["severity"] == "warning"), "{found:?}");
    Ok(())
}

#[test]
fn the_address_that_is_used_decides() -> Result<()> {
    let row = Row::new("used")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let a = row.container("a", &nets[0], &[])?;
    let both = row.server("both", &nets[0], &[])?;
    both.connect(&nets[1])?;
    let watched = row.watch()?;
    // By the shared network it may, by the other it may not.
    a.exec(&["nc", "-z", "-w1", &both.address(&nets[0])?, "80"])?;
    attempt(&a, &["nc", "-z", "-w1", &both.address(&nets[1])?, "80"]);
    watched.must_tell(&[violation("cross-network", "blocked", ["a", "both"], TCP)]).map(drop)
}

#[test]
fn a_network_without_inter_container_communication() -> Result<()> {
    let row = Row::new("icc")?;
    let net = row.network("net", &["--opt", "com.docker.network.bridge.enable_icc=false"])?;
    let (a, b) = (row.container("a", &net, &[])?, row.server("b", &net, &[])?);
    let watched = row.watch()?;
    attempt(&a, &["nc", "-z", "-w1", &b.address(&net)?, "80"]);
    watched.must_tell(&[violation("icc-disabled", "blocked", ["a", "b"], TCP)]).map(drop)
}

#[test]
fn an_internal_network_lets_nothing_out() -> Result<()> {
    let row = Row::new("internal")?;
    let nets = [row.network("in", &["--internal"])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let gateway = nets[0].gateway()?;
    let watched = row.watch()?;
    attempt(&a, &["nc", "-z", "-w1", &b.address(&nets[1])?, "80"]);
    a.exec(&["ping", "-q", "-c", "1", "-W", "1", &gateway])?;
    watched
        .must_tell(&[
            violation("cross-network", "blocked", ["a", "b"], TCP),
            crossing("host-access", "answered", ["a", "host"], ICMP),
        ])
        .map(drop)
}

#[test]
fn addresses_of_the_host_are_crossings() -> Result<()> {
    let row = Row::new("host")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let a = row.container("a", &nets[0], &[])?;
    let _b = row.container("b", &nets[1], &[])?;
    let gateways = [nets[0].gateway()?, nets[1].gateway()?];
    let watched = row.watch()?;
    for gateway in &gateways {
        a.exec(&["ping", "-q", "-c", "1", "-W", "1", gateway])?;
    }
    watched.must_tell(&[crossing("host-access", "answered", ["a", "host"], ICMP)]).map(drop)
}

#[test]
fn ipv6_networks_are_not_kept_apart_here() -> Result<()> {
    let row = Row::new("six")?;
    let nets = [
        row.network("a", &["--ipv6", "--subnet", "fd00:76:1::/64"])?,
        row.network("b", &["--ipv6", "--subnet", "fd00:76:2::/64"])?,
    ];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let watched = row.watch()?;
    let to = b.ipv6_address(&nets[1])?;
    a.exec(&["ping", "-6", "-q", "-c", "2", "-i", "0.2", "-W", "1", &to])?;
    let found = watched.must_tell(&[violation("cross-network", "answered", ["a", "b"], "ipv6-icmp")])?;
    let explanation = found[0]["explanation"].as_str().unwrap_or_default();
    ensure!(explanation.contains("does not isolate IPv6"), "{explanation}");
    Ok(())
}

#[test]
fn ipv6_is_judged_as_ipv4_is() -> Result<()> {
    let row = Row::new("sixes")?;
    let prefix = format!("fd00:77:{:x}", std::process::id() & 0xffff);
    let nets = [
        row.network("a", &["--ipv6", "--subnet", &format!("{prefix}:1::/80")])?,
        row.network("b", &["--ipv6", "--subnet", &format!("{prefix}:2::/80")])?,
    ];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let near = row.server("near", &nets[0], &[])?;
    let mut rules = Rules::new();
    let (from, to) = (&nets[0].bridge, &nets[1].bridge);
    rules.insert("ip6tables", &format!("FORWARD -i {from} -o {to} -p udp --dport 7 -j DROP"))?;
    let (allowed, forbidden) = (near.ipv6_address(&nets[0])?, b.ipv6_address(&nets[1])?);
    let watched = row.watch()?;
    for to in [&allowed, &forbidden] {
        a.exec(&["python3", "-c", CONNECT_SIX, to])?;
        a.exec(&["sh", "-c", &format!("echo hello | nc -6 -u -w1 {to} 7")])?;
    }
    a.exec(&["ping", "-6", "-q", "-c", "1", "-W", "1", &allowed])?;
    let ends = ["a", "b"];
    watched
        .must_tell(&[
            violation("cross-network", "answered", ends, TCP),
            violation("cross-network", "blocked", ends, UDP),
        ])
        .map(drop)
}

/// The server listens on IPv4 alone, so its kernel answers with a refusal.
const CONNECT_SIX: &str = "import socket, sys\ns = socket.socket(socket.AF_INET6)\ns.settimeout(1)\n\
    s.connect_ex((sys.argv[1], 80))";

#[test]
fn a_flood_of_connections_is_one_finding_with_every_packet() -> Result<()> {
    let row = Row::new("flood")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.container("b", &nets[1], &[])?);
    let watched = row.watch()?;
    a.exec(&["python3", "-c", SYN_FLOOD, &a.address(&nets[0])?, &b.address(&nets[1])?])?;
    let found = watched.must_tell(&[violation("cross-network", "blocked", ["a", "b"], TCP)])?;
    ensure!(found[0]["counts"]["packets"] == 20_000, "{}", found[0]);
    ensure!(found[0]["ports"] == serde_json::json!([80]), "{}", found[0]);
    Ok(())
}

/// Sends 20,000 SYNs to port 80, each from a port of its own. The checksum of TCP is left to nobody: none arrives.
const SYN_FLOOD: &str = "import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
s.bind((sys.argv[1], 0))
for port in range(10000, 30000):
    s.sendto(struct.pack('!HHIIBBHHH', port, 80, 1, 0, 0x50, 2, 1024, 0, 0), (sys.argv[2], 0))
";

#[test]
fn connecting_makes_it_allowed_and_disconnecting_ends_that() -> Result<()> {
    let row = Row::new("connect")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let watched = row.watch()?;
    a.connect(&nets[1])?;
    let to = b.address(&nets[1])?;
    // With its whole answer: nothing of it may be on its way when the network is left.
    a.exec(&["curl", "-sS", "-o", "/dev/null", &format!("http://{to}/")])?;
    a.disconnect(&nets[1])?;
    let before = kernel_counter(a.pid()?, "snmp", "RetransSegs")?;
    attempt(&a, &["nc", "-z", "-w1", &to, "80"]);
    // On a busy machine it may end late, and its kernel tries once more.
    let most = 1 + kernel_counter(a.pid()?, "snmp", "RetransSegs")? - before;
    let found = watched.must_tell(&[violation("cross-network", "blocked", ["a", "b"], TCP)])?;
    let packets = found[0]["counts"]["packets"].as_u64();
    ensure!(Some(1) <= packets && packets <= Some(most), "at most {most}: {}", found[0]);
    Ok(())
}

#[test]
fn a_port_scan_is_one_finding() -> Result<()> {
    let row = Row::new("scan")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.container("b", &nets[1], &[])?);
    let watched = row.watch()?;
    let scan = format!(
        "import socket\nfor port in range(1, 10001):\n s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n \
         s.sendto(b'x', ('{}', port))\n s.close()",
        b.address(&nets[1])?
    );
    a.exec(&["python3", "-c", &scan])?;
    let found = watched.must_tell(&[violation("cross-network", "blocked", ["a", "b"], UDP)])?;
    ensure!(found[0]["port_count"] == 10_000, "{}", found[0]);
    ensure!(found[0]["ports"].as_array().is_some_and(|ports| ports.len() == 16), "{}", found[0]);
    Ok(())
}

#[test]
fn broadcast_and_multicast_are_nobodys_violation() -> Result<()> {
    let row = Row::new("many")?;
    let net = row.network("net", &[])?;
    let (a, _b) = (row.container("a", &net, &[])?, row.container("b", &net, &[])?);
    let watched = row.watch()?;
    let send = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n\
        s.sendto(b'x', ('255.255.255.255', 67))\ns.sendto(b'x', ('224.0.0.251', 5353))";
    a.exec(&["python3", "-c", send])?;
    watched.must_tell(&[]).map(drop)
}

#[test]
fn a_rule_in_the_way_inside_one_network_is_broken() -> Result<()> {
    let row = Row::new("inside")?;
    let net = row.network("net", &[])?;
    let (a, b) = (row.container("a", &net, &[])?, row.server("b", &net, &[])?);
    let mut rules = Rules::new();
    rules.insert("iptables", &format!("DOCKER-USER -i {0} -o {0} -p tcp --dport 80 -j DROP", net.bridge))?;
    let watched = row.watch()?;
    attempt(&a, &["nc", "-z", "-w1", &b.address(&net)?, "80"]);
    let found = watched.must_tell(&[broken("blocked", ["a", "b"], TCP)])?;
    ensure!(found[0]["drop_reason"] == "NETFILTER_DROP", "{}", found[0]);
    Ok(())
}

#[test]
fn a_published_port_is_a_crossing_from_another_network_and_nothing_from_the_host() -> Result<()> {
    let row = Row::new("publish")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let a = row.container("a", &nets[0], &[])?;
    let b = row.server("b", &nets[1], &["--publish", "80"])?;
    let port = b.published_port("80/tcp")?;
    let gateway = nets[0].gateway()?;
    let watched = row.watch()?;
    ensure!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), "the published port does not answer");
    a.exec(&["nc", "-z", "-w1", &gateway, &port.to_string()])?;
    watched.must_tell(&[crossing("published-port", "answered", ["a", "host"], TCP)]).map(drop)
}

/// Sends one frame from the interface of `a` to `b` that is forged in some way, and says what must be found.
fn check_forged(
    name: &str,
    words: impl Fn(&Container, &Container, &Network) -> Result<Vec<String>>,
    expected: Expect<'_>,
) -> Result<Value> {
    let row = Row::new(name)?;
    let net = row.network("net", &[])?;
    let (a, b) = (row.container("a", &net, &[])?, row.server("b", &net, &[])?);
    let watched = row.watch()?;
    let words = words(&a, &b, &net)?;
    let words: Vec<&str> =
        ["send-frames", "--count", "1"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let namespace = format!("container:{}", a.id);
    let forger = watched.lab().container("forger").options(&["--network", &namespace]).run(&words)?;
    lab::wait_for("the frame to be sent", Duration::from_secs(20), || {
        Ok(forger.logs()?.contains("sent ").then_some(()))
    })?;
    let found = watched.must_tell(&[expected])?;
    ensure!(found[0]["counts"]["packets"] == 1, "{}", found[0]);
    found.into_iter().next().context("one finding")
}

fn spoofed<'a>(outcome: &'a str, destination: &'a str, protocol: &'a str) -> Expect<'a> {
    violation("spoofed-source", outcome, ["a", destination], protocol)
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

#[test]
fn a_forged_source_is_found_with_one_packet() -> Result<()> {
    let words = |_: &Container, b: &Container, net: &Network| {
        Ok(strings(["--destination-mac", &b.mac(net)?, "--from", "198.18.7.7", "--to", &b.address(net)?]))
    };
    let finding = check_forged("forged", words, spoofed("delivered", "b", UDP))?;
    ensure!(finding["source"]["address"] == "198.18.7.7", "{finding}");
    Ok(())
}

#[test]
fn a_forged_ethernet_address_is_found_with_one_packet() -> Result<()> {
    let words = |a: &Container, b: &Container, net: &Network| {
        let (mac, from, to) = (b.mac(net)?, a.address(net)?, b.address(net)?);
        let forged = "02:00:00:00:77:77";
        Ok(strings(["--source-mac", forged, "--destination-mac", &mac, "--from", &from, "--to", &to]))
    };
    check_forged("forgedmac", words, spoofed("delivered", "b", UDP)).map(drop)
}

#[test]
fn a_claim_of_the_gateways_address_is_found_with_one_packet() -> Result<()> {
    let words = |_: &Container, b: &Container, net: &Network| {
        Ok(strings(["--arp", "--from", &net.gateway()?, "--to", &b.address(net)?]))
    };
    check_forged("garp", words, spoofed("attempted", "multicast", "arp")).map(drop)
}

#[test]
fn an_operators_redirection_into_another_network_is_judged_by_where_it_leads() -> Result<()> {
    let row = Row::new("dnat")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let mut rules = Rules::new();
    let (from, to) = (&nets[0].bridge, &nets[1].bridge);
    rules.insert("iptables", &format!("DOCKER-USER -i {from} -o {to} -j ACCEPT"))?;
    rules.insert("iptables", &format!("DOCKER-USER -i {to} -o {from} -j ACCEPT"))?;
    let target = format!("{}:80", b.address(&nets[1])?);
    let dnat = format!("-t nat PREROUTING -i {from} -p tcp --dport 7000 -j DNAT --to-destination {target}");
    rules.insert("iptables", &dnat)?;
    let gateway = nets[0].gateway()?;
    let watched = row.watch()?;
    a.exec(&["nc", "-z", "-w1", &gateway, "7000"])?;
    let found = watched.must_tell(&[violation("cross-network", "answered", ["a", "b"], TCP)])?;
    ensure!(found[0]["ports"] == serde_json::json!([80]), "{}", found[0]);
    ensure!(found[0]["evidence"].to_string().contains("conntrack"), "{}", found[0]);
    Ok(())
}

#[test]
fn a_policy_file_decides_first_and_accepts_what_is_known() -> Result<()> {
    let row = Row::new("policy")?;
    let net = row.network("net", &[])?;
    let (a, b) = (row.container("a", &net, &[])?, row.server("b", &net, &[])?);
    let prefix = row.lab.prefix().to_owned();
    let policy = format!(
        "[[rule]]\nname = 'no-web'\naction = 'deny'\nfrom = {{ container = '{prefix}-a' }}\n\
         to = {{ container = '{prefix}-b' }}\nprotocol = 'tcp'\nports = [80]\ncomment = 'ask Ada'\n\n\
         [[rule]]\nname = 'no-echo'\naction = 'deny'\nfrom = {{ container = '{prefix}-a' }}\n\
         to = {{ container = '{prefix}-b' }}\nprotocol = 'udp'\n\n\
         [[accept]]\nrule = 'no-echo'\nuntil = 2099-01-01\n"
    );
    let file = std::env::temp_dir().join(format!("{prefix}.toml"));
    std::fs::write(&file, policy)?;
    let watched = row.watch_with(&["--policy", &file.to_string_lossy()]);
    let watched = watched.inspect_err(|_| drop(std::fs::remove_file(&file)))?;
    std::fs::remove_file(&file)?;
    let to = b.address(&net)?;
    a.exec(&["nc", "-z", "-w1", &to, "80"])?;
    a.exec(&["sh", "-c", &format!("echo hello | nc -u -w1 {to} 7")])?;
    let found = watched.must_tell(&[violation("no-web", "answered", ["a", "b"], TCP)])?;
    ensure!(found[0]["policy_comment"] == "ask Ada", "{}", found[0]);
    Ok(())
}

#[test]
fn a_check_fails_where_isolation_does_not_hold() -> Result<()> {
    let row = Row::new("check")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let b = row.container("b", &nets[1], &[])?;
    let to = format!("{}:9", b.address(&nets[1])?);
    let _a =
        row.lab.container("a").on(&nets[0]).run(&["udp-send", &to, "--count", "6000", "--rate", "10"])?;
    let check = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).finish(&["check", "--for", "10s"])?;
    ensure!(check.status.code() == Some(1), "{check:?}");
    ensure!(check.stdout.starts_with("# Isolation check"), "{check:?}");
    let a = format!("{}-a", row.lab.prefix());
    ensure!(
        check.stdout.lines().any(|line| line.contains("cross-network") && line.contains(&a)),
        "{check:?}"
    );
    Ok(())
}

#[test]
fn a_check_that_lost_flows_cannot_tell() -> Result<()> {
    let row = Row::new("blind")?;
    let net = row.network("net", &[])?;
    let b = row.server("b", &net, &[])?;
    let flood = format!(
        "import socket, time\nwhile True:\n for port in range(1, 1000):\n  s = socket.socket(socket.AF_INET, \
         socket.SOCK_DGRAM)\n  s.sendto(b'x', ('{}', 7))\n  s.close()\n time.sleep(0.1)",
        b.address(&net)?
    );
    let _a = row
        .lab
        .container("a")
        .image(&image::ready(image::DEBIAN)?)
        .on(&net)
        .run(&["python3", "-c", &flood])?;
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
    // With the longer tick nothing is read before the end: what was lost is told then alone.
    for tick in ["1s", "1m"] {
        let words = ["check", "--for", "3s", "--max-flows", "64", "--tick", tick];
        let check = vethwatch.finish(&words)?;
        ensure!(check.status.code() == Some(4), "{tick}: {check:?}");
        ensure!(check.stdout.contains("flow_map_full"), "{tick}: {check:?}");
    }
    Ok(())
}
