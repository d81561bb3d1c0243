//! Names that want to be more than names, and a Docker API that stalls or talks nonsense: the real program, a real
//! bridge, a Docker that lies. Needs root, but no Docker.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod bridged;
#[path = "../inventory/fake.rs"]
#[expect(dead_code, reason = "shared with the tests of the inventory, which use more of it")]
mod fake;

use anyhow::{Context, Result, ensure};
use bridged::{Bridged, End};
use fake::{Fake, Reply};
use lab::{DeviceCounters, Vethwatch, wait_for};
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use unicode_width::UnicodeWidthStr as _;

/// The columns that text is laid out for.
const COLUMNS: usize = 120;

/// The longest JSON line that these scenes may need: 4,000 characters anywhere would be too many.
const LONGEST_JSON: usize = 32 << 10;

/// Stands for bytes that are not UTF-8 where a body becomes bytes.
const NOT_UTF8: char = '\u{fffd}';

/// How many containers are listed that have no interface.
const UNWATCHED: usize = 15;

/// Between two rounds of datagrams.
const PAUSE: Duration = Duration::from_millis(5);

/// How many rounds are counted exactly.
const ROUNDS: u64 = 300;

/// How long it may take to attach.
const ATTACHING: Duration = Duration::from_secs(30);

/// How long it may take to tell what it saw, once it was asked to end.
const ENDING: Duration = Duration::from_secs(60);

/// Nobody waits for it: a signal ends it when all rounds were sent.
const WATCHED: &str = "10m";

/// How often that is tried.
const TRIES: usize = 3;

/// One at a time: each vethwatch attaches to the scenes of all.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What an attacker may put into any text that a Docker API passes on.
fn hostile(number: usize) -> String {
    match number % 5 {
        0 => "\x1b[2J\x1b]0;owned\x07\x1b[31m".to_owned(),
        1 => format!("\u{202e}gnp\u{2066}\u{200b}\u{feff}\u{200f}{}", "x".repeat(4_000)),
        2 => format!("{NOT_UTF8}\u{9b}31m\u{7f}\0"),
        3 => "\r\n\nlosses: none\u{2028}\u{2029}\x08\x08".to_owned(),
        _ => format!("{}\u{301}\u{e0001}\u{fffe}", "日本\u{202a}".repeat(300)),
    }
}

/// The name of a container that is watched.
fn evil(number: usize) -> String {
    format!("evil-{number}{}", hostile(number))
}

/// A fixed id.
fn id(kind: char, number: usize) -> String {
    format!("{kind}{number:063x}")
}

/// A body with bytes that are not UTF-8. It costs the whole answer; the other answers have U+FFFD there, as Docker's
/// own encoder writes.
fn not_utf8(body: &Value) -> Vec<u8> {
    let text = body.to_string();
    let parts: Vec<&[u8]> = text.split(NOT_UTF8).map(str::as_bytes).collect();
    parts.join(&b"\xff\xfe\xc0\x80"[..])
}

/// A container as the API's list and its inspect tell it, with something hostile in every text.
fn container(number: usize, name: &str, end: Option<&End>) -> (Value, Value) {
    let (container, network) = (id('c', number), id('a', 0));
    let mut networks = json!({});
    if let Some(end) = end {
        networks[hostile(number)] = json!({"NetworkID": network, "EndpointID": hostile(number),
            "IPAddress": end.address, "MacAddress": end.mac});
    }
    let sandbox = end.map_or_else(|| hostile(number), |end| format!("/run/netns/{}", end.namespace));
    let labels = json!({"com.docker.compose.project": format!("project{}", hostile(number + 1)),
        "com.docker.compose.service": format!("service{}", hostile(number + 2)), hostile(number): hostile(number)});
    let image = format!("image{}", hostile(number + 3));
    let mode = json!({"NetworkMode": hostile(number)});
    let listed = json!({"Id": container, "Names": [format!("/{name}")], "Image": image, "State": "running",
        "Labels": labels, "HostConfig": mode, "NetworkSettings": {"Networks": networks}});
    let inspected = json!({"Id": container, "Name": format!("/{name}"), "State": {"Status": "running"},
        "Config": {"Image": image, "Labels": labels}, "HostConfig": mode,
        "NetworkSettings": {"SandboxKey": sandbox, "Networks": networks}});
    (listed, inspected)
}

