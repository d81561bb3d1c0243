//! What is told of a container without a veth of its own beside its counts: names that it asks for, against its own count,
//! receivers without room, against the firewall of their namespace, and errors of ICMP, against its kernel's count.

use crate::agent::{Agent, PATIENCE};
use anyhow::{Context, Result, ensure};
use lab::{Container, Running, text, wait_for};
use serde_json::Value;
use std::process::Command;

/// Answers each question of DNS over UDP with an address, but that there is no name that begins with `nx`. At its argument's
/// port it takes a connection and does not read what comes until it is told, by another connection to the port behind.
pub(crate) const SERVER: &str = r"
import socket, sys, threading
def names():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.bind((sys.argv[2], 53))
        while True:
            asked, who = it.recvfrom(512)
            is_none = asked[13:15] == b'nx'
            head = asked[:2] + (b'\x81\x83\0\1\0\0' if is_none else b'\x81\x80\0\1\0\1') + b'\0\0\0\0'
            record = b'' if is_none else b'\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1'
            it.sendto(head + asked[12:] + record, who)
if len(sys.argv) > 2:
    threading.Thread(target=names, daemon=True).start()
port = int(sys.argv[1])
full, tell = socket.socket(), socket.create_server(('', port + 1))
full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
full.bind(('', port))
full.listen()
print('listening', flush=True)
it, _ = full.accept()
tell.accept()
while it.recv(65536):
    pass
it.close()
tell.accept()
";

/// Asks its first argument for each other name, and prints how many were answered.
const ASKER: &str = r"
import socket, struct, sys
answered = 0
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
    it.settimeout(30)
    it.connect((sys.argv[1], 53))
    for number, name in enumerate(sys.argv[2:]):
        labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.'))
        it.send(struct.pack('>HHHHHH', number, 0x100, 1, 0, 0, 0) + labels + b'\0\0\1\0\1')
        answered += it.recv(512)[:2] == struct.pack('>H', number)
print(answered)
";

/// Writes all that it can without waiting, has it read 1.2 s later, and waits for the end.
const WRITER: &str = "
import socket, sys, time
port = int(sys.argv[2])
with socket.create_connection((sys.argv[1], port)) as it:
    it.setblocking(False)
    left = 2_000_000
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        try:
            left -= it.send(bytes(min(left, 65536)))
        except BlockingIOError:
            time.sleep(0.01)
    socket.create_connection((sys.argv[1], port + 1)).close()
    it.setblocking(True)
    it.sendall(bytes(left))
    it.shutdown(socket.SHUT_WR)
    it.recv(1)
";

/// Sends three datagrams, and does not care what comes back.
const KNOCKER: &str = "
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
    for _ in range(3):
        it.sendto(b'x', (sys.argv[1], int(sys.argv[2])))
        time.sleep(0.1)
";

/// Docker's own resolver, on custom networks.
const DOCKERS: &str = "127.0.0.11";

/// Has the client ask a resolver for names; how many were answered.
fn ask(client: &Container, resolver: &str, names: &[&str]) -> Result<usize> {
    let said = client.exec(&[&["python3", "-c", ASKER, resolver], names].concat())?;
    Ok(said.trim().parse()?)
}

/// A command that tells what the client asks for, once it has told something.
fn listen(agent: &Agent, client: &Container, resolver: &str) -> Result<Running> {
    let running = agent.start_asking(&["dns", "--container", &client.name])?;
    wait_for("a first name", PATIENCE, || {
        ask(client, resolver, &["ready.example"])?;
        Ok((!running.lines("dns").is_empty()).then_some(()))
    })?;
    Ok(running)
}

/// What the client asks Docker's resolver for, which has to ask the one at this address, is told once of either.
pub(crate) fn names_asked_on(agent: &Agent, client: &Container, upstream: &str) -> Result<()> {
    let running = listen(agent, client, DOCKERS)?;
    let wanted = ["far.example", "nx.example", "last.example"];
    let answered = ask(client, DOCKERS, &wanted)?;
    ensure!(answered == wanted.len(), "{answered} were answered");
    let of = |name: &str| -> Vec<Value> {
        running.lines("dns").into_iter().filter(|line| line["name"] == name).collect()
    };
    wait_for("the last name of both", PATIENCE, || Ok((of("last.example").len() >= 2).then_some(())))
        .with_context(|| format!("{:#?}", running.lines("dns")))?;
    for name in wanted {
        let rcode = if name.starts_with("nx") { "NXDOMAIN" } else { "NOERROR" };
        let told = of(name);
        let (on, asked): (Vec<&Value>, Vec<&Value>) = told.iter().partition(|line| line["forwarded"] == true);
        let ([asked], [on]) = (&asked[..], &on[..]) else { anyhow::bail!("{told:#?}") };
        for (line, resolver) in [(asked, DOCKERS), (on, upstream)] {
            ensure!(line["container"]["id"] == *client.id && line["asked"] == 1, "{line}");
            ensure!(line["rcode"] == rcode && line["resolver"]["address"] == *resolver, "{line}");
        }
        ensure!(asked.get("observed_at").is_none() && on["observed_at"]["kind"] == "inside", "{told:#?}");
    }
    running.signal(libc::SIGINT)?;
    running.end().map(drop)
}

