//! What is answered at once: the lines that the commands print.

use super::Shared;
use super::pictures::About;
use super::reply::{Content, refusal, whole};
use super::request::{ENDPOINTS, Refused};
use crate::run::protocol::VERSION;
use crate::snapshot::{self, Meant, Snapshot};
use crate::wire::{
    Body, Clock, ContainerBody, EndpointBody, FailureBody, HealthBody, LatencyBody, NetworkBody, PairBody,
    ServiceBody, StatusBody, Stream,
};
use hyper::{Response, StatusCode};
use std::sync::Arc;

/// Lines that are put together.
struct Page {
    stream: Stream,
    text: String,
}

impl Page {
    fn new(shared: &Shared) -> Self {
        Self { stream: Stream::new(shared.host().clone()), text: String::new() }
    }

    fn add(&mut self, body: impl Body) {
        self.text += &self.stream.line(body);
        self.text.push('\n');
    }

    fn containers(&mut self, snapshot: &Snapshot) {
        snapshot.containers.iter().for_each(|row| self.add(ContainerBody::with_window(row, snapshot)));
    }

    fn networks(&mut self, snapshot: &Snapshot) {
        snapshot.networks.iter().for_each(|row| self.add(NetworkBody::new(row, snapshot)));
    }

    fn pairs(&mut self, snapshot: &Snapshot, clock: &Clock) {
        snapshot.pairs.iter().for_each(|row| self.add(PairBody::new(row, snapshot, clock)));
    }

    fn latency(&mut self, snapshot: &Snapshot, clock: &Clock) {
        let since = snapshot.watching_since;
        let all = Meant::by(None, []);
        let rows = snapshot.latencies.iter().filter(|row| all.has(&row.client, &row.server));
        rows.for_each(|row| self.add(LatencyBody::new(row, since, clock)));
    }

    fn failures(&mut self, snapshot: &Snapshot, clock: &Clock) {
        let all = Meant::by(None, []);
        let rows = snapshot::failures(&snapshot.pairs, &[], snapshot.sees_retransmits(), &all);
        rows.iter().for_each(|row| self.add(FailureBody::new(row, snapshot.watching_since, clock)));
    }

    fn services(&mut self, snapshot: &Snapshot, clock: &Clock) {
        let rows = snapshot::services(&snapshot.pairs, &[], &snapshot.containers);
        rows.iter().for_each(|row| self.add(ServiceBody::new(row, snapshot.watching_since, clock)));
    }
}

/// What can be asked.
pub(super) fn index(shared: &Shared) -> Response<Content> {
    let mut page = Page::new(shared);
    ENDPOINTS.into_iter().for_each(|(path, tells)| page.add(EndpointBody { path, tells }));
    whole(StatusCode::OK, page.text)
}

/// Whether the agent counts.
pub(super) fn health(shared: &Shared) -> Response<Content> {
    let well = shared.health.is_well();
    let mut page = Page::new(shared);
    page.add(HealthBody { well, version: VERSION, privileges: shared.processes.told() });
    whole(if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, page.text)
}

/// All rows, as `top --json` and the others print them.
pub(super) fn snapshot(shared: &Shared) -> Response<Content> {
    now(shared, About::All, |page, snapshot, clock| {
        page.containers(snapshot);
        page.networks(snapshot);
        page.pairs(snapshot, clock);
    })
}

/// Containers, as `top --json` prints them.
pub(super) fn containers(shared: &Shared) -> Response<Content> {
    now(shared, About::Containers, |page, snapshot, _| page.containers(snapshot))
}

/// Networks.
pub(super) fn networks(shared: &Shared) -> Response<Content> {
    now(shared, About::Networks, |page, snapshot, _| page.networks(snapshot))
}

/// Pairs.
pub(super) fn pairs(shared: &Shared) -> Response<Content> {
    now(shared, About::Pairs, Page::pairs)
}

/// How long services took to answer each other.
pub(super) fn latency(shared: &Shared) -> Response<Content> {
    now(shared, About::Latency, Page::latency)
}

/// What fails between services.
pub(super) fn failures(shared: &Shared) -> Response<Content> {
    now(shared, About::Failures, Page::failures)
}

/// How connections are spread over replicas.
pub(super) fn services(shared: &Shared) -> Response<Content> {
    now(shared, About::Services, Page::services)
}

/// Some rows of the latest snapshot, and the status.
fn now(shared: &Shared, about: About, rows: impl FnOnce(&mut Page, &Snapshot, &Clock)) -> Response<Content> {
    let snapshot = Arc::clone(&shared.snapshots.borrow());
    let picture = shared.pictures.of(about, &snapshot, None, || {
        let (clock, mut page) = (shared.clock(), Page::new(shared));
        rows(&mut page, &snapshot, &clock);
        page.add(StatusBody::new(&snapshot, &clock));
        Ok(page.text.into())
    });
    match picture {
        Ok(picture) => whole(StatusCode::OK, picture.bytes()),
        Err(none) => {
            let refused = Refused { status: StatusCode::SERVICE_UNAVAILABLE, why: none.to_string() };
            refusal(shared, &refused)
        }
    }
}
