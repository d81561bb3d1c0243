//! `vethwatch agent` that writes records beside real containers: they are what the kernel counts, and a disk or a reader
//! that takes no more harms nobody.

#[path = "records/disk.rs"]
mod disk;
#[path = "metrics/page.rs"]
mod page;
#[path = "records/reload.rs"]
mod reload;
#[path = "records/stage.rs"]
mod stage;

use anyhow::{Result, ensure};
use disk::{Folder, HALF, gaps, read};
use lab::{Container, Network, Running, Vethwatch, text, wait_for};
use page::Page;
use serde_json::Value;
use stage::{Stage, address, of_device, of_flows};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// A signal ends the agent in this time. A reader that never reads would be waited for without end, and a machine may stand
/// still for seconds; what is promised is measured in `service`.
const END: Duration = Duration::from_secs(15);
/// The smallest size of a file.
const SMALL: u64 = 64_000;
/// What a pipe holds that has no room for a page more, at least.
const ALMOST_A_PIPE: u64 = 60_000;

/// What an agent counts as lost.
fn lost(at: SocketAddr, reason: &str) -> Result<u64> {
    Ok(Page::of(at)?.value("vethwatch_lost_events_total", &[("reason", reason)]).unwrap_or(0))
}

/// Waits until what a client has sent is in its totals.
fn wait_for_totals(at: SocketAddr, stage: &Stage) -> Result<()> {
    let sent = of_device(&stage.client, &stage.network)?[1];
    let of_client = [("container", &*stage.client.name)];
    wait_for("the totals", PATIENCE, || {
        let counted = Page::of(at)?.value("vethwatch_container_transmit_bytes_total", &of_client);
        Ok(counted.filter(|counted| *counted >= sent).map(drop))
    })
}

/// Ends it, in the time it has for that; what it said.
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn end(running: Running) -> Result<Vec<Value>> {
    let asked = Instant::now();
    running.signal(libc::SIGTERM)?;
    let (code, lines) = running.end()?;
    let took = asked.elapsed();
    ensure!(code == Some(0) && took < END, "it ended with {code:?} after {took:?}");
    Ok(lines)
}

/// A frame of ARP, which is in no flow.
const ARP: u64 = 42;

/// Whether flows have all that the device counted but ARP: not less than at one reading, not more than at the next.
fn is_all(flows: [u64; 4], before: [u64; 4], after: [u64; 4]) -> bool {
    [(0, 1), (2, 3)].into_iter().all(|(skbs, bytes)| {
        (0..=10).any(|frames| {
            (before[skbs]..=after[skbs]).contains(&(flows[skbs] + frames))
                && (before[bytes]..=after[bytes]).contains(&(flows[bytes] + frames * ARP))
        }) && flows[bytes] > 10 * ARP
    })
}

/// Waits until the flows have what the device counted, to the byte: when no neighbour asks, for a tick.
fn wait_for_equal(container: &Container, on: &Network, lines: impl Fn() -> Result<Vec<Value>>) -> Result<()> {
    wait_for(&format!("the flows of {} to be the device's counters", container.name), PATIENCE, || {
        let device = of_device(container, on)?;
        Ok(is_all(of_flows(&lines()?, container), device, device).then_some(()))
    })
}

/// Ends an agent amid traffic: `lines` have it to the end.
fn end_amid_traffic(
    running: Running,
    stage: &Stage,
    lines: impl FnOnce(Vec<Value>) -> Result<Vec<Value>>,
) -> Result<()> {
    stage.connect(20)?;
    let counters = || -> Result<_> {
        Ok([of_device(&stage.client, &stage.network)?, of_device(&stage.server, &stage.network)?])
    };
    let before = counters()?;
    let lines = lines(end(running)?)?;
    ensure!(gaps(&lines)? == 0);
    for ((container, before), after) in
        [&stage.client, &stage.server].into_iter().zip(before).zip(counters()?)
    {
        let flows = of_flows(&lines, container);
        ensure!(is_all(flows, before, after), "{}: {flows:?} {before:?} {after:?}", container.name);
    }
    Ok(())
}

