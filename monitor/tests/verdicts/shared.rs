//! Containers that share something: the default bridge, a link, a namespace, two networks, an address one after the
//! other, or bridges that somebody joined.

use super::{ICMP, TCP, UDP, broken, violation};
use crate::matrix::{Row, attempt, datagrams, serve};
use anyhow::{Context, Result, ensure};
use lab::docker;
use std::process::Command;
use std::time::Duration;

#[test]
fn the_default_bridge_is_a_network_like_others() -> Result<()> {
    let row = Row::new("default")?;
    let net = row.network("net", &[])?;
    let (a, b) = (row.spec("a").run(&["sleep", "infinity"])?, serve(row.spec("b"))?);
    let c = row.server("c", &net, &[])?;
    let address = docker(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &b.id])?;
    let watched = row.watch()?;
    a.exec(&["nc", "-z", "-w1", &address, "80"])?;
    attempt(&a, &["nc", "-z", "-w1", &c.address(&net)?, "80"]);
    watched.must_tell(&[violation("cross-network", "blocked", ["a", "c"], TCP)]).map(drop)
}

#[test]
fn linked_containers_may_talk() -> Result<()> {
    let row = Row::new("link")?;
    let b = serve(row.spec("b"))?;
    let link = format!("{}:b", b.name);
    let a = row.spec("a").options(&["--link", &link]).run(&["sleep", "infinity"])?;
    let watched = row.watch()?;
    a.exec(&["curl", "-sS", "-o", "/dev/null", "http://b/"])?;
    watched.must_tell(&[]).map(drop)
}

#[test]
fn a_link_does_not_open_a_network_without_inter_container_communication() -> Result<()> {
    let row = Row::new("linkicc")?;
    let net = row.network("net", &["--opt", "com.docker.network.bridge.enable_icc=false"])?;
    let b = row.server("b", &net, &[])?;
    let link = format!("{}:b", b.name);
    let a = row.container("a", &net, &["--link", &link])?;
    let watched = row.watch()?;
    // On a network of one's own a link is a name and nothing else.
    attempt(&a, &["nc", "-z", "-w1", &b.address(&net)?, "80"]);
    watched.must_tell(&[violation("icc-disabled", "blocked", ["a", "b"], TCP)]).map(drop)
}

#[test]
fn two_containers_in_one_namespace_are_one_owner() -> Result<()> {
    let row = Row::new("pair")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.server("b", &nets[1], &[])?);
    let namespace = format!("container:{}", b.id);
    let guest = row.spec("guest").options(&["--network", &namespace]).run(&["sleep", "infinity"])?;
    let watched = row.watch()?;
    guest.exec(&["nc", "-z", "-w1", "127.0.0.1", "80"])?;
    attempt(&guest, &["nc", "-z", "-w1", &a.address(&nets[0])?, "80"]);
    let found = watched.must_tell(&[violation("cross-network", "blocked", ["b", "a"], TCP)])?;
    let shares = found[0]["source"]["shares_namespace_with"].to_string();
    ensure!(shares.contains("-guest"), "{}", found[0]);
    Ok(())
}

#[test]
fn each_leg_of_a_container_on_two_networks_is_allowed() -> Result<()> {
    let row = Row::new("legs")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.container("b", &nets[1], &[])?);
    let both = row.server("both", &nets[0], &[])?;
    both.connect(&nets[1])?;
    let watched = row.watch()?;
    for (from, net) in [(&a, &nets[0]), (&b, &nets[1])] {
        from.exec(&["nc", "-z", "-w1", &both.address(net)?, "80"])?;
    }
    watched.must_tell(&[]).map(drop)
}

#[test]
fn a_container_that_forwards_between_networks_is_no_excuse() -> Result<()> {
    let row = Row::new("router")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let admin = ["--cap-add", "NET_ADMIN"];
    let (a, b) = (row.container("a", &nets[0], &admin)?, row.server("b", &nets[1], &admin)?);
    let router = row.container("router", &nets[0], &["--sysctl", "net.ipv4.ip_forward=1"])?;
    router.connect(&nets[1])?;
    let (from, to) = (a.address(&nets[0])?, b.address(&nets[1])?);
    a.exec(&["ip", "route", "add", &to, "via", &router.address(&nets[0])?])?;
    let watched = row.watch()?;
    attempt(&a, &["nc", "-z", "-w1", &to, "80"]);
    b.exec(&["ip", "route", "add", &from, "via", &router.address(&nets[1])?])?;
    a.exec(&["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", &to])?;
    watched
        .must_tell(&[
            violation("cross-network", "answered", ["a", "b"], TCP),
            violation("cross-network", "answered", ["a", "b"], ICMP),
        ])
        .map(drop)
}

