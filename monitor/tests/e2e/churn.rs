//! Containers that come and go, each with the address of the one before: every flow is named with the container that
//! had the address at that time, and nothing grows.

use anyhow::{Context, Result, ensure};
use lab::{Lab, Running, Vethwatch, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many containers use the address, one after the other.
const CYCLES: u16 = 200;

/// After so many the agent has met everything that it keeps for good.
const WARM_UP: u16 = 40;

/// Each container sends to a port of its own: this one plus its number.
const FIRST_PORT: u16 = 20_000;

/// Longer than a tick, and than Docker takes to tell a name on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What must not grow.
#[derive(Clone, Copy, Debug)]
struct Use {
    descriptors: usize,
    resident_kilobytes: u64,
}

impl Use {
    fn of(pid: u32) -> Result<Self> {
        let descriptors =
            std::fs::read_dir(format!("/proc/{pid}/fd")).context("listing descriptors")?.count();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("reading its status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let resident_kilobytes = resident.trim().trim_end_matches(" kB").parse().context("reading VmRSS")?;
        Ok(Self { descriptors, resident_kilobytes })
    }
}

#[test]
fn a_reused_address_blames_nobody_else_and_nothing_grows() -> Result<()> {
    let lab = Lab::new("churn")?;
    let network = lab.network("net", &["--subnet", "10.213.7.0/24"])?;
    let receiver = lab.container("receiver").on(&network).run(&["sleep"])?;
    let receiver = receiver.address(&network)?;
    let mut vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).start(&["flows", "--json"])?;
    vethwatch.wait_until_watching(&lab, &network, &receiver)?;

    let mut names = BTreeMap::new();
    let mut warm = None;
    for cycle in 0..CYCLES {
        let port = FIRST_PORT + cycle;
        let container = lab
            .container(&format!("c{cycle}"))
            .on(&network)
            .options(&["--ip", "10.213.7.77"])
            .run(&["first-packet", &format!("{receiver}:{port}")])?;
        wait_for("its datagram", PATIENCE, || Ok(container.logs()?.contains("sent 1").then_some(())))?;
        names.insert(port, container.name.clone());
        container.remove()?;
        if cycle == WARM_UP {
            warm = Some(settled(&mut vethwatch, &names)?);
        }
    }
    let warm = warm.context("more cycles than the warm-up has")?;
    let mut end = settled(&mut vethwatch, &names)?;
    // The links to the last devices, and what is being asked of Docker about the last container, may still be open.
    let closed = wait_for("as few descriptors as before", PATIENCE, || {
        end = Use::of(vethwatch.pid())?;
        Ok((end.descriptors <= warm.descriptors).then_some(()))
    });
    closed.with_context(|| format!("file descriptors grew: {warm:?}, then {end:?}"))?;
    // A tenth of a megabyte is what an allocator may take or leave; 160 containers would show above it.
    let allowed = warm.resident_kilobytes + 4_096;
    ensure!(end.resident_kilobytes <= allowed, "memory grew: {warm:?}, then {end:?}");
    Ok(())
}

/// Waits until every container's packet is in a flow, checks who it was booked to, and measures.
fn settled(vethwatch: &mut Running, names: &BTreeMap<u16, String>) -> Result<Use> {
    let mut missing = Vec::new();
    let told = vethwatch.wait_for("every container's flow", PATIENCE, |lines| {
        let booked = booked(lines);
        missing = names.keys().filter(|port| !booked.contains_key(port)).copied().collect();
        missing.is_empty().then_some(booked)
    });
    let booked = told.with_context(|| format!("nothing is told of what was sent to {missing:?}"))?;
    for (port, name) in names {
        let (booked_to, packets) = &booked[port];
        ensure!(booked_to == name, "the packet of {name} was booked to {booked_to}");
        ensure!(*packets == 1, "{name} sent 1 packet, {packets} were counted");
    }
    Use::of(vethwatch.pid())
}

/// Who sent to each port, and how many packets, as the sender's interface tells it.
fn booked(lines: &[Value]) -> BTreeMap<u16, (String, u64)> {
    let mut booked: BTreeMap<u16, (String, u64)> = BTreeMap::new();
    for line in lines {
        let port = line["remote"]["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let Some(port) = port.filter(|port| (FIRST_PORT..FIRST_PORT + CYCLES).contains(port)) else {
            continue;
        };
        let name = line["local"]["container"]["name"].as_str().unwrap_or("nobody");
        let entry = booked.entry(port).or_insert_with(|| (name.to_owned(), 0));
        if entry.0 != name {
            entry.0 = format!("{} and {name}", entry.0);
        }
        entry.1 += line["sent"]["packets"].as_u64().unwrap_or(0);
    }
    booked
}