#[test]
fn the_lines_of_all_files_are_what_the_kernel_counts() -> Result<()> {
    let folder = Folder::new("sums")?;
    let file = folder.file();
    // Half a line of one that was killed.
    fs::write(&file, HALF)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    let more = ["--records-rotate-size", "64KB", "--records-keep", "10000"];
    let (running, at, stage) = Stage::new("records-sums", &file.to_string_lossy(), &more)?;
    for _ in 0..4 {
        stage.connect(150)?;
    }
    // A network that is not theirs: a finding.
    let other = stage.lab.network("other", &[])?;
    let there = stage.lab.container("there").on(&other).run(&["sleep"])?;
    let to = format!("{}:4001", there.address(&other)?);
    stage.client.exec(&["/testbox", "udp-send", &to, "--count", "5", "--rate", "1000"])?;
    let is_found = |line: &Value| {
        line["type"] == "finding"
            && line["kind"] == "violation"
            && line["source"]["container"]["id"] == *stage.client.id
    };
    wait_for("the finding", PATIENCE, || {
        Ok(folder.so_far(&stage.client)?.iter().any(is_found).then_some(()))
    })?;
    for container in [&stage.client, &stage.server] {
        wait_for_equal(container, &stage.network, || folder.so_far(container))?;
    }
    ensure!(lost(at, "records_lost_by_slow_readers")? == 0 && lost(at, "records_not_written")? == 0);
    end_amid_traffic(running, &stage, |_| folder.lines())?;
    let ended = folder.ended()?;
    ensure!(ended.len() >= 5, "only {} files were ended", ended.len());
    for file in &ended {
        let about = fs::metadata(file)?;
        ensure!(about.len() <= SMALL && about.mode() & 0o137 == 0, "{} {about:?}", file.display());
    }
    stage.lab.close()
}

#[test]
fn a_full_disk_loses_what_is_counted_and_no_more() -> Result<()> {
    let folder = Folder::small("full", "400k")?;
    let more = ["--records-rotate-size", "64KB", "--records-keep", "10000", "--records-of", "flows"];
    let (running, at, stage) = Stage::new("records-full", &folder.file().to_string_lossy(), &more)?;
    let reason = "records_not_written";
    wait_for("a full disk", PATIENCE, || {
        stage.connect(200)?;
        Ok((lost(at, reason)? > 0).then_some(()))
    })?;
    stage.connect(200)?;
    // It goes on to count, and to answer.
    wait_for_totals(at, &stage)?;

    folder.grow("1g")?;
    wait_for("lines to be written again", PATIENCE, || {
        stage.connect(1)?;
        let said = running.errors();
        Ok((said.rfind(" were lost") > said.rfind("records cannot be written")).then_some(()))
    })?;
    stage.connect(20)?;
    let slow = lost(at, "records_lost_by_slow_readers")?;
    let said = said_at_the_end(running)?;
    // A short line may find room where a long one did not.
    let times = |words: &str| said.matches(words).count();
    ensure!(times("records cannot be written") == times(" were lost"), "{said}");
    ensure!(said.contains("No space left on device"), "{said}");
    let missing = gaps(&folder.lines()?)?;
    ensure!(
        missing > 0 && Some(missing) == not_written(&said).map(|count| count + slow),
        "{missing}: {said}"
    );
    stage.lab.close()
}

/// How many records an agent could not write, by its last word.
fn not_written(said: &str) -> Option<u64> {
    let mut lines = said.lines().filter_map(|line| line.strip_suffix(" records could not be written"));
    lines.next()?.strip_prefix("vethwatch: ")?.parse().ok()
}

/// Ends it, in the time it has for that; all that it said.
fn said_at_the_end(running: Running) -> Result<String> {
    running.signal(libc::SIGTERM)?;
    wait_for("the last word", END, || {
        let said = running.errors();
        Ok(said.contains("nothing is attached any more").then_some(said))
    })
}

#[test]
fn a_file_that_was_moved_away_stays_as_it_was() -> Result<()> {
    let folder = Folder::new("moved")?;
    let (running, _, stage) = Stage::new("records-moved", &folder.file().to_string_lossy(), &[])?;
    let moved = folder.path.join("moved");
    let wait_for_lines =
        || wait_for("lines", PATIENCE, || Ok((folder.so_far(&stage.client)?.len() >= 10).then_some(())));
    stage.connect(10)?;
    wait_for_lines()?;
    fs::rename(folder.file(), &moved)?;
    stage.connect(10)?;
    wait_for_lines()?;
    fs::remove_file(folder.file())?;
    stage.connect(10)?;
    // The last tick is written at the end.
    end(running)?;
    let (first, last) = (read(&moved)?, read(&folder.file())?);
    ensure!(gaps(&first)? == 0 && last.len() >= 20, "{} lines", last.len());
    let numbers = last.iter().filter_map(|line| line["sequence"].as_u64());
    ensure!(numbers.is_sorted(), "the lines are not in order");
    stage.lab.close()
}

