//! Who is in the group asks without being root, and who is not is told what to do.

use crate::rig::{PATIENCE, Rig, about, of_type, send, sent_to_port};
use anyhow::{Result, ensure};
use lab::{Lab, Tmux, wait_for};
use serde_json::Value;
use std::time::Duration;

#[test]
fn a_member_of_the_group_sees_what_the_kernel_counts() -> Result<()> {
    let rig = Rig::new("member")?;
    let lab = Lab::new("member")?;
    let net = lab.network("net", &[])?;
    let server = lab.container("server").on(&net).run(&["sleep"])?;
    let _agent = rig.agent(&[])?;
    let client = lab.container("client").on(&net).run(&["sleep"])?;
    send(&client, &server.address(&net)?, 500)?;

    let device = client.host_device(&net)?;
    let lines = wait_for("the counters of the client", PATIENCE, || {
        let (lines, counted) = (rig.ask(&["containers", "--json"])?, device.counters()?);
        let line = about(&lines, &client)?;
        let ours =
            [&line["sent"], &line["received"]].map(|it| [it["skbs"].as_u64(), it["skb_bytes"].as_u64()]);
        let theirs = [[counted.rx_packets, counted.rx_bytes], [counted.tx_packets, counted.tx_bytes]];
        Ok((ours == theirs.map(|it| it.map(Some))).then_some(lines))
    })?;
    let status: Vec<&Value> = of_type(&lines, "status").collect();
    ensure!(status.len() == 1 && status[0]["watched_by"] == "agent", "{status:?}");

    // What root sees by itself has the same names, and counts from its own beginning.
    let own = wait_for("all of root's own", PATIENCE, || {
        let own = rig.root().json(&["containers", "--json", "--for", "2s", "--socket", "off"])?;
        let are_watched =
            about(&own, &client)?["watched"] == true && about(&own, &server)?["watched"] == true;
        Ok(are_watched.then_some(own))
    })?;
    for container in [&client, &server] {
        let (ours, roots) = (about(&lines, container)?, about(&own, container)?);
        ensure!(ours["networks"] == roots["networks"] && ours["name"] == roots["name"], "{ours} {roots}");
        ensure!(about(&rig.get("/v1/containers")?, container)?["networks"] == ours["networks"]);
    }
    ensure!(of_type(&own, "status").all(|line| line["watched_by"] == "command"));

    // Flows, while they go on.
    let at = rig.socket();
    let mut flows = rig.member().start(&rig.asking(&["flows", "--json"], &at))?;
    flows.wait_until_watching(&lab, &net, &server.address(&net)?)?;
    send(&client, &server.address(&net)?, 300)?;
    flows.wait_for("all datagrams", PATIENCE, |lines| {
        (sent_to_port(lines, &client, 4_001) >= 300).then_some(())
    })?;
    flows.signal(libc::SIGINT)?;
    let (code, lines) = flows.end()?;
    let sent = sent_to_port(&lines, &client, 4_001);
    ensure!(code == Some(0) && sent == 300, "{code:?}, {sent} datagrams");
    ensure!(sent_to_port(&lines, &server, 4_001) == 0, "the server asked nobody");

    let pairs = rig.ask(&["pairs", "--json", "--container", &client.name])?;
    ensure!(of_type(&pairs, "pair").any(|line| line["server"]["container"]["id"] == *server.id));
    let networks = rig.ask(&["networks", "--json"])?;
    ensure!(of_type(&networks, "network").any(|line| line["name"] == *net.name));
    let text = rig.member().finish(&rig.asking(&["top", "--once"], &at))?;
    ensure!(text.status.success() && text.stdout.contains("the agent watches since "), "{text:?}");
    ensure!(text.stdout.contains(&client.name), "{text:?}");
    lab.close()
}

#[test]
fn who_may_not_ask_is_told_what_to_do() -> Result<()> {
    let rig = Rig::new("stranger")?;
    let at = rig.socket();
    let check = |words: &[&str], says: &str| -> Result<()> {
        let told = rig.stranger().finish(&rig.asking(words, &at))?;
        ensure!(told.status.code() == Some(3) && told.stderr.contains(says), "{words:?}: {told:?}");
        ensure!(told.stdout.is_empty() && told.stderr.lines().count() == 1, "{told:?}");
        Ok(())
    };
    check(&["containers"], "no agent answers at")?;
    let agent = rig.agent(&[])?;
    check(&["containers"], "join group")?;
    check(&["flows", "--tick", "2s"], "the agent is not asked because of --tick")?;
    // Root asks it too.
    let own = rig.root().json(&rig.asking(&["containers", "--json"], &at))?;
    ensure!(of_type(&own, "status").all(|line| line["watched_by"] == "agent"));
    let own = rig.root().json(&rig.asking(&["containers", "--json", "--no-bridges"], &at))?;
    ensure!(of_type(&own, "status").all(|line| line["watched_by"] == "command"));
    agent.signal(libc::SIGTERM)?;
    ensure!(agent.end()?.0 == Some(0) && !at.exists(), "the file went with the agent");
    Ok(())
}

#[test]
fn the_live_view_shows_when_the_agent_goes_and_when_it_is_there_again() -> Result<()> {
    let rig = Rig::new("live")?;
    let lab = Lab::new("socket-live")?;
    let net = lab.network("net", &[])?;
    let server = lab.container("server").on(&net).run(&["sleep"])?;
    let agent = rig.agent(&[])?;
    let shell = ["sh", "-c", "trap '' INT; \"$@\"; exec sleep 600", "sh"];
    let at = rig.socket();
    let command = rig.member().command(&rig.asking(&["top"], &at));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<&str> = words.filter_map(|word| word.to_str()).collect();
    let pane = Tmux::start("socket-live", (140, 30), &[&shell[..], &words].concat())?;
    let last = server.name.rsplit('-').next().unwrap_or_default().to_owned();
    let see = |what: &str, is_there: &dyn Fn(&str) -> bool| {
        pane.wait_for(what, PATIENCE, |screen| is_there(screen).then_some(()))
    };
    const GONE: &str = "THE AGENT DOES NOT ANSWER";
    see("the agent's container", &|screen| screen.contains("the agent's, since") && screen.contains(&last))?;
    agent.signal(libc::SIGKILL)?;
    see("that it has gone", &|screen| screen.contains(GONE) && screen.contains(&last))?;
    drop(agent);
    let _agent = rig.agent(&[])?;
    see("that it is there", &|screen| !screen.contains(GONE) && screen.contains(&last))?;
    pane.press(&["q"])?;
    wait_for("its end", Duration::from_secs(10), || {
        Ok((!pane.screen()?.contains("vethwatch")).then_some(()))
    })?;
    lab.close()
}
