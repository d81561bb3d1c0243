//! Requests that make no sense, and more clients than there is room for.

use crate::rig::{PATIENCE, Rig, get, say};
use anyhow::{Result, ensure};
use lab::wait_for;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

/// Clients that the agent has room for.
const MOST: usize = 256;

#[test]
fn what_makes_no_sense_is_refused_and_harms_nobody() -> Result<()> {
    let rig = Rig::new("hostile")?;
    let _agent = rig.agent(&[])?;
    let at = rig.socket();
    for (path, status) in [
        ("/", 200),
        ("/v1/health", 200),
        ("/v1/snapshot", 200),
        ("/nothing", 404),
        ("/v1/flows?bridges=perhaps", 400),
        ("/v1/violations?kind=%1b%5b31m", 400),
        ("/v1/networks?x", 400),
        ("/v1/history?since=%1b%5b31m", 400),
        ("/v1/history?since=9999999999", 400),
        ("/v1/history?since=1m&until=2m", 400),
        ("/v1/history?since=-1", 400),
        ("/v1/history?of=everything", 400),
        ("/v1/history?step=1s", 400),
        ("/v1/history?container=%1b%5b31m", 404),
        ("/v1/history?since=3h&until=2h", 404),
        ("/private/past?version=0.0.0", 409),
    ] {
        let (told, body) = get(&at, path)?;
        ensure!(told == status, "{path}: {told} {body}");
        let is_safe = body.chars().all(|it| it == '\n' || !it.is_control());
        ensure!(is_safe && body.lines().all(|line| line.starts_with(r#"{"schema":"vethwatch/1""#)), "{body}");
    }
    for method in ["POST", "DELETE", "PUT"] {
        let request = format!("{method} /v1/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let (status, body) = say(&at, request.as_bytes())?;
        ensure!(status == 405 && body.contains("error"), "{method}: {status} {body}");
    }
    let answer = say(&at, b"CONNECT /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n");
    ensure!(!answer.is_ok_and(|(status, _)| status == 200), "CONNECT");
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100_000));
    for request in [&b"\0\0\0\0\r\n\r\n"[..], b"GET\r\n\r\n", long.as_bytes(), headers.as_bytes()] {
        // It may be closed before all is written.
        let answer = say(&at, request);
        ensure!(!answer.is_ok_and(|(status, _)| status == 200));
    }
    // Half a request is not waited for.
    let mut half = UnixStream::connect(&at)?;
    half.write_all(b"GET / HTTP/1.1\r\nHost:")?;
    half.set_read_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    half.read_to_end(&mut answer)?;
    ensure!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    ensure!(get(&at, "/healthz")?.0 == 200);
    Ok(())
}

#[test]
fn one_more_client_than_there_is_room_for_is_told_so() -> Result<()> {
    let rig = Rig::new("many")?;
    let _agent = rig.agent(&[])?;
    let at = rig.socket();
    let mut clients = Vec::new();
    for _ in 0..MOST {
        let mut client = UnixStream::connect(&at)?;
        client.write_all(b"GET /v1/violations HTTP/1.1\r\nHost: x\r\n\r\n")?;
        // Its stream has begun.
        client.set_read_timeout(Some(PATIENCE))?;
        client.read_exact(&mut [0; 15])?;
        clients.push(client);
    }
    let (status, body) = get(&at, "/healthz")?;
    ensure!(status == 503 && body.contains("others ask already"), "{status} {body}");
    clients.truncate(MOST - 1);
    wait_for("the room of the one that went", PATIENCE, || Ok((get(&at, "/healthz")?.0 == 200).then_some(())))
}
