//! `vethwatch agent` beside real containers: what it exports is what the kernel counts, and its clients cannot harm it.

#[path = "metrics/page.rs"]
mod page;

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Running, Vethwatch, docker, wait_for};
use page::{Page, get};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// A signal ends the agent in this time, whatever its clients do. A machine may stand still for seconds, but a stuck client
/// that is waited for is there for ten.
const END: Duration = Duration::from_secs(7);
/// More clients than may be there at once.
const CLIENTS: usize = 100;

/// An agent, and where it answers.
fn agent(vethwatch: &Vethwatch, more: &[&str]) -> Result<(Running, SocketAddr)> {
    let words = [&["agent", "--metrics-listen", "127.0.0.1:0"], more].concat();
    let mut running = vethwatch.start(&words)?;
    let address = running.metrics()?;
    Ok((running, address))
}

/// Ends it, in the time it has for that.
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn end(running: Running) -> Result<()> {
    let asked = Instant::now();
    running.signal(libc::SIGTERM)?;
    let (code, _) = running.end()?;
    let took = asked.elapsed();
    ensure!(code == Some(0) && took < END, "it ended with {code:?} after {took:?}");
    Ok(())
}

/// Sends datagrams to a port at which nobody listens.
fn send(from: &Container, to: &str, count: u32) -> Result<()> {
    let count = count.to_string();
    from.exec(&["/testbox", "udp-send", &format!("{to}:4001"), "--count", &count, "--rate", "1000"]).map(drop)
}

/// Waits until a container's figures are those of its device, on top of what there was before.
fn wait_for_equal(at: SocketAddr, container: &Container, on: &Network, before: [u64; 4]) -> Result<[u64; 4]> {
    let device = container.host_device(on)?;
    let name: &str = &container.name;
    wait_for(&format!("the counters of {name}"), PATIENCE, || {
        let counted = device.counters()?;
        let page = Page::of(at)?;
        let figure =
            |family: &str| page.value(&format!("container_network_{family}_total"), &[("name", name)]);
        let ours = ["receive_packets", "receive_bytes", "transmit_packets", "transmit_bytes"].map(figure);
        let theirs = [counted.tx_packets, counted.tx_bytes, counted.rx_packets, counted.rx_bytes];
        let expected: Vec<_> = theirs.iter().zip(before).map(|(now, before)| Some(now + before)).collect();
        Ok((ours[..] == expected[..]).then(|| ours.map(Option::unwrap_or_default)))
    })
}

/// What the tool of Prometheus says about a page: nothing.
fn lint(page: &str) -> Result<()> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().context("starting promtool, which `cargo xtask test` gets")?;
    promtool.stdin.take().context("a pipe")?.write_all(page.as_bytes())?;
    let told = promtool.wait_with_output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    ensure!(told.status.success() && said.trim().is_empty(), "promtool: {said}");
    Ok(())
}

