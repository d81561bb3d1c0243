//! Clients of an engine that nothing happens to, at a socket without a file.

use super::pictures::Pictures;
use super::{Shared, Tally, watch};
use crate::collector::clock;
use crate::engine::{self, EngineHandle};
use crate::export::Reload;
use crate::model::{KernelTime, WallTime};
use crate::run::agent::health::Health;
use crate::run::agent::part::Sight;
use crate::run::agent::processes::Processes;
use crate::run::protocol::Hello;
use crate::snapshot::Snapshot;
use crate::wire::fixtures;
use hyper::body::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch::Sender};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a beat of the stream.
const WHILE: Duration = Duration::from_secs(1);

/// What clients are answered from. It is published here, not by the engine.
struct Rig {
    publish: Sender<Arc<Snapshot>>,
    shared: Arc<Shared>,
    _engine: EngineHandle,
}

impl Rig {
    /// Clients may have so many bytes of texts.
    fn new(most: usize) -> Self {
        let (_, changes) = mpsc::channel(1);
        let (_, observations) = mpsc::channel(1);
        let (asks, _) = mpsc::channel(1);
        let settings = engine::Settings::new(fixtures::host());
        let engine = engine::spawn(settings, changes, observations, asks, clock::kernel_now, None);
        let (publish, snapshots) = tokio::sync::watch::channel(Arc::new(fixtures::snapshot()));
        let tick = Duration::from_secs(1);
        let sight = Sight {
            health: Health::new(snapshots.clone(), tick),
            feed: engine.feed(),
            reloads: tokio::sync::watch::channel(Reload { successful: true, success: WallTime(0) }).1,
            hello: Hello { host: fixtures::host(), booted: WallTime(0), tick, window: tick },
            docker_told: tokio::sync::watch::channel(None).1,
            not_written: Arc::default(),
            clients: Arc::<Tally>::default(),
            processes: Processes::default(),
            threads: Handle::current(),
        };
        let shared = Shared { snapshots, pictures: Pictures::new(most), ..Shared::new(sight) };
        Self { publish, shared: Arc::new(shared), _engine: engine }
    }

    /// Publishes a snapshot of this moment.
    fn publish(&self, at: u64) {
        let snapshot = Snapshot { taken_at: KernelTime(at), ..fixtures::snapshot() };
        self.publish.send(Arc::new(snapshot)).expect("clients follow");
    }

    /// A client that has read what comes before snapshots.
    async fn client(&self) -> mpsc::Receiver<Bytes> {
        let mut client = watch::watch(&self.shared, None);
        let hello = next(&mut client).await;
        assert!(hello.starts_with(br#"{"hello""#), "{hello:?}");
        client
    }
}

async fn next(client: &mut mpsc::Receiver<Bytes>) -> Bytes {
    timeout(PATIENCE, client.recv()).await.expect("in time").expect("it goes on")
}

fn is_of(text: &Bytes, at: u64) -> bool {
    String::from_utf8_lossy(text).contains(&format!(r#""taken_at":{at},"#))
}

#[tokio::test]
async fn clients_that_read_share_one_text_and_have_the_next_one_whatever_room_there_is() {
    let rig = Rig::new(1);
    rig.publish(1);
    let mut clients = [rig.client().await, rig.client().await, rig.client().await];
    for at in 1..4 {
        for client in &mut clients {
            let text = next(client).await;
            assert!(is_of(&text, at), "{text:?}");
        }
        rig.publish(at + 1);
    }
}

#[tokio::test]
async fn a_client_that_keeps_its_text_makes_others_wait_but_not_for_ever() {
    let rig = Rig::new(1);
    let mut slow = rig.client().await;
    let kept = next(&mut slow).await;
    // It goes, as its connection is cut off; what it was sent is not taken yet.
    drop(slow);
    rig.publish(2);
    let mut other = rig.client().await;
    assert!(timeout(WHILE, other.recv()).await.is_err(), "there is no room");
    drop(kept);
    let text = next(&mut other).await;
    assert!(is_of(&text, 2), "{text:?}");
}
