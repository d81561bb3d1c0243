//! Names over IPv6: addresses of that kind that are answered, flows to them, and a resolver that is asked there.

use crate::programs::{PATIENCE, RESOLVER, ask, vethwatch, wait_until_heard};
use anyhow::{Result, ensure};
use lab::{Lab, image, wait_for};
use serde_json::{Value, json};

/// Looks its first argument up for an IPv6 address, and opens a connection to its second there.
const CONNECT: &str = "
import socket, sys
to = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), socket.AF_INET6, socket.SOCK_STREAM)[0][4]
socket.create_connection(to[:2], 5).close()
";

#[test]
fn answers_flows_and_resolvers_of_ipv6_are_as_those_of_ipv4() -> Result<()> {
    let lab = Lab::new("six")?;
    let network = lab.network("net", &["--ipv6", "--subnet", "fd00:76:53::/64"])?;
    let debian = image::ready(image::DEBIAN)?;
    let spec = lab.container("resolver").image(&debian).on(&network).options(&["--network-alias", "api"]);
    let resolver = spec.run(&["python3", "-c", RESOLVER])?;
    let client = lab.container("client").image(&debian).on(&network).run(&["sleep", "600"])?;
    let address = resolver.ipv6_address(&network)?;
    let mut names = vethwatch().start(&["dns", "--json", "--container", &client.name])?;
    let mut flows =
        vethwatch().start(&["flows", "--json", "--tick", "200ms", "--container", &client.name])?;
    let first = || ask(&client, &address, &["ready.example"]).map(drop);
    wait_until_heard(&mut names, first, "dns")?;
    wait_until_heard(&mut flows, first, "flow")?;

    let wanted = ["six:far.example", "tcp:six:stream.example", "six:nx.example"];
    ask(&client, &address, &wanted)?;
    let found = |name: &'static str, lines: &[Value]| lines.iter().find(|line| line["name"] == name).cloned();
    for (name, transport, record_type, answers) in [
        ("far.example", "udp", "AAAA", Some(&address)),
        ("stream.example", "tcp", "AAAA", Some(&address)),
        ("nx.example", "udp", "AAAA", None),
    ] {
        let line = names.wait_for(name, PATIENCE, |lines| found(name, lines))?;
        ensure!(line["transport"] == transport && line["record_type"] == record_type, "{line}");
        ensure!(line["resolver"]["address"] == address.as_str(), "{line}");
        ensure!(line["resolver"]["container"]["id"] == *resolver.id, "{line}");
        ensure!(line["network"]["name"] == *network.name && line["latency_us"].is_u64(), "{line}");
        match answers {
            Some(answer) => ensure!(line["answers"] == json!([answer]), "{line}"),
            None => ensure!(line["rcode"] == "NXDOMAIN" && line["answers"].get(0).is_none(), "{line}"),
        }
    }
    // Who asks by its address next has the name that was asked for last.
    ask(&client, &address, &["six:last.example"])?;
    ask(&client, &address, &[])?;
    flows.wait_for("a flow that knows its name", PATIENCE, |lines| {
        found_flow(lines, "last.example", &address)
    })?;

    // Docker's own resolver, which is asked over IPv4 and answers with both kinds.
    let heard = || client.exec(&["python3", "-c", CONNECT, "api", "53"]);
    let line = wait_for("Docker's resolver to be heard", PATIENCE, || {
        heard()?;
        Ok(names.lines("dns").into_iter().find(|line| line["name"] == "api" && line["record_type"] == "AAAA"))
    })?;
    ensure!(line["answers"] == json!([address]) && line["resolver"]["address"] == "127.0.0.11", "{line}");
    heard()?;
    let flow = flows.wait_for("a flow to the alias", PATIENCE, |lines| found_flow(lines, "api", &address))?;
    ensure!(flow["remote"]["container"]["id"] == *resolver.id, "{flow}");
    drop((names, flows));
    lab.close()
}

fn found_flow(lines: &[Value], name: &str, address: &str) -> Option<Value> {
    let is_it = |line: &&Value| line["remote"]["name"] == name && line["remote"]["address"] == address;
    lines.iter().find(is_it).cloned()
}
