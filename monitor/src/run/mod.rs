//! The composition root: starts what a command needs, connects it, and stops it in the right order.
//!
//! ```text
//! inventory ─Change─▶ relay ─▶ engine ─▶ snapshots, records ─▶ a command's loop ─▶ output
//! collector ─Observation─────▶ engine ─Ask─▶ inventory's hint, collector's asker
//!     │                         └──Step──▶ a recording, if one is made
//!     └────Captured────▶ the loop of `capture`
//! ```
//!
//! Where an agent does all that already, a command asks it at its socket and has snapshots and records from there
//! (`source`).
//!
//! The collector starts last and stops first: whatever it counted to the end is still taken in, named and printed.

mod agent;
mod ask;
mod capture;
mod check;
mod containers;
mod detach;
mod dns;
mod doctor;
mod ends;
mod failure;
mod failures;
mod flows;
mod host;
mod keys;
mod latency;
mod live;
mod logger;
mod look;
mod looking;
mod networks;
mod output;
mod pairing;
mod pairs;
mod past;
mod picture;
mod policy;
mod protocol;
mod record;
mod remote;
mod replay;
mod screen;
mod services;
mod session;
mod signals;
mod source;
mod streaming;
mod terminal;
mod tidy;
mod top;
mod violations;
mod watch;
mod why;

pub use failure::Failure;
pub use screen::Screen;

use crate::settings::Task;
use crate::settings::sources::{Loaded, Refused, Sources};
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Threads that run the engine and the inventory; the command itself has the main thread.
const WORKERS: usize = 2;
/// The exit code of wrong usage or settings, as clap has it.
const USAGE: u8 = 2;

/// Does what is asked and tells how it went by an exit code.
#[must_use]
pub fn run(loaded: Loaded, sources: Sources) -> ExitCode {
    logger::start(loaded.settings.collector.features);
    loaded.ignored.iter().for_each(|line| logger::tell(line));
    // An agent gives up its rights before there is a second thread.
    let ready = match &loaded.settings.task {
        Task::Agent(_) => agent::ready(&loaded, &sources).map(Some),
        _ => Ok(None),
    };
    logger::start_thread();
    let done = ready.and_then(|ready| {
        let runtime = runtime()?;
        let done = runtime.block_on(perform(loaded, sources, ready));
        // A reader of our output that stands still must not keep us from ending.
        runtime.shutdown_background();
        done
    });
    let code = match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            logger::tell(&failure.to_string());
            ExitCode::from(failure.code())
        }
    };
    logger::finish();
    code
}

/// Says why there are no settings; help is asked for and no mistake.
#[must_use]
pub fn refuse(refused: &Refused) -> ExitCode {
    match refused {
        Refused::Usage(error) => {
            // Where not even that can be printed, the exit code is all there is.
            drop(error.print());
            if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
        }
        Refused::Wrong(lines) => {
            lines.iter().for_each(|line| logger::tell(line.as_str()));
            ExitCode::from(USAGE)
        }
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime =
        Builder::new_multi_thread().worker_threads(WORKERS).thread_name("vw-async").enable_all().build();
    Ok(runtime?)
}

async fn perform(loaded: Loaded, sources: Sources, ready: Option<agent::Ready>) -> Result<(), Failure> {
    let settings = &loaded.settings;
    if let (Task::Agent(agent), Some(ready)) = (&settings.task, ready) {
        return agent::run(&loaded, agent, sources, ready).await;
    }
    match settings.task.clone() {
        Task::Top { once, live } => top::run(settings, once, live).await,
        Task::Containers { watch_for } => containers::run(settings, watch_for).await,
        Task::Networks { watch_for } => networks::run(settings, watch_for).await,
        Task::Pairs { watch_for, container } => pairs::run(settings, watch_for, container).await,
        Task::Past(past) => past::run(settings, &past).await,
        Task::Latency { watch_for, name } => latency::run(settings, watch_for, name).await,
        Task::Failures { watch_for, name } => failures::run(settings, watch_for, name).await,
        Task::Services { watch_for, name } => services::run(settings, watch_for, name).await,
        Task::Flows { watch_for, container, bridges } => {
            flows::run(settings, watch_for, container, bridges).await
        }
        Task::Dns { watch_for, container } => dns::run(settings, watch_for, container).await,
        Task::Capture(capture) => capture::run(settings, &capture).await,
        Task::Violations { watch_for, kinds } => violations::run(settings, watch_for, &kinds).await,
        Task::Check { watch_for, kinds, fail_on } => check::run(settings, watch_for, &kinds, fail_on).await,
        Task::Replay { file, kinds } => replay::run(settings, &file, &kinds).await,
        Task::Why { watch_for, from, to } => why::run(settings, watch_for, &from, &to).await,
        Task::Agent(_) | Task::PrintConfig => agent::print(&loaded).await,
        Task::Doctor => doctor::run(settings).await,
        Task::PolicyCheck { file } => policy::check(settings, file).await,
        Task::PolicyExplain { file, from, to } => policy::explain(settings, file, &from, &to).await,
        Task::Detach { pin_dir } => detach::run(settings, pin_dir).await,
    }
}
