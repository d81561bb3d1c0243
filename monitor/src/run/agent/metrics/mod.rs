//! Metrics for Prometheus, over HTTP.
//!
//! ```text
//! Feed ─Snapshot, Finding─▶ ledger ─Page─▶ answers ◀─Question─ server ◀─ clients
//!                                                      files ─Keys─▶ ┘
//! ```
//!
//! One task at a time has the desk, and with it the ledger. A client has its connection's task, which asks that one and
//! waits.

mod answers;
mod connection;
mod desk;
mod keys;
mod listener;
mod server;

use crate::export::Options;
use crate::helper::message::Request;
use crate::helper::{Helper, Lane};
use crate::run::agent::part::{Run, Sight};
use crate::run::failure::Failure;
use crate::settings;
use anyhow::Context as _;
use desk::Desk;
use keys::{KeyFiles, Keys};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Questions that may wait; behind them connections wait.
const QUESTIONS: usize = 64;

/// A socket that listens, and who answers there.
#[derive(Debug)]
pub(super) struct Metrics {
    wanted: settings::Metrics,
    /// Where it listens; a port of 0 has become one.
    address: SocketAddr,
    /// Clients that come while one task follows another wait here.
    listener: Arc<TcpListener>,
    files: KeyFiles,
    keys: Keys,
    desk: desk::Place,
    answering: Option<JoinHandle<()>>,
}

impl Run for Metrics {
    type Settings = settings::Metrics;
    const NAME: &'static str = "metrics";

    async fn open(
        wanted: &settings::Metrics,
        before: Option<&Self>,
        helper: &Helper,
    ) -> Result<Self, Failure> {
        let files = KeyFiles::new(wanted);
        let keys = files.clone().read_aside().await.map_err(Failure::wrong)?;
        let listener = listener(wanted.listen, before, helper)?;
        let address = listener.local_addr()?;
        // Other options make other figures.
        let same_figures = before.filter(|before| before.wanted.export == wanted.export);
        let desk = same_figures.map(|before| Arc::clone(&before.desk)).unwrap_or_default();
        Ok(Self { wanted: wanted.clone(), address, listener, files, keys, desk, answering: None })
    }

    fn start(&mut self, sight: Sight) {
        let door =
            Door { listener: Arc::clone(&self.listener), files: self.files.clone(), keys: self.keys.clone() };
        let (threads, desk) = (sight.threads.clone(), Arc::clone(&self.desk));
        self.answering = Some(threads.spawn(answer(door, desk, self.wanted.export, sight)));
    }

    async fn stop(self) {
        if let Some(answering) = self.answering {
            answering.abort();
            // It ends by being told to; there is nothing more to know of it.
            drop(answering.await);
        }
    }

    fn told(&self) -> String {
        let scheme = if self.keys.tls.is_some() { "https" } else { "http" };
        format!("metrics are at {scheme}://{}/metrics", self.address)
    }
}

/// Where clients come in, and with which keys.
#[derive(Debug)]
struct Door {
    listener: Arc<TcpListener>,
    files: KeyFiles,
    keys: Keys,
}

/// Who listens at an address: where it is the same as before, whoever did.
fn listener(at: SocketAddr, before: Option<&Metrics>, helper: &Helper) -> Result<Arc<TcpListener>, Failure> {
    if let Some(before) = before.filter(|before| [before.wanted.listen, before.address].contains(&at)) {
        return Ok(Arc::clone(&before.listener));
    }
    let bound = listener::listen(at, before.map(|before| &*before.listener), |beside| {
        Ok(helper.descriptor(Lane::Settings, Request::Bind { at, beside })?.1)
    });
    Ok(Arc::new(bound.with_context(|| format!("cannot answer at {at}"))?))
}

/// Answers from now on, until it is aborted or the engine ends.
async fn answer(door: Door, desk: desk::Place, options: Options, sight: Sight) {
    // Whoever was there before has left.
    let mut desk = desk.lock().await;
    let desk = desk.get_or_insert_with(|| Desk::new(options, &sight));
    let Sight { feed, health, mut reloads, clients, processes, .. } = sight;
    let mut snapshots = feed.snapshots();
    desk.answers.take(&snapshots.borrow_and_update().clone(), clients.clients(), processes.restarts());
    desk.answers.reloaded(*reloads.borrow_and_update());
    let (asked, mut questions) = mpsc::channel(QUESTIONS);
    let (changed_keys, keys) = watch::channel(door.keys);
    // They end with this task.
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(door.files.follow(changed_keys));
    tasks.spawn(server::serve(door.listener, asked, health.clone(), keys));
    loop {
        tokio::select! {
                changed = snapshots.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    desk.answers.take(&snapshots.borrow_and_update().clone(), clients.clients(), processes.restarts());
                }
                Ok(()) = reloads.changed() => desk.answers.reloaded(*reloads.borrow_and_update()),
                Some(record) = desk.records.recv() => desk.take(&record),
                Some(question) = questions.recv() => desk.answers.answer(question, health.is_well()),
        }
    }
}
