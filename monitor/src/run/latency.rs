//! `latency`.

use super::failure::Failure;
use super::watch::{Ended, Watch};
use super::{logger, picture};
use crate::engine::Filter;
use crate::settings::Settings;
use crate::snapshot::{FirstByte, Handshake, Latencies, LatencyRow, Meant, Record, Snapshot};
use crate::view;
use crate::wire::LatencyBody;
use anyhow::anyhow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Records that are taken at once.
const BATCH: usize = 256;
/// How long the last records may take to come after the programs are gone.
const LAST_RECORDS: Duration = Duration::from_secs(2);

/// Prints one table: of all that was seen, or, asked to watch for a while, of the connections of that time.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Option<Duration>,
    name: Option<String>,
) -> Result<(), Failure> {
    let mut watch = Watch::start(settings, watch_for.map(|_| Filter::default())).await?;
    let shown = show(&mut watch, watch_for, name.as_deref()).await;
    watch.end(shown).await
}

async fn show(watch: &mut Watch, watch_for: Option<Duration>, name: Option<&str>) -> Result<Ended, Failure> {
    let taken = match watch_for {
        Some(time) => of_that_time(watch, time).await?,
        None => picture::take(watch, None).await?,
    };
    let snapshot = match taken {
        Ok(snapshot) => snapshot,
        Err(ended) => return Ok(ended),
    };
    let meant = Meant::by(name, snapshot.containers.iter().map(|row| &row.container));
    let is_wanted = |row: &&LatencyRow| meant.has(&row.client, &row.server);
    if let Some(name) = name.filter(|_| !snapshot.latencies.iter().any(|row| is_wanted(&row))) {
        logger::tell(&format!("no connection with {name} was seen to be answered"));
    }
    let clock = watch.clock();
    let wanted = || snapshot.latencies.iter().filter(is_wanted);
    let bodies = wanted().map(|row| LatencyBody::new(row, snapshot.watching_since, &clock));
    Ok(picture::show(watch, &snapshot, |frame| view::latency(&snapshot, wanted(), frame), bodies).await)
}

/// Counts what is told from now on, for so long, and puts it in place of what was seen since the watch began.
async fn of_that_time(watch: &mut Watch, time: Duration) -> Result<Result<Arc<Snapshot>, Ended>, Failure> {
    let mut records = watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?;
    let since = watch.session.snapshot().taken_at;
    let (mut latencies, mut lost) = (Latencies::default(), 0);
    let ended = tokio::select! {
        () = tokio::time::sleep(time) => None,
        // It ends that time.
        () = watch.signals.next() => None,
        () = watch.output.closed() => Some(Ended::Closed),
        () = count(&mut records, &mut latencies, &mut lost) => return Err(watch.session.ended()),
    };
    if let Some(ended) = ended {
        return Ok(Err(ended));
    }
    // What is watched until now; after the end nothing is.
    let before = watch.session.snapshot();
    watch.session.stop_collecting().await?;
    // What does not come in time is lost, and told by the engine.
    drop(tokio::time::timeout(LAST_RECORDS, count(&mut records, &mut latencies, &mut lost)).await);
    let mut losses = watch.session.snapshot().losses.clone();
    losses.add_all(&latencies.losses());
    losses.add("records_lost_by_slow_readers", lost);
    let latencies = latencies.rows();
    Ok(Ok(Arc::new(Snapshot { latencies, losses, watching_since: since, ..(*before).clone() })))
}

/// Takes in records until there are no more.
async fn count(records: &mut Receiver<Record>, latencies: &mut Latencies, lost: &mut u64) {
    let mut batch = Vec::new();
    while records.recv_many(&mut batch, BATCH).await > 0 {
        for record in batch.drain(..) {
            match record {
                Record::Flow(flow) => {
                    if let Some(handshake) = Handshake::of_record(&flow) {
                        latencies.record(&handshake);
                    }
                    if let Some(first_byte) = FirstByte::of_record(&flow) {
                        latencies.record_first_byte(&first_byte);
                    }
                }
                Record::Lost(records) => *lost = records,
                Record::Sample(_) | Record::Name(_) | Record::Finding(_) | Record::Standing(_) => {}
            }
        }
    }
}
