//! Names that containers ask for, against what the client counted and what tcpdump sees: of a resolver of the test's own, and of
//! Docker's on custom networks, also of an engine of the test's own.

mod programs;
mod six;
mod taps;

use anyhow::{Context, Result, ensure};
use lab::{Container, Engine, Lab, image, wait_for};
use programs::{PATIENCE, RESOLVER, ask, vethwatch, wait_until_heard};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Asks its first argument for random names for three seconds, as fast as it can, and takes no answer. Prints how many.
const FLOOD: &str = r"
import os, socket, struct, sys, time
it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end, sent = time.monotonic() + 3, 0
while time.monotonic() < end:
    for _ in range(100):
        name = b'\x10' + os.urandom(8).hex().encode()
        it.sendto(struct.pack('>HHHHHH', sent & 0xffff, 0x100, 1, 0, 0, 0) + name + b'\0\0\1\0\1', (sys.argv[1], 53))
        sent += 1
print(sent)
";

/// How often a flood is tried.
const TRIES: usize = 3;

/// Losses that a question may be counted in.
const LOSSES: [&str; 5] = [
    "dns_rate_capped",
    "dns_ring_full",
    "dns_questions_not_kept",
    "dns_exchanges_dropped",
    "records_lost_by_slow_readers",
];

#[test]
fn what_a_client_asks_is_told_once_and_its_flows_know_the_name() -> Result<()> {
    let lab = Lab::new("names")?;
    let debian = image::ready(image::DEBIAN)?;
    let resolver = lab.container("resolver").image(&debian).run(&["python3", "-c", RESOLVER])?;
    let client = lab.container("client").image(&debian).run(&["sleep", "600"])?;
    let address = lab::docker(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &resolver.id])?;
    let mut names = vethwatch().start(&["dns", "--json", "--container", &client.name])?;
    let mut flows =
        vethwatch().start(&["flows", "--json", "--tick", "200ms", "--container", &client.name])?;
    let first = || ask(&client, &address, &["ready.example"]).map(drop);
    wait_until_heard(&mut names, first, "dns")?;
    wait_until_heard(&mut flows, first, "flow")?;

    let many: Vec<String> = (0..200).map(|number| format!("n{number}.example")).collect();
    let rest = ["nx.example", "big.example", "tcp:big.example", "tcp:Two.example", "junk", "silent.example"];
    let wanted: Vec<&str> = many.iter().map(String::as_str).chain(rest).collect();
    let took = ask(&client, &address, &wanted)?;
    names.wait_for("the question without an answer", PATIENCE, |lines| {
        lines.iter().find(|line| line["name"] == "silent.example").map(drop)
    })?;
    let told: Vec<Value> =
        names.lines("dns").into_iter().filter(|it| it["name"] != "ready.example").collect();
    ensure!(told.len() == took.len() + 1, "{} were answered, {} told", took.len(), told.len());
    for (name, took) in &took {
        let is_it = |line: &&Value| line["name"] == **name && line["latency_us"].as_u64() <= Some(*took);
        let line = told.iter().find(is_it).with_context(|| format!("{name} in {took} µs: {told:?}"))?;
        let (rcode, whole) = (if name == "nx.example" { "NXDOMAIN" } else { "NOERROR" }, &line["answers"][0]);
        ensure!(line["rcode"] == rcode && line["asked"] == 1 && line["record_type"] == "A", "{line}");
        ensure!(line["container"]["id"] == *client.id && line["latency_us"].is_u64(), "{line}");
        ensure!(line["resolver"]["container"]["id"] == *resolver.id, "{line}");
        let has_none = rcode == "NXDOMAIN" || line["truncated"] == true;
        ensure!(if has_none { whole.is_null() } else { *whole == *address }, "{line}");
    }
    let big: BTreeMap<&str, bool> = told
        .iter()
        .filter(|line| line["name"] == "big.example")
        .map(|line| (line["transport"].as_str().unwrap_or_default(), line["truncated"] == true))
        .collect();
    ensure!(big == BTreeMap::from([("tcp", false), ("udp", true)]), "{big:?}");
    let silent = told.iter().find(|line| line["name"] == "silent.example").context("it was there")?;
    ensure!(silent.get("rcode").is_none() && silent.get("latency_us").is_none(), "{silent}");

    // The last name with that address was the one asked for over TCP.
    ask(&client, &address, &["tcp:last.example"])?;
    ask(&client, &address, &[])?;
    flows.wait_for("a flow that knows its name", PATIENCE, |lines| {
        lines.iter().find(|line| line["remote"]["name"] == "last.example").cloned()
    })?;
    for running in [names, flows] {
        running.signal(libc::SIGINT)?;
        let (code, lines) = running.end()?;
        let status = lines.last().context("a status")?;
        ensure!(code == Some(0) && status["type"] == "status", "{code:?} {status}");
        ensure!(status["losses"]["dns_malformed"] == 2, "the junk, and what is said to it: {status}");
        ensure!(status["losses"].get("dns_ring_full").is_none(), "{status}");
    }
    lab.close()
}

