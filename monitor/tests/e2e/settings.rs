//! `vethwatch agent` with a file of settings beside real containers: what it runs with, and what a SIGHUP changes.

#[path = "metrics/page.rs"]
mod page;

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Running, Vethwatch, wait_for};
use page::{Page, get};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// A signal ends the agent in this time, whatever it waits for. A machine may stand still for seconds; what is promised is
/// measured in `service`.
const END: Duration = Duration::from_secs(15);
/// What is open is known to new figures in this time: long before a finding is told again by itself.
const OPEN: Duration = Duration::from_secs(10);
/// Nothing may go from `web` to `db`.
const DENY: &str = "[[rule]]\nname = 'no-db'\naction = 'deny'\nto = { container = 'vw-settings-*-db' }\n";
/// It may, and is known.
const ALLOW: &str = "[[rule]]\nname = 'some-db'\naction = 'allow'\nto = { container = 'vw-settings-*-db' }\n";
const SUCCESSFUL: &str = "vethwatch_config_last_reload_successful";
const TIME: &str = "vethwatch_config_last_reload_success_timestamp_seconds";

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("vw-settings-{name}-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let file = self.0.join(name);
        fs::write(&file, content)?;
        Ok(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn word(path: &Path) -> Result<&str> {
    path.to_str().context("a path of this test is UTF-8")
}

/// An agent with its file.
struct Agent {
    running: Running,
}

impl Agent {
    fn start(vethwatch: &Vethwatch, file: &Path) -> Result<Self> {
        let running = vethwatch.start(&["agent", "--socket", "off", "--config", word(file)?])?;
        wait_for("the agent", PATIENCE, || Ok(running.errors().contains("watching").then_some(())))?;
        Ok(Self { running })
    }

    /// What it said about the metrics' address last.
    fn address(&self) -> Result<SocketAddr> {
        let said = self.running.errors();
        let (_, behind) = said.rsplit_once("http://").context("an address")?;
        Ok(behind.split_once('/').context("a path")?.0.parse()?)
    }

    /// Has it read everything again; gives back what it says of that.
    fn reload(&self) -> Result<String> {
        let before = self.running.errors().len();
        self.running.signal(libc::SIGHUP)?;
        wait_for("the settings to be read again", PATIENCE, || {
            let said = self.running.errors().split_off(before);
            let is_done = said.contains("stay as they are\n") || said.contains("were read again");
            Ok(is_done.then_some(said))
        })
    }

    /// Ends it, in the time it has for that.
    #[expect(clippy::disallowed_methods, reason = "it is about real time")]
    fn end(self) -> Result<()> {
        let asked = Instant::now();
        self.running.signal(libc::SIGTERM)?;
        let (code, _) = self.running.end()?;
        let took = asked.elapsed();
        ensure!(code == Some(0) && took < END, "it ended with {code:?} after {took:?}");
        Ok(())
    }
}

/// The value of a series without labels.
fn plain(at: SocketAddr, name: &str) -> Result<Option<f64>> {
    let page = Page::of(at)?;
    let mut values = page.text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(values.next().map(str::parse).transpose()?)
}

fn wait_for_plain(at: SocketAddr, name: &str, expected: f64) -> Result<()> {
    wait_for(&format!("{name} to be {expected}"), PATIENCE, || {
        Ok(plain(at, name)?.is_some_and(|value| value == expected).then_some(()))
    })
}

/// Packets of findings by a rule of the policy file.
fn found(at: SocketAddr, rule: &str) -> Result<u64> {
    let labels = [("kind", "violation"), ("rule", rule)];
    Ok(Page::of(at)?.value("vethwatch_finding_packets_total", &labels).unwrap_or(0))
}

/// Open findings by a rule of the policy file.
fn open(at: SocketAddr, rule: &str) -> Result<u64> {
    Ok(Page::of(at)?.value("vethwatch_findings_open", &[("rule", rule)]).unwrap_or(0))
}

fn send(from: &Container, to: &Container, on: &Network, count: u32) -> Result<()> {
    let (to, count) = (format!("{}:4001", to.address(on)?), count.to_string());
    from.exec(&["/testbox", "udp-send", &to, "--count", &count, "--rate", "1000"]).map(drop)
}

#[test]
fn a_new_policy_and_a_new_address_come_with_a_signal() -> Result<()> {
    let (lab, folder) = (Lab::new("settings")?, Folder::new("good")?);
    let net = lab.network("net", &[])?;
    let web = lab.container("web").on(&net).run(&["sleep"])?;
    let db = lab.container("db").on(&net).run(&["udp-receive", "4001", "--idle", "1000s"])?;
    let policy = folder.write("policy.toml", "")?;
    let file = |listen: &str, more: &str| {
        let policy = policy.display();
        folder.write(
            "a.toml",
            &format!("policy = '{policy}'\n{more}\n[metrics]\nlisten = '{listen}'\npairs = true\n"),
        )
    };
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
    let agent = Agent::start(&vethwatch, &file("127.0.0.1:0", "")?)?;
    let first = agent.address()?;
    ensure!(plain(first, SUCCESSFUL)? == Some(1.0));
    send(&web, &db, &net, 50)?;
    let ends = [("client", &*web.name), ("server", &*db.name)];
    wait_for("the packets", PATIENCE, || {
        let page = Page::of(first)?;
        Ok((page.value("vethwatch_pair_transmit_packets_total", &ends) == Some(50)).then_some(()))
    })?;
    ensure!(found(first, "no-db")? == 0);

    // What was allowed is a violation from now on.
    fs::write(&policy, DENY)?;
    let said = agent.reload()?;
    ensure!(said.contains("the policy has 1 rule") && !said.contains("metrics"), "{said}");
    send(&web, &db, &net, 20)?;
    wait_for("the violation", PATIENCE, || Ok((found(first, "no-db")? == 20).then_some(())))?;
    ensure!(open(first, "no-db")? == 1);

    // Another address begins nothing anew; other figures do, and have what is open from the start.
    let packets =
        |at| -> Result<_> { Ok(Page::of(at)?.value("vethwatch_pair_transmit_packets_total", &ends)) };
    wait_for("the packets", PATIENCE, || Ok((packets(first)? == Some(70)).then_some(())))?;
    // One more, so that it stays open for another minute.
    send(&web, &db, &net, 1)?;
    wait_for("one more", PATIENCE, || {
        Ok((packets(first)? == Some(71) && found(first, "no-db")? == 21).then_some(()))
    })?;
    file("127.0.0.4:0", "")?;
    let said = agent.reload()?;
    let moved = agent.address()?;
    ensure!(moved.ip().to_string() == "127.0.0.4", "{said}");
    ensure!(packets(moved)? == Some(71) && found(moved, "no-db")? == 21 && open(moved, "no-db")? == 1);
    let settings = fs::read_to_string(folder.0.join("a.toml"))?;
    folder.write("a.toml", &settings.replace("pairs = true", "pairs = false"))?;
    agent.reload()?;
    let at = agent.address()?;
    wait_for("the open finding", OPEN, || Ok((open(at, "no-db")? == 1).then_some(())))?;
    ensure!(packets(at)?.is_none());

    // And the other way round; another address with it, and something that needs a restart.
    fs::write(&policy, ALLOW)?;
    file("127.0.0.2:0", "tick = '2s'\nmax-flows = 128")?;
    let said = agent.reload()?;
    ensure!(said.contains("needs a restart: max-flows, tick\n"), "{said}");
    let second = agent.address()?;
    ensure!(second.ip().to_string() == "127.0.0.2", "{said}");
    wait_for("the old address to be free", PATIENCE, || Ok(TcpListener::bind(first).is_ok().then_some(())))?;
    let capacity = plain(second, "vethwatch_flow_capacity")?;
    ensure!(capacity.is_some_and(|capacity| capacity > 0.0), "{capacity:?}");
    send(&web, &db, &net, 30)?;
    wait_for("the packets", PATIENCE, || {
        let page = Page::of(second)?;
        let packets = page.value("vethwatch_container_transmit_packets_total", &[("container", &web.name)]);
        // What the resolution of addresses takes comes on top.
        Ok(packets.is_some_and(|packets| packets >= 100).then_some(()))
    })?;
    ensure!(open(second, "no-db")? == 0 && found(second, "no-db")? == 0 && found(second, "some-db")? == 0);
    ensure!(plain(second, "vethwatch_flow_capacity")? == capacity, "max-flows has changed");

    // No metrics, and again.
    file("off", "")?;
    let said = agent.reload()?;
    ensure!(said.contains("no metrics any more") && get(second, "GET", "/healthz", "").is_err(), "{said}");
    file("127.0.0.1:0", "")?;
    let said = agent.reload()?;
    ensure!(get(agent.address()?, "GET", "/healthz", "")?.0 == 200, "{said}");

    // However many signals come while it reads, the last reading is of the file as it is.
    for _ in 0..50 {
        agent.running.signal(libc::SIGHUP)?;
    }
    file("127.0.0.3:0", "")?;
    agent.running.signal(libc::SIGHUP)?;
    wait_for("the last reading", PATIENCE, || {
        Ok(agent.running.errors().contains("http://127.0.0.3:").then_some(()))
    })?;
    agent.end()?;
    lab.close()
}

#[test]
fn a_bad_file_keeps_the_old_settings_and_says_so() -> Result<()> {
    let folder = Folder::new("bad")?;
    let name = format!("vw-settings-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&UnixAddr::from_abstract_name(&name)?)?;
    manager.set_read_timeout(Some(PATIENCE))?;
    let told = || -> Result<String> {
        // How it goes is told in between.
        wait_for("a word to the service manager", PATIENCE, || {
            let mut told = [0; 512];
            let length = manager.recv(&mut told)?;
            let told = String::from_utf8_lossy(&told[..length]).into_owned();
            Ok((!told.starts_with("STATUS=")).then_some(told))
        })
    };
    let policy = folder.write("policy.toml", DENY)?;
    let good = format!("policy = '{}'\n[metrics]\nlisten = '127.0.0.1:0'\n", policy.display());
    let file = folder.write("a.toml", &good)?;
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).with("NOTIFY_SOCKET", &format!("@{name}"));
    let agent = Agent::start(&vethwatch, &file)?;
    let at = agent.address()?;
    ensure!(told()? == "READY=1");
    let first = plain(at, TIME)?.context("a time")?;

    let taken = TcpListener::bind("127.0.0.1:0")?;
    let bad_policy = format!("{}:1:3: unknown key `rull`", policy.display());
    for (settings, rules, expected) in [
        (
            "tik = '1s'\n[metrics]\npairs = 7\n".to_owned(),
            DENY,
            "a.toml:3:9: `metrics.pairs` is the number 7",
        ),
        ("\u{fffd}[metrics\n".to_owned(), DENY, "there are mistakes"),
        (good.clone(), "[[rull]]\n", &*bad_policy),
        (good.replace("policy.toml", "nowhere.toml"), DENY, "nowhere.toml"),
        (good.replace("127.0.0.1:0", &taken.local_addr()?.to_string()), DENY, "the metrics stay as they are"),
    ] {
        folder.write("a.toml", &settings)?;
        folder.write("policy.toml", rules)?;
        let said = agent.reload()?;
        ensure!(said.contains(expected), "{expected}: {said}");
        let begun = told()?;
        let usec = begun.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").context("when it began")?;
        ensure!(usec.parse::<u64>()? > 0 && told()? == "READY=1");
        wait_for_plain(at, SUCCESSFUL, 0.0)?;
        ensure!(plain(at, TIME)? == Some(first) && get(at, "GET", "/healthz", "")?.0 == 200);
    }
    folder.write("a.toml", &good)?;
    let said = agent.reload()?;
    ensure!(said.contains("nothing else is to be done"), "{said}");
    wait_for_plain(at, SUCCESSFUL, 1.0)?;
    ensure!(plain(at, TIME)?.is_some_and(|time| time > first));

    // A pipe that nobody writes to is a mistake like others: it is told, and the next reading is none the worse for it.
    let wait_until_ready = || -> Result<()> {
        while told()? != "READY=1" {}
        Ok(())
    };
    wait_until_ready()?;
    for name in ["policy.toml", "a.toml"] {
        let (pipe, aside) = (folder.0.join(name), folder.0.join("aside"));
        fs::rename(&pipe, &aside)?;
        ensure!(Command::new("mkfifo").arg(&pipe).status()?.success());
        let said = agent.reload()?;
        ensure!(said.contains("it is no regular file") && said.contains(name), "{said}");
        wait_until_ready()?;
        wait_for_plain(at, SUCCESSFUL, 0.0)?;
        fs::rename(&aside, &pipe)?;
        let said = agent.reload()?;
        ensure!(said.contains("nothing else is to be done"), "{said}");
        wait_until_ready()?;
        wait_for_plain(at, SUCCESSFUL, 1.0)?;
    }
    agent.end()
}

#[test]
fn what_is_printed_as_in_force_is_read_back_as_the_same() -> Result<()> {
    let folder = Folder::new("print")?;
    let file = folder
        .write("a.toml", "tick = '2s'\n[metrics]\nlisten = '127.0.0.1:9'\n[records]\nof = 'findings'\n")?;
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).with("VETHWATCH_MAX_FLOWS", "128");
    let print = |vethwatch: &Vethwatch, more: &[&str]| -> Result<String> {
        let finished = vethwatch.finish(&[&["agent", "--print-config"], more].concat())?;
        ensure!(finished.status.success(), "{}", finished.stderr);
        Ok(finished.stdout)
    };
    let printed = print(&vethwatch, &["--config", word(&file)?, "--metrics-pairs"])?;
    for expected in [
        format!("tick = \"2s\" # {}:1\n", file.display()),
        "max-flows = 128 # VETHWATCH_MAX_FLOWS\n".to_owned(),
        "pairs = true # --metrics-pairs\n".to_owned(),
        "max-drops = 16384 # default\n".to_owned(),
    ] {
        ensure!(printed.contains(&expected), "{expected}{printed}");
    }
    let again = folder.write("b.toml", &printed)?;
    let plain = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(" # ").next().unwrap_or_default().to_owned()).collect()
    };
    ensure!(values(&print(&plain, &["--config", word(&again)?])?) == values(&printed));
    let lines = plain.json(&["agent", "--print-config", "--json", "--config", word(&again)?])?;
    let tick = lines.iter().find(|line| line["key"] == "tick").context("a line about the tick")?;
    ensure!(tick["type"] == "setting" && tick["value"] == "2s" && tick["origin"] == "file", "{tick}");
    Ok(())
}
