//! What fails without a word of the two ends: packets that are too big for the way, that nobody takes or that go nowhere,
//! receivers without room, connections of which one end is gone; against what the kernels of the namespaces counted.

use crate::failures::{inside, is_ours, kernel_count, row};
use crate::rig::{Agent, PATIENCE};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Outside, image, text, wait_for};
use serde_json::Value;
use std::process::Command;

/// Behind a device that takes no more than this, while both ends take 1500 bytes.
const MTU: u64 = 1_300;
/// An address to which the host has no way.
const NOWHERE: &str = "203.0.113.77";

/// At 6000 it does not read what comes until it is told, by a connection to 6003.
const SERVER: &str = "
import socket
listeners = {}
for port in (6000, 6001, 6002, 6003):
    listeners[port] = socket.socket()
    listeners[port].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    listeners[port].bind(('', port))
    listeners[port].listen()
print('listening', flush=True)
full, _ = listeners[6000].accept()
listeners[6003].accept()
while full.recv(65536):
    pass
full.close()
listeners[6003].accept()
";

/// Writes all that it can without waiting, has it read 1.2 s later, and waits for the end.
const WRITER: &str = "
import socket, sys, time
with socket.create_connection((sys.argv[1], 6000)) as it:
    it.setblocking(False)
    left = 3_000_000
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        try:
            left -= it.send(bytes(min(left, 65536)))
        except BlockingIOError:
            time.sleep(0.01)
    socket.create_connection((sys.argv[1], 6003)).close()
    it.setblocking(True)
    it.sendall(bytes(left))
    it.shutdown(socket.SHUT_WR)
    it.recv(1)
";

/// Sends datagrams of a size that may not be fragmented (2) or that are sent whatever the kernel knows of the way (3).
const DATAGRAMS: &str = "
import socket, sys, time
address, port, size, mode, count, pause = sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6])
family = socket.AF_INET6 if ':' in address else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as it:
    if family == socket.AF_INET:
        it.setsockopt(socket.IPPROTO_IP, 10, mode)
    for _ in range(count):
        try:
            it.sendto(bytes(size), (address, port))
        except OSError as error:
            print(error.errno)
        time.sleep(pause)
";

/// Opens a connection, and sends a byte once the test is done with it and has made a file.
const OPENER: &str = "
import os, socket, sys, time
it = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print('open', flush=True)
while not os.path.exists('/tmp/go-' + sys.argv[2]):
    time.sleep(0.02)
it.sendall(b'x')
time.sleep(60)
";

#[test]
fn packets_that_do_not_arrive_are_told_as_the_kernel_heard_of_them() -> Result<()> {
    let lab = Lab::new("icmp")?;
    let network = lab.network("net", &["--ipv6", "--subnet", "fd00:7657:6963::/64"])?;
    let debian = image::ready(image::DEBIAN)?;
    let container = |name: &str| lab.container(name).image(&debian).on(&network).compose("lab", name);
    let client = container("client").run(&["sleep", "600"])?;
    let server = container("server").run(&["sleep", "600"])?;
    let outside = Outside::new(&["203.0.113.7"])?;
    ip(&format!("link set {} mtu {MTU}", outside.device))?;
    ip(&format!("route add unreachable {NOWHERE}/32"))?;
    let _route = Route;
    let agent = Agent::watching("icmp", &[&client, &server])?;
    let before = [unreachable(&client)?, kernel_count(&client, "snmp6", "Icmp6InDestUnreachs")?];

    let send = |address: &str, port: u16, size: u64, mode: u8, count: u8, pause: &str| {
        let words = [&port.to_string(), &size.to_string(), &mode.to_string(), &count.to_string()];
        let words = words.map(String::as_str);
        client.exec(&[&["python3", "-c", DATAGRAMS, address], &words[..], &[pause]].concat())
    };
    // One is told the MTU and obeys: its kernel refuses the second. One is told it and does not care.
    let obeys = send("203.0.113.7", 7001, 1400, 2, 2, "0.2")?;
    ensure!(obeys.trim() == libc::EMSGSIZE.to_string(), "{obeys}");
    send("203.0.113.7", 7002, 1400, 3, 8, "0.7")?;
    send(&server.address(&network)?, 7003, 100, 0, 3, "0.1")?;
    send(NOWHERE, 7004, 100, 0, 2, "0.1")?;
    send(&server.ipv6_address(&network)?, 7005, 100, 0, 2, "0.1")?;

    let told = wait_for("all errors", PATIENCE, || {
        let rows = agent.ask(&["failures"])?;
        let sum = |v6: bool| -> u64 { errors(&rows, v6).filter_map(|error| error["packets"].as_u64()).sum() };
        let heard = [
            unreachable(&client)? - before[0],
            kernel_count(&client, "snmp6", "Icmp6InDestUnreachs")? - before[1],
        ];
        Ok((heard[0] >= 11 && heard[1] >= 1 && heard == [sum(false), sum(true)]).then_some(rows))
    })
    .with_context(|| format!("{:#?}", agent.ask(&["failures"])))?;
    let error = |port: u16| {
        let row = row(&told, port).with_context(|| format!("no {port} in {told:#?}"))?;
        ensure!(row["protocol"] == "udp" && row["connections"].is_null(), "{row}");
        ensure!(row["icmp_errors"][0]["packets_of"] == "client" && row["icmp_errors"][1].is_null(), "{row}");
        Ok((&row["icmp_errors"][0], row["wrong_mtu"] == true))
    };
    for (port, packets, again) in [(7001, 1, false), (7002, 8, true)] {
        let (error, wrong) = error(port)?;
        ensure!(error["reason"] == "fragmentation-needed" && error["mtu"] == MTU, "{error}");
        ensure!(error["packets"] == packets && error["largest_bytes"] == 1428, "{error}");
        ensure!(error["sender"]["kind"] == "host" && wrong == again, "{wrong} {error}");
        // Those of the first second may have been under way, the first always; and what was sent in one reading may be one
        // packet.
        let expected = if again { 1..=7 } else { 0..=0 };
        ensure!(error["too_big_again"].as_u64().is_some_and(|again| expected.contains(&again)), "{error}");
    }
    let (closed, _) = error(7003)?;
    ensure!(closed["reason"] == "port-unreachable" && closed["type"] == 3 && closed["code"] == 3, "{closed}");
    ensure!(closed["sender"]["container"]["name"] == *server.name && closed["packets"] == 3, "{closed}");
    let (nowhere, _) = error(7004)?;
    ensure!(nowhere["reason"] == "host-unreachable" && nowhere["sender"]["kind"] == "host", "{nowhere}");
    let (v6, _) = error(7005)?;
    ensure!(v6["reason"] == "port-unreachable" && v6["type"] == 1 && v6["code"] == 4, "{v6}");
    agent.end()?;
    drop(outside);
    lab.close()
}

