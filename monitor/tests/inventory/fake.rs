//! A Docker API that says what a test wants: HTTP/1.1 over a Unix socket, one answer a connection.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

/// What is answered to `GET` of a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// This body.
    Body(Vec<u8>),
    /// A status and a body.
    Status(u16, &'static str),
    /// Nothing, and the connection stays open.
    Never,
    /// A body that does not end.
    Endless,
    /// The first for so many times, then the second.
    First(u32, Box<Reply>, Box<Reply>),
}

impl From<&str> for Reply {
    fn from(body: &str) -> Self {
        Self::Body(body.into())
    }
}

impl From<String> for Reply {
    fn from(body: String) -> Self {
        Self::Body(body.into())
    }
}

struct State {
    replies: Mutex<HashMap<String, Reply>>,
    asked: Mutex<Vec<String>>,
    counts: Mutex<HashMap<String, u32>>,
    events: broadcast::Sender<Option<Vec<u8>>>,
    sent: AtomicUsize,
    open: AtomicUsize,
}

/// The running API.
pub(crate) struct Fake {
    path: PathBuf,
    state: Arc<State>,
    server: JoinSet<()>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Fake {
    /// An engine without containers and networks.
    pub(crate) fn start() -> Self {
        let mut fake = Self::absent();
        fake.appear();
        fake
    }

    /// An engine that is not there yet.
    pub(crate) fn absent() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vw-inv-fake-{}-{number}.sock", std::process::id()));
        let replies = [
            ("/version", r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#),
            ("/info", r#"{"SecurityOptions":["name=seccomp,profile=default"]}"#),
            ("/_ping", "OK"),
            ("/networks", "[]"),
            ("/containers/json", "[]"),
        ];
        let replies = replies.map(|(path, reply)| (path.to_owned(), Reply::from(reply))).into();
        let state = State {
            replies: Mutex::new(replies),
            asked: Mutex::default(),
            counts: Mutex::default(),
            events: broadcast::channel(1 << 12).0,
            sent: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        };
        Self { path, state: Arc::new(state), server: JoinSet::new() }
    }

    /// Begins to accept connections.
    pub(crate) fn appear(&mut self) {
        std::fs::remove_file(&self.path).ok();
        let listener = UnixListener::bind(&self.path).unwrap();
        self.server.spawn(serve(listener, Arc::clone(&self.state)));
    }

    /// Cuts all connections and accepts no more.
    pub(crate) async fn vanish(&mut self) {
        self.server.shutdown().await;
        std::fs::remove_file(&self.path).ok();
    }

    /// Its address.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Answers a path in this way from now on.
    pub(crate) fn answer(&self, path: &str, reply: impl Into<Reply>) {
        self.state.replies.lock().unwrap().insert(path.to_owned(), reply.into());
    }

    /// Sends an event.
    pub(crate) fn emit(&self, event: &str) {
        self.emit_raw(format!("{event}\n").as_bytes());
    }

    /// Sends a piece of the event stream.
    pub(crate) fn emit_raw(&self, piece: &[u8]) {
        assert!(self.emit_if_heard(piece), "nobody listens to events");
    }

    /// Sends a piece of the event stream; false if nobody listens.
    pub(crate) fn emit_if_heard(&self, piece: &[u8]) -> bool {
        self.state.events.send(Some(piece.to_vec())).is_ok()
    }

    /// Ends the event stream.
    pub(crate) fn end_events(&self) {
        self.state.events.send(None).expect("the inventory listens to events");
    }

    /// The requests so far, as `GET /path`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }

    /// The connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// The bytes that could be sent of endless answers.
    pub(crate) fn sent(&self) -> usize {
        self.state.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

async fn serve(listener: UnixListener, state: Arc<State>) {
    // Dropped with the server: that cuts them all.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            state.open.fetch_add(1, Ordering::SeqCst);
            // A client that closes early is no error here.
            connection(stream, &state).await.ok();
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn connection(mut stream: UnixStream, state: &State) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8(request).unwrap();
    let mut words = request.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let target = target.split('?').next().unwrap();
    let path = unversioned(target);
    assert_eq!(target == path, path == "/version", "the agreed version is in all paths but one: {target}");
    // Before the request is counted: who sees it counted may send events.
    let events = (path == "/events").then(|| state.events.subscribe());
    state.asked.lock().unwrap().push(format!("{method} {path}"));
    if let Some(events) = events {
        return stream_events(stream, events).await;
    }
    let reply = state.replies.lock().unwrap().get(path).cloned();
    let mut reply = reply.unwrap_or(Reply::Status(404, r#"{"message":"no such object"}"#));
    if let Reply::First(times, first, then) = reply {
        let mut counts = state.counts.lock().unwrap();
        let count = counts.entry(path.to_owned()).or_insert(0);
        *count += 1;
        reply = if *count <= times { *first } else { *then };
    }
    send(&mut stream, reply, state).await
}

fn unversioned(path: &str) -> &str {
    let agreed = ["/v1.41", "/v1.51"];
    agreed.iter().find_map(|version| path.strip_prefix(version)).unwrap_or(path)
}

async fn send(stream: &mut UnixStream, reply: Reply, state: &State) -> std::io::Result<()> {
    let (status, body) = match reply {
        Reply::Body(body) => (200, body),
        Reply::Status(status, body) => (status, body.as_bytes().to_vec()),
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[").await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
                state.sent.fetch_add(4096, Ordering::Relaxed);
            }
        }
        Reply::Never | Reply::First(..) => {
            // Until the client closes.
            return stream.read_u8().await.map(drop);
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

async fn stream_events(
    mut stream: UnixStream,
    mut events: broadcast::Receiver<Option<Vec<u8>>>,
) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    while let Ok(Some(piece)) = events.recv().await {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        stream.write_all(&piece).await?;
        stream.write_all(b"\r\n").await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}
