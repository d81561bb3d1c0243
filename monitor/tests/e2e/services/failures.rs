//! What fails, on purpose: refused, unanswered and reset connections against what the client counted, and segments that are
//! sent again against the kernel's own counters of both namespaces.

use crate::rig::{Agent, PATIENCE, client_and_server};
use crate::unseen::Unseen;
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, docker_within, kernel_counter, text, wait_for};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// Takes all that comes to the first two ports and says one byte when that ends; resets what comes to the third; waits for a
/// reset at the fourth.
const SERVER: &str = "
import socket, struct, threading
LOST, LOST_ANSWER, RESETS, IS_RESET = 5000, 5001, 5002, 5003
def serve(listener, port):
    while True:
        it, _ = listener.accept()
        threading.Thread(target=talk, args=(it, port)).start()
def talk(it, port):
    with it:
        if port == RESETS:
            it.recv(1)
            it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            return
        try:
            if port == IS_RESET:
                it.sendall(b'x')
            while it.recv(65536):
                pass
            it.sendall(b'x')
        except OSError:
            pass
for port in (LOST, LOST_ANSWER, RESETS, IS_RESET):
    listener = socket.create_server(('', port), backlog=128)
    threading.Thread(target=serve, args=(listener, port)).start()
print('listening', flush=True)
";

/// What the client does at each port. It says how often each kind of thing happened to it.
const CLIENT: &str = "
import socket, struct, sys
address = sys.argv[1]
said = dict(refused=0, unanswered=0, reset=0)
for port in (5000, 5001):
    with socket.create_connection((address, port)) as it:
        it.sendall(bytes(2_000_000))
        it.shutdown(socket.SHUT_WR)
        it.recv(1)
for _ in range(3):
    with socket.create_connection((address, 5002)) as it:
        it.sendall(b'x')
        try:
            it.recv(1)
        except ConnectionResetError:
            said['reset'] += 1
for _ in range(4):
    with socket.create_connection((address, 5003)) as it:
        it.recv(1)
        it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
for _ in range(5):
    try:
        socket.create_connection((address, 5004)).close()
    except ConnectionRefusedError:
        said['refused'] += 1
for _ in range(2):
    try:
        socket.create_connection((address, 5005), timeout=1.5).close()
    except TimeoutError:
        said['unanswered'] += 1
print(said['refused'], said['unanswered'], said['reset'])
";

#[test]
fn what_fails_is_what_the_client_and_both_kernels_counted() -> Result<()> {
    let lab = Lab::new("failures")?;
    let network = lab.network("net", &[])?;
    let [client, server] = client_and_server(&lab, &network, SERVER)?;
    // The first packet (a SYN, a SYN-ACK) and every 23rd after it are lost behind the interfaces, and all to one port.
    let lose = "-m statistic --mode nth --every 23 --packet 0 -j DROP";
    inside(&server, &format!("iptables -I INPUT -p tcp --dport 5000 {lose}"))?;
    inside(&client, &format!("iptables -I INPUT -p tcp --sport 5001 {lose}"))?;
    inside(&server, "iptables -I INPUT -p tcp --dport 5005 -j DROP")?;

    let agent = Agent::watching("failures", &[&client, &server])?;
    let unseen = Unseen::start("failures")?;
    let before = [sent_again(&client)?, sent_again(&server)?];
    let said = client.exec(&["python3", "-c", CLIENT, &server.address(&network)?])?;
    ensure!(said.trim() == "5 2 3", "{said}");
    let counted =
        || -> Result<[u64; 2]> { Ok([sent_again(&client)? - before[0], sent_again(&server)? - before[1]]) };
    let rows = wait_for("all of it", PATIENCE, || {
        let rows = agent.ask(&["failures", "lab/server"])?;
        let told = ["retransmitted_by_client", "retransmitted_by_server"].map(|field| sum(&rows, field));
        let is_whole = row(&rows, 5005).is_some_and(|row| row["unanswered"] == 2)
            && row(&rows, 5003).is_some_and(|row| row["reset"] == 4);
        let [by_client, by_server] = counted()?;
        let is_all = unseen.is_all(told[0], by_client, &client.address(&network)?)?
            && unseen.is_all(told[1], by_server, &server.address(&network)?)?;
        Ok((is_whole && is_all).then_some(rows))
    })?;
    let [by_client, by_server] = counted()?;
    ensure!(
        by_client >= 3 && by_server >= 1,
        "too little was lost to prove anything: {by_client} {by_server}"
    );

    let row = |port| row(&rows, port).with_context(|| format!("no {port} in {rows:?}"));
    // The SYN that was lost at one port, and the SYN-ACK at the other, are sent again by those who had sent them.
    ensure!(row(5000)?["retransmitted_by_client"].as_u64() > Some(1), "{}", row(5000)?);
    ensure!(row(5001)?["retransmitted_by_server"].as_u64() >= Some(1), "{}", row(5001)?);
    for port in [5000, 5001] {
        ensure!(row(port)?["answered"] == 1 && row(port)?["refused"] == 0, "{}", row(port)?);
    }
    let check = |port: u16, wanted: [(&str, u64); 5]| {
        let row = row(port)?;
        for (field, wanted) in wanted {
            ensure!(row[field] == wanted, "{field} is not {wanted}: {row}");
        }
        let is_served = row["answered"] != 0;
        ensure!(row["not_served"] == !is_served, "{row}");
        ensure!(row["client"]["service"] == "client" && row["server"]["service"] == "server", "{row}");
        Ok(())
    };
    let counts = |connections, answered, refused, unanswered, reset| {
        [
            ("connections", connections),
            ("answered", answered),
            ("refused", refused),
            ("unanswered", unanswered),
            ("reset", reset),
        ]
    };
    check(5002, counts(3, 3, 0, 0, 3))?;
    check(5003, counts(4, 4, 0, 0, 4))?;
    check(5004, counts(5, 0, 5, 0, 0))?;
    check(5005, counts(2, 0, 0, 2, 0))?;
    ensure!(row(5002)?["reset_by_server"] == 3 && row(5002)?["reset_by_client"] == 0, "{}", row(5002)?);
    ensure!(row(5003)?["reset_by_client"] == 4 && row(5003)?["reset_by_server"] == 0, "{}", row(5003)?);

    // Of a time in which nothing failed, there is nothing to tell.
    let quiet = agent.ask(&["failures", "--for", "1s"])?;
    ensure!(!quiet.iter().any(is_ours), "{quiet:?}");
    agent.end()?;
    lab.close()
}

