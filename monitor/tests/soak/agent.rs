//! An agent as a host has one: it is asked at its socket and for metrics, and writes records.

use crate::folder::Folder;
use crate::page::Page;
use crate::traffic::{CLIENT, GUEST, Traffic};
use crate::used::Used;
use crate::within::page_within;
use anyhow::{Context, Result, ensure};
use lab::{Running, Vethwatch, wait_for};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// For the agent to have counted what was sent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What there is before any guest: three networks' bridges, and the devices of three containers.
const INTERFACES: u64 = 6;

/// Series stay a minute, and are then gone with the next page.
const SERIES_GO: Duration = Duration::from_secs(90);

/// Why records are missing in the file.
const OF_RECORDS: [&str; 2] = ["records_not_written", "records_lost_by_slow_readers"];

/// Where a page of metrics is.
#[derive(Clone)]
pub(crate) struct Metrics {
    namespace: String,
    at: SocketAddr,
}

impl Metrics {
    /// The page as it is now.
    pub(crate) fn page(&self) -> Result<Page> {
        page_within(&self.namespace, self.at)
    }
}

/// An agent that watches the engine of the traffic.
pub(crate) struct Agent {
    running: Running,
    pub(crate) metrics: Metrics,
}

impl Agent {
    pub(crate) fn start(traffic: &Traffic, folder: &Folder) -> Result<Self> {
        let engine = traffic.engine();
        let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
        let vethwatch = vethwatch.within(&engine.namespace).with("DOCKER_HOST", &engine.host());
        let words = ["agent", "--metrics-pairs", "--metrics-listen", "127.0.0.1:0"];
        let of_folder = folder.settings();
        let of_folder: Vec<&str> = of_folder.iter().map(String::as_str).collect();
        let mut running = vethwatch.start(&[&words, &of_folder[..]].concat())?;
        let at = running.metrics()?;
        wait_for("the watch", PATIENCE, || {
            Ok(running.errors().contains("vethwatch: watching").then_some(()))
        })?;
        let agent = Self { running, metrics: Metrics { namespace: engine.namespace.clone(), at } };
        // What crosses while the programs are put on, one way after the other, is no connection that they saw whole.
        wait_for("all interfaces to be watched", PATIENCE, || {
            let used = agent.used()?;
            Ok(used.filter(|used| used.interfaces == INTERFACES).map(drop))
        })?;
        Ok(agent)
    }

    /// What it uses now, once its programs are on each interface both ways.
    fn used(&self) -> Result<Option<Used>> {
        let page = self.metrics.page()?;
        let by_tcx = page.value("vethwatch_interfaces_attached", &[("mode", "tcx")]);
        let used = Used::of(self.running.pid(), &page)?;
        Ok(used.filter(|used| by_tcx.map(|count| 2 * count) == Some(used.links)))
    }

    /// Waits until it has counted exactly so many connections of the client, and measures.
    pub(crate) fn measure(&self, opened: u64) -> Result<Used> {
        let mut counted = None;
        let used = wait_for("the connections to be counted", PATIENCE, || {
            let page = self.metrics.page()?;
            counted = page.value("vethwatch_container_connections_opened_total", &[("container", CLIENT)]);
            if counted == Some(opened) { Used::of(self.running.pid(), &page) } else { Ok(None) }
        });
        used.with_context(|| format!("{opened} were opened, {counted:?} counted"))
    }

    /// What each series of its page is called, with its labels.
    pub(crate) fn series(&self) -> Result<BTreeSet<String>> {
        let page = self.metrics.page()?;
        let samples = page.text.lines().filter(|line| !line.starts_with('#'));
        Ok(samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect())
    }

    /// Waits until nothing is left of the guests: no series, no interface, and no link to one of theirs.
    pub(crate) fn forgets_guests(&self, opened: u64, interfaces: u64) -> Result<Used> {
        let of_guests = format!("=\"{GUEST}");
        wait_for("what is of the guests to go", SERIES_GO, || {
            let page = self.metrics.page()?;
            self.measure(opened)?;
            let used = self.used()?.filter(|used| used.interfaces == interfaces);
            Ok(used.filter(|_| !page.text.contains(&of_guests)))
        })
    }

    /// Ends it; by how many records its file may have gaps, and all losses for the record.
    pub(crate) fn end(self) -> Result<(u64, String)> {
        let page = self.metrics.page()?;
        let losses = page.text.lines().filter_map(|line| {
            let labels = line.strip_prefix("vethwatch_lost_events_total{reason=\"")?;
            let (reason, count) = labels.split_once("\"} ")?;
            Some((reason, count.parse::<u64>().ok()?))
        });
        let losses: Vec<_> = losses.filter(|(_, count)| *count > 0).collect();
        let of_records = losses.iter().filter(|(reason, _)| OF_RECORDS.contains(reason));
        let gaps = of_records.map(|(_, count)| count).sum();
        let told: Vec<_> = losses.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        self.running.signal(libc::SIGTERM)?;
        let (code, _) = self.running.end()?;
        ensure!(code == Some(0), "it ended with {code:?}");
        Ok((gaps, if told.is_empty() { "none".to_owned() } else { told.join(", ") }))
    }
}
