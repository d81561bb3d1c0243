//! Before anything runs: all that needs a right is done, what needs one later is left to the helper, and the rest of the
//! process gives up all of them.

use super::notify;
use super::processes::Processes;
use crate::collector::{Collector, Prepared, probe};
use crate::confine::{self, User, Wanted};
use crate::helper::message::{Answer, Request};
use crate::helper::{self, Helper, Lane, Office};
use crate::inventory::{self, Way};
use crate::run::failure::Failure;
use crate::run::host::BOOT_ID;
use crate::run::session::Means;
use crate::run::tidy;
use crate::settings::sources::{Loaded, Sources, open_by};
use anyhow::Context as _;
use rustix::thread::CapabilitySet;
use std::path::Path;

/// An agent that can be run.
pub(in crate::run) struct Ready {
    pub(super) prepared: Prepared,
    pub(super) helper: Helper,
    pub(super) processes: Processes,
}

/// Makes the agent ready, while the process has one thread.
///
/// # Errors
/// When it cannot watch here, or the process cannot give up what it holds.
pub(in crate::run) fn ready(loaded: &Loaded, sources: &Sources) -> Result<Ready, Failure> {
    let settings = &loaded.settings;
    notify::connect();
    let (prepared, rights) = Collector::prepare(settings.collector.clone())?;
    // The processes that are made of this one have their own of what it holds now.
    tidy::give_back();
    let office = Office::new(rights, sources.clone(), loaded);
    let of_helper = kept_by_helper();
    let (helper, prepared) = helper::start(office, of_helper, prepared).context("start the helper")?;
    let user = User::least();
    let wanted = Wanted { user, keep: kept_by_main(), readable: &[Path::new(BOOT_ID)] };
    let confined = confine::confine(&wanted).context("give up all rights")?;
    let opener = helper.clone();
    open_by(move |path| {
        let (_, file) = opener.descriptor(Lane::Settings, Request::Open(path.into()))?;
        Ok(file.into())
    });
    let processes = Processes::new(confined, helper.clone(), of_helper);
    Ok(Ready { prepared, helper, processes })
}

/// What a process of the helper's may need: programs, devices and lists of the kernel; files and sockets that the settings
/// name, whoever has them.
fn kept_by_helper() -> CapabilitySet {
    let held = confine::held().unwrap_or(CapabilitySet::empty());
    // SYS_ADMIN for namespaces of containers, and in place of the first two where an engine does not know them.
    let wanted = CapabilitySet::BPF
        | CapabilitySet::PERFMON
        | CapabilitySet::SYS_ADMIN
        | CapabilitySet::NET_ADMIN
        | CapabilitySet::NET_BIND_SERVICE
        | CapabilitySet::SYS_PTRACE
        | CapabilitySet::CHOWN
        | CapabilitySet::FOWNER
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::DAC_READ_SEARCH;
    held & wanted
}

/// Nothing, but where the kernel wants a right even for a map that is open already.
fn kept_by_main() -> CapabilitySet {
    if probe::maps_are_free() {
        return CapabilitySet::empty();
    }
    let held = confine::held().unwrap_or(CapabilitySet::empty());
    if held.contains(CapabilitySet::BPF) { CapabilitySet::BPF } else { CapabilitySet::SYS_ADMIN }
}

/// What the session works with: by the helper it makes a file to record into, and reaches Docker.
pub(super) fn means(helper: &Helper, settings: inventory::Settings, prepared: &Prepared) -> Means {
    let maker = helper.clone();
    let create = move |file: &Path| {
        let (_, made) = maker.descriptor(Lane::Settings, Request::MakeRecording(file.into()))?;
        Ok(made.into())
    };
    let inventory = inventory::Settings { way: Some(way(helper)), ..settings };
    Means { create: Box::new(create), inventory, known: prepared.known().collect() }
}

fn way(helper: &Helper) -> Way {
    let (host, connect) = (helper.clone(), helper.clone());
    Way::new(
        move || match host.done(Lane::Docker, Request::DockerHost) {
            Ok((Answer::Text(host), _)) => Ok(host),
            Ok(_) => Err("the helper does not say where Docker is".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        move || Ok(connect.descriptor(Lane::Docker, Request::Docker)?.1.into()),
    )
}
