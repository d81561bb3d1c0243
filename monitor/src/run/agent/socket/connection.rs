//! One connection: one request and its answer, which may be a stream.

use super::in_time::InTime;
use super::reply::{Content, lines, refusal};
use super::request::{Refused, Wanted, understand};
use super::server::MOST;
use super::{Shared, answers, past, stream, watch};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio_io_timeout::TimeoutStream;

/// A request has to be there in this time.
const TO_ASK: Duration = Duration::from_secs(10);
/// Whoever takes nothing for so long is stuck.
const TO_TAKE: Duration = Duration::from_secs(10);
/// Whoever takes longer for all that waits is as good as stuck.
const TO_TAKE_ALL: Duration = Duration::from_secs(30);
/// How long one may stay who is only told that there is no room.
const TO_LEAVE: Duration = Duration::from_secs(2);
/// The longest head of a request.
const LONGEST_HEAD: usize = 16 << 10;

/// Answers one request. A client that is stuck, or says what is no HTTP, loses its connection, and nobody need know.
pub(super) async fn serve(stream: UnixStream, shared: Arc<Shared>) {
    let mut stream = TimeoutStream::new(InTime::new(stream, TO_TAKE_ALL));
    stream.set_write_timeout(Some(TO_TAKE));
    let answer = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&request, &shared).await) }
    });
    drop(http().serve_connection(TokioIo::new(Box::pin(stream)), answer).await);
}

/// Tells that there is no room.
pub(super) async fn refuse(stream: UnixStream, shared: Arc<Shared>) {
    let answer = service_fn(move |_: Request<Incoming>| {
        let why = format!("{MOST} others ask already");
        let refused = Refused { status: StatusCode::SERVICE_UNAVAILABLE, why };
        let refusal = refusal(&shared, &refused);
        async move { Ok::<_, Infallible>(refusal) }
    });
    drop(tokio::time::timeout(TO_LEAVE, http().serve_connection(TokioIo::new(stream), answer)).await);
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(LONGEST_HEAD).timer(TokioTimer::new()).header_read_timeout(TO_ASK);
    http
}

async fn answer(request: &Request<Incoming>, shared: &Arc<Shared>) -> Response<Content> {
    let uri = request.uri();
    match understand(request.method(), uri.path(), uri.query()) {
        Err(refused) => refusal(shared, &refused),
        Ok(Wanted::Flows(filter) | Wanted::Names(filter)) => lines(stream::records(shared, filter)),
        Ok(Wanted::Violations(kinds)) => lines(stream::violations(shared, kinds)),
        Ok(Wanted::Watch(filter)) => lines(watch::watch(shared, filter)),
        Ok(Wanted::Past(asked)) => past::for_command(shared, &asked).await,
        Ok(Wanted::History(wanted)) => past::for_all(shared, &wanted).await,
        Ok(Wanted::Index) => answers::index(shared),
        Ok(Wanted::Health) => answers::health(shared),
        Ok(Wanted::Snapshot) => answers::snapshot(shared),
        Ok(Wanted::Containers) => answers::containers(shared),
        Ok(Wanted::Networks) => answers::networks(shared),
        Ok(Wanted::Pairs) => answers::pairs(shared),
        Ok(Wanted::Latency) => answers::latency(shared),
        Ok(Wanted::Failures) => answers::failures(shared),
        Ok(Wanted::Services) => answers::services(shared),
    }
}