/// Makes the API tell of the bridge's ends, and of containers that nobody sees.
fn announce(fake: &Fake, scene: &Bridged) {
    let mut list = Vec::new();
    let mut members = json!({});
    for number in 0..scene.ends.len() + UNWATCHED {
        let end = scene.ends.get(number);
        let name = if end.is_some() { evil(number) } else { format!("gone-{number}{}", hostile(number)) };
        let (listed, inspected) = container(number, &name, end);
        list.push(listed);
        let body = if number % 5 == 2 { not_utf8(&inspected) } else { inspected.to_string().into() };
        fake.answer(&format!("/containers/{}/json", id('c', number)), Reply::Body(body));
        if let Some(end) = end {
            members[id('c', number)] = json!({"Name": name, "EndpointID": hostile(number),
                "MacAddress": end.mac, "IPv4Address": format!("{}/24", end.address)});
        }
    }
    let mut network = json!({"Id": id('a', 0), "Name": format!("net{}", hostile(0)), "Driver": "bridge",
        "Options": {"com.docker.network.bridge.name": scene.bridge, hostile(1): hostile(2)},
        "IPAM": {"Config": [{"Subnet": "10.213.0.0/16", "Gateway": hostile(0)}]}});
    let other = json!({"Id": id('b', 0), "Name": hostile(3), "Driver": hostile(0)});
    fake.answer("/networks", json!([network, other]).to_string());
    fake.answer(&format!("/networks/{}", id('b', 0)), other.to_string());
    network["Containers"] = members;
    fake.answer(&format!("/networks/{}", id('a', 0)), network.to_string());
    fake.answer("/containers/json", Value::Array(list).to_string());
    let version = json!({"Version": format!("28{}", hostile(0)), "ApiVersion": "1.41"});
    fake.answer("/version", version.to_string());
}

/// Something was printed, and none of it can do anything but be read.
fn check_harmless(what: &str, text: &str) {
    let harmful = |character: &char| {
        (character.is_control() && *character != '\n')
            || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    let found = text.chars().find(harmful);
    assert_eq!(found, None, "{what}: {text:?}");
}

/// The same for all texts in a JSON value, where a line hides its characters behind escapes.
fn check_harmless_inside(what: &str, value: &Value) {
    match value {
        Value::String(text) => {
            check_harmless(what, text);
            assert!(!text.contains('\n'), "{what}: {text:?}");
        }
        Value::Array(values) => values.iter().for_each(|value| check_harmless_inside(what, value)),
        Value::Object(fields) => {
            for (name, value) in fields {
                check_harmless(what, name);
                check_harmless_inside(what, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A command that asks this API; it is ended, and has failed, after a minute.
fn vethwatch(fake: &Fake, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", "60", env!("CARGO_BIN_EXE_vethwatch")]).args(arguments);
    command.env("DOCKER_HOST", fake.host()).env("COLUMNS", COLUMNS.to_string());
    command
}

/// Checks a finished command and returns what it printed; invalid UTF-8 would be a failure.
fn printed(what: &str, output: Output) -> Result<String> {
    let stdout = String::from_utf8(output.stdout).context("standard output is not UTF-8")?;
    let stderr = String::from_utf8(output.stderr).context("standard error is not UTF-8")?;
    ensure!(output.status.code() == Some(0), "{what}: {}: {stderr}\n{stdout}", output.status);
    check_harmless(what, &stdout);
    check_harmless(what, &stderr);
    Ok(stdout)
}

fn check_text(fake: &Fake, arguments: &[&str], names: usize) -> Result<()> {
    let what = format!("{arguments:?}");
    let text = printed(&what, vethwatch(fake, arguments).output()?)?;
    for number in 0..names {
        ensure!(text.contains(&format!("evil-{number}")), "{what}: evil-{number} did not reach it:\n{text}");
    }
    ensure!(text.contains("u{1b}"), "{what}: no escape sequence was made visible:\n{text}");
    for line in text.lines() {
        ensure!(line.width() <= COLUMNS, "{what}: {} columns: {line}", line.width());
    }
    Ok(())
}

fn check_json(fake: &Fake, arguments: &[&str], names: usize) -> Result<()> {
    let arguments = [arguments, &["--json"]].concat();
    let what = format!("{arguments:?}");
    let text = printed(&what, vethwatch(fake, &arguments).output()?)?;
    for number in 0..names {
        ensure!(
            text.contains(&format!("\"evil-{number}")),
            "{what}: evil-{number} did not reach it:\n{text}"
        );
    }
    for line in text.lines() {
        ensure!(line.len() <= LONGEST_JSON, "{what}: a line of {} bytes", line.len());
        check_harmless_inside(&what, &serde_json::from_str(line).with_context(|| what.clone())?);
    }
    Ok(())
}

/// Runs something while each end talks to the next.
fn amid_traffic<T>(scene: &Bridged, work: impl FnOnce() -> T) -> T {
    /// Ends the traffic also where the work panics.
    struct Until<'a>(&'a AtomicBool);
    impl Drop for Until<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                scene.send_round().unwrap();
                std::thread::sleep(PAUSE);
            }
        });
        let _until = Until(&over);
        work()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_reach_every_face_and_do_nothing_there() -> Result<()> {
    let _alone = ALONE.lock().await;
    // The kernel takes nearly any bytes in a device's name, too.
    let scene = Bridged::new("hn", 5, |number| match number {
        4 => format!("vw\x1b[2J\u{202e}{:x}", std::process::id() % 0xffff),
        _ => format!("vw-hn{number}-{:x}", std::process::id()),
    })?;
    let fake = Fake::start();
    announce(&fake, &scene);
    let names = scene.ends.len();
    amid_traffic(&scene, || {
        for arguments in [&["top", "--once"] as &[&str], &["containers"], &["flows", "--for", "10s"]] {
            check_text(&fake, arguments, names)?;
            check_json(&fake, arguments, names)?;
        }
        Ok(())
    })
}

/// What a device counted, as the container sees it: skbs and bytes sent, skbs and bytes received.
fn of_device(counters: DeviceCounters) -> [u64; 4] {
    [counters.rx_packets, counters.rx_bytes, counters.tx_packets, counters.tx_bytes]
}

/// What a row of the program's output says of the same: before it watched and since.
fn of_row(row: &Value) -> Option<[u64; 4]> {
    let sum = |direction: &str, unit: &str| {
        Some(row[direction][unit].as_u64()? + row["before_watch"][direction][unit].as_u64()?)
    };
    Some([
        sum("sent", "skbs")?,
        sum("sent", "skb_bytes")?,
        sum("received", "skbs")?,
        sum("received", "skb_bytes")?,
    ])
}

/// The programs on each device; those of a vethwatch that runs beside the tests, too.
fn programs(scene: &Bridged) -> Result<Vec<Vec<String>>> {
    scene.ends.iter().map(|end| end.device.programs()).collect()
}

/// Runs `containers` amid exactly so many rounds, none of which crosses while it attaches: then counts are exact only
/// within a bracket. Returns its status.
fn status_after_rounds(scene: &Bridged, fake: &Fake, name: &str) -> Result<Value> {
    (0..70).try_for_each(|_| scene.send_round())?;
    let before = programs(scene)?;
    let program = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).with("DOCKER_HOST", &fake.host());
    let mut running = program.start(&["containers", "--json", "--for", WATCHED])?;
    wait_for("programs on the devices", ATTACHING, || {
        let now = programs(scene)?;
        let new = |(now, before): (&Vec<String>, &Vec<String>)| {
            now.iter().filter(|program| !before.contains(program)).count()
        };
        Ok(now.iter().zip(&before).all(|both| new(both) >= 2).then_some(()))
    })?;
    (0..ROUNDS).try_for_each(|_| scene.send_round())?;
    running.signal(libc::SIGINT)?;
    let status = running
        .wait_for("a status", ENDING, |lines| lines.iter().find(|line| line["type"] == "status").cloned())?;
    check_harmless(name, &running.errors());
    let (code, lines) = running.end()?;
    ensure!(code == Some(0), "{name}: it ended with {code:?}");
    lines.iter().for_each(|line| check_harmless_inside(name, line));
    Ok(status)
}

/// The row of an end that has no name.
fn row_of<'a>(status: &'a Value, end: &End) -> Result<&'a Value> {
    let rows = status["unattributed"].as_array().context("a list")?;
    let row = rows.iter().find(|row| row["observed_at"]["interface"] == *end.device.name);
    row.with_context(|| format!("{} is not in {status}", end.device.name))
}

