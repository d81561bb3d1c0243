//! What comes from outside, what goes there, and what goes by the host.

use super::{ICMP, TCP, UDP, crossing, violation};
use crate::matrix::{Row, attempt};
use anyhow::{Result, ensure};
use lab::Outside;
use std::net::{TcpListener, TcpStream};

#[test]
fn outside_is_reached_from_an_ordinary_network_and_not_from_an_internal_one() -> Result<()> {
    let outside = Outside::new(&[])?;
    let row = Row::new("egress")?;
    let nets = [row.network("out", &[])?, row.network("in", &["--internal"])?];
    let (a, b) = (row.container("a", &nets[0], &[])?, row.container("b", &nets[1], &[])?);
    let watched = row.watch()?;
    a.exec(&["ping", "-q", "-c", "1", "-W", "1", &outside.address])?;
    // Nobody listens there: a refusal, and nothing broken.
    attempt(&a, &["nc", "-z", "-w1", &outside.address, "81"]);
    attempt(&b, &["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", &outside.address]);
    attempt(&b, &["nc", "-z", "-w1", &outside.address, "81"]);
    attempt(&b, &["sh", "-c", &format!("echo hello | nc -u -w1 {} 7", outside.address)]);
    let ends = ["b", "external"];
    let found = watched.must_tell(&[
        violation("internal-egress", "blocked", ends, ICMP),
        violation("internal-egress", "blocked", ends, TCP),
        violation("internal-egress", "blocked", ends, UDP),
    ])?;
    ensure!(found[0]["counts"]["packets"] == 2, "{}", found[0]);
    Ok(())
}

#[test]
fn the_metadata_service_is_nobodys_business() -> Result<()> {
    let outside = Outside::new(&["169.254.169.254"])?;
    let row = Row::new("metadata")?;
    let net = row.network("net", &[])?;
    let a = row.container("a", &net, &[])?;
    let watched = row.watch()?;
    a.exec(&["ping", "-q", "-c", "1", "-W", "1", "169.254.169.254"])?;
    let found = watched.must_tell(&[violation("metadata-service", "answered", ["a", "external"], ICMP)])?;
    ensure!(found[0]["severity"] == "critical", "{}", found[0]);
    drop(outside);
    Ok(())
}

#[test]
fn a_published_port_is_there_for_outside_and_an_unpublished_one_is_not() -> Result<()> {
    let outside = Outside::new(&[])?;
    let row = Row::new("exposed")?;
    let net = row.network("net", &[])?;
    let b = row.server("b", &net, &["--publish", "80"])?;
    let port = b.published_port("80/tcp")?;
    let inside = b.address(&net)?;
    let watched = row.watch()?;
    outside.run(&["curl", "-sS", "-o", "/dev/null", &format!("http://{}:{port}/", outside.host)])?;
    // Straight to the container's address, for a port that it has not published. Docker drops it in the host, so
    // nothing of it is at a container's interface: nothing is told of it either.
    drop(outside.run(&["curl", "-s", "-m", "1", &format!("http://{inside}:7/")]));
    watched.must_tell(&[]).map(drop)
}

#[test]
fn a_port_published_on_loopback_is_refused_by_the_gateway() -> Result<()> {
    let row = Row::new("loopback")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let a = row.container("a", &nets[0], &[])?;
    let b = row.server("b", &nets[1], &["--publish", "127.0.0.1::80"])?;
    let port = b.published_port("80/tcp")?;
    let gateway = nets[0].gateway()?;
    let watched = row.watch()?;
    ensure!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "the published port does not answer");
    attempt(&a, &["nc", "-z", "-w1", &gateway, &port.to_string()]);
    // It is the host that answers, with a refusal; the container is not reached.
    watched.must_tell(&[crossing("host-access", "answered", ["a", "host"], TCP)]).map(drop)
}

#[test]
fn a_published_port_of_the_same_network_is_no_crossing() -> Result<()> {
    let row = Row::new("hairpin")?;
    let net = row.network("net", &["--opt", "com.docker.network.bridge.enable_icc=false"])?;
    let a = row.container("a", &net, &[])?;
    let b = row.server("b", &net, &["--publish", "80"])?;
    let port = b.published_port("80/tcp")?.to_string();
    let gateway = net.gateway()?;
    let watched = row.watch()?;
    // Its containers may not talk to each other; by the host's port they may.
    a.exec(&["nc", "-z", "-w1", &gateway, &port])?;
    watched.must_tell(&[]).map(drop)
}

#[test]
fn a_service_of_the_host_is_a_crossing() -> Result<()> {
    let row = Row::new("service")?;
    let nets = [row.network("a", &[])?, row.network("b", &[])?];
    let a = row.container("a", &nets[0], &[])?;
    let _b = row.container("b", &nets[1], &[])?;
    let service = TcpListener::bind((nets[1].gateway()?.as_str(), 0))?;
    let at = service.local_addr()?;
    let watched = row.watch()?;
    a.exec(&["nc", "-z", "-w1", &at.ip().to_string(), &at.port().to_string()])?;
    let found = watched.must_tell(&[crossing("host-access", "answered", ["a", "host"], TCP)])?;
    ensure!(found[0]["ports"] == serde_json::json!([at.port()]), "{}", found[0]);
    Ok(())
}

#[test]
fn a_container_in_the_hosts_network_is_the_host_and_no_internal_network_keeps_it_out() -> Result<()> {
    let row = Row::new("hostmode")?;
    let net = row.network("net", &[])?;
    let b = row.server("b", &net, &[])?;
    let inside = row.network("inside", &["--internal"])?;
    let c = row.server("c", &inside, &[])?;
    let h = row.spec("h").options(&["--network", "host"]).run(&["sleep", "infinity"])?;
    let service = TcpListener::bind((net.gateway()?.as_str(), 0))?;
    let at = service.local_addr()?;
    let (to, to_inside) = (b.address(&net)?, c.address(&inside)?);
    let watched = row.watch()?;
    h.exec(&["nc", "-z", "-w1", &to, "80"])?;
    b.exec(&["nc", "-z", "-w1", &at.ip().to_string(), &at.port().to_string()])?;
    h.exec(&["nc", "-z", "-w1", &to_inside, "80"])?;
    let to_host = crossing("host-access", "answered", ["b", "host"], TCP);
    watched.must_tell(&[to_host, crossing("cross-network", "answered", ["h", "c"], TCP)]).map(drop)
}
