//! The main job: nginx in front of Flask, asked from the host and from outside. Who talks to whom, by name, exactly.

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Vethwatch, docker, image, text, wait_for};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// "Outside": a namespace with a route to this host, and nothing behind it.
struct Outside {
    name: String,
}

/// The outside's address and the host's towards it (a range for benchmarks between networks, RFC 2544).
const OUTSIDE: &str = "198.18.77.2";
const HOST: &str = "198.18.77.1";

impl Outside {
    fn new() -> Result<Self> {
        let outside = Self { name: format!("vw-out-{}", std::process::id()) };
        let host_end = outside.host_end();
        ip(&["netns", "add", &outside.name])?;
        ip(&["link", "add", &host_end, "type", "veth", "peer", "name", "up0", "netns", &outside.name])?;
        ip(&["addr", "add", &format!("{HOST}/30"), "dev", &host_end])?;
        ip(&["link", "set", &host_end, "up"])?;
        ip(&["-n", &outside.name, "addr", "add", &format!("{OUTSIDE}/30"), "dev", "up0"])?;
        ip(&["-n", &outside.name, "link", "set", "up0", "up"])?;
        Ok(outside)
    }

    fn host_end(&self) -> String {
        format!("vwo{}", std::process::id())
    }

    fn get(&self, url: &str) -> Result<String> {
        ip(&["netns", "exec", &self.name, "curl", "-sSf", "--max-time", "5", url])
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // The veth goes with the namespace's end of it.
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            eprintln!("{error:#}");
        }
    }
}

fn ip(words: &[&str]) -> Result<String> {
    text(Command::new("ip").args(words), Duration::from_secs(10))
}

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
        let outside = Outside::new()?;
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
        text(Command::new("curl").args(["-sSf", "--max-time", "5", &url]), PATIENCE)
    }

    fn ask_from_outside(&self) -> Result<String> {
        self.outside.get(&format!("http://{HOST}:{}/", self.port))
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
    ensure!(external["remote"]["address"] == OUTSIDE, "{external}");
    ensure!(external["origin"]["interface"] == *example.outside.host_end(), "{external}");
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
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Only the traffic is wanted; the other test checks the answers.
                let _ = example.ask_from_host();
                std::thread::sleep(Duration::from_millis(50));
            }
        });
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
    // Nothing moves any more once the last connection's end has crossed.
    wait_for("the device to fall silent", PATIENCE, || {
        let before = device.counters()?;
        std::thread::sleep(Duration::from_millis(500));
        Ok((device.counters()? == before).then_some(()))
    })?;
    let lines = vethwatch().json(&["containers", "--json"])?;
    let now = device.counters()?;
    let row = lines.iter().find(|line| line["id"] == *example.nginx.id).context("nginx is listed")?;
    let sum = |direction: &str, field: &str| {
        row[direction][field].as_u64().unwrap_or(0)
            + row["before_watch"][direction][field].as_u64().unwrap_or(0)
    };
    ensure!(sum("sent", "skbs") == now.rx_packets, "{row} {now:?}");
    ensure!(sum("sent", "skb_bytes") == now.rx_bytes, "{row} {now:?}");
    ensure!(sum("received", "skbs") == now.tx_packets, "{row} {now:?}");
    ensure!(sum("received", "skb_bytes") == now.tx_bytes, "{row} {now:?}");
    ensure!(row["unaccounted_bytes"] == 0, "{row}");
    example.lab.close()
}
