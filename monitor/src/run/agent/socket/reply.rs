//! Answers, as HTTP has them.

use super::Shared;
use super::request::Refused;
use crate::model::SafeText;
use crate::run::protocol;
use crate::wire::{ErrorBody, Stream};
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// One JSON object a line.
const JSON_LINES: &str = "application/x-ndjson";

/// A whole text, or lines as they come.
pub(super) type Content = Either<Full<Bytes>, Lines>;

/// Lines as they come.
#[derive(Debug)]
pub(super) struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Answers with lines as they come.
pub(super) fn lines(lines: mpsc::Receiver<Bytes>) -> Response<Content> {
    response(StatusCode::OK, Either::Right(Lines(lines)))
}

/// Answers with a whole text.
pub(super) fn whole(status: StatusCode, text: impl Into<Bytes>) -> Response<Content> {
    response(status, Either::Left(Full::new(text.into())))
}

/// Answers why there is no answer.
pub(super) fn refusal(shared: &Shared, refused: &Refused) -> Response<Content> {
    let error = SafeText::new(&refused.why);
    let line = Stream::new(shared.host().clone()).line(ErrorBody { error, version: protocol::VERSION });
    let mut response = whole(refused.status, line + "\n");
    if refused.status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    }
    response
}

fn response(status: StatusCode, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON_LINES));
    response
}
