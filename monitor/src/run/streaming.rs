//! What commands have in common that print records as they come.

use super::failure::Failure;
use super::output::Closed;
use super::watch::{Ended, Watch, over};
use crate::snapshot::{Record, Snapshot};
use crate::wire::StatusBody;
use anyhow::anyhow;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Records that are printed at once.
const BATCH: usize = 256;
/// How long the last records may take to come after the programs are gone.
const LAST_RECORDS: Duration = Duration::from_secs(2);

/// Prints records.
pub(super) trait Print {
    /// What stands above them, in text.
    fn heading(&self) -> Option<String> {
        None
    }

    /// Prints some, and what has to be seen at once.
    async fn records(&mut self, watch: &mut Watch, records: &mut Vec<Record>) -> Result<(), Closed>;

    /// No more will come: in JSON, the status with the losses to the end. `_before` is of what was watched until the end.
    async fn end(&mut self, watch: &mut Watch, _before: &Snapshot) -> Result<(), Closed> {
        if watch.json {
            let (snapshot, clock) = (watch.session.snapshot(), watch.clock());
            watch.record(StatusBody::new(&snapshot, &clock)).await?;
        }
        Ok(())
    }
}

/// Prints until the time is over or a signal comes; then takes the programs off and prints what was told to the end.
pub(super) async fn stream(
    watch: &mut Watch,
    watch_for: Option<Duration>,
    printer: &mut impl Print,
) -> Result<Ended, Failure> {
    let mut records = watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?;
    if let Some(heading) = printer.heading().filter(|_| !watch.json)
        && print(watch, &heading).await.is_err()
    {
        return Ok(Ended::Closed);
    }
    let ended = until_over(watch, watch_for, printer, &mut records).await?;
    if ended == Ended::Closed {
        return Ok(ended);
    }
    // What was watched until now; after the end nothing is.
    let before = watch.session.snapshot();
    watch.session.stop_collecting().await?;
    let rest = async {
        let mut batch = Vec::new();
        while records.recv_many(&mut batch, BATCH).await > 0 {
            printer.records(watch, &mut batch).await?;
        }
        Ok::<(), Closed>(())
    };
    if let Ok(Err(closed)) = tokio::time::timeout(LAST_RECORDS, rest).await {
        return Ok(closed.into());
    }
    let printed = printer.end(watch, &before).await;
    Ok(printed.map_or(Ended::Closed, |()| ended))
}

async fn print(watch: &mut Watch, heading: &str) -> Result<(), Closed> {
    watch.output.line(heading).await?;
    watch.output.flush().await
}

async fn until_over(
    watch: &mut Watch,
    watch_for: Option<Duration>,
    printer: &mut impl Print,
    records: &mut Receiver<Record>,
) -> Result<Ended, Failure> {
    let mut over = pin!(over(watch_for));
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            () = watch.signals.next() => return Ok(Ended::Signal),
            () = watch.output.closed() => return Ok(Ended::Closed),
            () = &mut over => return Ok(Ended::Done),
            count = records.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return Err(watch.session.ended());
                }
                if printer.records(watch, &mut batch).await.is_err() {
                    return Ok(Ended::Closed);
                }
            }
        }
    }
}
