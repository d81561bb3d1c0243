//! Asks an agent for its stream.

use super::lines::Lines;
use crate::engine::Filter;
use crate::model::SafeText;
use crate::run::protocol::{self, VERSION};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// How long the agent may take until it begins.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest refusal that is read.
const LONGEST_REFUSAL: usize = 64 << 10;

/// Why an agent is not followed.
#[derive(Debug)]
pub(in crate::run) enum Refusal {
    /// There is none.
    NotThere,
    /// The file may not be opened.
    NotPermitted,
    /// It is another version, as the text says.
    OtherVersion(String),
    /// It does not answer as it should, as the text says.
    NotWell(String),
}

/// Asks; whoever answers has begun to.
///
/// # Errors
/// When nobody does, or it is refused.
pub(super) async fn connect(path: &Path, filter: Option<&Filter>) -> Result<Lines, Refusal> {
    let target = format!("{}?{}", protocol::PATH, protocol::query(filter));
    let asked = tokio::time::timeout(PATIENCE, ask(path, &target)).await;
    asked
        .map(|asked| asked.map(Lines::new))
        .unwrap_or_else(|_| Err(not_well(path, "it does not answer in time")))
}

/// Asks for what is at a target of HTTP.
///
/// # Errors
/// When nobody answers, or it is refused.
pub(super) async fn ask(path: &Path, target: &str) -> Result<Incoming, Refusal> {
    let stream = UnixStream::connect(path).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => Refusal::NotThere,
        ErrorKind::PermissionDenied => Refusal::NotPermitted,
        _ => not_well(path, error),
    })?;
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| not_well(path, error))?;
    // It ends by itself when the answer was read or dropped.
    tokio::spawn(driver);
    let request = Request::get(target)
        .header(HOST, "vethwatch")
        .body(Empty::<Bytes>::new())
        .map_err(|error| not_well(path, error))?;
    let response = sender.send_request(request).await.map_err(|error| not_well(path, error))?;
    if response.status() == StatusCode::OK {
        return Ok(response.into_body());
    }
    Err(refusal(path, response).await)
}

/// What an agent says that refuses.
async fn refusal(path: &Path, response: Response<Incoming>) -> Refusal {
    #[derive(Deserialize)]
    struct Said {
        error: SafeText,
        version: Option<SafeText>,
    }
    let status = response.status();
    // What cannot be read, or is not understood, is told by its status.
    let body = Limited::new(response.into_body(), LONGEST_REFUSAL).collect().await.ok();
    let said = body.and_then(|body| serde_json::from_slice::<Said>(&body.to_bytes()).ok());
    match said {
        Some(Said { version: Some(version), .. }) if status == StatusCode::CONFLICT => {
            Refusal::OtherVersion(format!("the agent is version {version}, this is {VERSION}"))
        }
        Some(said) => not_well(path, said.error),
        None => not_well(path, format!("it answers {status}")),
    }
}

pub(super) fn not_well(path: &Path, why: impl std::fmt::Display) -> Refusal {
    Refusal::NotWell(format!("the agent at {} cannot be asked: {why}", path.display()))
}
