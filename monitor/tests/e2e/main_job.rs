//! The main job: nginx in front of Flask, asked from the host and from outside. Who talks to whom, by name, exactly.

use anyhow::{Context, Result, ensure};
use lab::{
    Container, DeviceCounters, Lab, Network, Outside, Running, Vethwatch, docker, image, text, wait_for,
};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// The example, as its Compose file makes it.
struct Example {
    lab: Lab,
    network: Network,
    nginx: Container,
    flask: Container,
    outside: Outside,
    port: String,
}

impl Example {
    fn new(name: &str) -> Result<Self> {
        let outside = Outside::new(&[])?;
        let lab = Lab::new(name)?;
        let network = lab.network("custom_network", &[])?;
        let debian = image::ready(image::DEBIAN)?;
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/nginx-flask");
        let flask = lab
            .container("flask_app-1")
            .image(&debian)
            .on(&network)
            .compose("example", "flask_app")
            .options(&["--network-alias", "flask_app", "--volume", &format!("{folder}/app:/app:ro")])
            .run(&["python3", "/app/app.py"])?;
        let configuration = format!("{folder}/nginx.conf:/etc/nginx/conf.d/default.conf:ro");
        let nginx = lab
            .container("nginx-1")
            .image(&debian)
            .on(&network)
            .compose("example", "nginx")
            .options(&["--publish", "80", "--volume", &configuration])
            .run(&["nginx", "-g", "daemon off;"])?;
        let published = docker(&["port", &nginx.id, "80/tcp"])?;
        let port = published.lines().next().and_then(|line| line.rsplit_once(':')).context("a port")?.1;
        let example = Self { port: port.to_owned(), lab, network, nginx, flask, outside };
        wait_for("the application to answer", PATIENCE, || Ok(example.ask_from_host().ok()))?;
        Ok(example)
    }

    fn ask_from_host(&self) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/", self.port);
        text(Command::new("curl").args(["-sSf", "--max-time", "30", &url]), PATIENCE)
    }

    fn ask_from_outside(&self) -> Result<String> {
        let url = format!("http://{}:{}/", self.outside.host, self.port);
        text(&mut self.outside.command(&["curl", "-sSf", "--max-time", "30", &url]), PATIENCE)
    }

    /// Waits until nothing moves any more at a container, as once the last connection's end has crossed. What its device has
    /// counted then.
    fn silent(&self, container: &Container) -> Result<DeviceCounters> {
        let device = container.host_device(&self.network)?;
        wait_for("the device to fall silent", PATIENCE, || {
            let before = device.counters()?;
            std::thread::sleep(Duration::from_millis(500));
            Ok((device.counters()? == before).then_some(before))
        })
    }
}

fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

#[test]
fn both_ends_of_every_conversation_are_named_at_both_interfaces() -> Result<()> {
    let example = Example::new("main-flows")?;
    let mut running = vethwatch().start(&["flows", "--json"])?;
    running.wait_until_watching(&example.lab, &example.network, &example.flask.address(&example.network)?)?;
    for _ in 0..20 {
        ensure!(example.ask_from_host()?.contains("hello"), "no answer through the published port");
        ensure!(example.ask_from_outside()?.contains("hello"), "no answer from outside");
    }
    let find = |at: &Container, remote: &Container, port: (&str, u64)| {
        let (at, remote) = (at.clone(), remote.clone());
        let (end, number) = (port.0.to_owned(), port.1);
        move |lines: &[Value]| {
            lines
                .iter()
                .find(|flow| {
                    flow["local"]["container"]["id"] == *at.id
                        && flow["remote"]["container"]["id"] == *remote.id
                        && flow[&end]["port"] == number
                        && flow["tcp"]["handshake_us"].is_u64()
                })
                .cloned()
        }
    };
    let at_nginx = running.wait_for(
        "nginx → flask at nginx",
        PATIENCE,
        find(&example.nginx, &example.flask, ("remote", 5_000)),
    )?;
    let at_flask = running.wait_for(
        "nginx → flask at flask",
        PATIENCE,
        find(&example.flask, &example.nginx, ("local", 5_000)),
    )?;
    for (flow, initiator) in [(&at_nginx, "local"), (&at_flask, "remote")] {
        ensure!(flow["initiator"] == initiator, "{flow}");
        ensure!(flow["network"]["name"] == *example.network.name, "{flow}");
        ensure!(flow["origin"]["kind"] == "veth", "{flow}");
    }
    ensure!(at_nginx["local"]["container"]["service"] == "nginx", "{at_nginx}");
    ensure!(at_nginx["remote"]["container"]["service"] == "flask_app", "{at_nginx}");

    let client = |kind: &'static str, origin: &'static str| {
        let nginx = example.nginx.id.clone();
        move |lines: &[Value]| {
            lines
                .iter()
                .find(|flow| {
                    flow["local"]["container"]["id"] == *nginx
                        && flow["local"]["port"] == 80
                        && flow["remote"]["kind"] == kind
                        && flow["origin"]["kind"] == origin
                })
                .cloned()
        }
    };
    running.wait_for("the host's client, through the proxy", PATIENCE, client("host", "host"))?;
    let external = running.wait_for("the client from outside", PATIENCE, client("external", "uplink"))?;
    ensure!(external["remote"]["address"] == *example.outside.address, "{external}");
    ensure!(external["origin"]["interface"] == *example.outside.device, "{external}");
    running.signal(libc::SIGINT)?;
    let (code, _) = running.end()?;
    ensure!(code == Some(0), "exit code {code:?}");
    example.lab.close()
}