/// What a process has in memory, in kB.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn one_that_asks_for_endless_names_takes_no_memory_and_harms_no_other() -> Result<()> {
    let lab = Lab::new("flood")?;
    let debian = image::ready(image::DEBIAN)?;
    let resolver = lab.container("resolver").image(&debian).run(&["python3", "-c", RESOLVER])?;
    let [client, noisy] =
        ["client", "noisy"].map(|name| lab.container(name).image(&debian).run(&["sleep", "600"]));
    let (client, noisy) = (client?, noisy?);
    let address =
        |of: &Container| lab::docker(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &of.id]);
    let [resolver, nobody] = [address(&resolver)?, address(&client)?];
    for _ in 0..TRIES {
        if is_all_told_amid_a_flood([&client, &noisy], &resolver, &nobody)? {
            return lab.close();
        }
    }
    anyhow::bail!("each time its ring was full")
}

/// Whether all that the client asks is told once, and each name of the noisy one is told or counted as lost. Not so only where
/// the ring was full: whoever reads it was late, and what did not fit may have been the client's.
fn is_all_told_amid_a_flood([client, noisy]: [&Container; 2], resolver: &str, nobody: &str) -> Result<bool> {
    let mut names = vethwatch().start(&["dns", "--json"])?;
    wait_for("a first record of the client", PATIENCE, || {
        ask(client, resolver, &["ready.example"])?;
        let is_its = |line: &Value| line["container"]["id"] == *client.id;
        Ok(names.lines("dns").iter().any(is_its).then_some(()))
    })?;
    let before = resident(names.pid())?;
    let (sent, took) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| noisy.exec(&["python3", "-c", FLOOD, nobody]));
        let wanted: Vec<String> = (0..300).map(|number| format!("n{number}.example")).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let took = ask(client, resolver, &wanted)?;
        let sent = flood.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
        anyhow::Ok((sent.trim().parse::<u64>()?, took))
    })?;
    let grown = resident(names.pid())?.saturating_sub(before);
    ensure!(grown < 64 << 10, "{sent} names took {grown} kB");
    // Names without an answer are told ten seconds later, the oldest first. At the end there is little time for many.
    ask(client, resolver, &["silent.example"])?;
    names.wait_for("a later question without an answer", PATIENCE, |lines| {
        let is_it = |line: &&Value| line["name"] == "silent.example" && line["container"]["id"] == *client.id;
        lines.iter().find(is_it).map(drop)
    })?;
    names.signal(libc::SIGINT)?;
    let (code, lines) = names.end()?;
    let status = lines.last().context("a status")?;
    ensure!(code == Some(0) && status["type"] == "status", "{code:?} {status}");
    let of = |container: &Container| {
        lines
            .iter()
            .filter(|line| line["type"] == "dns" && line["container"]["id"] == *container.id)
            .collect()
    };
    let (told, of_noisy): (Vec<&Value>, Vec<&Value>) = (of(client), of(noisy));
    let lost: u64 = LOSSES.iter().filter_map(|name| status["losses"][name].as_u64()).sum();
    ensure!(took.len() == 300 && lost > 0, "{} of 300 answered, {lost} lost of {sent}", took.len());
    let counted = of_noisy.len() as u64 + lost;
    let in_full_ring = status["losses"]["dns_ring_full"].as_u64().unwrap_or(0);
    ensure!(
        (sent..=sent + in_full_ring).contains(&counted),
        "{} told, {lost} lost, {sent} sent: {}",
        of_noisy.len(),
        status["losses"]
    );
    for (name, _) in &took {
        let answered =
            told.iter().filter(|line| line["name"] == **name && line["rcode"] == "NOERROR").count();
        if answered == 0 && in_full_ring > 0 {
            return Ok(false);
        }
        ensure!(answered == 1, "{name} was told {answered} times: {}", status["losses"]);
    }
    Ok(counted == sent)
}

