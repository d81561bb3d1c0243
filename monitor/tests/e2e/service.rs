//! `vethwatch agent` under a service manager: when it says that it is ready, how it goes, and that it lives.

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Running, Vethwatch, wait_for};
use std::io::Write as _;
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// In what time the manager of these tests wants a sign of life: so long that none is too late on a machine that stands still
/// for a second or two.
const WATCHDOG: Duration = Duration::from_secs(20);
/// An agent that Docker does not answer is ready five seconds after it has asked; until then it is not.
const UNANSWERED: Duration = Duration::from_secs(4);
/// What `--help` promises of SIGTERM and Ctrl-C.
const PROMISED: Duration = Duration::from_secs(2);
/// How often is tried what a machine that stands still can spoil.
const TRIES: usize = 3;

/// A service manager that only listens.
struct Manager {
    name: String,
    socket: UnixDatagram,
}

impl Manager {
    fn new(name: &str) -> Result<Self> {
        let name = format!("vw-{name}-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { name, socket })
    }

    /// Starts an agent that wants to be looked after.
    fn start(&self, vethwatch: Vethwatch) -> Result<Running> {
        let vethwatch = vethwatch.with("NOTIFY_SOCKET", &format!("@{}", self.name));
        vethwatch.start(&["agent", "--metrics-listen", "off", "--socket", "off"])
    }

    /// The next that it hears.
    fn hears(&self) -> Result<String> {
        let mut told = [0; 512];
        let length = self.socket.recv(&mut told).context("the agent says nothing")?;
        Ok(String::from_utf8_lossy(&told[..length]).into_owned())
    }

    /// What it has been told by now and did not hear yet.
    fn has_heard(&self) -> Result<Option<String>> {
        self.socket.set_nonblocking(true)?;
        let told = self.hears().ok();
        self.socket.set_nonblocking(false)?;
        Ok(told)
    }
}

fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

fn end(running: Running) -> Result<()> {
    running.signal(libc::SIGTERM)?;
    let (code, _) = running.end()?;
    ensure!(code == Some(0), "{code:?}");
    Ok(())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn it_is_ready_then_gives_signs_of_life_and_then_says_that_it_stops() -> Result<()> {
    let manager = Manager::new("alive")?;
    let watchdog = WATCHDOG.as_micros().to_string();
    let running = manager.start(vethwatch().with("WATCHDOG_USEC", &watchdog))?;
    ensure!(manager.hears()? == "READY=1");
    let mut before: Option<Instant> = None;
    for _ in 0..4 {
        let told = manager.hears()?;
        let status = told.strip_prefix("WATCHDOG=1\nSTATUS=").with_context(|| format!("{told:?}"))?;
        ensure!(status.contains("watched") && !status.contains("Docker"), "{status}");
        // It is killed where no sign comes in time; a quarter of the time is what is aimed at.
        let since = before.map(|before| before.elapsed());
        ensure!(since.is_none_or(|since| since > WATCHDOG / 8 && since < WATCHDOG / 2), "after {since:?}");
        before = Some(Instant::now());
    }
    end(running)?;
    let last = wait_for("its last words", PATIENCE, || {
        let told = manager.hears()?;
        Ok((!told.contains("STATUS=")).then_some(told))
    })?;
    ensure!(last == "STOPPING=1", "{last}");
    Ok(())
}

#[test]
fn it_tells_how_it_goes_where_signs_of_life_are_another_process_s() -> Result<()> {
    let manager = Manager::new("other")?;
    let watched = vethwatch().with("WATCHDOG_USEC", "1000000").with("WATCHDOG_PID", "1");
    let running = manager.start(watched)?;
    ensure!(manager.hears()? == "READY=1");
    let told = manager.hears()?;
    ensure!(told.starts_with("STATUS="), "{told:?}");
    end(running)
}

#[test]
fn it_is_ready_when_docker_has_answered_or_is_known_to_be_away() -> Result<()> {
    for _ in 0..TRIES {
        if is_ready_once_docker_is_away()? {
            return Ok(());
        }
    }
    bail!("each time it was looked at too late whether it was ready too early")
}

/// Whether it was looked at in time what an agent says that Docker has not answered yet.
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn is_ready_once_docker_is_away() -> Result<bool> {
    let manager = Manager::new("docker")?;
    // Somebody who takes connections and says nothing.
    let folder = std::env::temp_dir().join(format!("vw-service-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("docker.sock");
    let silent = UnixListener::bind(&path)?;
    silent.set_nonblocking(true)?;
    let host = format!("unix://{}", path.display());
    let running = manager.start(vethwatch().with("DOCKER_HOST", &host))?;
    // It had not asked at the last look that found nobody.
    let mut before = Instant::now();
    let asked = wait_for("the agent to ask", PATIENCE, || {
        let now = Instant::now();
        let asked = silent.accept().ok();
        if asked.is_none() {
            before = now;
        }
        Ok(asked)
    })?;
    wait_for("the agent to watch", PATIENCE, || Ok(running.errors().contains("watching").then_some(())))?;
    let early = manager.has_heard()?;
    let is_late = before.elapsed() > UNANSWERED;
    // Nobody is there any more.
    drop((asked, silent));
    std::fs::remove_dir_all(&folder)?;
    if is_late {
        end(running)?;
        return Ok(false);
    }
    ensure!(early.is_none(), "Docker has not answered, and it says {early:?}");
    ensure!(manager.hears()? == "READY=1");
    let told = manager.hears()?;
    ensure!(told.ends_with(", Docker does not answer"), "{told:?}");
    end(running)?;
    Ok(true)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn a_signal_ends_it_in_the_time_that_is_promised() -> Result<()> {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut took = Vec::new();
        while took.last().is_none_or(|took| *took > PROMISED) {
            ensure!(took.len() < TRIES, "signal {signal} ended it after {took:?}");
            let words = ["agent", "--metrics-listen", "127.0.0.1:0", "--socket", "off"];
            let mut running = vethwatch().start(&words)?;
            // A client that never says what it wants.
            let mut client = TcpStream::connect(running.metrics()?)?;
            client.write_all(b"GET /metr")?;
            wait_for("the watch", PATIENCE, || Ok(running.errors().contains("watching").then_some(())))?;
            let asked = Instant::now();
            running.signal(signal)?;
            let (code, _) = running.end()?;
            took.push(asked.elapsed());
            ensure!(code == Some(0), "signal {signal}: {code:?}");
        }
    }
    Ok(())
}
