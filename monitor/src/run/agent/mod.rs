//! `vethwatch agent`: watches on, and answers who asks.
//!
//! ```text
//! session ─Feed─▶ parts: metrics ◀── Prometheus
//!            │           records ──▶ a file, or the journal
//!            │           socket ◀── everything else on the host
//!            └──▶ manager ──▶ service manager
//! SIGHUP ─▶ reload ─▶ parts, session's policy
//! ```
//!
//! Each part is tasks of its own that follows the engine by a [`Feed`](crate::engine::Feed); none can hold up
//! another, or the engine. What is done for clients is done on threads of their own.

mod health;
mod manager;
mod metrics;
mod notify;
mod part;
mod parts;
mod print;
mod processes;
mod ready;
mod records;
mod reload;
mod socket;
mod threads;

pub(super) use print::print;
pub(super) use ready::{Ready, ready};

use super::failure::Failure;
use super::logger;
use super::protocol::Hello;
use super::session::Session;
use super::signals::{Received, Signals};
use crate::settings;
use crate::settings::sources::{Loaded, Sources};
use anyhow::anyhow;
use health::Health;
use manager::Manager;
use part::Sight;
use parts::Parts;
use reload::Reloads;
use std::sync::Arc;
use threads::Threads;
use tokio::net::UnixStream;

/// Watches until a signal comes.
pub(super) async fn run(
    loaded: &Loaded,
    agent: &settings::Agent,
    sources: Sources,
    ready: Ready,
) -> Result<(), Failure> {
    let Ready { prepared, helper, processes } = ready;
    let (mut signals, settings) = (Signals::catch()?, &loaded.settings);
    let mut parts = match Parts::open(agent, &helper).await {
        Ok(parts) => parts,
        Err(failure) => {
            prepared.give_up(&helper.call());
            return Err(failure);
        }
    };
    let threads = Threads::start()?;
    let (means, call) = (ready::means(&helper, settings.inventory.clone(), &prepared), helper.call());
    let mut session = Session::start_by(settings, None, means, |out| prepared.start(call, out)).await?;
    let policy = session.policy_text().map(str::to_owned);
    let mut reloads = Reloads::new(sources, loaded, policy, Some(helper.clone()));
    let life = UnixStream::from_std(helper.life()?)?;
    let (feed, tick) = (session.feed(), settings.collector.tick);
    let sight = Sight {
        hello: Hello {
            host: session.host().clone(),
            booted: session.booted(),
            tick,
            window: settings.window,
        },
        docker_told: session.docker_told_when(),
        health: Health::new(feed.snapshots(), tick),
        reloads: reloads.outcome(),
        clients: Arc::default(),
        processes,
        not_written: Arc::default(),
        threads: threads.handle().clone(),
        feed,
    };
    sight.feed.count_losses("records_not_written", Arc::clone(&sight.not_written)).await;
    sight.processes.say();
    parts.start(&sight).iter().for_each(|place| logger::tell(place));
    let manager = Manager::of_environment().tell(
        session.docker_told_when(),
        sight.feed.snapshots(),
        sight.health.clone(),
    );
    logger::tell("watching");
    let ended = loop {
        tokio::select! {
            received = signals.received() => match received {
                Received::End => break Ok(()),
                Received::Hangup => reloads.begin(),
            },
            fresh = reloads.fresh() => reloads.take(fresh, &mut parts, &session, &sight).await,
            _ = life.readable() => break Err(anyhow!("the helper is gone").into()),
            changed = session.changed() => if let Err(failure) = changed { break Err(failure) },
        }
    };
    manager.abort();
    notify::tell("STOPPING=1");
    let stopped = session.stop().await;
    parts.stop().await;
    stopped?;
    ended?;
    let stays = settings.collector.pin.as_ref().is_some_and(|pin| pin.keep);
    logger::tell(if stays {
        "a signal came; what is pinned stays for the next agent"
    } else {
        "a signal came; nothing is attached any more"
    });
    Ok(())
}