#[test]
fn a_receiver_without_room_and_ends_that_are_gone_are_told() -> Result<()> {
    let lab = Lab::new("trouble")?;
    let network = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let container = |name: &str| lab.container(name).image(&debian).on(&network).compose("lab", name);
    let client = container("client").run(&["sleep", "600"])?;
    let server = container("server").run(&["python3", "-c", SERVER])?;
    wait_for("the server", PATIENCE, || Ok(server.logs()?.contains("listening").then_some(())))?;
    inside(&server, "nft add table inet vwtest")?;
    inside(&server, "nft add chain inet vwtest out { type filter hook output priority 0 ; }")?;
    inside(&server, "nft add rule inet vwtest out tcp window 0 tcp flags & (syn|rst) == 0 counter")?;
    // What the client acknowledges there, it alone knows.
    inside(&client, "iptables -I OUTPUT -p tcp --dport 6001 --tcp-flags SYN,ACK ACK -j DROP")?;
    let agent = Agent::watching("trouble", &[&client, &server])?;
    let address = server.address(&network)?;

    for port in [6001, 6002] {
        let open = format!("exec python3 -c \"$0\" {address} {port} > /tmp/{port} 2>&1 &");
        client.exec(&["sh", "-c", &open, OPENER])?;
        wait_for("the connection", PATIENCE, || {
            Ok(client.exec(&["cat", &format!("/tmp/{port}")])?.contains("open").then_some(()))
        })?;
        if port == 6002 {
            inside(&server, "iptables -I INPUT -p tcp --dport 6002 -j DROP")?;
            inside(&server, "iptables -I OUTPUT -p tcp --sport 6002 -j DROP")?;
        }
        client.exec(&["touch", &format!("/tmp/go-{port}")])?;
    }
    client.exec(&["python3", "-c", WRITER, &address])?;

    let rows = wait_for("all of it", PATIENCE, || {
        let rows = agent.ask(&["failures"])?;
        let is_whole = row(&rows, 6001).is_some_and(|row| row["half_open"] == 1)
            && row(&rows, 6002).is_some_and(|row| row["silent_server"] == 1);
        let said = row(&rows, 6000).map(|row| row["zero_windows_by_server"].clone());
        Ok((is_whole && said == Some(windows(&server)?.into())).then_some(rows))
    })
    .with_context(|| format!("{:#?}", agent.ask(&["failures"])))?;
    let said = kernel_count(&server, "netstat", "TCPToZeroWindowAdv")?;
    ensure!(said >= 1 && windows(&server)? >= said, "no window was closed, or not all that were: {said}");
    let field = |port, name: &str| row(&rows, port).map(|row| row[name].clone());
    ensure!(field(6000, "zero_windows_by_client") == Some(0.into()), "{rows:#?}");
    for (port, name) in
        [(6000, "half_open"), (6002, "half_open"), (6001, "silent_server"), (6002, "silent_client")]
    {
        ensure!(field(port, name) == Some(0.into()), "{port} {name}: {rows:#?}");
    }
    in_services_and_history(&agent, &client, &server)?;
    agent.end()?;
    lab.close()
}

