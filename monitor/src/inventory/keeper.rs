//! Connects, and connects again, for ever.

use super::Settings;
use super::api::Api;
use super::host::{self, Host};
use super::session::Session;
use super::surroundings::{End, Surroundings};
use crate::model::{Change, DockerState, KernelTime, SafeText};
use std::time::Duration;

/// The first pause after a connection was lost.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A session that told everything and lasted longer than this was a good one: the next pause is the shortest.
const GOOD_SESSION: Duration = Duration::from_secs(5);

/// Keeps a session with Docker until nobody listens.
pub(super) async fn keep(settings: Settings, mut around: Surroundings) {
    let mut down = None;
    let mut pause = SHORTEST_PAUSE;
    if around.tell(Change::Docker(DockerState::Connecting)).await.is_err() {
        return;
    }
    loop {
        let (end, completed) = connect(&settings, &mut around).await;
        let now = (around.clocks.now)();
        if let Some(completed) = completed {
            down = None;
            if now.since(completed) > GOOD_SESSION {
                pause = SHORTEST_PAUSE;
            }
        }
        if lost(end, now, &mut down, &mut around).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = around.out.closed() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One session, from finding the address to the end.
async fn connect(settings: &Settings, around: &mut Surroundings) -> (End, Option<KernelTime>) {
    let host = match find(settings).await {
        Ok(host) => host,
        Err(reason) => return (End::Away(reason), None),
    };
    match Api::new(&host, settings.request_timeout) {
        Ok(api) => Session::new(around, api, settings.ping_interval).run(&host.to_string()).await,
        Err(failure) => (failure.into(), None),
    }
}

/// Where Docker is. Looked up each time: contexts may be repaired meanwhile.
async fn find(settings: &Settings) -> Result<Host, SafeText> {
    match &settings.way {
        Some(way) => way.host().await.map(|name| Host::By(way.clone(), name)),
        None => host::find(settings.host.as_deref()).map_err(|error| SafeText::new(&error.to_string())),
    }
}

/// Tells that Docker is away, once for each reason, and what was refused.
async fn lost(
    end: End,
    now: KernelTime,
    down: &mut Option<(KernelTime, SafeText)>,
    around: &mut Surroundings,
) -> Result<(), End> {
    match end {
        End::Closed => return Err(End::Closed),
        End::Unreadable(reason) => around.refusals.refuse(reason),
        End::Away(reason) => {
            let since = down.as_ref().map_or(now, |(since, _)| *since);
            if down.as_ref().is_none_or(|(_, known)| *known != reason) {
                let state = DockerState::Down { since, reason: reason.as_str().to_owned() };
                around.tell(Change::Docker(state)).await?;
            }
            *down = Some((since, reason));
        }
    }
    around.tell_refusals().await
}
