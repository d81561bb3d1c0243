//! One connection: one request, one answer, and not for ever.

use super::answers::Question;
use super::keys::Keys;
use crate::export::Format;
use crate::run::agent::health::Health;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

/// From its begin to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request.
const LONGEST_HEAD: usize = 16 << 10;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Who answers: one for each connection.
#[derive(Clone, Debug)]
pub(super) struct Clerk {
    /// Where questions about the figures go.
    pub(super) asked: mpsc::Sender<Question>,
    /// Whether the agent still counts.
    pub(super) health: Health,
    /// The keys that were in force when the connection came.
    pub(super) keys: Keys,
}

impl Clerk {
    /// Answers one request. A client that is slow, or says what is no TLS or no HTTP, loses its connection, and nobody
    /// need know.
    pub(super) async fn serve(self, stream: TcpStream) {
        let answered = async {
            let Some(tls) = self.keys.tls.clone() else { return self.converse(stream).await };
            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                self.converse(stream).await;
            }
        };
        // Who is late is cut off, like who goes.
        drop(tokio::time::timeout(PATIENCE, answered).await);
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let answer = service_fn(|request| async move { Ok::<_, Infallible>(self.answer(&request).await) });
        let connection = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(TokioIo::new(stream), answer);
        drop(connection.await);
    }

    /// Only the figures need the token: whether the agent is well says nothing about who talks to whom.
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !["/metrics", "/healthz", "/"].contains(&path) {
            return plain(StatusCode::NOT_FOUND, "there are /metrics and /healthz\n");
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n", ALLOW, "GET, HEAD");
        }
        match path {
            "/metrics" if !self.may_read(request) => {
                refusal(StatusCode::UNAUTHORIZED, "a token is needed\n", WWW_AUTHENTICATE, "Bearer")
            }
            "/metrics" => metrics(request, &self.asked).await,
            "/healthz" if self.health.is_well() => plain(StatusCode::OK, "ok\n"),
            "/healthz" => plain(StatusCode::SERVICE_UNAVAILABLE, "nothing was counted for too long\n"),
            _ => plain(StatusCode::OK, "vethwatch: /metrics and /healthz\n"),
        }
    }

    fn may_read(&self, request: &Request<Incoming>) -> bool {
        self.keys.token.as_ref().is_none_or(|token| token.is_in(request.headers()))
    }
}

async fn metrics(request: &Request<Incoming>, asked: &mpsc::Sender<Question>) -> Response<Full<Bytes>> {
    let accepts = request.headers().get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let format = Format::wanted(&accepts.collect::<Vec<_>>().join(","));
    match ask(asked, format).await {
        Some(text) => response(StatusCode::OK, format.content_type(), text),
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "the agent is ending\n"),
    }
}

/// Asks whoever owns the figures; nothing comes when that has ended.
async fn ask(asked: &mpsc::Sender<Question>, format: Format) -> Option<Bytes> {
    let (to, answer) = oneshot::channel();
    asked.send(Question(format, to)).await.ok()?;
    answer.await.ok()
}

fn refusal(
    status: StatusCode,
    text: &'static str,
    name: HeaderName,
    value: &'static str,
) -> Response<Full<Bytes>> {
    let mut refusal = plain(status, text);
    refusal.headers_mut().insert(name, HeaderValue::from_static(value));
    refusal
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(status, PLAIN, Bytes::from_static(text.as_bytes()))
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