/// Moves an engine into the root control group, which is everybody's, or into one of its own, as it has under systemd. That
/// goes with the engine's others.
fn into_group(engine: &Engine, of_its_own: bool) -> Result<()> {
    let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let mount = mounts.into_iter().find(|mount| mount.join("cgroup.procs").exists());
    let mut group = mount.context("control groups of version 2")?.to_owned();
    if of_its_own {
        group.push(engine.group().trim_start_matches('/'));
        group.push("daemon");
        fs::create_dir_all(&group)?;
    }
    fs::write(group.join("cgroup.procs"), engine.pid().to_string())?;
    Ok(())
}

#[test]
fn what_dockers_own_resolver_is_asked_is_told_and_what_it_asks_on() -> Result<()> {
    let image = image::ready(image::DEBIAN)?;
    let engine = Engine::start("{}", &image)?;
    // A socket stays in the group that it was made in.
    into_group(&engine, true)?;
    engine.docker(&["network", "create", "vw-front"])?;
    let run = |name: &str, options: &[&str], words: &[&str]| {
        let usual = ["run", "--detach", "--pull", "never", "--name", name, "--network", "vw-front"];
        engine.docker(&[&usual, options, &[&image], words].concat())
    };
    let address = |name: &str| {
        let format = "{{(index .NetworkSettings.Networks \"vw-front\").IPAddress}}";
        engine.docker(&["inspect", "--format", format, name])
    };
    run("vw-resolver", &["--network-alias", "flask_app"], &["python3", "-c", RESOLVER])?;
    let resolver = address("vw-resolver")?;
    run("vw-client", &["--dns", &resolver], &["sleep", "600"])?;
    resolver_is_heard(&engine, &resolver).context("at the engine's sockets")?;
    into_group(&engine, false)?;
    resolver_is_heard(&engine, &resolver).context("at the containers' sockets")
}

/// Looks up an alias that Docker's resolver knows, and a name for which it asks `resolver`.
fn resolver_is_heard(engine: &Engine, resolver: &str) -> Result<()> {
    let vethwatch = vethwatch().within(&engine.namespace).with("DOCKER_HOST", &engine.host());
    // Another engine's containers may be heard too.
    let mut names = vethwatch.start(&["dns", "--json", "--container", "vw-client"])?;
    let look_up = |name: &str| engine.docker(&["exec", "vw-client", "getent", "ahostsv4", name]);
    wait_until_heard(&mut names, || look_up("vw-resolver").map(drop), "dns")?;
    ensure!(look_up("flask_app")?.contains(resolver), "Docker's resolver knows the alias");
    ensure!(look_up("far.example")?.contains(resolver), "ours is asked");
    let told = names.wait_for("all names", PATIENCE, |lines| {
        let of = |name: &str| -> Vec<Value> {
            lines.iter().filter(|line| line["name"] == name && line["record_type"] == "A").cloned().collect()
        };
        let (near, far) = (of("flask_app"), of("far.example"));
        (!near.is_empty() && far.len() >= 2).then_some([near, far])
    })?;
    let [near, far] = told;
    ensure!(near.len() == 1 && far.len() == 2, "{near:?} {far:?}");
    for line in near.iter().chain(&far) {
        ensure!(line["container"]["name"] == "vw-client" && line["rcode"] == "NOERROR", "{line}");
        ensure!(line["answers"] == serde_json::json!([resolver]), "{line}");
    }
    let is_docker = |line: &&Value| line["resolver"]["address"] == "127.0.0.11";
    ensure!(is_docker(&&near[0]) && near[0].get("observed_at").is_none(), "{near:?}");
    let (asked, asked_on): (Vec<&Value>, Vec<&Value>) = far.iter().partition(is_docker);
    let ([asked], [asked_on]) = (&asked[..], &asked_on[..]) else { anyhow::bail!("{far:?}") };
    ensure!(asked_on["forwarded"] == true && asked.get("forwarded").is_none(), "{far:?}");
    ensure!(asked["latency_us"].as_u64() >= asked_on["latency_us"].as_u64(), "{far:?}");
    names.signal(libc::SIGINT)?;
    names.end().map(drop)
}
