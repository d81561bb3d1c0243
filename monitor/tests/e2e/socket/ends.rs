//! How it ends: agents that are killed, that take each other's place, and that are of another version.

use crate::rig::{NOBODY, PATIENCE, Rig, STRANGERS, of_type, say};
use anyhow::{Context, Result, ensure};
use lab::{Vethwatch, wait_for};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;

#[test]
fn a_stream_says_that_its_agent_was_killed_and_another_agent_takes_its_place() -> Result<()> {
    let rig = Rig::new("killed")?;
    let at = rig.socket();
    let agent = rig.agent(&[])?;
    let mut streams = Vec::new();
    for words in [&["flows", "--json"][..], &["violations", "--json"], &["check", "--json", "--for", "1h"]] {
        streams.push((words, rig.member().start(&rig.asking(words, &at))?));
    }
    wait_for("three streams", PATIENCE, || Ok((lab::clients_at(&at)? == streams.len()).then_some(())))?;
    let second = rig.root().finish(&rig.asking(&["agent", "--metrics-listen", "off"], &at))?;
    let says = format!("process {} answers there already", agent.pid());
    ensure!(second.status.code() == Some(3) && second.stderr.contains(&says), "{second:?}");
    agent.signal(libc::SIGKILL)?;
    for (words, stream) in streams {
        wait_for("the reason", PATIENCE, || Ok(stream.errors().contains("it has ended").then_some(())))?;
        let code = stream.end()?.0;
        ensure!(code == Some(3), "{words:?} {code:?}");
    }
    drop(agent);
    ensure!(at.exists(), "nobody took it away");
    let _next = rig.agent(&[])?;
    ensure!(of_type(&rig.ask(&["containers", "--json"])?, "status").count() == 1);
    Ok(())
}

/// Answers one client as an agent of another version would.
fn another_version(rig: &Rig) -> Result<JoinHandle<Result<()>>> {
    let listener = UnixListener::bind(rig.socket())?;
    std::fs::set_permissions(rig.socket(), std::fs::Permissions::from_mode(0o666))?;
    Ok(std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut client, _) = listener.accept()?;
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte)?;
                asked.push(byte[0]);
            }
            let body = r#"{"type":"error","error":"another one","version":"9.9.9\u001b[31m"}"#;
            let head = format!("HTTP/1.1 409 Conflict\r\ncontent-length: {}\r\n\r\n", body.len());
            client.write_all(format!("{head}{body}").as_bytes())?;
        }
        Ok(())
    }))
}

#[test]
fn an_agent_of_another_version_is_not_asked() -> Result<()> {
    let rig = Rig::new("version")?;
    let at = rig.socket();
    let agent = another_version(&rig)?;
    let told = rig.root().finish(&rig.asking(&["containers", "--json"], &at))?;
    let says = r"the agent is version 9.9.9\u{1b}[31m, this is ";
    ensure!(told.status.success() && told.stderr.contains(says), "{told:?}");
    ensure!(told.stdout.contains(r#""watched_by":"command""#), "{told:?}");
    let told = rig.member().finish(&rig.asking(&["containers", "--json"], &at))?;
    ensure!(told.status.code() == Some(3) && told.stderr.contains(says), "{told:?}");
    agent.join().map_err(|_| anyhow::anyhow!("the other agent panicked"))??;
    Ok(())
}

#[test]
fn an_agent_refuses_another_version() -> Result<()> {
    let rig = Rig::new("refuses")?;
    let _agent = rig.agent(&[])?;
    let ask = "GET /private/watch?version=0.0.0 HTTP/1.1\r\nHost: x\r\n\r\n";
    let (status, body) = say(&rig.socket(), ask.as_bytes())?;
    let ours = format!(r#""version":"{}""#, env!("CARGO_PKG_VERSION"));
    ensure!(status == 409 && body.contains(&ours), "{status} {body}");
    Ok(())
}

#[test]
fn a_reload_gives_the_socket_to_another_group_makes_it_again_or_moves_it() -> Result<()> {
    let rig = Rig::new("reload")?;
    let (first, second) = (rig.socket(), rig.socket().with_extension("other"));
    let file = rig.socket().with_extension("toml");
    let write = |at: &Path, group: u32| {
        let socket = format!("socket = {:?}\nsocket-group = \"{group}\"\n", at.display().to_string());
        std::fs::write(&file, format!("{socket}[metrics]\nlisten = \"off\"\n"))
    };
    let code = |who: &Vethwatch, at: &Path| -> Result<Option<i32>> {
        Ok(who.finish(&rig.asking(&["containers", "--json"], at))?.status.code())
    };
    write(&first, NOBODY)?;
    // The file says where the socket is, and nothing above it.
    let root = rig.root().with("VETHWATCH_SOCKET", "");
    let agent = root.start(&["agent", "--config", file.to_str().context("a path")?])?;
    wait_for("the agent", PATIENCE, || Ok(agent.errors().contains("vethwatch: watching").then_some(())))?;
    ensure!((code(&rig.member(), &first)?, code(&rig.stranger(), &first)?) == (Some(0), Some(3)));
    write(&first, STRANGERS)?;
    agent.signal(libc::SIGHUP)?;
    wait_for("the other group", PATIENCE, || Ok((code(&rig.stranger(), &first)? == Some(0)).then_some(())))?;
    ensure!(code(&rig.member(), &first)? == Some(3), "the group before may ask no longer");
    std::fs::remove_file(&first)?;
    agent.signal(libc::SIGHUP)?;
    wait_for("the file again", PATIENCE, || Ok((code(&rig.stranger(), &first)? == Some(0)).then_some(())))?;
    write(&second, NOBODY)?;
    agent.signal(libc::SIGHUP)?;
    wait_for("the other place", PATIENCE, || Ok((code(&rig.member(), &second)? == Some(0)).then_some(())))?;
    wait_for("the end of the first place", PATIENCE, || Ok((!first.exists()).then_some(())))?;
    agent.signal(libc::SIGTERM)?;
    ensure!(agent.end()?.0 == Some(0) && !second.exists());
    Ok(())
}
