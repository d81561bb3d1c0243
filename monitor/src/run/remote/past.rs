//! Asks an agent what was.

use super::connect::{Refusal, ask, not_well};
use crate::run::protocol::{Looked, PAST_PATH, past_query};
use crate::snapshot::AskedPast;
use http_body_util::{BodyExt as _, Limited};
use std::path::Path;
use std::time::Duration;

/// The longest answer that is read: some thousand containers and pairs have a tenth of it.
const LONGEST: usize = 64 << 20;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks, and waits for the answer.
///
/// # Errors
/// When there is no agent, or it refuses.
pub(in crate::run) async fn past(path: &Path, asked: &AskedPast) -> Result<Looked, Refusal> {
    let answer = async {
        let body = ask(path, &format!("{PAST_PATH}?{}", past_query(asked))).await?;
        let text = Limited::new(body, LONGEST).collect().await.map_err(|error| not_well(path, error))?;
        serde_json::from_slice(&text.to_bytes()).map_err(|error| not_well(path, error))
    };
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.unwrap_or_else(|_| Err(not_well(path, "it does not answer in time")))
}
