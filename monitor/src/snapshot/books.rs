//! The figures a snapshot is made of, kept from observation to observation.

use super::End;
use super::interfaces::{Account, Sums};
use super::peers::Peers;
use super::window::{Base, Marks};
use crate::attribution::Attribution;
use crate::flows::Latency;
use crate::model::{ContainerId, DeviceCounters, InterfaceNumber, KernelTime, Losses, Reading, Traffic};
use std::collections::HashMap;
use std::time::Duration;

/// Containers whose handshakes are kept as a histogram: up to 70 kB each.
const HISTOGRAMS: usize = 64;

/// What the books are kept by.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The window that rates are about.
    pub window: Duration,
}

/// All figures.
#[derive(Debug)]
pub struct Books {
    pub(super) marks: Marks,
    pub(super) accounts: HashMap<InterfaceNumber, Account>,
    /// Sums over interfaces that went long ago, by their container.
    pub(super) closed: HashMap<ContainerId, Sums>,
    pub(super) peers: Peers,
    pub(super) handshakes: HashMap<ContainerId, Latency>,
    losses: Losses,
}

impl Books {
    /// Empty books.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            marks: Marks::new(settings.window),
            accounts: HashMap::new(),
            closed: HashMap::new(),
            peers: Peers::new(settings.window),
            handshakes: HashMap::new(),
            losses: Losses::default(),
        }
    }

    /// An interface is watched from `at` on; with the device's counters just before and just after.
    pub fn attached(
        &mut self,
        number: InterfaceNumber,
        at: KernelTime,
        before: Option<DeviceCounters>,
        after: Option<DeviceCounters>,
    ) {
        self.marks.start(at);
        self.accounts.insert(number, Account::new(before, after));
    }

    /// All totals were read.
    pub fn read(&mut self, readings: &[Reading]) {
        let Some(at) = readings.iter().map(|reading| reading.at).max() else { return };
        let mark = self.marks.read(at);
        let oldest = self.marks.oldest();
        for reading in readings {
            if let Some(account) = self.accounts.get_mut(&reading.number) {
                account.read(*reading, mark, oldest);
            }
        }
    }

    /// An interface is watched no longer.
    pub fn detached(&mut self, number: InterfaceNumber, at: KernelTime, last: &Reading) {
        let mark = self.marks.read(at);
        let oldest = self.marks.oldest();
        if let Some(account) = self.accounts.get_mut(&number) {
            account.read(*last, mark, oldest);
            account.gone = Some(at);
        }
    }

    /// A container talked with a peer. `end.port` is the service port, or absent.
    pub fn talked(&mut self, container: &ContainerId, end: End, traffic: Traffic, at: KernelTime) {
        self.peers.add(container, end, traffic, at);
    }

    /// A connection that a container opened was answered.
    pub fn answered(&mut self, container: &ContainerId, took: Duration) {
        if let Some(latency) = self.handshakes.get_mut(container) {
            latency.record(took);
        } else if self.handshakes.len() < HISTOGRAMS {
            self.handshakes.entry(container.clone()).or_default().record(took);
        }
    }

    /// Sums up what is over: interfaces that went before the window, containers that are forgotten.
    pub fn tidy(&mut self, attribution: &Attribution) {
        let base = self.marks.base();
        let Self { accounts, closed, losses, .. } = self;
        accounts.retain(|number, account| {
            if !account.left_the_window(base) {
                return true;
            }
            if let Some(known) = attribution.owner(*number) {
                let mut sums = account.sums(base);
                sums.window = Traffic::default();
                *closed.entry(known.container.id.clone()).or_default() += sums;
                return false;
            }
            let remembered = attribution.interface(*number).is_some();
            if !remembered {
                let totals = account.sums(base).totals;
                losses.add("skbs_of_nobody", totals.sent.skbs.saturating_add(totals.received.skbs));
            }
            remembered
        });
        let known = |id: &ContainerId| attribution.container(id).is_some();
        self.closed.retain(|id, _| known(id));
        self.handshakes.retain(|id, _| known(id));
        self.peers.keep(known);
    }

    pub(super) fn base(&self) -> Base {
        self.marks.base()
    }

    /// What the books had to leave out, by name.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let mut losses = self.losses.clone();
        losses.add("peers_forgotten", self.peers.forgotten);
        losses
    }
}
