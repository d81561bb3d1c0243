//! The Debian package, installed in a clean Debian, run there by a systemd of its own, and purged.

mod booted;
mod debian;

use anyhow::{Context as _, Result, ensure};
use booted::Booted;
use debian::Debian;
use lab::{Container, Lab, Network, Segment, text, wait_for};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Building vethwatch and cargo-deb, if that was not done yet, is part of it.
const BUILDING: Duration = Duration::from_secs(900);
const PATIENCE: Duration = Duration::from_secs(60);
/// How many datagrams are sent.
const DATAGRAMS: u64 = 500;
/// What its helper may do: CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF.
const CAPABILITIES: u64 = (1 << 12) | (1 << 38) | (1 << 39);
/// And CAP_SYS_ADMIN, to enter containers' namespaces.
const WITH_NAMESPACES: u64 = CAPABILITIES | (1 << 21);
/// What lets it enter them, as docs/drivers.md has it.
const DROP_IN: &str = "[Service]\nCapabilityBoundingSet=CAP_SYS_ADMIN\nRestrictNamespaces=net\n";
/// How it is run here.
const AGENT: [&str; 5] = ["agent", "--metrics-listen", "127.0.0.1:0", "--records-file", RECORDS];
/// Where it writes records.
const RECORDS: &str = "/var/log/vethwatch/records.jsonl";
/// Where it pins its programs.
const PINS: &str = "/sys/fs/bpf/vethwatch";
/// What has to be in the package.
const FILES: [&str; 11] = [
    "/usr/bin/vethwatch",
    "/lib/systemd/system/vethwatch.service",
    "/etc/vethwatch/vethwatch.toml",
    "/usr/share/man/man1/vethwatch.1.gz",
    "/usr/share/man/man1/vethwatch-agent.1.gz",
    "/usr/share/man/man1/vethwatch-policy-check.1.gz",
    "/usr/share/bash-completion/completions/vethwatch",
    "/usr/share/zsh/vendor-completions/_vethwatch",
    "/usr/share/fish/vendor_completions.d/vethwatch.fish",
    "/usr/share/doc/vethwatch/copyright",
    "/usr/share/doc/vethwatch/changelog.Debian.gz",
];

/// The package, which is made unless that was done already.
fn package() -> Result<PathBuf> {
    if let Some(package) = std::env::var_os("VW_PACKAGE") {
        return Ok(package.into());
    }
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let told = text(xtask.args(["package", "--dev"]), BUILDING)?;
    Ok(told.lines().last().context("it names no package")?.into())
}

#[test]
fn the_package_installs_runs_and_goes_without_a_trace() -> Result<()> {
    let package = package()?;
    // What the package depends on, and what this test needs.
    let debian = Debian::make(&["adduser", "procps", "systemd", "curl"])?;
    installs_and_goes(&debian, &package)?;
    debian.install(&package)?;
    runs(&debian)?;
    debian.remove()
}

/// Everything is where it is looked for, nothing is started, and a purge leaves nothing.
fn installs_and_goes(debian: &Debian, package: &Path) -> Result<()> {
    let before = debian.files()?;
    debian.install(package)?;
    for file in FILES {
        debian.run(&["test", "-s", file]).with_context(|| format!("{file} is not there"))?;
    }
    let conffiles = debian.run(&["cat", "/var/lib/dpkg/info/vethwatch.conffiles"])?;
    ensure!(conffiles == "/etc/vethwatch/vethwatch.toml", "{conffiles}");
    debian.run(&["grep", "--quiet", "Permission is hereby granted", "/usr/share/doc/vethwatch/copyright"])?;
    debian.run(&["getent", "group", "vethwatch"])?;
    let depends = debian.run(&["dpkg-query", "--show", "--showformat", "${Depends}", "vethwatch"])?;
    ensure!(depends.contains("libc6 (>="), "it does not say which libraries it needs: {depends}");
    ensure!(debian.run(&["vethwatch", "--version"])?.starts_with("vethwatch "), "it has another name");
    debian.run(&[
        "bash",
        "-c",
        ". /usr/share/bash-completion/completions/vethwatch && complete -p vethwatch",
    ])?;
    debian.run(&["systemd-analyze", "verify", "--man=no", "/lib/systemd/system/vethwatch.service"])?;
    ensure!(
        debian.run(&["systemctl", "is-enabled", "vethwatch"]).is_err(),
        "it was enabled by installing it"
    );

    // A configuration that was edited stays until the purge.
    debian.run(&["sh", "-c", "echo '# mine' >>/etc/vethwatch/vethwatch.toml"])?;
    debian.run(&["dpkg", "--remove", "vethwatch"])?;
    debian.run(&["grep", "mine", "/etc/vethwatch/vethwatch.toml"])?;
    debian.run(&["dpkg", "--purge", "vethwatch"])?;
    let left: Vec<_> = debian.files()?.difference(&before).cloned().collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    ensure!(debian.run(&["getent", "group", "vethwatch"]).is_err(), "the group is still there");
    Ok(())
}

