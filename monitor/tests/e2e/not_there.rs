//! What vethwatch does without root, without Docker, beside another of its kind, and what it leaves when it ends.

use anyhow::{Context, Result, ensure};
use lab::{Container, Device, Lab, Network, Vethwatch, finish, wait_for};
use std::os::unix::process::CommandExt;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// The user and group that own nothing.
const NOBODY: u32 = 65_534;

/// How many datagrams the containers exchange.
const DATAGRAMS: u64 = 200;

fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

/// Two containers, one of which sleeps, on a network.
struct Stage {
    lab: Lab,
    network: Network,
    sleeper: Container,
}

impl Stage {
    fn set_up(name: &str) -> Result<Self> {
        let lab = Lab::new(name)?;
        let network = lab.network("net", &[])?;
        let sleeper = lab.container("sleeper").on(&network).run(&["sleep"])?;
        Ok(Self { lab, network, sleeper })
    }

    fn device(&self) -> Result<Device> {
        self.sleeper.host_device(&self.network)
    }

    fn address(&self) -> Result<String> {
        self.sleeper.address(&self.network)
    }
}

#[test]
fn without_root_it_names_what_is_missing_and_ends_with_3() -> Result<()> {
    // Where nobody may read this folder, the program is run from a place where everybody may.
    let place = std::env::temp_dir().join(format!("vw-nobody-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_vethwatch"), &place).context("copying vethwatch")?;
    let mut command = Vethwatch::at(&place).command(&["top", "--once"]);
    let finished = finish(command.uid(NOBODY).gid(NOBODY), PATIENCE);
    std::fs::remove_file(&place).context("removing the copy")?;
    let finished = finished?;
    ensure!(finished.status.code() == Some(3), "{}: {}", finished.status, finished.stderr);
    for capability in ["CAP_BPF", "CAP_NET_ADMIN"] {
        ensure!(finished.stderr.contains(capability), "{capability} is not named: {}", finished.stderr);
    }
    Ok(())
}

#[test]
fn without_docker_it_names_interfaces_and_says_so() -> Result<()> {
    let stage = Stage::set_up("no-docker")?;
    let device = stage.device()?;
    let nowhere = format!("unix:///run/vw-nowhere-{}.sock", std::process::id());
    let finished = vethwatch().with("DOCKER_HOST", &nowhere).finish(&["top", "--once"])?;
    ensure!(finished.status.code() == Some(0), "{}: {}", finished.status, finished.stderr);
    ensure!(
        finished.stdout.contains(&device.name),
        "{} is not on the screen:\n{}",
        device.name,
        finished.stdout
    );
    ensure!(
        finished.stdout.contains("Docker"),
        "Docker's absence is not on the screen:\n{}",
        finished.stdout
    );
    ensure!(!finished.stdout.contains(&stage.sleeper.name), "a name without Docker:\n{}", finished.stdout);
    stage.lab.close()
}

#[test]
fn two_at_the_same_time_both_count_right() -> Result<()> {
    let stage = Stage::set_up("second")?;
    let address = stage.address()?;
    let mut both = [vethwatch().start(&["flows", "--json"])?, vethwatch().start(&["flows", "--json"])?];
    for one in &mut both {
        one.wait_until_watching(&stage.lab, &stage.network, &address)?;
    }
    let (to, count) = (format!("{address}:4444"), DATAGRAMS.to_string());
    let sender =
        stage.lab.container("sender").on(&stage.network).run(&["udp-send", &to, "--count", &count])?;
    for one in &mut both {
        let packets = one.wait_for("the datagrams", PATIENCE, |lines| {
            let packets: u64 = lines
                .iter()
                .filter(|line| {
                    line["local"]["container"]["id"] == *sender.id && line["remote"]["port"] == 4_444
                })
                .filter_map(|line| line["sent"]["packets"].as_u64())
                .sum();
            (packets >= DATAGRAMS).then_some(packets)
        })?;
        ensure!(packets == DATAGRAMS, "{packets} packets of {DATAGRAMS}");
    }
    stage.lab.close()
}

/// Runs a vethwatch until it is attached, ends it by a signal, and returns what it has left on the device.
fn left_by(stage: &Stage, mode: &str, signal: i32) -> Result<Vec<String>> {
    let device = stage.device()?;
    ensure!(device.programs()?.is_empty(), "programs were there before: {:?}", device.programs()?);
    let running = vethwatch().start(&["flows", "--json", "--attach", mode])?;
    wait_for("programs on the device", PATIENCE, || Ok((device.programs()?.len() >= 2).then_some(())))?;
    running.signal(signal)?;
    running.end()?;
    device.programs()
}

#[test]
fn after_ctrl_c_nothing_stays_attached() -> Result<()> {
    let stage = Stage::set_up("ctrl-c")?;
    for mode in ["tcx", "clsact"] {
        let left = left_by(&stage, mode, libc::SIGINT)?;
        ensure!(left.is_empty(), "{mode}: {left:?}");
    }
    stage.lab.close()
}

#[test]
fn after_sigkill_nothing_stays_attached_under_tcx() -> Result<()> {
    let stage = Stage::set_up("kill-tcx")?;
    let left = left_by(&stage, "tcx", libc::SIGKILL)?;
    ensure!(left.is_empty(), "{left:?}");
    stage.lab.close()
}

#[test]
fn after_sigkill_under_clsact_detach_removes_what_stayed() -> Result<()> {
    let stage = Stage::set_up("kill-detach")?;
    let left = left_by(&stage, "clsact", libc::SIGKILL)?;
    ensure!(!left.is_empty(), "nothing stayed, so the test proves nothing");
    let finished = vethwatch().finish(&["detach"])?;
    ensure!(finished.status.code() == Some(0), "{}: {}", finished.status, finished.stderr);
    let left = stage.device()?.programs()?;
    ensure!(left.is_empty(), "{left:?}");
    stage.lab.close()
}

#[test]
fn after_sigkill_under_clsact_the_next_start_removes_what_stayed() -> Result<()> {
    let stage = Stage::set_up("kill-next")?;
    let left = left_by(&stage, "clsact", libc::SIGKILL)?;
    ensure!(!left.is_empty(), "nothing stayed, so the test proves nothing");
    let finished = vethwatch().finish(&["top", "--once"])?;
    ensure!(finished.status.code() == Some(0), "{}: {}", finished.status, finished.stderr);
    let left = stage.device()?.programs()?;
    ensure!(left.is_empty(), "{left:?}");
    stage.lab.close()
}