#[test]
fn one_screen_names_everyone_and_its_peers() -> Result<()> {
    let example = Example::new("main-top")?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let screen = std::thread::scope(|scope| {
        // Several, so that one request that waits for something does not leave the window without any.
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Only the traffic is wanted; the other test checks the answers.
                    let _ = example.ask_from_host();
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
        let screen = vethwatch().with("COLUMNS", "160").finish(&["top", "--once"]);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        screen
    })?;
    ensure!(screen.status.success(), "{}", screen.stderr);
    let screen = screen.stdout;
    for wanted in [
        example.nginx.name.as_str(),
        &example.flask.name,
        "flask_app",
        &format!("{}:5000", example.flask.name),
        "losses: none",
    ] {
        ensure!(screen.contains(wanted), "no {wanted:?} in\n{screen}");
    }
    example.lab.close()
}

#[test]
fn totals_with_what_crossed_before_the_watch_are_the_devices_own() -> Result<()> {
    let example = Example::new("main-totals")?;
    for _ in 0..20 {
        example.ask_from_host()?;
    }
    let device = example.nginx.host_device(&example.network)?;
    let before = example.silent(&example.nginx)?;
    let lines = vethwatch().json(&["containers", "--json"])?;
    let after = device.counters()?;
    let row = lines.iter().find(|line| line["id"] == *example.nginx.id).context("nginx is listed")?;
    let sum = |direction: &str, field: &str| {
        row[direction][field].as_u64().unwrap_or(0)
            + row["before_watch"][direction][field].as_u64().unwrap_or(0)
    };
    // It stays so, but a neighbour may ask for an address in between.
    for (direction, unit, before, after) in [
        ("sent", "skbs", before.rx_packets, after.rx_packets),
        ("sent", "skb_bytes", before.rx_bytes, after.rx_bytes),
        ("received", "skbs", before.tx_packets, after.tx_packets),
        ("received", "skb_bytes", before.tx_bytes, after.tx_bytes),
    ] {
        let told = sum(direction, unit);
        ensure!(
            (before..=after).contains(&told),
            "{direction} {unit}: {before} to {after}, not {told}: {row}"
        );
    }
    ensure!(row["unaccounted_bytes"] == 0, "{row}");
    example.lab.close()
}

/// Nobody waits for it: a signal ends the commands of the next test when all was asked.
const WATCH: &str = "10m";

