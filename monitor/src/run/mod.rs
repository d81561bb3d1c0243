//! The composition root: starts what a command needs, connects it, and stops it in the right order.
//!
//! ```text
//! inventory ─Change─▶ relay ─▶ engine ─▶ snapshots, records ─▶ a command's loop ─▶ output
//! collector ─Observation─────▶ engine ─Ask─▶ inventory's hint, collector's asker
//!                               └──Step──▶ a recording, if one is made
//! ```
//!
//! The collector starts last and stops first: whatever it counted to the end is still taken in, named and printed.

mod ask;
mod check;
mod containers;
mod detach;
mod doctor;
mod ends;
mod failure;
mod flows;
mod host;
mod logger;
mod output;
mod pairing;
mod picture;
mod policy;
mod record;
mod replay;
mod screen;
mod session;
mod signals;
mod terminal;
mod top;
mod violations;
mod watch;
mod why;

pub use failure::Failure;

use crate::settings::{Senseless, Settings, Task};
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Threads that run the engine and the inventory; the command itself has the main thread.
const WORKERS: usize = 2;
/// The exit code of wrong usage or settings, as clap has it.
const USAGE: u8 = 2;

/// Does what is asked and tells how it went by an exit code.
#[must_use]
pub fn run(settings: Settings) -> ExitCode {
    logger::start(settings.collector.features);
    let done = runtime().and_then(|runtime| {
        let done = runtime.block_on(perform(settings));
        // A reader of our output that stands still must not keep us from ending.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            logger::tell(&failure.to_string());
            ExitCode::from(failure.code())
        }
    }
}

/// Says that a setting makes no sense.
#[must_use]
pub fn refuse(senseless: &Senseless) -> ExitCode {
    logger::tell(&senseless.to_string());
    ExitCode::from(USAGE)
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime =
        Builder::new_multi_thread().worker_threads(WORKERS).thread_name("vw-async").enable_all().build();
    Ok(runtime?)
}

async fn perform(settings: Settings) -> Result<(), Failure> {
    match settings.task.clone() {
        Task::Top { once, interval } => top::run(&settings, once, interval).await,
        Task::Containers { watch_for } => containers::run(&settings, watch_for).await,
        Task::Flows { watch_for, container, bridges } => {
            flows::run(&settings, watch_for, container, bridges).await
        }
        Task::Violations { watch_for, kinds } => violations::run(&settings, watch_for, &kinds).await,
        Task::Check { watch_for, kinds, fail_on } => check::run(&settings, watch_for, &kinds, fail_on).await,
        Task::Replay { file, kinds } => replay::run(&settings, &file, &kinds).await,
        Task::Why { watch_for, from, to } => why::run(&settings, watch_for, &from, &to).await,
        Task::Doctor => doctor::run(&settings).await,
        Task::PolicyCheck { file } => policy::check(&settings, file).await,
        Task::PolicyExplain { file, from, to } => policy::explain(&settings, file, &from, &to).await,
        Task::Detach => detach::run(&settings).await,
    }
}
