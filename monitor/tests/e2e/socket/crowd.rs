//! A hundred clients, of which ten are stuck: the others get everything.

use crate::rig::{PATIENCE, Rig, about, of_type};
use anyhow::{Context, Result, anyhow, ensure};
use lab::{Container, Lab, wait_for};
use serde::Deserialize;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;

const CLIENTS: usize = 100;
const STUCK: usize = 10;
/// Connections that are made: two lines of more than a kilobyte each, which is more than a stuck client's buffers hold.
const CONNECTIONS: u64 = 500;
/// Where the server answers.
const SERVICE: u16 = 8_000;
/// Where what is sent last goes: nobody listens there.
const LAST: u16 = 4_002;
/// How much more memory the agent may have with all of them, in bytes.
const MEMORY: u64 = 100 << 20;

/// Of a line, what counts here: ninety read all that is said, and who is slow is cut off.
#[derive(Deserialize)]
struct Line<'a> {
    r#type: &'a str,
    /// Of a flow.
    #[serde(borrow)]
    local: Option<End<'a>>,
    remote: Option<End<'a>>,
    sent: Option<Sent>,
    /// Of what was lost.
    records: Option<u64>,
}

#[derive(Deserialize)]
struct End<'a> {
    port: Option<u16>,
    #[serde(borrow)]
    container: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Sent {
    packets: u64,
}

fn ask(at: &Path, path: &str) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes())?;
    Ok(stream)
}

/// Reads flows until a container sends to the last port; how many packets it sent to the first one, and how many
/// records were lost on the way.
fn reader(at: &Path, container: &Container) -> Result<JoinHandle<Result<(u64, u64)>>> {
    let stream = ask(at, "/v1/flows")?;
    let id = container.id.clone();
    Ok(std::thread::spawn(move || {
        let (mut seen, mut lost) = (0, 0);
        for line in BufReader::new(stream).lines() {
            let line = line.with_context(|| format!("after {seen} packets, {lost} records lost"))?;
            // The head of the answer comes first; and not all that everybody says is worth reading ninety times.
            if !line.starts_with('{') || !line.contains(&id) && !line.contains(r#""type":"lost""#) {
                continue;
            }
            let line: Line<'_> = serde_json::from_str(&line)?;
            if line.r#type == "lost" {
                lost = line.records.context("a number")?;
            }
            let is_its = line.local.is_some_and(|end| end.container.is_some_and(|it| it.id == id));
            if line.r#type != "flow" || !is_its {
                continue;
            }
            let port = line.remote.and_then(|end| end.port);
            if port == Some(SERVICE) {
                seen += line.sent.context("packets")?.packets;
            }
            if port == Some(LAST) {
                return Ok((seen, lost));
            }
        }
        Err(anyhow!("it ended after {seen} packets, {lost} records lost"))
    }))
}

/// Waits until nothing more is counted between the two; how many packets the client sent.
fn settled(rig: &Rig, client: &Container) -> Result<u64> {
    let mut last = (0, 0);
    wait_for("the end of the traffic", PATIENCE, || {
        let lines = rig.get("/v1/pairs")?;
        let of_client = |line: &&Value| {
            line["client"]["container"]["id"] == *client.id && line["server"]["port"] == SERVICE
        };
        let Some(pair) = of_type(&lines, "pair").find(of_client) else { return Ok(None) };
        let status = of_type(&lines, "status").next().context("a status")?;
        let reading = status["maps"]["generations"].as_u64().context("readings")?;
        let packets = pair["sent"]["packets"].as_u64().context("packets")?;
        if pair["conversations"] != CONNECTIONS || packets != last.0 {
            last = (packets, reading);
        }
        Ok((pair["conversations"] == CONNECTIONS && reading >= last.1 + 2).then_some(packets))
    })
}

/// The memory that the agent holds, as it says once it was read.
fn resident(rig: &Rig) -> Result<u64> {
    wait_for("the agent's memory", PATIENCE, || {
        let lines = rig.get("/v1/containers")?;
        let status = of_type(&lines, "status").next().context("a status")?;
        Ok(status["agent"]["resident_bytes"].as_u64())
    })
}

#[test]
fn of_a_hundred_clients_those_that_read_get_everything_and_those_that_do_not_lose_their_own() -> Result<()> {
    let rig = Rig::new("crowd")?;
    let lab = Lab::new("crowd")?;
    let net = lab.network("net", &[])?;
    let server = lab.container("server").on(&net).run(&["serve-http", "8000"])?;
    let _agent = rig.agent(&[])?;
    let client = lab.container("client").on(&net).run(&["sleep"])?;
    wait_for("the server", PATIENCE, || Ok(server.logs()?.contains("8000").then_some(())))?;
    let before = resident(&rig)?;
    let at = rig.socket();
    let stuck = (0..STUCK).map(|_| ask(&at, "/v1/flows")).collect::<Result<Vec<_>>>()?;
    let readers = (0..CLIENTS - STUCK).map(|_| reader(&at, &client)).collect::<Result<Vec<_>>>()?;
    wait_for("the clients", PATIENCE, || Ok((lab::clients_at(&at)? == CLIENTS).then_some(())))?;

    let url = format!("http://{}:{SERVICE}/", server.address(&net)?);
    client.exec(&["/testbox", "get", &url, "--every", "10ms", "--count", &CONNECTIONS.to_string()])?;
    let expected = settled(&rig, &client)?;
    client.exec(&["/testbox", "udp-send", &format!("{}:{LAST}", server.address(&net)?), "--count", "1"])?;
    for reader in readers {
        let (seen, lost) = reader.join().map_err(|_| anyhow!("a reader panicked"))??;
        ensure!((seen, lost) == (expected, 0), "{seen} of {expected} packets, {lost} records lost");
    }
    let held = resident(&rig)?;
    ensure!(held < before + MEMORY, "{before} bytes before, {held} now");
    let device = client.host_device(&net)?;
    wait_for("the counters of the client", PATIENCE, || {
        let (lines, counted) = (rig.get("/v1/containers")?, device.counters()?);
        let sent = &about(&lines, &client)?["sent"];
        let ours = [&sent["skbs"], &sent["skb_bytes"]].map(Value::as_u64);
        Ok((ours == [Some(counted.rx_packets), Some(counted.rx_bytes)]).then_some(()))
    })?;
    wait_for("the end of the stuck", PATIENCE, || Ok((lab::clients_at(&at)? == 0).then_some(())))?;
    drop(stuck);
    lab.close()
}
