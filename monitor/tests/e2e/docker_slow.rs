//! A Docker whose answers take seconds, as on a host in trouble: what crosses before it has told who is who is named and
//! judged all the same, and nobody is told less than by one that answers at once.

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Running, Vethwatch, wait_for};
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long each connection's first question waits. There are several, one after the other, before all is told.
const LATE: Duration = Duration::from_millis(1_200);

/// A way to Docker by which everything comes late, in a folder of its own.
struct SlowDocker {
    folder: PathBuf,
}

impl SlowDocker {
    fn new(name: &str) -> Result<Self> {
        let engine = lab::docker_host().context("an engine at a Unix socket")?;
        let engine = PathBuf::from(engine.strip_prefix("unix://").context("a Unix socket")?);
        let folder = std::env::temp_dir().join(format!("vw-{name}-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let slow = Self { folder };
        let listener = UnixListener::bind(slow.path())?;
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(engine) = UnixStream::connect(&engine) else { continue };
                std::thread::spawn(move || relay(&client, &engine));
            }
        });
        Ok(slow)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    fn vethwatch(&self) -> Vethwatch {
        let host = format!("unix://{}", self.path().display());
        Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).with("DOCKER_HOST", &host)
    }
}

impl Drop for SlowDocker {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

/// Passes everything on, both ways, until both have ended. Who has gone meanwhile takes no more.
fn relay(client: &UnixStream, engine: &UnixStream) {
    std::thread::scope(|scope| {
        scope.spawn(|| pass(client, engine, LATE));
        scope.spawn(|| pass(engine, client, Duration::ZERO));
    });
}

fn pass(mut from: &UnixStream, mut to: &UnixStream, mut late: Duration) {
    let mut part = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut part) {
        std::thread::sleep(std::mem::take(&mut late));
        if to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    // Its other end may have gone before.
    let _ = to.shutdown(Shutdown::Write);
}

/// A database, and somebody on another network who is not to reach it.
struct Stage {
    client: Container,
    target: String,

    db: Container,
    docker: SlowDocker,
    lab: Lab,
}

impl Stage {
    fn set_up(name: &str) -> Result<Self> {
        let docker = SlowDocker::new(name)?;
        let lab = Lab::new(name)?;
        let (front, back) = (lab.network("front", &[])?, lab.network("back", &[])?);
        let db = lab.container("db").on(&back).run(&["sleep"])?;
        let client = lab.container("client").on(&front).run(&["sleep"])?;
        let target = format!("{}:4001", db.address(&back)?);
        Ok(Self { client, target, db, docker, lab })
    }

    fn is_the_violation(&self, line: &Value) -> bool {
        line["type"] == "finding"
            && line["kind"] == "violation"
            && line["source"]["container"]["id"] == *self.client.id
            && line["destination"]["container"]["id"] == *self.db.id
    }
}

#[test]
fn what_crosses_before_it_answers_is_found_all_the_same() -> Result<()> {
    let stage = Stage::set_up("slowfind")?;
    let socket = stage.docker.folder.join("s");
    let at = socket.to_str().context("a path")?;
    let agent = stage.docker.vethwatch().start(&["agent", "--metrics-listen", "off", "--socket", at])?;
    wait_for("the watch", PATIENCE, || Ok(agent.errors().contains("watching").then_some(())))?;
    stage.client.exec(&["/testbox", "udp-send", &stage.target, "--count", "5", "--rate", "1000"])?;
    wait_for("the violation", PATIENCE, || {
        let asked = ["violations", "--json", "--for", "2s", "--socket", at];
        let lines = stage.docker.vethwatch().json(&asked)?;
        Ok(lines.iter().any(|line| stage.is_the_violation(line)).then_some(()))
    })?;
    end(agent)?;
    stage.lab.close()
}

#[test]
fn a_picture_has_names_and_a_check_its_whole_time() -> Result<()> {
    let stage = Stage::set_up("slowlook")?;
    let lines = stage.docker.vethwatch().json(&["containers", "--json"])?;
    for container in [&stage.client, &stage.db] {
        let row = lines.iter().find(|line| line["type"] == "container" && line["id"] == *container.id);
        ensure!(row.is_some_and(|row| row["watched"] == true), "{}: {lines:#?}", container.name);
    }
    let words = ["udp-send", &stage.target, "--count", "6000", "--rate", "20"];
    let _sender = stage.lab.container("sender").on(&stage.lab.network("other", &[])?).run(&words)?;
    let check = stage.docker.vethwatch().finish(&["check", "--for", "3s"])?;
    ensure!(check.status.code() == Some(1), "{check:?}");
    let sender = format!("{}-sender", stage.lab.prefix());
    ensure!(check.stdout.contains(&sender) && check.stdout.contains(&stage.db.name), "{check:?}");

    stage.lab.close()
}

fn end(agent: Running) -> Result<()> {
    agent.signal(libc::SIGTERM)?;
    let (code, _) = agent.end()?;
    ensure!(code == Some(0), "{code:?}");
    Ok(())
}
