//! Findings through the socket: those that are open, those that come, and a check of what happens while it watches.

use crate::rig::{PATIENCE, Rig, of_type, send};
use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, finish, wait_for};
use serde_json::Value;

/// The findings about a container as the source.
fn findings<'a>(lines: &'a [Value], source: &'a Container) -> impl Iterator<Item = &'a Value> {
    of_type(lines, "finding").filter(|line| line["source"]["container"]["id"] == *source.id)
}

#[test]
fn what_was_found_before_is_told_and_a_check_counts_what_goes_on() -> Result<()> {
    let rig = Rig::new("isolation")?;
    let lab = Lab::new("isolation")?;
    let (front, back) = (lab.network("front", &[])?, lab.network("back", &[])?);
    let db = lab.container("db").on(&back).run(&["sleep"])?;
    let client = lab.container("client").on(&front).run(&["sleep"])?;
    let _agent = rig.agent(&[])?;
    let to = db.address(&back)?;
    send(&client, &to, 5)?;
    wait_for("the violation", PATIENCE, || {
        // It was told by now, and has no packet any more: whoever asks now is told all the same.
        let lines = rig.ask(&["violations", "--json", "--for", "2s"])?;
        let found = findings(&lines, &client).last().is_some_and(|last| last["outcome"] != "attempted");
        Ok(found.then_some(()))
    })?;
    let lines = rig.ask(&["violations", "--json", "--for", "2s", "--kind", "crossing"])?;
    ensure!(findings(&lines, &client).count() == 0, "it is of another kind");

    // It is open for a minute, and nothing happens while this one watches.
    let at = rig.socket();
    let check = |words: &[&str]| -> Result<(Option<i32>, Vec<Value>)> {
        let told = rig.member().finish(&rig.asking(&[&["check", "--json"], words].concat(), &at))?;
        let lines = told.stdout.lines().map(|line| Ok(serde_json::from_str(line)?));
        Ok((told.status.code(), lines.collect::<Result<_>>().with_context(|| told.stderr.clone())?))
    };
    let (code, lines) = check(&["--for", "1s"])?;
    ensure!(findings(&lines, &client).count() == 0, "it was over before: {lines:?}");
    // What others on this machine do meanwhile is theirs.
    let others = of_type(&lines, "finding").count();
    ensure!(code == Some(0) || others > 0, "{code:?}: {lines:?}");
    ensure!(of_type(&lines, "check").count() == 1);

    // It goes on: the same finding, told first a while ago.
    let mut traffic = lab::privileged("docker");
    let target = format!("{to}:4001");
    traffic.args(["exec", &client.id, "/testbox", "udp-send", &target, "--count", "200", "--rate", "10"]);
    let sender = std::thread::spawn(move || finish(&mut traffic, PATIENCE));
    let device = client.host_device(&front)?;
    let before = device.counters()?.rx_packets;
    wait_for("the traffic", PATIENCE, || Ok((device.counters()?.rx_packets > before).then_some(())))?;
    let (code, lines) = check(&["--for", "4s"])?;
    ensure!(code == Some(1) && findings(&lines, &client).count() == 1, "{code:?} {lines:?}");
    let sent = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    ensure!(sent.status.success(), "{sent:?}");
    lab.close()
}