/// What the client asks of a resolver at this address is told as often as it was answered.
pub(crate) fn names(agent: &Agent, client: &Container, resolver: &str) -> Result<()> {
    let running = listen(agent, client, resolver)?;
    let wanted: Vec<String> = (0..60).map(|number| format!("n{number}.example")).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).chain(["nx.example"]).collect();
    let answered = ask(client, resolver, &wanted)?;
    ensure!(answered == wanted.len(), "{answered} were answered");
    let told = wait_for("all names", PATIENCE, || {
        let mut lines = running.lines("dns");
        lines.retain(|line| line["name"] != "ready.example");
        Ok((lines.len() >= answered).then_some(lines))
    })
    .with_context(|| format!("{:#?}", running.lines("dns")))?;
    ensure!(told.len() == answered, "{} of {answered} are told", told.len());
    for (line, name) in told.iter().zip(&wanted) {
        let rcode = if name.starts_with("nx") { "NXDOMAIN" } else { "NOERROR" };
        ensure!(line["name"] == **name && line["rcode"] == rcode && line["asked"] == 1, "{line}");
        ensure!(line["container"]["id"] == *client.id && line["latency_us"].is_u64(), "{line}");
        ensure!(line["forwarded"].is_null() && line["resolver"]["address"] == *resolver, "{line}");
    }
    running.signal(libc::SIGINT)?;
    running.end().map(drop)
}

/// A server without room says so as often as its namespace's firewall counts, and is told once though both ends are watched.
pub(crate) fn windows(agent: &Agent, client: &Container, server: &Container, to: (&str, u16)) -> Result<()> {
    let (address, port) = to;
    let rules = Rules::of(server, port)?;
    client.exec(&["python3", "-c", WRITER, address, &port.to_string()])?;
    let mut last = None;
    let row = wait_for("the windows of 0", PATIENCE, || {
        let rows = agent.ask("failures")?;
        let row = rows.into_iter().find(|row| row["type"] == "failure" && row["port"] == port);
        let counted = rules.windows()?;
        last = Some((row.clone(), counted));
        Ok(row.filter(|row| counted > 0 && row["zero_windows_by_server"] == counted))
    })
    .with_context(|| format!("{last:#?}"))?;
    ensure!(row["zero_windows_by_client"] == 0, "{row}");
    ensure!(row["server"].to_string().contains(&server.name), "{row}");
    Ok(())
}

/// Sends three datagrams to a port at which nobody listens.
pub(crate) fn knock(from: &Container, address: &str, port: u16) -> Result<()> {
    from.exec(&["python3", "-c", KNOCKER, address, &port.to_string()]).map(drop)
}

/// Errors of ICMP in rows about a port: as many as the kernel of the sender's namespace counted since `before`.
pub(crate) fn errors(agent: &Agent, heard: impl Fn() -> Result<u64>, port: u16) -> Result<Value> {
    let mut last = None;
    wait_for("the errors", PATIENCE, || {
        let rows = agent.ask("failures")?;
        let row = rows.into_iter().find(|row| row["type"] == "failure" && row["port"] == port);
        let all = row.iter().filter_map(|row| row["icmp_errors"].as_array()).flatten();
        let told: u64 = all.filter_map(|error| error["packets"].as_u64()).sum();
        let heard = heard()?;
        last = Some((row.clone(), heard));
        Ok(row.filter(|_| heard > 0 && told == heard))
    })
    .with_context(|| format!("{last:#?}"))
}

/// `IcmpInDestUnreachs` of the namespace of a process.
pub(crate) fn unreachable(pid: u32) -> Result<u64> {
    let counters = std::fs::read_to_string(format!("/proc/{pid}/net/snmp"))?;
    let mut lines = counters.lines().filter(|line| line.starts_with("Icmp:"));
    let (names, values) = lines.next().zip(lines.next()).context("no counters of ICMP")?;
    let at = names.split(' ').position(|name| name == "InDestUnreachs").context("no such counter")?;
    Ok(values.split(' ').nth(at).context("no value")?.parse()?)
}

/// A table of the firewall in a container's namespace that counts segments with a window of 0; gone when dropped.
struct Rules {
    namespace: String,
}

impl Rules {
    fn of(server: &Container, port: u16) -> Result<Self> {
        let rules = Self { namespace: format!("--net=/proc/{}/ns/net", server.pid()?) };
        rules.nft("add table inet vwtest")?;
        rules.nft("add chain inet vwtest out { type filter hook output priority 0 ; }")?;
        let closed = "tcp window 0 tcp flags & (syn|rst) == 0 counter";
        rules.nft(&format!("add rule inet vwtest out tcp sport {port} {closed}"))?;
        Ok(rules)
    }

    fn windows(&self) -> Result<u64> {
        let listed = self.nft("list chain inet vwtest out")?;
        let mut words = listed.split_whitespace().skip_while(|word| *word != "packets").skip(1);
        Ok(words.next().context("a counter")?.parse()?)
    }

    fn nft(&self, words: &str) -> Result<String> {
        text(Command::new("nsenter").arg(&self.namespace).arg("nft").args(words.split(' ')), PATIENCE)
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        if let Err(error) = self.nft("delete table inet vwtest") {
            eprintln!("{error:#}");
        }
    }
}