/// Connects and sends a byte; ends once its kernel has tried to send that again at least twice more often than it did.
const STRANDED_CLIENT: &str = "
import socket, struct, sys, time
with socket.create_connection((sys.argv[1], 5000)) as it:
    while True:
        it.send(b'x')
        info = it.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        tried, (sent,) = info[2], struct.unpack_from('I', info, 100)
        if tried >= sent + 2:
            break
        time.sleep(0.1)
";

#[test]
fn what_a_kernel_tries_to_send_again_and_cannot_is_not_sent_again() -> Result<()> {
    let lab = Lab::new("stranded")?;
    let network = lab.network("net", &[])?;
    let [client, server] = client_and_server(&lab, &network, SERVER)?;
    let agent = Agent::watching("stranded", &[&client, &server])?;
    let unseen = Unseen::start("stranded")?;
    let address = server.address(&network)?;
    // The longer each step takes, the longer its kernel waits before it tries again.
    let pid = client.pid()?;
    std::thread::scope(|scope| {
        let words = ["exec", &client.id, "timeout", "180", "python3", "-c", STRANDED_CLIENT, &address];
        let asks = scope.spawn(move || docker_within(&words, Duration::from_secs(200)));
        let count = |name| kernel_counter(pid, "snmp", name);
        wait_for("a connection", PATIENCE, || Ok((count("CurrEstab")? > 0).then_some(())))?;
        inside(&server, "iptables -I INPUT -p tcp --dport 5000 -j DROP")?;
        wait_for("a segment sent again", PATIENCE, || Ok((count("RetransSegs")? > 0).then_some(())))?;
        inside(&client, &format!("ip route add unreachable {address}"))?;
        asks.join().expect("no thread panics")
    })?;
    wait_for("all that was sent again, and no more", PATIENCE, || {
        let rows = agent.ask(&["failures"])?;
        let told = row(&rows, 5000).and_then(|row| row["retransmitted_by_client"].as_u64());
        let is_all = unseen.is_all(told.unwrap_or(0), sent_again(&client)?, &client.address(&network)?)?;
        Ok(is_all.then_some(()))
    })
    .with_context(|| format!("{:?} were sent again: {:#?}", sent_again(&client), agent.ask(&["failures"])))?;
    agent.end()?;
    lab.close()
}

/// Runs a command in a container's network namespace.
pub(crate) fn inside(container: &Container, command: &str) -> Result<()> {
    let namespace = format!("--net=/proc/{}/ns/net", container.pid()?);
    text(Command::new("nsenter").arg(namespace).args(command.split(' ')), PATIENCE)?;
    Ok(())
}

/// `TcpRetransSegs` of a container's namespace.
fn sent_again(container: &Container) -> Result<u64> {
    kernel_count(container, "snmp", "RetransSegs")
}

/// A counter of a container's namespace.
pub(crate) fn kernel_count(container: &Container, file: &str, name: &str) -> Result<u64> {
    kernel_counter(container.pid()?, file, name)
}

pub(crate) fn row(rows: &[Value], port: u16) -> Option<&Value> {
    rows.iter().find(|row| is_ours(row) && row["port"] == port)
}

/// Whether a row is of these tests' containers: there may be others beside.
pub(crate) fn is_ours(row: &Value) -> bool {
    let is_end = |end: &str| row[end]["project"] == "lab";
    row["type"] == "failure" && (is_end("client") || is_end("server"))
}

fn sum(rows: &[Value], field: &str) -> u64 {
    rows.iter().filter_map(|row| row[field].as_u64()).sum()
}
