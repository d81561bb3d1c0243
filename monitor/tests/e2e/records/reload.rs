//! Other settings of the records while the agent runs, amid traffic.

use crate::disk::{Folder, gaps};
use crate::page::Page;
use crate::stage::{Stage, address};
use crate::{PATIENCE, lost, not_written, said_at_the_end, wait_for_equal, wait_for_totals};
use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use lab::{Vethwatch, text, wait_for};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Does it amid traffic, which begins before it and goes on until it is done.
fn amid(traffic: impl Fn() -> Result<()> + Sync, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let is_done = AtomicBool::new(false);
    traffic()?;
    std::thread::scope(|scope| {
        let going_on = scope.spawn(|| -> Result<()> {
            while !is_done.load(Ordering::Relaxed) {
                traffic()?;
            }
            Ok(())
        });
        let acted = act();
        is_done.store(true, Ordering::Relaxed);
        going_on.join().expect("no thread panics").and(acted)
    })
}

/// When a packet of the first tick in these lines was seen.
fn first_seen(lines: &[Value]) -> Result<Timestamp> {
    let times = lines.iter().filter(|line| line["type"] == "flow").map(|line| -> Result<Timestamp> {
        Ok(line["last_seen"].as_str().context("a flow has a time")?.parse()?)
    });
    times.collect::<Result<Vec<_>>>()?.into_iter().min().context("there are flows")
}

#[test]
fn other_settings_miss_nothing_while_the_old_target_hangs() -> Result<()> {
    let folder = Folder::new("swap")?;
    let (pipe, config) = (folder.path.join("pipe"), folder.path.join("vethwatch.toml"));
    text(Command::new("mkfifo").arg(&pipe), PATIENCE)?;
    // Somebody has it open, and never reads.
    let _reader = fs::File::options().read(true).write(true).open(&pipe)?;
    let write_to = |target: &str| -> Result<()> {
        Ok(fs::write(&config, format!("[records]\nfile = '{target}'\nof = 'flows'\n"))?)
    };
    write_to("-")?;
    let (program, words) =
        (env!("CARGO_BIN_EXE_vethwatch"), "agent --tick 100ms --metrics-listen 127.0.0.1:0");
    let agent = format!("exec {program} {words} --config {} >{}", config.display(), pipe.display());
    let running = Vethwatch::at("sh").start(&["-c", &agent])?;
    let at = address(&running)?;
    let stage = Stage::build("records-swap")?;
    // More lines than a pipe has room for.
    stage.connect(500)?;
    wait_for_totals(at, &stage)?;

    write_to(&folder.file().to_string_lossy())?;
    // One that sends all the time, from before it until it is done.
    let to = format!("{}:9000", stage.server.address(&stage.network)?);
    let sender = stage.lab.container("sender").on(&stage.network);
    let sender = sender.run(&["udp-send", &to, "--count", "60000", "--rate", "100"])?;
    let of_sender = [("container", &*sender.name)];
    wait_for("its traffic", PATIENCE, || {
        let counted = Page::of(at)?.value("vethwatch_container_transmit_bytes_total", &of_sender);
        Ok(counted.filter(|counted| *counted > 0).map(drop))
    })?;
    running.signal(libc::SIGHUP)?;
    let is_read = || running.errors().contains("settings and policy were read again");
    wait_for("the settings to be read", PATIENCE, || Ok(is_read().then_some(())))?;
    let done = Timestamp::now();
    sender.kill()?;
    // The old one was waited for, for a second; what was sent meanwhile is for the new one.
    let first = wait_for("the flows", PATIENCE, || Ok(first_seen(&folder.so_far(&sender)?).ok()))?;
    let early = done.duration_since(first);
    ensure!(early > SignedDuration::from_millis(400), "the first flow is of {early:?} before the end");
    // What the old one did not take is lost, and counted.
    let said = running.errors();
    let told = not_written(&said);
    ensure!(said.contains("whatever takes the records hangs") && told > Some(500), "{said}");
    wait_for("the loss", PATIENCE, || Ok((Some(lost(at, "records_not_written")?) == told).then_some(())))?;
    said_at_the_end(running)?;
    ensure!(gaps(&folder.lines()?)? == 0);
    stage.lab.close()
}

#[test]
fn other_settings_lose_no_flow_and_tell_again_what_is_open() -> Result<()> {
    let (first, second) = (Folder::new("first")?, Folder::new("second")?);
    let config = first.path.join("vethwatch.toml");
    let configure = |folder: &Folder, size: &str| -> Result<()> {
        let (file, size) = (folder.file(), format!("rotate-size = '{size}'"));
        Ok(fs::write(&config, format!("[records]\nfile = '{}'\n{size}\n", file.display()))?)
    };
    configure(&first, "64KB")?;
    let words = ["agent", "--metrics-listen", "127.0.0.1:0", "--config", &config.to_string_lossy()];
    let running = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).start(&words)?;
    wait_for("the watch", PATIENCE, || Ok(running.errors().contains("watching").then_some(())))?;
    let stage = Stage::build("records-reload")?;
    let reload = |times: usize| -> Result<()> {
        running.signal(libc::SIGHUP)?;
        let is_read = || running.errors().matches("settings and policy were read again").count() == times;
        wait_for("the settings to be read", PATIENCE, || Ok(is_read().then_some(())))
    };
    let other = stage.lab.network("other", &[])?;
    let there = stage.lab.container("there").on(&other).run(&["sleep"])?;
    let to = format!("{}:4001", there.address(&other)?);
    stage.client.exec(&["/testbox", "udp-send", &to, "--count", "5", "--rate", "1000"])?;
    let is_found = |folder: &Folder| -> Result<Option<()>> {
        Ok(folder.so_far(&stage.client)?.iter().any(|line| line["kind"] == "violation").then_some(()))
    };
    wait_for("the finding", PATIENCE, || is_found(&first))?;
    amid(
        || stage.connect(5),
        || {
            configure(&second, "64KB")?;
            reload(1)
        },
    )?;
    wait_for("the finding to be told again", PATIENCE, || is_found(&second))?;
    // The same file, which is still written to when it is opened.
    amid(
        || stage.connect(5),
        || {
            configure(&second, "128KB")?;
            reload(2)
        },
    )?;
    wait_for_equal(&stage.client, &stage.network, || {
        Ok([first.so_far(&stage.client)?, second.so_far(&stage.client)?].concat())
    })?;
    let said = said_at_the_end(running)?;
    ensure!(!said.contains("records cannot be written") && !said.contains("could not be written"), "{said}");
    // Each begins with 0, and has no gap.
    ensure!(gaps(&first.lines()?)? == 0);
    let lines = second.lines()?;
    let begins = |line: &Value| line["sequence"] == 0;
    let last = lines.iter().rposition(begins).unwrap_or_default();
    ensure!(lines.iter().filter(|line| begins(line)).count() == 2, "it does not begin twice");
    ensure!(gaps(&lines[..last])? == 0 && gaps(&lines[last..])? == 0);
    stage.lab.close()
}
