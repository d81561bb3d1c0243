//! Takes connections: so many at once, and who comes then is told so.

use super::{Shared, connection};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Clients at once. None pushes out another: streams are meant to stay.
pub(super) const MOST: usize = 256;
/// Clients that are told at once that there is no room.
const MOST_REFUSED: usize = 32;
/// How long to wait where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Takes connections for ever. When this ends, so do they.
pub(super) async fn serve(listener: Arc<UnixListener>, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    let [places, refusals] = [MOST, MOST_REFUSED].map(|places| Arc::new(Semaphore::new(places)));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(NO_ROOM).await;
            continue;
        };
        while tasks.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            tasks.spawn(async move {
                let _place = place;
                serve_one(stream, &shared).await;
            });
            continue;
        }
        shared.tally.refused();
        // Who finds no place even for that is not answered.
        if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
            tasks.spawn(async move {
                let _place = place;
                connection::refuse(stream, shared).await;
            });
        }
    }
}

async fn serve_one(stream: UnixStream, shared: &Arc<Shared>) {
    let _counted = Counted::new(shared);
    connection::serve(stream, Arc::clone(shared)).await;
}

/// A client that is counted as long as this lives, however its task ends.
struct Counted<'a>(&'a Shared);

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.tally.came();
        Self(shared)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.tally.went();
    }
}