/// The half-open connection is that of its replica, and in the history of both its ends, as the one that went silent is.
fn in_services_and_history(agent: &Agent, client: &Container, server: &Container) -> Result<()> {
    let services = agent.ask(&["services"])?;
    let replica = |port: u16| {
        let row = services.iter().find(|row| row["type"] == "service" && row["port"] == port);
        row.map_or(Value::Null, |row| row["replicas"][0].clone())
    };
    ensure!(replica(6001)["half_open"] == 1 && replica(6001)["silent_server"] == 0, "{services:#?}");
    ensure!(replica(6002)["half_open"] == 0 && replica(6002)["silent_server"] == 1, "{services:#?}");
    let sides = ["connections_opened", "connections_accepted"];
    for (container, [of, other]) in [(client, sides), (server, [sides[1], sides[0]])] {
        let mut last = Vec::new();
        let told = wait_for("its history", PATIENCE, || {
            last = agent.ask(&["history", "--since", "10m"])?;
            let row = last.iter().find(|row| row["container"]["id"] == *container.id);
            let is_whole = row.is_some_and(|row| {
                row[of]["half_open"] == 1 && row[of]["silent_server"] == 1 && row[other]["half_open"] == 0
            });
            Ok(is_whole.then_some(()))
        });
        told.with_context(|| format!("{}: {last:#?}", container.name))?;
    }
    Ok(())
}

/// Sends 6,000 errors of ICMP about packets that never were, a third of them cut off before the ports of what they are about,
/// a third with a type for each.
const FORGER: &str = "
import os, socket, struct, sys
it = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for number in range(6000):
    about = b'\\x45\\x00' + os.urandom(4) + b'\\0\\0\\x40\\x11\\0\\0' + socket.inet_aton(sys.argv[1]) + os.urandom(12)
    if number % 3 == 0:
        about = about[:number % 24]
    kind, code = (3, number % 256) if number % 3 == 1 else (11, 0)
    words = struct.pack('!BBHI', kind, code, 0, number % 65536) + about
    padded = words + bytes(len(words) % 2)
    total = sum(struct.unpack(f'!{len(padded) // 2}H', padded))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    it.sendto(words[:2] + struct.pack('!H', ~total & 0xffff) + words[4:], (sys.argv[1], 0))
print('sent')
";

#[test]
fn forged_errors_take_no_room_from_others_and_each_is_counted() -> Result<()> {
    let lab = Lab::new("forged")?;
    let network = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let container = |name: &str| lab.container(name).image(&debian).on(&network).compose("lab", name);
    let [forger, victim, other] =
        ["forger", "victim", "other"].map(|name| container(name).run(&["sleep", "600"]));
    let (forger, victim, other) = (forger?, victim?, other?);
    let agent = Agent::watching("forged", &[&forger, &victim, &other])?;
    let address = victim.address(&network)?;
    forger.exec(&["python3", "-c", FORGER, &address])?;
    other.exec(&["python3", "-c", DATAGRAMS, &address, "7006", "100", "0", "1", "0"])?;
    // Each was sent at one interface and received at another.
    let told = wait_for("all of them", PATIENCE, || {
        let rows = agent.ask(&["failures"])?;
        let status = rows.iter().find(|row| row["type"] == "status").context("a status")?;
        let lost = |name: &str| status["losses"][name].as_u64().unwrap_or(0);
        let names = ["failure_rate_capped", "failure_ring_full", "failure_unreadable", "failures_not_booked"]
            .map(lost);
        let is_told = row(&rows, 7006).is_some_and(|row| row["icmp_errors"][0]["packets"] == 1);
        Ok((is_told && names.iter().sum::<u64>() >= 12_000).then_some((rows, names)))
    });
    let (rows, [capped, full, unreadable, not_booked]) = told?;
    ensure!(capped + full + unreadable + not_booked == 12_000, "{capped} {full} {unreadable} {not_booked}");
    ensure!(
        capped > 0 && unreadable > 0 && not_booked > 0 && full == 0,
        "{capped} {full} {unreadable} {not_booked}"
    );
    ensure!(errors(&rows, false).count() == 1, "{rows:#?}");
    agent.end()?;
    lab.close()
}

/// Segments with a window of 0 that left a namespace, by its firewall.
fn windows(server: &Container) -> Result<u64> {
    let listed = text(
        Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", server.pid()?))
            .args(["nft", "list", "chain", "inet", "vwtest", "out"]),
        PATIENCE,
    )?;
    let mut words = listed.split_whitespace().skip_while(|word| *word != "packets").skip(1);
    Ok(words.next().context("a counter")?.parse()?)
}

/// `IcmpInDestUnreachs` of a container's namespace.
fn unreachable(container: &Container) -> Result<u64> {
    kernel_count(container, "snmp", "InDestUnreachs")
}

fn errors(rows: &[Value], v6: bool) -> impl Iterator<Item = &Value> {
    let ours = rows.iter().filter(|row| is_ours(row));
    let all = ours.filter_map(|row| row["icmp_errors"].as_array()).flatten();
    all.filter(move |error| (error["type"] == 1) == v6)
}

fn ip(words: &str) -> Result<()> {
    text(Command::new("ip").args(words.split(' ')), PATIENCE).map(drop)
}

/// Takes away the way to nowhere.
struct Route;

impl Drop for Route {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("route del unreachable {NOWHERE}/32")) {
            eprintln!("{error:#}");
        }
    }
}