/// The lock that a vethwatch holds while its filters are on devices; they bear its path.
fn lock(running: &Running) -> Result<Option<String>> {
    for descriptor in std::fs::read_dir(format!("/proc/{}/fd", running.pid()))? {
        // One that was closed meanwhile leads nowhere.
        let Ok(target) = std::fs::read_link(descriptor?.path()) else { continue };
        let path = target.to_string_lossy().into_owned();
        if path.contains("/vethwatch/tc-") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[test]
fn pairs_and_networks_agree_with_containers() -> Result<()> {
    let example = Example::new("main-pairs")?;
    let commands = ["containers", "pairs", "networks"];
    let start = |command: &&str| {
        vethwatch().start(&[command, "--json", "--for", WATCH, "--attach", "clsact", "--no-bridges"])
    };
    let running = commands.iter().map(start).collect::<Result<Vec<_>>>()?;
    for container in [&example.nginx, &example.flask] {
        let device = container.host_device(&example.network)?;
        for direction in ["ingress", "egress"] {
            wait_for("all of them to watch", PATIENCE, || {
                let mut tc = Command::new("tc");
                let filters = text(tc.args(["filter", "show", "dev", &device.name, direction]), PATIENCE)?;
                let locks = running.iter().map(lock).collect::<Result<Vec<_>>>()?;
                let is_there = |lock: &Option<String>| lock.as_ref().is_some_and(|it| filters.contains(it));
                Ok(locks.iter().all(is_there).then_some(()))
            })?;
        }
    }
    for _ in 0..20 {
        ensure!(example.ask_from_host()?.contains("hello"), "no answer through the published port");
    }
    // They are ended one after the other: what crosses meanwhile is in the later alone.
    for container in [&example.nginx, &example.flask] {
        example.silent(container)?;
    }
    let mut told = Vec::new();
    for command in running {
        command.signal(libc::SIGINT)?;
        let (code, lines) = command.end()?;
        ensure!(code == Some(0), "exit code {code:?}");
        told.push(lines);
    }
    let [containers, pairs, networks] = &told[..] else { anyhow::bail!("three were started") };
    let container = |id: &str| containers.iter().find(|row| row["id"] == *id).context("it is listed");
    let (nginx, flask) = (container(&example.nginx.id)?, container(&example.flask.id)?);
    let number = |value: &Value| value.as_u64().context("a number");

    let between = |row: &&Value| {
        row["client"]["container"]["id"] == *example.nginx.id
            && row["server"]["container"]["id"] == *example.flask.id
    };
    let asked: Vec<&Value> = pairs.iter().filter(between).collect();
    let [pair] = asked[..] else { anyhow::bail!("one pair of nginx and flask: {pairs:?}") };
    ensure!(pair["server"]["port"] == 5_000 && pair["protocol"] == "tcp", "{pair}");
    ensure!(pair["network"]["name"] == *example.network.name, "{pair}");
    ensure!(pair["conversations"] == 20 && pair["handshake"]["count"] == 20, "{pair}");
    ensure!(pair["verdict"]["expected"] == "allow", "{pair}");
    ensure!(flask["conversations"]["accepted"] == 20, "{flask}");
    ensure!(nginx["conversations"]["opened"] == 20, "{nginx}");
    ensure!(nginx["dropped"] == 0 && flask["dropped"] == 0, "{nginx} {flask}");
    ensure!(nginx["details"]["command"].as_str().is_some_and(|it| it.starts_with("nginx ")), "{nginx}");

    // Each direction at its sender: all that a container sent in flows is in the pairs. What is in none is ARP.
    for row in [nginx, flask] {
        let mut in_pairs = [0, 0];
        for pair in pairs.iter().filter(|row| row["type"] == "pair") {
            for (end, direction) in [("client", "sent"), ("server", "received")] {
                if pair[end]["container"]["id"] == row["id"] {
                    in_pairs[0] += number(&pair[direction]["packets"])?;
                    in_pairs[1] += number(&pair[direction]["bytes"])?;
                }
            }
        }
        let rest =
            number(&row["sent"]["packets"])?.checked_sub(in_pairs[0]).context("no more than in all")?;
        let bytes = number(&row["sent"]["bytes"])?.checked_sub(in_pairs[1]).context("no more than in all")?;
        ensure!(bytes == 42 * rest && rest < 64, "{bytes} bytes in {rest} packets of {row} are no ARP");
    }

    let network = networks.iter().find(|row| row["id"] == *example.network.id).context("it is listed")?;
    ensure!(network["interfaces_watched"] == 2 && network["members"].as_array().map(Vec::len) == Some(2));
    for unit in ["packets", "bytes"] {
        let inside = number(&network["totals"]["inside"][unit])?;
        let exchanged = number(&pair["sent"][unit])? + number(&pair["received"][unit])?;
        ensure!(inside == exchanged, "{network} {pair}");
    }
    ensure!(number(&network["totals"]["host"]["sent"]["bytes"])? > 0, "{network}");
    example.lab.close()
}