/// Whether all rounds crossed while it watched; else the programs that were seen were another vethwatch's.
fn holds_all_rounds(status: &Value, scene: &Bridged) -> Result<bool> {
    scene.ends.iter().try_fold(true, |all, end| {
        let row = row_of(status, end)?;
        let watched = |direction: &str| row[direction]["skbs"].as_u64().context("a count");
        Ok(all && watched("sent")? >= ROUNDS && watched("received")? >= ROUNDS)
    })
}

/// With an API that answers everything like this, counting goes on, is exact, and ends in time.
async fn check_exact(name: &str, reply: Reply) -> Result<()> {
    let _alone = ALONE.lock().await;
    let scene = Bridged::new(name, 2, |number| format!("vw-{name}{number}-{:x}", std::process::id()))?;
    let fake = Fake::start();
    for path in ["/version", "/info", "/_ping", "/networks", "/containers/json"] {
        fake.answer(path, reply.clone());
    }
    let mut status = status_after_rounds(&scene, &fake, name)?;
    for _ in 1..TRIES {
        if !holds_all_rounds(&status, &scene)? {
            status = status_after_rounds(&scene, &fake, name)?;
        }
    }
    ensure!(holds_all_rounds(&status, &scene)?, "{name}: the traffic was not in the watch: {status}");
    for end in &scene.ends {
        let (row, device) = (row_of(&status, end)?, of_device(end.device.counters()?));
        ensure!(of_row(row) == Some(device), "{name}: the device counted {device:?}: {row}");
    }
    check_harmless_inside(name, &status);
    let docker = &status["docker"];
    ensure!(docker["state"] == "connecting" || docker["state"] == "down", "{name}: {docker}");
    // And the same is said on the screen.
    let text = printed(name, vethwatch(&fake, &["top", "--once"]).output()?)?;
    let said = ["Docker has not answered yet", "Docker does not answer since"];
    ensure!(said.iter().any(|said| text.contains(said)), "{name}: nothing is said of Docker:\n{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_stalls_costs_names_but_no_packet() -> Result<()> {
    check_exact("stall", Reply::Never).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_talks_nonsense_costs_names_but_no_packet() -> Result<()> {
    check_exact("junk", Reply::Body(b"\x1b[2J}}\xff\xfe{\"Version\":\"\x07\"".to_vec())).await?;
    check_exact("error", Reply::Status(500, "{\"message\":\"\\u001b[2J\\u202e\"}")).await
}