/// systemd runs it with few rights, it counts what the kernel counts, and it is looked after.
fn runs(debian: &Debian) -> Result<()> {
    // A port that others on this machine do not have; shorter waits for signs of life, and before another start.
    let changed = format!(
        "[Service]\nWatchdogSec=20s\nRestartSec=1s\nExecStart=\nExecStart=/usr/bin/vethwatch {}\n",
        AGENT.join(" ")
    );
    debian.write("/etc/systemd/system/vethwatch.service.d/test.conf", &changed)?;
    let lab = Lab::new("package")?;
    let network = lab.network("net", &[])?;
    let segment = Segment::new("k")?;
    let lan = lab.macvlan("lan", &segment, &["--subnet", "198.18.81.0/24"])?;
    let camera = lan.map(|lan| lab.container("camera").on(&lan).run(&["sleep"])).transpose()?;
    let booted = Booted::boot(debian)?;
    ensure!(booted.show("ActiveState")? == "inactive", "it was started by installing it");
    booted.systemctl(&["start", "vethwatch"]).with_context(|| booted.journal())?;
    ensure!(booted.show("ActiveState")? == "active", "{}", booted.journal());
    has_few_rights(&booted, CAPABILITIES)?;
    let traffic = Traffic::between(&lab, &network)?;
    traffic.is_counted(&booted).with_context(|| booted.journal())?;
    answers_its_group(&booted).with_context(|| booted.journal())?;
    reads_again(&booted)?;
    is_looked_after(&booted).with_context(|| booted.journal())?;
    goes_on_when_it_is_killed(&booted, &traffic).with_context(|| booted.journal())?;
    booted.systemctl(&["stop", "vethwatch"])?;
    let pinned = booted.run(&["find", PINS])?;
    ensure!(pinned.trim() == PINS, "it has left {pinned}");
    let ended = (booted.show("ActiveState")?, booted.show("Result")?);
    ensure!(ended == ("inactive".into(), "success".into()), "{ended:?}: {}", booted.journal());
    if let Some(camera) = &camera {
        enters_namespaces(&booted, camera).with_context(|| booted.journal())?;
    }
    goes_while_it_runs(&booted)?;
    booted.end()?;
    lab.close()
}

/// A purge ends the agent, and takes what it has written.
fn goes_while_it_runs(booted: &Booted<'_>) -> Result<()> {
    booted.systemctl(&["start", "vethwatch"]).with_context(|| booted.journal())?;
    let pid = booted.show("MainPID")?;
    booted.run(&["test", "-d", "/var/log/vethwatch", "-a", "-d", "/run/vethwatch"])?;
    booted.run(&["dpkg", "--purge", "vethwatch"])?;
    for gone in ["/run/vethwatch", "/var/log/vethwatch", "/etc/vethwatch", PINS, &format!("/proc/{pid}")] {
        booted.run(&["test", "!", "-e", gone]).with_context(|| format!("{gone} is still there"))?;
    }
    Ok(())
}

