//! The Docker daemon is stopped and started under an agent: traffic is counted on, names stay, nothing piles up.

#[expect(dead_code, reason = "this agent is in another network namespace: its page is fetched from there")]
#[path = "metrics/page.rs"]
mod page;
#[path = "metrics/within.rs"]
mod within;

use anyhow::{Context, Result, ensure};
use lab::{Engine, Running, Vethwatch, image, text, wait_for};
use page::Page;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use within::page_within;

const PATIENCE: Duration = Duration::from_secs(60);

/// How often the daemon goes and comes back.
const TIMES: usize = 3;

/// Pings of each round.
const PINGS: u64 = 50;

/// An engine whose containers live on without it, an agent in its namespace, and a client that pings.
struct Stage {
    engine: Engine,
    agent: Running,
    at: SocketAddr,
    client: u32,
    peer: String,
}

impl Stage {
    fn set_up() -> Result<Self> {
        let image = image::ready(image::TESTBOX)?;
        let engine = Engine::start(r#"{"live-restore": true}"#, &image)?;
        engine.docker(&["network", "create", "vw-net"])?;
        for name in ["vw-client", "vw-peer"] {
            run(&engine, name, &image)?;
        }
        let inspect = |format: &str, name: &str| engine.docker(&["inspect", "--format", format, name]);
        let client = inspect("{{.State.Pid}}", "vw-client")?.parse().context("a process")?;
        let peer = inspect("{{(index .NetworkSettings.Networks \"vw-net\").IPAddress}}", "vw-peer")?;
        let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
        let vethwatch = vethwatch.within(&engine.namespace).with("DOCKER_HOST", &engine.host());
        let words = ["agent", "--socket", "off", "--metrics-cadvisor", "--metrics-listen", "127.0.0.1:0"];
        let mut agent = vethwatch.start(&words)?;
        let at = agent.metrics()?;
        Ok(Self { engine, agent, at, client, peer })
    }

    /// The page of metrics, fetched in the agent's namespace.
    fn page(&self) -> Result<Page> {
        page_within(&self.engine.namespace, self.at)
    }

    /// Waits until the agent says so of Docker.
    fn docker_is(&self, up: bool) -> Result<()> {
        let line = format!("vethwatch_docker_up {}", u8::from(up));
        wait_for(&line, PATIENCE, || Ok(self.page()?.text.lines().any(|it| it == line).then_some(())))
    }

    /// Waits until a container is named, and its interface watched.
    fn names(&self, name: &str) -> Result<()> {
        wait_for(&format!("{name} to be named"), PATIENCE, || {
            let watched = self.page()?.value("vethwatch_container_watched", &[("container", name)]);
            Ok((watched == Some(1)).then_some(()))
        })
    }

    /// Waits until all devices there are watched, bridges too: each has descriptors.
    fn all_are_watched(&self) -> Result<()> {
        let mut links = Command::new("ip");
        links.args(["-netns", &self.engine.namespace, "-oneline", "link", "show"]);
        let links = text(&mut links, PATIENCE)?;
        let is_ours =
            |line: &&str| ["veth", "br-", "docker0"].iter().any(|name| line.contains(&format!(": {name}")));
        let devices = u64::try_from(links.lines().filter(is_ours).count())?;
        wait_for(&format!("{devices} devices to be watched"), PATIENCE, || {
            let page = self.page()?;
            let by = |mode| page.value("vethwatch_interfaces_attached", &[("mode", mode)]).unwrap_or(0);
            Ok((by("tcx") + by("clsact") == devices).then_some(()))
        })
    }

    /// Pings, without Docker, then waits until the agent has counted what the client's own device has.
    fn ping_is_counted(&self) -> Result<u64> {
        let before = self.sent()?;
        let (client, count) = (self.client.to_string(), PINGS.to_string());
        let mut ping = Command::new("nsenter");
        ping.args(["--target", &client, "--net", "ping", "-q", "-i", "0.02", "-c", &count, &self.peer]);
        text(&mut ping, PATIENCE)?;
        wait_for("the pings to be counted", PATIENCE, || {
            let sent = self.sent()?;
            let labels = [("name", "vw-client")];
            let counted = self.page()?.value("container_network_transmit_packets_total", &labels);
            Ok((sent >= before + PINGS && counted == Some(sent)).then_some(sent))
        })
    }

    /// Packets that the client's device has sent.
    fn sent(&self) -> Result<u64> {
        let devices = fs::read_to_string(format!("/proc/{}/net/dev", self.client)).context("its devices")?;
        let line = devices.lines().find_map(|line| line.trim().strip_prefix("eth0:")).context("eth0")?;
        line.split_whitespace().nth(9).context("packets sent")?.parse().context("a number")
    }

    /// Open descriptors of the agent.
    fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.agent.pid())).context("its descriptors")?.count())
    }
}

fn run(engine: &Engine, name: &str, image: &str) -> Result<()> {
    let words = ["run", "--detach", "--pull", "never", "--name", name, "--network", "vw-net", image, "sleep"];
    engine.docker(&words).map(drop)
}

#[test]
fn while_docker_is_away_traffic_is_counted_and_names_stay() -> Result<()> {
    let mut stage = Stage::set_up()?;
    stage.docker_is(true)?;
    for name in ["vw-client", "vw-peer"] {
        stage.names(name)?;
    }
    stage.all_are_watched()?;
    stage.ping_is_counted()?;
    let descriptors = stage.descriptors()?;
    for time in 1..=TIMES {
        stage.engine.stop_daemon()?;
        stage.docker_is(false)?;
        stage.names("vw-client")?;
        stage.ping_is_counted()?;

        stage.engine.start_daemon()?;
        stage.docker_is(true)?;
        let late = format!("vw-late-{time}");
        run(&stage.engine, &late, image::TESTBOX)?;
        stage.names(&late)?;
        stage.names("vw-client")?;
        stage.ping_is_counted()?;
        stage.engine.docker(&["rm", "--force", &late])?;
    }
    // A request to Docker may still be under way.
    wait_for("no more descriptors than before", PATIENCE, || {
        Ok((stage.descriptors()? <= descriptors).then_some(()))
    })
    .with_context(|| format!("{descriptors} before"))?;
    // The container that was removed last is told gone by an event, which may still be under way.
    wait_for("two containers to be watched", PATIENCE, || {
        let watched = stage.page()?.value("vethwatch_containers", &[("watched", "true")]);
        Ok((watched == Some(2)).then_some(()))
    })?;
    stage.agent.signal(libc::SIGTERM)?;
    let (code, _) = stage.agent.end()?;
    ensure!(code == Some(0), "it ended with {code:?}");
    Ok(())
}
