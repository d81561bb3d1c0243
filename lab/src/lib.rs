//! Docker networks and containers for the demo and the end-to-end tests.
//!
//! Everything made here carries a name that starts with `vw-` and the label [`LABEL`], is removed when its [`Lab`]
//! is dropped, and is found and removed by a later run if this one was killed. [`Listing`] proves that nothing
//! stayed. Works through the `docker` command, so `DOCKER_HOST` and contexts are honoured.

mod bpf_fs;
mod command;
mod container;
mod counters;
mod deadline;
mod docker;
mod engine;
mod groups;
pub mod image;
mod lan;
mod link;
mod listing;
mod machine;
mod maps;
mod network;
mod outside;
mod packages;
mod programs;
mod recorder;
mod rules;
mod swarm;
mod tmux;
mod vethwatch;

pub use bpf_fs::BpfFs;
pub use command::{Finished, finish, is_root, privileged, text};
pub use container::{Container, ContainerSpec};
pub use counters::{clients_at, kernel_counter};
pub use deadline::{Deadline, wait_for};
pub use docker::{docker, docker_within};
pub use engine::Engine;
pub use groups::{OWN_HOST, remove_groups};
pub use lan::Segment;
pub use link::{Device, DeviceCounters};
pub use listing::{Difference, Listing};
pub use machine::Machine;
pub use maps::map_entries;
pub use network::Network;
pub use outside::Outside;
pub use packages::Packages;
pub use recorder::{asked_of_docker, docker_host};
pub use rules::Rules;
pub use swarm::{NODE_ADDRESSES, Swarm};
pub use tmux::Tmux;
pub use vethwatch::{Running, Vethwatch};

use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// Label of everything a lab makes; its value is the lab's prefix.
pub const LABEL: &str = "vethwatch.lab";

/// A set of networks and containers that is removed when dropped.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
}

impl Lab {
    /// Opens a lab whose objects are named `vw-<name>-<pid>-…`. First removes what labs of processes that no
    /// longer run have left; what an engine does not let go of fails the lab that made it, and none after it.
    ///
    /// # Errors
    /// Docker does not answer.
    pub fn new(name: &str) -> Result<Self> {
        docker(&["version", "--format", "{{.Server.Version}}"])?;
        if let Err(error) = remove_leftovers() {
            eprintln!("removing what an earlier lab left: {error:#}");
        }
        Ok(Self { prefix: format!("vw-{name}-{}", std::process::id()) })
    }

    /// What the names of all its objects start with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Makes a bridge network `<prefix>-<name>`; `options` are those of `docker network create`.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn network(&self, name: &str, options: &[&str]) -> Result<Network> {
        Network::create(&self.prefix, name, options)
    }

    /// Describes a container `<prefix>-<name>` of the testbox image; nothing is made before [`ContainerSpec::run`].
    #[must_use]
    pub fn container(&self, name: &str) -> ContainerSpec {
        ContainerSpec::new(&self.prefix, name)
    }

    /// Removes everything of this lab now, and tells what could not be removed. Dropping does the same silently.
    ///
    /// # Errors
    /// Docker refuses, or something of the lab still exists afterwards.
    pub fn close(self) -> Result<()> {
        remove_matching(|prefix| prefix == self.prefix)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = remove_matching(|prefix| prefix == self.prefix) {
            eprintln!("{}: {error:#}", self.prefix);
        }
    }
}

/// Removes the networks and containers of labs whose process no longer runs.
///
/// # Errors
/// Docker does not answer or refuses.
pub fn remove_leftovers() -> Result<()> {
    remove_matching(|prefix| {
        let pid = prefix.rsplit('-').next().and_then(|pid| pid.parse::<u32>().ok());
        pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    })
}

/// Removes containers first, then networks, of the labs that `wanted` chooses by prefix.
fn remove_matching(wanted: impl Fn(&str) -> bool) -> Result<()> {
    // Few at once: an engine that removes fifty together loses count of a network's endpoints.
    let containers = matching(&["ps", "--all", "--no-trunc"], &wanted)?;
    for some in containers.chunks(5) {
        let ids: Vec<&str> = some.iter().map(String::as_str).collect();
        docker_within(&[&["rm", "--force", "--volumes"], &ids[..]].concat(), Duration::from_secs(180))?;
    }
    for some in matching(&["network", "ls", "--no-trunc"], &wanted)?.chunks(4) {
        std::thread::scope(|scope| {
            let removing: Vec<_> =
                some.iter().map(|network| scope.spawn(|| network::remove(network))).collect();
            removing.into_iter().try_for_each(|one| one.join().expect("the thread does not panic"))
        })?;
    }
    Ok(())
}

/// The ids of what a list of Docker has, of the labs that `wanted` chooses by prefix.
fn matching(list: &[&str], wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
    let filter = format!("label={LABEL}");
    let listing = docker(&[list, &["--filter", &filter, "--format", &format]].concat())?;
    let ids = listing
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, prefix)| wanted(prefix))
        .map(|(id, _)| id.to_owned());
    Ok(ids.collect())
}