/// Without a drop-in it says why a device in a container's own namespace is not watched; with it, it is.
fn enters_namespaces(booted: &Booted<'_>, camera: &Container) -> Result<()> {
    let row = |fits: &dyn Fn(&Value) -> bool| {
        let mut last = Value::Null;
        let found = wait_for("what is told of the container", PATIENCE, || {
            let told = booted.run(&["vethwatch", "containers", "--json"])?;
            let mut lines = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            last = lines.find(|line| line["id"] == *camera.id).unwrap_or_default();
            Ok(fits(&last).then_some(()))
        });
        found.with_context(|| format!("{last:#}"))
    };
    booted.systemctl(&["start", "vethwatch"])?;
    row(&|row| {
        let reason = row["not_watched_reason"].as_str().unwrap_or_default();
        row["watched"] == false && reason.contains("CAP_SYS_ADMIN")
    })?;
    let folder = "/etc/systemd/system/vethwatch.service.d";
    booted.run(&["sh", "-c", &format!("printf '{DROP_IN}' >{folder}/namespaces.conf")])?;
    booted.systemctl(&["daemon-reload"])?;
    booted.systemctl(&["restart", "vethwatch"])?;
    has_few_rights(booted, WITH_NAMESPACES)?;
    row(&|row| row["watched"] == true && row["unaccounted_bytes"] == 0)?;
    ensure!(camera.own_programs("eth0")? == 2, "its programs");
    booted.systemctl(&["stop", "vethwatch"])?;
    ensure!(camera.own_programs("eth0")? == 0, "programs are left");
    Ok(())
}

/// The kernel holds it to what the unit says.
fn has_few_rights(booted: &Booted<'_>, capabilities: u64) -> Result<()> {
    let pid = booted.show("MainPID")?;
    let guard = booted.run(&["pgrep", "--parent", &pid])?.trim().to_owned();
    let helper = booted.run(&["pgrep", "--parent", &guard])?.trim().to_owned();
    let status = |name| booted.of_status(&pid, name);
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        for (process, expected) in [(&pid, 0), (&guard, capabilities), (&helper, capabilities)] {
            let held = u64::from_str_radix(&booted.of_status(process, set)?, 16)?;
            ensure!(held == expected, "{set} of {process}: {held:x}");
        }
    }
    let user = booted.run(&["id", "--user", "vethwatch"])?;
    ensure!(status("Uid")?.split_whitespace().all(|id| id == user.trim()), "it runs as {}", status("Uid")?);
    ensure!(status("NoNewPrivs")? == "1" && status("Seccomp")? == "2");
    let writes = |file| booted.run(&["nsenter", "--target", &pid, "--mount", "touch", file]);
    writes("/run/vethwatch/x").context("it may not write where its socket is")?;
    ensure!(writes("/usr/bin/x").is_err(), "it may write to /usr");
    booted.run(&["rm", "/run/vethwatch/x"])?;
    Ok(())
}

/// Whoever is in its group may ask at the socket, and nobody else; records are for root and its group alone.
fn answers_its_group(booted: &Booted<'_>) -> Result<()> {
    let group = booted.run(&["getent", "group", "vethwatch"])?;
    let number = group.split(':').nth(2).context("a group's number")?;
    let socket = "/run/vethwatch/vethwatch.sock";
    let asks = |groups: &str| {
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", groups];
        let curl = ["curl", "--silent", "--fail", "--unix-socket", socket, "http://x/v1/health"];
        booted.run(&[&nobody[..], &curl[..]].concat())
    };
    ensure!(asks(&format!("--groups={number}"))?.contains("vethwatch/1"), "a member is not answered");
    ensure!(asks("--clear-groups").is_err(), "everybody is answered");
    let mode = booted.run(&["stat", "--format", "%a %U", RECORDS])?;
    ensure!(mode == "640 root", "records: {mode}");
    Ok(())
}

/// A container that sends to another one.
struct Traffic<'a> {
    network: &'a Network,
    client: Container,
    server: Container,
}

impl<'a> Traffic<'a> {
    fn between(lab: &Lab, network: &'a Network) -> Result<Self> {
        let [server, client] =
            ["server", "client"].map(|name| lab.container(name).on(network).run(&["sleep"]));
        let traffic = Self { network, client: client?, server: server? };
        traffic.send()?;
        Ok(traffic)
    }

