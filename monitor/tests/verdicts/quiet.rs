//! No false alarm, and not blind: nginx in front of Flask and 20 containers on five networks, busy for a minute, some
//! of them coming and going with the addresses of others. One forbidden packet is sent in the middle.

use super::matrix::Row;
use super::{TCP, UDP, crossing, violation};
use anyhow::{Context, Result, ensure};
use lab::{Container, Deadline, Network, docker, image, text, wait_for};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// How long everybody is busy at least, and at most where a busy machine takes longer for what has to happen.
const BUSY: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(300)];
/// How often all guests come and go, and nginx is asked, more than which has to happen.
const TURNS: usize = 2;
const ASKED: u32 = 50;
const PATIENCE: Duration = Duration::from_secs(60);
/// The address of whoever comes and goes on a network, in its subnet.
const SHARED: u8 = 77;

/// One of the five networks: a web server and who asks it, a receiver of datagrams and who sends them.
struct Town {
    net: Network,
    number: usize,
    web: String,
    asking: Container,
    receiver: String,
}

impl Town {
    fn new(row: &Row, number: usize) -> Result<Self> {
        let subnet = [format!("--subnet=10.214.{number}.0/24"), format!("--gateway=10.214.{number}.1")];
        let net = row.network(&format!("net{number}"), &subnet.each_ref().map(String::as_str))?;
        let run =
            |role: &str, words: &[&str]| row.lab.container(&format!("{role}{number}")).on(&net).run(words);
        let web = run("web", &["serve-http", "80"])?.address(&net)?;
        let receiver = run("receiver", &["udp-receive", "7", "--idle", "1000s"])?.address(&net)?;
        let asking = run("asking", &["get", &format!("http://{web}/"), "--every", "20ms", "--count", "0"])?;
        run("sending", &["udp-send", &format!("{receiver}:7"), "--count", "1000000", "--rate", "200"])?;
        Ok(Self { net, number, web, asking, receiver })
    }

    /// The next that has the shared address: now one that asks the server, then one that sends datagrams.
    fn guest(&self, lab: &lab::Lab, turn: usize) -> Result<Container> {
        let Self { net, number, web, receiver, .. } = self;
        let (page, to) = (format!("http://{web}/bytes/20000"), format!("{receiver}:7"));
        let words = match turn % 2 {
            0 => vec!["get", &page, "--every", "5ms", "--count", "0"],
            _ => vec!["udp-send", &to, "--count", "1000000", "--rate", "500"],
        };
        let address = format!("10.214.{number}.{SHARED}");
        lab.container(&format!("guest{number}-{turn}")).on(net).options(&["--ip", &address]).run(&words)
    }
}

/// The nginx and Flask example; returns the port that nginx is published at.
fn example(row: &Row) -> Result<String> {
    let net = row.network("custom", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/nginx-flask");
    let service = |name: &str| row.lab.container(name).image(&debian).on(&net);
    let volume = format!("{folder}/app:/app:ro");
    service("flask")
        .options(&["--network-alias", "flask_app", "--volume", &volume])
        .run(&["python3", "/app/app.py"])?;
    let volume = format!("{folder}/nginx.conf:/etc/nginx/conf.d/default.conf:ro");
    let nginx = service("nginx").options(&["--publish", "80", "--volume", &volume]).run(&[
        "nginx",
        "-g",
        "daemon off;",
    ])?;
    let published = docker(&["port", &nginx.id, "80/tcp"])?;
    let port =
        published.lines().next().and_then(|line| line.rsplit_once(':')).context("a port")?.1.to_owned();
    wait_for("the application to answer", PATIENCE, || Ok(ask(&port).ok()))?;
    Ok(port)
}

/// A request from the host.
fn ask(port: &str) -> Result<String> {
    let url = format!("http://127.0.0.1:{port}/");
    text(Command::new("curl").args(["-sSf", "--max-time", "30", &url]), PATIENCE)
}

#[test]
fn one_forbidden_packet_among_many_allowed_ones_is_all_that_is_found() -> Result<()> {
    let row = Row::new("quiet")?;
    let port = example(&row)?;
    let towns = (1..=5).map(|number| Town::new(&row, number)).collect::<Result<Vec<_>>>()?;
    let page = format!("http://{}:{port}/", towns[0].net.gateway()?);
    // Round the isolation, as whoever publishes a port allows: a crossing.
    row.lab
        .container("visitor")
        .on(&towns[0].net)
        .run(&["get", &page, "--every", "100ms", "--count", "0"])?;
    let watched = row.watch()?;
    let (over, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                ask(&port)?;
                asked.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok::<(), anyhow::Error>(())
        });
        let lived = live(&towns, watched.lab(), &asked);
        over.store(true, Ordering::Relaxed);
        asking.join().expect("the thread does not panic")?;
        lived
    })?;
    let found = watched.must_tell(&[
        violation("cross-network", "blocked", ["asking2", "web4"], UDP),
        crossing("published-port", "answered", ["visitor", "host"], TCP),
    ])?;
    ensure!(found[0]["counts"]["packets"] == 1, "{}", found[0]);
    Ok(())
}

/// Guests come and go, until the time is over and enough has happened; in the middle the packet is sent.
fn live(towns: &[Town], lab: &lab::Lab, asked: &AtomicU32) -> Result<()> {
    let [end, limit] = BUSY.map(Deadline::after);
    let middle = Deadline::after(BUSY[0] / 2);
    let mut guests = towns.iter().map(|town| town.guest(lab, 0)).collect::<Result<Vec<_>>>()?;
    let mut sent = false;
    let mut turn = 0;
    while !(end.passed() && sent && turn > TURNS && asked.load(Ordering::Relaxed) > ASKED) {
        ensure!(
            !limit.passed(),
            "{turn} turns, the packet was sent: {sent}, nginx was asked {asked:?} times"
        );
        turn += 1;
        for (town, guest) in towns.iter().zip(&mut guests) {
            if middle.passed() && !std::mem::replace(&mut sent, middle.passed()) {
                let to = format!("{}:9", towns[3].web);
                towns[1].asking.exec(&["/testbox", "udp-send", &to])?;
            }
            // The one is gone when the other takes its address.
            guest.clone().remove()?;
            *guest = town.guest(lab, turn)?;
        }
    }
    Ok(())
}

/// Pairs that talk when vethwatch ends: taking the programs off their interfaces takes several ticks.
const PAIRS: usize = 12;

#[test]
fn the_end_of_the_watch_is_the_end_of_no_conversation() -> Result<()> {
    let row = Row::new("end")?;
    let net = row.network("net", &[])?;
    for number in 0..PAIRS {
        let web = row.lab.container(&format!("web{number}")).on(&net).run(&["serve-http", "80"])?;
        let page = format!("http://{}/", web.address(&net)?);
        row.lab
            .container(&format!("asking{number}"))
            .on(&net)
            .run(&["get", &page, "--every", "5ms", "--count", "0"])?;
    }
    row.watch()?.must_tell(&[]).map(drop)
}