#[test]
fn who_gets_an_address_next_is_not_blamed() -> Result<()> {
    let row = Row::new("reused")?;
    let nets = [row.network("a", &["--subnet", "198.19.76.0/28"])?, row.network("b", &[])?];
    let own = ["--ip", "198.19.76.5"];
    let a = row.container("a", &nets[0], &own)?;
    let other = row.server("other", &nets[0], &[])?;
    let b = row.server("b", &nets[1], &[])?;
    let (to, allowed) = (b.address(&nets[1])?, other.address(&nets[0])?);
    let next = row.spec("next").on(&nets[0]).options(&own).create(&["sleep", "infinity"])?;
    let watched = row.watch()?;
    // Five datagrams that Docker drops; the container is gone while its flow is still kept.
    datagrams(&a, &to, 4000, &[7; 5])?;
    a.kill()?;
    next.start()?;
    next.exec(&["nc", "-z", "-w1", &allowed, "80"])?;
    let found = watched.must_tell(&[violation("cross-network", "blocked", ["a", "b"], UDP)])?;
    ensure!(found[0]["counts"]["packets"] == 5, "{}", found[0]);
    Ok(())
}

#[test]
fn bridges_that_somebody_joined_are_no_excuse() -> Result<()> {
    let row = Row::new("joined")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let admin = ["--cap-add", "NET_ADMIN"];
    let (a, b) = (row.container("a", &nets[0], &admin)?, row.server("b", &nets[1], &admin)?);
    let _joint = Joint::new(&nets[0].bridge, &nets[1].bridge)?;
    let (from, to) = (a.address(&nets[0])?, b.address(&nets[1])?);
    let watched = row.watch()?;
    a.exec(&["ip", "route", "add", &to, "dev", "eth0"])?;
    b.exec(&["ip", "route", "add", &from, "dev", "eth0"])?;
    attempt(&a, &["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", &to]);
    watched.must_tell(&[violation("cross-network", "answered", ["a", "b"], ICMP)]).map(drop)
}

/// A veth pair with an end on each of two bridges; gone when dropped.
struct Joint(String);

impl Joint {
    fn new(one: &str, other: &str) -> Result<Self> {
        let name = format!("vwj{}", std::process::id());
        ip(&format!("link add {name} type veth peer name {name}p"))?;
        let joint = Self(name);
        for (end, bridge) in [(joint.0.clone(), one), (format!("{}p", joint.0), other)] {
            ip(&format!("link set {end} master {bridge}"))?;
            ip(&format!("link set {end} up"))?;
        }
        Ok(joint)
    }
}

impl Drop for Joint {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("link del {}", self.0)) {
            eprintln!("{error:#}");
        }
    }
}

fn ip(words: &str) -> Result<()> {
    let mut command = Command::new("ip");
    lab::text(command.args(words.split_whitespace()), Duration::from_secs(10)).map(drop)
}

#[test]
fn a_paused_container_answers_by_its_kernel_and_a_stopped_one_is_nowhere() -> Result<()> {
    let row = Row::new("paused")?;
    let net = row.network("net", &["--subnet", "198.19.76.16/28"])?;
    let (a, b) = (row.container("a", &net, &[])?, row.server("b", &net, &[])?);
    let gone = row.container("gone", &net, &[])?;
    let (to, dead) = (b.address(&net)?, gone.address(&net)?);
    let watched = row.watch()?;
    docker(&["pause", &b.id])?;
    let refused = a.exec(&["nc", "-z", "-w1", &to, "80"]);
    docker(&["unpause", &b.id])?;
    refused.context("the paused container's kernel takes connections")?;
    // Its neighbour still believes that it is there, and sends.
    a.exec(&["ping", "-q", "-c", "1", "-W", "1", &dead])?;
    gone.kill()?;
    a.exec(&["sh", "-c", &format!("echo hello | nc -u -w1 {dead} 7")])?;
    let found = watched.must_tell(&[broken("undelivered", ["a", "unknown"], UDP)])?;
    let explanation = found[0]["explanation"].as_str().unwrap_or_default();
    ensure!(explanation.contains("no container has that address"), "{explanation}");
    Ok(())
}