    fn send(&self) -> Result<()> {
        let to = format!("{}:4001", self.server.address(self.network)?);
        let send = ["/testbox", "udp-send", &to, "--count", &DATAGRAMS.to_string(), "--rate", "1000"];
        self.client.exec(&send).map(drop)
    }

    /// What the agent counts of the sender is what its device counts, and it lacks nothing.
    fn is_counted(&self, booted: &Booted<'_>) -> Result<()> {
        let at = booted.metrics()?;
        let page = wait_for("the counters of the client", PATIENCE, || {
            let page = booted.run(&["curl", "--silent", "--fail", &at])?;
            let counted = self.client.host_device(self.network)?.counters()?;
            let figure = |family: &str| value(&page, family, &self.client);
            let ours = ["receive_packets", "receive_bytes", "transmit_packets", "transmit_bytes"].map(figure);
            let theirs =
                [counted.tx_packets, counted.tx_bytes, counted.rx_packets, counted.rx_bytes].map(Some);
            Ok((ours == theirs && counted.rx_packets >= DATAGRAMS).then_some(page))
        })?;
        // The engine's processes are on another machine, as it were, so what its resolver is asked cannot be seen; and there is
        // a container whose namespace it may not enter.
        let missing = page.lines().filter(|line| line.starts_with("vethwatch_feature_missing{"));
        let is_known = |line: &str| ["\"resolver\"", "\"containers\""].iter().any(|part| line.contains(part));
        let missing: Vec<_> = missing.filter(|line| !is_known(line)).collect();
        ensure!(missing.is_empty(), "{missing:?}");
        let status = booted.show("StatusText")?;
        ensure!(status.contains("watched"), "{status}");
        Ok(())
    }
}

fn value(page: &str, family: &str, of: &Container) -> Option<u64> {
    let name = format!("vethwatch_container_{family}_total{{");
    let label = format!("container=\"{}\"", of.name);
    let line = page.lines().find(|line| line.starts_with(&name) && line.contains(&label))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A reload is a reading of the settings, and no restart.
fn reads_again(booted: &Booted<'_>) -> Result<()> {
    let pid = booted.show("MainPID")?;
    booted.systemctl(&["reload", "vethwatch"])?;
    wait_for("the settings to be read again", PATIENCE, || {
        Ok(booted.journal().contains("settings and policy were read again").then_some(()))
    })?;
    ensure!(
        booted.show("MainPID")? == pid && booted.show("ActiveState")? == "active",
        "it was started again"
    );
    Ok(())
}

/// As long as it lives it is left alone; when it stands still it is started again.
fn is_looked_after(booted: &Booted<'_>) -> Result<()> {
    ensure!(booted.show("NRestarts")? == "0", "signs of life did not come in time");
    is_started_again(booted, 1, |pid| booted.run(&["kill", "-STOP", pid]).map(drop))
}

/// Killed with its guard and helper, it has lost no byte when it is back.
fn goes_on_when_it_is_killed(booted: &Booted<'_>, traffic: &Traffic<'_>) -> Result<()> {
    is_started_again(booted, 2, |_| {
        booted.systemctl(&["kill", "--signal=KILL", "vethwatch"])?;
        traffic.send()
    })?;
    traffic.is_counted(booted)?;
    let at = booted.metrics()?;
    wait_for("the loss", PATIENCE, || {
        let page = booted.run(&["curl", "--silent", "--fail", &at])?;
        Ok(page.contains("reason=\"gaps_without_agent\"} 1\n").then_some(()))
    })
}

/// After something was done to its process it is started again, for the so-manieth time.
fn is_started_again(booted: &Booted<'_>, times: u32, act: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let pid = booted.show("MainPID")?;
    act(&pid)?;
    // A sign of life has to be missing first, and one that stands still does not end by itself.
    wait_for("it to be started again", 2 * PATIENCE, || {
        let again = booted.show("NRestarts")? == times.to_string() && booted.show("ActiveState")? == "active";
        Ok((again && booted.show("MainPID")? != pid).then_some(()))
    })
}
