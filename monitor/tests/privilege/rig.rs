//! An agent and its processes.

use anyhow::{Context as _, Result, ensure};
use lab::{Running, Vethwatch, wait_for};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An agent that watches, and where its metrics are.
pub(crate) fn agent(vethwatch: &Vethwatch, more: &[&str]) -> Result<(Running, SocketAddr)> {
    let mut running = vethwatch.start(&[&["agent", "--metrics-listen", "127.0.0.1:0"], more].concat())?;
    let at = running.metrics()?;
    wait_for("the agent", PATIENCE, || Ok(running.errors().contains("vethwatch: watching").then_some(())))?;
    Ok((running, at))
}

pub(crate) fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

pub(crate) fn end(running: Running) -> Result<()> {
    running.signal(libc::SIGTERM)?;
    let (code, _) = running.end()?;
    ensure!(code == Some(0), "{code:?}");
    Ok(())
}

/// Processes that this one has forked.
fn children(of: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{of}/task"))? {
        let children = fs::read_to_string(task?.path().join("children"))?;
        found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    Ok(found)
}

/// The guard of an agent.
pub(crate) fn guard(of: &Running) -> Result<u32> {
    let [guard] = children(of.pid())?[..] else { anyhow::bail!("it has not one child") };
    ensure!(fs::read_to_string(format!("/proc/{guard}/comm"))?.trim() == "vw-guard");
    Ok(guard)
}

/// Its helper.
pub(crate) fn helper(of: &Running) -> Result<u32> {
    wait_for("the helper", PATIENCE, || Ok(children(guard(of)?)?.first().copied()))
}

/// What the kernel says of each thread of a process: the values of these fields, in their order.
pub(crate) fn statuses(of: u32, fields: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{of}/task"))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        let value = |field: &&str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            line.map(|line| line.trim().to_owned()).with_context(|| format!("no {field}"))
        };
        found.push(fields.iter().map(value).collect::<Result<_>>()?);
    }
    Ok(found)
}

/// Whether a process is there, and is no zombie.
pub(crate) fn lives(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub(crate) fn kill(process: u32) -> Result<()> {
    let process = i32::try_from(process)?;
    // SAFETY: plain system call; the process is one that this test's agent has forked.
    ensure!(unsafe { libc::kill(process, libc::SIGKILL) } == 0, "{process} has ended already");
    Ok(())
}

/// The value of a series that has no labels.
pub(crate) fn plain(at: SocketAddr, name: &str) -> Result<Option<f64>> {
    let page = page(at)?;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.and_then(|value| value.parse().ok()))
}

/// The value of the first series of this name that has this label, and maybe others.
pub(crate) fn labelled(at: SocketAddr, name: &str, label: &str) -> Result<Option<u64>> {
    let page = page(at)?;
    let of_name = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let mut series = of_name.filter(|series| series.contains(label));
    Ok(series.next().and_then(|series| series.rsplit_once(' ')?.1.parse().ok()))
}

fn page(at: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: vethwatch\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
