//! What is kept of each pair of services: histograms, and for how many there is room.

use super::{LatencyRow, LatencySpan, Measured, Service, ServicePair};
use crate::flows::{Latency, Spread, Steps};
use crate::model::KernelTime;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A pair makes room for another one after so long without a handshake.
pub(super) const IDLE: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct Timed {
    latency: Option<Box<Latency>>,
    steps: Steps,
    /// What the history was not told.
    untold: Spread,
}

impl Timed {
    pub(super) fn record(&mut self, took: Duration) {
        self.latency.get_or_insert_default().record(took);
        self.steps.record(took);
        self.untold.record(took);
    }

    fn measured(&self) -> Option<Measured> {
        let percentiles = self.latency.as_ref()?.percentiles()?;
        Some(Measured { percentiles, steps: self.steps })
    }
}

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) at_client: Timed,
    pub(super) at_server: Timed,
    pub(super) between: Timed,
    pub(super) first_byte_at_server: Timed,
    pub(super) first_byte_at_client: Timed,
    last: KernelTime,
}

impl Account {
    fn row(&self, key: &ServicePair) -> LatencyRow {
        let all = [
            &self.at_client,
            &self.at_server,
            &self.between,
            &self.first_byte_at_server,
            &self.first_byte_at_client,
        ];
        LatencyRow::new(key, all.map(Timed::measured))
    }

    /// What came since the history was told last, if something did.
    fn tell(&mut self, services: &Arc<ServicePair>) -> Option<LatencySpan> {
        let all = [
            &mut self.at_client,
            &mut self.at_server,
            &mut self.between,
            &mut self.first_byte_at_server,
            &mut self.first_byte_at_client,
        ];
        let seen = all.map(|timed| std::mem::take(&mut timed.untold));
        let is_something = seen.iter().any(|spread| spread.count() > 0);
        is_something.then(|| LatencySpan { services: Arc::clone(services), seen })
    }
}

/// Those that there is room for.
#[derive(Debug)]
pub(super) struct Accounts {
    most: usize,
    kept: HashMap<Arc<ServicePair>, Account>,
    /// Before this none was idle for long enough.
    full_until: KernelTime,
    pub(super) not_kept: u64,
    pub(super) forgotten: u64,
}

impl Accounts {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self { most, kept: HashMap::new(), full_until: KernelTime::default(), not_kept: 0, forgotten: 0 }
    }

    /// That of two services, if there is room for it.
    pub(super) fn get(&mut self, key: &ServicePair, at: KernelTime) -> Option<&mut Account> {
        if !self.kept.contains_key(key) {
            if !self.has_room(at) {
                return None;
            }
            self.kept.insert(Arc::new(key.clone()), Account::default());
        }
        let account = self.kept.get_mut(key)?;
        account.last = account.last.max(at);
        Some(account)
    }

    /// Whether there is room for one more, or the one that was idle longest can make it.
    fn has_room(&mut self, now: KernelTime) -> bool {
        if self.kept.len() < self.most {
            return true;
        }
        if now < self.full_until {
            return false;
        }
        let oldest = self.kept.iter().min_by_key(|(key, account)| (account.last, *key));
        let Some((key, last)) = oldest.map(|(key, account)| (Arc::clone(key), account.last)) else {
            return true;
        };
        self.full_until = last.plus(IDLE);
        let is_idle = now >= self.full_until;
        if is_idle {
            self.kept.remove(&key);
            self.forgotten += 1;
        }
        is_idle
    }

    /// Forgets those with a service that is no longer known, which may depend on whether they are idle.
    pub(super) fn keep(&mut self, now: KernelTime, known: impl Fn(&Service, bool) -> bool) {
        self.kept.retain(|key, account| {
            let is_idle = now.since(account.last) >= IDLE;
            [&key.client, &key.server].into_iter().all(|service| known(service, is_idle))
        });
    }

    /// What came since the history was told last, of each of which something did.
    pub(super) fn tell(&mut self) -> impl Iterator<Item = LatencySpan> {
        self.kept.iter_mut().filter_map(|(services, account)| account.tell(services))
    }

    /// The rows, in no order.
    pub(super) fn rows(&self) -> impl Iterator<Item = LatencyRow> {
        self.kept.iter().map(|(key, account)| account.row(key))
    }
}
