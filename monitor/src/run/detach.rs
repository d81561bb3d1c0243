//! `detach`.

use super::failure::Failure;
use super::host;
use super::output::Output;
use crate::collector::StartError;
use crate::collector::leftovers::{self, Emptied, Removed};
use crate::collector::{probe, remove_pins};
use crate::model::SafeText;
use crate::settings::Settings;
use crate::wire::{DetachedBody, Stream};
use anyhow::Context as _;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a reader that stands still may delay the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Removes what killed processes left, and tells what.
pub(super) async fn run(settings: &Settings, pin_dir: PathBuf) -> Result<(), Failure> {
    let probe::Capabilities { missing, .. } = probe::capabilities();
    if !missing.is_empty() {
        return Err(StartError::NotPermitted { missing }.into());
    }
    let state_dir = settings.collector.state_dir.clone();
    let removed = tokio::task::spawn_blocking(move || remove(&pin_dir, &state_dir)).await;
    let removed = removed.context("look for leftovers")??;
    let mut output = Output::to(std::io::stdout());
    for line in lines(&removed, settings.json)? {
        if output.line(&line).await.is_err() {
            break;
        }
    }
    output.finish(PATIENCE).await
}

/// What is pinned first: the filters that it keeps are leftovers from then on.
fn remove(pin_dir: &Path, state_dir: &Path) -> anyhow::Result<Vec<Removed>> {
    let pinned = remove_pins(pin_dir).context("remove what is pinned")?;
    let maps = pinned.is_some().then_some(Removed::Maps);
    let links = pinned.into_iter().flatten().map(|ifindex| Removed::Links { ifindex });
    let pinned: Vec<Removed> = links.chain(maps).collect();
    let left = leftovers::remove_all(state_dir, Emptied::Remove).context("remove leftovers")?;
    Ok(pinned.into_iter().chain(left).collect())
}

fn lines(removed: &[Removed], json: bool) -> Result<Vec<String>, Failure> {
    if json {
        let mut stream = Stream::new(host::id()?);
        return Ok(removed.iter().map(|one| stream.line(body(one))).collect());
    }
    if removed.is_empty() {
        return Ok(vec!["nothing was left".to_owned()]);
    }
    let told = removed.iter().map(body).map(|body| match body.interface {
        Some(interface) => format!("removed {} from {interface}", body.what),
        None => format!("removed {}", body.what),
    });
    Ok(told.collect())
}

fn body(removed: &Removed) -> DetachedBody {
    let (ifindex, what) = match removed {
        Removed::Filter { ifindex, program } => (Some(*ifindex), format!("program {program}")),
        Removed::Qdisc { ifindex } => (Some(*ifindex), "qdisc clsact".to_owned()),
        Removed::Links { ifindex } => (Some(*ifindex), "pinned links".to_owned()),
        Removed::Maps => (None, "pinned maps".to_owned()),
    };
    DetachedBody { interface: ifindex.map(name), what: SafeText::new(&what) }
}

/// A device's name; its number if it has gone meanwhile.
fn name(ifindex: u32) -> SafeText {
    let found = socket(AddressFamily::INET, SocketType::DGRAM, None)
        .and_then(|socket| netdevice::index_to_name(socket, ifindex));
    found.map_or_else(|_| SafeText::new(&format!("interface {ifindex}")), |name| SafeText::new(&name))
}
