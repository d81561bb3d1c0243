//! `detach`.

use super::failure::Failure;
use super::host;
use super::output::Output;
use crate::collector::StartError;
use crate::collector::leftovers::{self, Emptied, Removed};
use crate::collector::probe;
use crate::model::SafeText;
use crate::settings::Settings;
use crate::wire::{DetachedBody, Stream};
use anyhow::Context as _;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use std::time::Duration;

/// How long a reader that stands still may delay the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Removes what killed processes left, and tells what.
pub(super) async fn run(settings: &Settings) -> Result<(), Failure> {
    let probe::Capabilities { missing, .. } = probe::capabilities();
    if !missing.is_empty() {
        return Err(StartError::NotPermitted { missing }.into());
    }
    let state_dir = settings.collector.state_dir.clone();
    let removed =
        tokio::task::spawn_blocking(move || leftovers::remove_all(&state_dir, Emptied::Remove)).await;
    let removed = removed.context("look for leftovers")?.context("remove leftovers")?;
    let mut output = Output::to(std::io::stdout());
    for line in lines(&removed, settings.json)? {
        if output.line(&line).await.is_err() {
            break;
        }
    }
    output.finish(PATIENCE).await
}

fn lines(removed: &[Removed], json: bool) -> Result<Vec<String>, Failure> {
    if json {
        let mut stream = Stream::new(host::id()?);
        return Ok(removed.iter().map(|one| stream.line(body(one))).collect());
    }
    if removed.is_empty() {
        return Ok(vec!["nothing was left".to_owned()]);
    }
    let told = removed.iter().map(body).map(|body| format!("removed {} from {}", body.what, body.interface));
    Ok(told.collect())
}

fn body(removed: &Removed) -> DetachedBody {
    let (ifindex, what) = match removed {
        Removed::Filter { ifindex, program } => (*ifindex, format!("program {program}")),
        Removed::Qdisc { ifindex } => (*ifindex, "qdisc clsact".to_owned()),
    };
    DetachedBody { interface: name(ifindex), what: SafeText::new(&what) }
}

/// A device's name; its number if it has gone meanwhile.
fn name(ifindex: u32) -> SafeText {
    let found = socket(AddressFamily::INET, SocketType::DGRAM, None)
        .and_then(|socket| netdevice::index_to_name(socket, ifindex));
    found.map_or_else(|_| SafeText::new(&format!("interface {ifindex}")), |name| SafeText::new(&name))
}
