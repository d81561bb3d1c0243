//! What is said to Docker and how much of the answer is read.
//!
//! The client library reads whole answers, however long they are, and would send whatever it is asked to. This
//! transport stands under it: only `GET` leaves, each request on a connection of its own, and no connection is read
//! past its allowance. A single answer has a fixed one; the event stream's is filled up again by each event that was
//! understood. The client also leaves the API version out of its paths, which would mean "the newest you have": it is
//! put there once it is agreed on.

use super::host::Host;
use bollard::errors::Error;
use bollard::{BollardRequest, ClientVersion};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Response, Uri};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

/// The most bytes of a list of everything that are read: 10,000 containers with some kilobytes of labels each.
const LONGEST_LIST: usize = 48 << 20;
/// The most bytes of any other answer that are read.
const LONGEST_ANSWER: usize = 4 << 20;
/// The most bytes that are read between two events; labels are part of them.
const LONGEST_EVENT: usize = 256 << 10;

/// Why a connection is not read any further.
#[derive(Debug, thiserror::Error)]
#[error("an answer is longer than allowed")]
pub(super) struct TooLong;

/// Carries the requests of one session.
#[derive(Clone)]
pub(super) struct Transport {
    host: Host,
    /// Bytes that may still be read from the event stream before the next event.
    events: Arc<AtomicUsize>,
    /// Told once when the event stream has begun.
    subscribed: Arc<Notify>,
    /// The API version in use, once agreed on.
    version: Arc<OnceLock<ClientVersion>>,
}

impl Transport {
    /// A transport to a host; connects with the first request.
    pub(super) fn new(host: Host) -> Self {
        let events = Arc::new(AtomicUsize::new(LONGEST_EVENT));
        Self { host, events, subscribed: Arc::default(), version: Arc::default() }
    }

    /// Uses an API version from now on; the first one stays.
    pub(super) fn use_version(&self, version: ClientVersion) {
        self.version.get_or_init(|| version);
    }

    /// The API version in use, once agreed on.
    pub(super) fn version(&self) -> Option<ClientVersion> {
        self.version.get().copied()
    }

    /// Lets the event stream go on: an event was understood.
    pub(super) fn event_was_understood(&self) {
        self.events.store(LONGEST_EVENT, Ordering::Relaxed);
    }

    /// Whether the event stream is not read any further.
    pub(super) fn event_was_too_long(&self) -> bool {
        self.events.load(Ordering::Relaxed) == 0
    }

    /// Waits until Docker has begun to answer `GET /events`.
    pub(super) async fn subscribed(&self) {
        self.subscribed.notified().await;
    }

    /// Sends one request and returns the head of its answer.
    ///
    /// # Errors
    /// When it is no `GET`, or the connection fails.
    pub(super) async fn send(self, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
        if request.method() != Method::GET {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "only GET is sent to Docker").into());
        }
        let path = request.uri().path().to_owned();
        let is_events = path.ends_with("/events");
        let left = if is_events {
            Arc::clone(&self.events)
        } else {
            let is_list = path.ends_with("/containers/json") || path.ends_with("/networks");
            Arc::new(AtomicUsize::new(if is_list { LONGEST_LIST } else { LONGEST_ANSWER }))
        };
        let connection = Bounded { connection: connect(&self.host).await?, left };
        let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await?;
        // It ends by itself when the answer was read or dropped.
        tokio::spawn(driver);
        self.address(&mut request)?;
        let response = sender.send_request(request).await?;
        if is_events {
            self.subscribed.notify_one();
        }
        Ok(response)
    }

    /// Rewrites a request for the connection: version and path alone, and the host in its header.
    fn address(&self, request: &mut BollardRequest) -> Result<(), Error> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = match self.version.get() {
            Some(version) => Uri::try_from(format!("/v{version}{path}"))?,
            None => Uri::try_from(path)?,
        };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let name = match &self.host {
            Host::Unix(_) | Host::By(..) => HeaderValue::from_static("docker"),
            Host::Tcp(address) => HeaderValue::from_str(address).map_err(invalid)?,
        };
        request.headers_mut().insert(HOST, name);
        Ok(())
    }
}

/// A connection of either kind.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Connects.
async fn connect(host: &Host) -> io::Result<Box<dyn Connection>> {
    Ok(match host {
        Host::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Host::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            keep_alive(&stream)?;
            Box::new(stream)
        }
        Host::By(way, _) => Box::new(way.connect().await?),
    })
}

/// Makes the kernel notice a peer that is gone: a stream of events may be silent for days.
pub(super) fn keep_alive(stream: impl AsFd) -> io::Result<()> {
    let stream = stream.as_fd();
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    Ok(())
}

/// A connection that is read only so far.
struct Bounded {
    connection: Box<dyn Connection>,
    left: Arc<AtomicUsize>,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, TooLong)));
        }
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.connection).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.left.store(left.saturating_sub(read), Ordering::Relaxed);
        poll
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_but_get_is_sent() {
        for method in [Method::POST, Method::DELETE, Method::PUT, Method::HEAD] {
            let request = hyper::Request::builder().method(method).uri("http://docker/containers/x/stop");
            let request = request.body(bollard::body_full(Default::default())).unwrap();
            let sent = Transport::new(Host::Unix("/nonexistent".into())).send(request).await;
            assert_eq!(
                sent.err().map(|error| error.to_string()).as_deref(),
                Some("only GET is sent to Docker")
            );
        }
    }

    #[tokio::test]
    async fn a_connection_is_read_no_further_than_allowed() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut docker, connection) = tokio::io::duplex(64);
        let left = Arc::new(AtomicUsize::new(10));
        let mut bounded = Bounded { connection: Box::new(connection), left: Arc::clone(&left) };
        let mut buffer = [0; 8];
        docker.write_all(&[7; 24]).await.unwrap();
        assert_eq!(bounded.read(&mut buffer).await.unwrap(), 8);
        assert_eq!(bounded.read(&mut buffer).await.unwrap(), 8);
        let error = bounded.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.to_string(), "an answer is longer than allowed");
        left.store(10, Ordering::Relaxed);
        assert_eq!(bounded.read(&mut buffer).await.unwrap(), 8);
    }
}
