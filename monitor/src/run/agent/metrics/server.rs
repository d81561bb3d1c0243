//! Takes connections: so many at once, of which a new one pushes out the oldest.

use super::answers::Question;
use super::connection::Clerk;
use super::keys::Keys;
use crate::run::agent::health::Health;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

/// Connections at once.
const MOST: usize = 64;
/// How long to wait where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Takes connections for ever. When this ends, so do they.
pub(super) async fn serve(
    listener: Arc<TcpListener>,
    asked: mpsc::Sender<Question>,
    health: Health,
    keys: watch::Receiver<Keys>,
) {
    let mut tasks = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(NO_ROOM).await;
            continue;
        };
        while tasks.try_join_next().is_some() {}
        oldest_first.retain(|task| !task.is_finished());
        // Whoever is here longest is most likely stuck; an answer takes milliseconds.
        if oldest_first.len() >= MOST
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
        }
        let keys = keys.borrow().clone();
        let clerk = Clerk { asked: asked.clone(), health: health.clone(), keys };
        oldest_first.push_back(tasks.spawn(clerk.serve(stream)));
    }
}
