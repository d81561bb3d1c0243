//! What commands have in common that print records as they come.

use super::failure::Failure;
use super::output::Closed;
use super::watch::{Ended, Watch};
use crate::snapshot::Record;
use anyhow::anyhow;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Records that are printed at once.
const BATCH: usize = 64;
/// How long the last records may take to come after the programs are gone.
const LAST_RECORDS: Duration = Duration::from_secs(2);

/// Prints records.
pub(super) trait Print {
    /// Prints some, and what has to be seen at once.
    async fn records(&mut self, watch: &mut Watch, records: &mut Vec<Record>) -> Result<(), Closed>;

    /// No more will come.
    async fn end(&mut self, watch: &mut Watch) -> Result<(), Closed>;
}

/// Prints until the time is over or a signal comes; then takes the programs off and prints what was told to the end.
pub(super) async fn stream(
    watch: &mut Watch,
    watch_for: Option<Duration>,
    printer: &mut impl Print,
) -> Result<Ended, Failure> {
    let mut records = watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?;
    let ended = until_over(watch, watch_for, printer, &mut records).await?;
    if ended == Ended::Closed {
        return Ok(ended);
    }
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
    let printed = printer.end(watch).await;
    Ok(printed.map_or(Ended::Closed, |()| ended))
}

async fn until_over(
    watch: &mut Watch,
    watch_for: Option<Duration>,
    printer: &mut impl Print,
    records: &mut Receiver<Record>,
) -> Result<Ended, Failure> {
    let mut over = pin!(async {
        match watch_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    });
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