#[test]
fn metrics_are_what_the_kernel_counts() -> Result<()> {
    let lab = Lab::new("metrics")?;
    let [front, back] = ["front", "back"].map(|name| lab.network(name, &[]));
    let (front, back) = (front?, back?);
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
    // One that is there before the agent: its device has counted something already.
    let web = lab.container("web").on(&front).run(&["serve-http", "8000"])?;
    lab.container("early").on(&front).run(&["udp-send", &format!("{}:7", web.address(&front)?)])?;
    let (running, at) = agent(&vethwatch, &["--metrics-pairs", "--metrics-cadvisor"])?;
    let client = lab.container("client").on(&front).run(&["sleep"])?;
    let db = lab.container("db").on(&back).run(&["sleep"])?;
    let address = web.address(&front)?;
    wait_for("the server", PATIENCE, || Ok(web.logs()?.contains("8000").then_some(())))?;

    send(&client, &address, 500)?;
    let url = format!("http://{address}:8000/bytes/100000");
    client.exec(&["/testbox", "get", &url, "--count", "5"])?;
    for container in [&web, &client] {
        wait_for_equal(at, container, &front, [0; 4])?;
    }
    let (of_client, of_web) = ([("container", &*client.name)], [("container", &*web.name)]);
    wait_for("the connections", PATIENCE, || {
        let page = Page::of(at)?;
        let figures = [
            page.value("vethwatch_container_connections_opened_total", &of_client),
            page.value("vethwatch_container_handshake_seconds_count", &of_client),
            page.value("vethwatch_container_connections_accepted_total", &of_web),
            page.value("vethwatch_container_unaccounted_bytes", &of_client),
        ];
        Ok((figures == [Some(5), Some(5), Some(5), Some(0)]).then_some(()))
    })?;
    let ends = [("client", &*client.name), ("server", &*web.name), ("protocol", "udp")];
    let page = Page::of(at)?;
    ensure!(page.value("vethwatch_pair_transmit_packets_total", &ends) == Some(500), "{}", page.text);

    // A network that is not its own. Others on this machine may do the same.
    let blocked = [("rule", "cross-network"), ("outcome", "blocked"), ("severity", "warning")];
    let [of_kind, of_reason] = [("kind", "violation"), ("reason", "NETFILTER_DROP")];
    let figures = |page: &Page| {
        let violations = page.value("vethwatch_violations_total", &blocked).unwrap_or(0);
        let packets = page.value("vethwatch_finding_packets_total", &[&[of_kind], &blocked[..]].concat());
        let dropped = page.value("vethwatch_dropped_packets_total", &[of_reason]);
        [violations, packets.unwrap_or(0), dropped.unwrap_or(0)]
    };
    let before = figures(&Page::of(at)?);
    send(&client, &db.address(&back)?, 5)?;
    wait_for("the violation", PATIENCE, || {
        let page = Page::of(at)?;
        let now = figures(&page);
        let more = [0, 1, 2].map(|figure| now[figure] - before[figure]);
        let open = page
            .value("vethwatch_findings_open", &[&[of_kind], &blocked[..]].concat())
            .is_some_and(|open| open >= 1);
        let dropped = page.value("vethwatch_container_dropped_packets_total", &of_client);
        let drops_are_watched = page.value("vethwatch_feature_missing", &[("feature", "drops")]).is_none();
        let drops = !drops_are_watched || more[2] >= 5 && dropped == Some(5);
        Ok((more[0] >= 1 && more[1] >= 5 && open && drops).then_some(()))
    })?;

    // Another interface: its counters begin anew, the container's do not.
    let before = wait_for_equal(at, &client, &front, [0; 4])?;
    docker(&["restart", "--time", "0", &client.id])?;
    send(&client, &address, 50)?;
    let after = wait_for_equal(at, &client, &front, before)?;
    ensure!(after[2] >= before[2] + 50, "{before:?} {after:?}");
    let page = Page::of(at)?;
    lint(&page.text)?;
    end(running)?;
    lab.close()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn stuck_clients_harm_nobody_and_the_service_manager_is_told() -> Result<()> {
    let name = format!("vw-metrics-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&UnixAddr::from_abstract_name(&name)?)?;
    manager.set_read_timeout(Some(PATIENCE))?;
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).with("NOTIFY_SOCKET", &format!("@{name}"));
    let (running, at) = agent(&vethwatch, &[])?;
    let told = || -> Result<String> {
        let mut told = [0; 512];
        let length = manager.recv(&mut told)?;
        Ok(String::from_utf8_lossy(&told[..length]).into_owned())
    };
    ensure!(told()? == "READY=1");

    let mut stuck = Vec::new();
    for number in 0..CLIENTS {
        let mut client = TcpStream::connect(at)?;
        if number % 2 == 0 {
            client.write_all(b"GET /metrics HTTP/1.1\r\nHost: ")?;
        }
        stuck.push(client);
    }
    let asked = Instant::now();
    ensure!(get(at, "GET", "/healthz", "")?.0 == 200);
    let page = get(at, "GET", "/metrics", "application/openmetrics-text; version=1.0.0")?;
    ensure!(page.0 == 200 && page.1.ends_with("# EOF\n"), "{page:?}");
    ensure!(asked.elapsed() < END, "a stuck client delays others: {:?}", asked.elapsed());
    ensure!(get(at, "POST", "/metrics", "")?.0 == 405);
    ensure!(get(at, "GET", "/secrets", "")?.0 == 404);
    // The first made room for the last.
    let first = &mut stuck[0];
    first.set_read_timeout(Some(END))?;
    let closed = match first.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    ensure!(closed, "the first of {CLIENTS} stuck clients is still there");
    // The last loses its connection too, though later.
    let last = stuck.last_mut().context("clients")?;
    last.set_read_timeout(Some(PATIENCE))?;
    let length = last.read(&mut [0; 1]).unwrap_or(0);
    ensure!(length == 0, "it said something to who asked nothing");

    let _stuck_again = TcpStream::connect(at)?;
    end(running)?;
    // It has told how it goes meanwhile.
    wait_for("its last words", PATIENCE, || Ok((told()? == "STOPPING=1").then_some(())))?;
    Ok(())
}
