//! The page of an agent in another network namespace, where its loopback address is.

use crate::page::Page;
use anyhow::Result;
use lab::text;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// The page as it is now, fetched from inside of the namespace.
pub(crate) fn page_within(namespace: &str, at: SocketAddr) -> Result<Page> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}"));
    command.args(["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "10"]);
    Ok(Page { text: text(command.arg(format!("http://{at}/metrics")), Duration::from_secs(15))? })
}
