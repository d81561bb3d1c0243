//! Kills at random moments, also inside a drain, under traffic, while containers come and go.

use crate::rig::{Agents, PATIENCE};
use anyhow::{Result, ensure};
use lab::{Container, Lab, Network, image, wait_for};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// How often an agent is killed, and from which number the moments are drawn.
const KILLS: &str = "VW_RESTART_KILLS";
const SEED: &str = "VW_RESTART_SEED";
/// Without the variable: each way of attaching has half of them.
const USUAL: u64 = 8;

/// It serves files of 100 KB, and ends each connection after some.
const NGINX: &str =
    "echo 'server { keepalive_requests 20; location / { root /bin; } }' >/etc/nginx/conf.d/default.conf
exec nginx -g 'daemon off;'";

/// Moments that the seed alone decides.
struct Chance(u64);

impl Chance {
    /// A number below another one (`SplitMix64`).
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ (drawn >> 31)) % most
    }

    /// Lets some time pass: this is what is drawn, and nothing is waited for.
    fn pass(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(self.below(most)));
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Those that are there all the time, with traffic of every kind between them.
fn under_load(lab: &Lab, network: &Network) -> Result<Vec<Container>> {
    let server = lab.container("server").on(network).run(&["serve-http", "8080"])?;
    let sink = lab.container("sink").on(network).run(&["sink", "9000"])?;
    let (http, sunk) = (server.address(network)?, sink.address(network)?);
    let (url, storm, datagrams) =
        (format!("http://{http}:8080/bytes/300000"), format!("{sunk}:9000"), format!("{sunk}:4001"));
    let many = "1000000000";
    let getter =
        lab.container("getter").on(network).run(&["get", &url, "--count", many, "--every", "20ms"])?;
    let stormer = lab.container("stormer").on(network).run(&[
        "connect-storm",
        &storm,
        "--count",
        many,
        "--rate",
        "200",
    ])?;
    let sender = lab
        .container("sender")
        .on(network)
        .run(&["udp-send", &datagrams, "--count", many, "--rate", "500"])?;
    let debian = image::ready(image::DEBIAN)?;
    let iperf = |name: &str| lab.container(name).image(&debian).on(network);
    let stream_server = iperf("stream-server").run(&["iperf3", "--server"])?;
    let to = stream_server.address(network)?;
    wait_for("iperf3 to listen", PATIENCE, || Ok(stream_server.exec(&["nc", "-z", &to, "5201"]).ok()))?;
    let stream =
        iperf("stream").run(&["iperf3", "--client", &to, "--time", "0", "--bitrate", "1G", "--bidir"])?;
    let [nginx, wrk] = wrk(lab, network, &debian)?;
    Ok(vec![server, sink, getter, stormer, sender, stream_server, stream, nginx, wrk])
}

/// wrk, which asks nginx for a file as often as a twentieth of a core each allows: the rest is for an agent built for debugging.
fn wrk(lab: &Lab, network: &Network, debian: &str) -> Result<[Container; 2]> {
    let on_little = |name: &str| lab.container(name).image(debian).on(network).options(&["--cpus", "0.05"]);
    let nginx = on_little("nginx").run(&["sh", "-c", NGINX])?;
    let to = nginx.address(network)?;
    wait_for("nginx to listen", PATIENCE, || Ok(nginx.exec(&["nc", "-z", &to, "80"]).ok()))?;
    let url = format!("http://{to}:80/dash");
    let words = ["wrk", "--threads", "1", "--connections", "8", "--duration", "10h", &url];
    Ok([nginx, on_little("wrk").run(&words)?])
}

/// Pauses all, or has them go on. What has little of a core may be too late for the kernel to stop it at once.
fn pause(all: &[Container], word: &str) -> Result<()> {
    all.iter().try_for_each(|container| {
        let id = container.id.as_str();
        wait_for(word, PATIENCE, || Ok(lab::docker(&[word, id]).ok())).map(drop)
    })
}

fn kills(attach: &str, many: u64, chance: &mut Chance) -> Result<()> {
    let lab = Lab::new("restart")?;
    let network = lab.network("net", &[])?;
    let mut agents =
        Agents::new("restart", &["--attach", attach, "--tick", "100ms", "--records-of", "flows"])?;
    let mut agent = agents.start(&[])?;
    let watched = under_load(&lab, &network)?;
    let mut passing: Option<Container> = None;
    for kill in 1..=many {
        chance.pass(1_500);
        agents.kill(agent)?;
        agents.count_flows()?;
        if let Some(gone) = passing.take() {
            gone.remove()?;
        }
        let name = format!("passing-{kill}");
        passing = Some(lab.container(&name).on(&network).run(&["sleep"])?);
        chance.pass(500);
        agent = agents.start(&[])?;
        agent.wait_for_loss("gaps_without_agent", 1)?;
        agent.wait_for_loss("interfaces_came_without_agent", 1)?;
        ensure!(agent.lost("interfaces_not_adopted")? == 0, "something was not gone on with");
        for container in &watched {
            agent.must_be_exact(container)?;
        }
        // To the byte, when nothing moves.
        if kill % 5 == 0 {
            pause(&watched, "pause")?;
            for container in &watched {
                agent.wait_for_equal(container, &network)?;
            }
            pause(&watched, "unpause")?;
        }
    }
    agents.stop(agent)?;
    let flows = agents.count_flows()?;
    println!("{attach}: {many} kills, {flows} flow records, none twice");
    ensure!(flows > 1_000, "{flows} flows are too few to show anything");
    drop(agents);
    wait_for("the programs to be gone", PATIENCE, || {
        Ok(watched[0].host_device(&network)?.programs()?.is_empty().then_some(()))
    })?;
    lab.close()
}

#[test]
fn killed_at_any_moment_no_byte_is_lost_and_no_flow_is_told_twice() -> Result<()> {
    let seed = number(SEED).unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000);
    let many = number(KILLS).unwrap_or(USUAL);
    println!("{SEED}={seed} {KILLS}={many}");
    let mut chance = Chance(seed);
    kills("tcx", many - many / 2, &mut chance)?;
    kills("clsact", many / 2, &mut chance)
}
