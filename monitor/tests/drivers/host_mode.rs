//! `--network host`: counted at the control group, without Ethernet headers.

use crate::agent::{Agent, PATIENCE, is_watched, send};
use crate::heard;
use anyhow::{Result, ensure};
use lab::{Lab, image, wait_for};
use serde_json::{Value, json};

/// Nobody else on the host uses it.
const PORT: u16 = 4_711;
/// IPv4 and UDP header.
const HEADERS: u64 = 28;
/// Those and an Ethernet header, as a device has it.
const FRAME: u64 = 42;

fn counts(packets: u64, size: u64) -> Value {
    let bytes = packets * size;
    json!({ "packets": packets, "bytes": bytes, "skbs": packets, "skb_bytes": bytes })
}

#[test]
fn a_container_in_host_mode_is_counted_exactly_and_named_at_both_ends() -> Result<()> {
    let lab = Lab::new("hostmode")?;
    let net = lab.network("net", &[])?;
    let quiet = lab.container("quiet").on(&net).run(&["udp-receive", "7", "--idle", "1000s"])?;
    let open = lab.container("open").on(&net).run(&["sleep"])?;
    let receive = ["udp-receive", &PORT.to_string(), "--idle", "1000s"];
    let host = lab.container("host").options(&["--network", "host"]).run(&receive)?;
    let joined = ["--network", &format!("container:{}", host.id)];
    let guest = lab.container("guest").options(&joined).run(&["sleep"])?;
    let agent = Agent::start("hostmode")?;
    let row = agent.wait_for_row("the control group to be watched", &host, is_watched)?;
    agent.wait_for_row("the guest's to be watched", &guest, is_watched)?;
    ensure!(
        row["networks"][0]["name"] == "host" && row["networks"].as_array().map(Vec::len) == Some(1),
        "{row}"
    );
    ensure!(row.get("before_watch").is_none() && row.get("unaccounted_bytes").is_none(), "{row}");
    ensure!(host.group_programs()? == 2 && quiet.group_programs()? == 0);

    let (to_quiet, to_host) = (format!("{}:7", quiet.address(&net)?), format!("{}:{PORT}", net.gateway()?));
    send(&host, &to_quiet, 500, 100)?;
    send(&open, &to_host, 300, 50)?;
    send(&guest, &to_quiet, 20, 10)?;
    let sent = counts(500, 100 + HEADERS);
    let all = |row: &Value| row["sent"] == sent && row["received"] == counts(300, 50 + HEADERS);
    agent.wait_for_row("all that the host's container sent and received", &host, all)?;
    agent.wait_for_row("what the guest sent", &guest, |row| row["sent"] == counts(20, 10 + HEADERS))?;
    // Each direction is counted at its sender, once.
    let (there, back) = (agent.wait_for_pair(&host, &quiet, 500)?, agent.wait_for_pair(&open, &host, 300)?);
    ensure!(there["sent"] == sent && there["server"]["port"] == 7, "{there}");
    ensure!(back["sent"] == counts(300, 50 + FRAME) && back["server"]["port"] == PORT, "{back}");
    ensure!(agent.wait_for_pair(&guest, &quiet, 20)?["sent"] == counts(20, 10 + HEADERS));

    // Another run of it has another control group.
    host.kill()?;
    host.start()?;
    wait_for("the new control group to be watched", PATIENCE, || {
        Ok((host.group_programs()? == 2).then_some(()))
    })?;
    send(&host, &to_quiet, 10, 100)?;
    agent.wait_for_row("both runs together", &host, |row| row["sent"] == counts(510, 100 + HEADERS))?;
    agent.end()?;
    ensure!(host.group_programs()? == 0 && guest.group_programs()? == 0, "programs are left");
    Ok(())
}

/// Nobody else on the host uses these two.
const SLOW: u16 = 4_713;

#[test]
fn names_and_windows_of_0_of_a_container_in_host_mode_are_told() -> Result<()> {
    let lab = Lab::new("hosthear")?;
    let net = lab.network("net", &[])?;
    let debian = image::ready(image::DEBIAN)?;
    let [at_host, at_server] = [SLOW, SLOW + 2].map(|port| port.to_string());
    let host = lab.container("host").image(&debian).options(&["--network", "host"]);
    let host = host.run(&["python3", "-c", heard::SERVER, &at_host])?;
    let server = lab.container("server").image(&debian).on(&net);
    let server = server.run(&["python3", "-c", heard::SERVER, &at_server, "0.0.0.0"])?;
    for one in [&host, &server] {
        wait_for("the server", PATIENCE, || Ok(one.logs()?.contains("listening").then_some(())))?;
    }
    let agent = Agent::start("hosthear")?;
    agent.wait_for_row("the control group to be watched", &host, is_watched)?;
    agent.wait_for_row("the server to be watched", &server, is_watched)?;
    heard::names(&agent, &host, &server.address(&net)?)?;
    // Seen at the control group and at a veth: as the one that has no room, and as the one that writes.
    heard::windows(&agent, &server, &host, (&net.gateway()?, SLOW))?;
    heard::windows(&agent, &host, &server, (&server.address(&net)?, SLOW + 2))?;
    // An error that a container sends is seen at that one's veth.
    let (address, closed, pid) = (server.address(&net)?, 7_003, host.pid()?);
    let before = heard::unreachable(pid)?;
    heard::knock(&host, &address, closed)?;
    let row = heard::errors(&agent, || Ok(heard::unreachable(pid)? - before), closed)?;
    let error = &row["icmp_errors"][0];
    ensure!(error["packets_of"] == "client" && row["client"].to_string().contains(&host.name), "{row}");
    agent.end()?;
    lab.close()
}