#[test]
fn standard_output_has_the_lines() -> Result<()> {
    let (mut running, _, stage) = Stage::new("records-pipe", "-", &["--records-of", "flows"])?;
    stage.connect(50)?;
    running.wait_for("the flows to be the device's counters", PATIENCE, |lines| {
        let device = of_device(&stage.client, &stage.network).ok()?;
        is_all(of_flows(lines, &stage.client), device, device).then_some(())
    })?;
    end_amid_traffic(running, &stage, |lines| {
        ensure!(lines.iter().all(|line| line["type"] == "flow"));
        Ok(lines)
    })?;
    stage.lab.close()
}

#[test]
fn a_reader_that_takes_nothing_stops_neither_the_watch_nor_its_end() -> Result<()> {
    let folder = Folder::new("stuck")?;
    let pipe = folder.path.join("pipe");
    text(Command::new("mkfifo").arg(&pipe), PATIENCE)?;
    // Somebody has it open, and never reads.
    let _reader = fs::File::options().read(true).write(true).open(&pipe)?;
    let program = env!("CARGO_BIN_EXE_vethwatch");
    let agent =
        format!("exec {program} agent --metrics-listen 127.0.0.1:0 --records-file - >{}", pipe.display());
    let running = Vethwatch::at("sh").start(&["-c", &agent])?;
    let at = address(&running)?;
    let stage = Stage::build("records-stuck")?;
    // More lines than a pipe has room for.
    stage.connect(500)?;
    wait_for_totals(at, &stage)?;
    let said = said_at_the_end(running)?;
    ensure!(said.contains("whatever takes the records hangs") && not_written(&said).is_some(), "{said}");
    stage.lab.close()
}

#[test]
fn messages_that_nobody_takes_keep_it_neither_from_counting_nor_from_ending() -> Result<()> {
    let folder = Folder::new("deaf")?;
    let pipe = folder.path.join("pipe");
    text(Command::new("mkfifo").arg(&pipe), PATIENCE)?;
    let reader = fs::File::options().read(true).write(true).open(&pipe)?;
    // Where it answers cannot be read from what it says.
    let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let program = env!("CARGO_BIN_EXE_vethwatch");
    let agent =
        format!("exec {program} agent --metrics-listen {at} --records-file - >{} 2>&1", pipe.display());
    let running = Vethwatch::at("sh").start(&["-c", &agent])?;
    wait_for("the agent", PATIENCE, || Ok(Page::of(at).ok().map(drop)))?;
    let stage = Stage::build("records-deaf")?;
    stage.connect(500)?;
    wait_for("a full pipe", PATIENCE, || {
        Ok((rustix::io::ioctl_fionread(&reader)? > ALMOST_A_PIPE).then_some(()))
    })?;
    // It has something to say to each of these.
    running.signal(libc::SIGHUP)?;
    wait_for_totals(at, &stage)?;
    end(running)?;
    stage.lab.close()
}

#[test]
fn what_must_not_be_written_to_is_refused_before_anything_is_attached() -> Result<()> {
    let folder = Folder::new("hostile")?;
    let file = folder.file();
    let name = file.to_string_lossy().into_owned();
    let refused = |expected: &str| -> Result<()> {
        let ended = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).finish(&[
            "agent",
            "--metrics-listen",
            "off",
            "--records-file",
            &name,
        ])?;
        let expected = format!("vethwatch: records cannot be written to {name}: {expected}\n");
        ensure!(ended.status.code() == Some(2) && ended.stderr == expected, "{ended:?}");
        Ok(())
    };
    fs::write(folder.path.join("theirs"), "untouched")?;
    symlink(folder.path.join("theirs"), &file)?;
    refused("it is a symbolic link; name the file that it leads to")?;
    fs::remove_file(&file)?;
    fs::hard_link(folder.path.join("theirs"), &file)?;
    refused("it has other names too (hard links)")?;
    fs::remove_file(&file)?;
    fs::write(&file, "")?;
    std::os::unix::fs::chown(&file, Some(65_534), None)?;
    refused("it belongs to somebody else")?;
    fs::remove_file(&file)?;
    fs::create_dir(&file)?;
    refused("it is no regular file; `-` writes to standard output, whatever that is")?;
    fs::remove_dir(&file)?;
    ensure!(fs::read_to_string(folder.path.join("theirs"))? == "untouched");
    Ok(())
}
