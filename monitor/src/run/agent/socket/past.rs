//! What was in a time that is over.

use super::Shared;
use super::reply::{Content, refusal, whole};
use super::request::Refused;
use crate::collector::clock;
use crate::run::past::{asked, lines};
use crate::run::protocol::Looked;
use crate::settings;
use crate::snapshot::{AskedPast, NotKept, look_back};
use crate::wire::Stream;
use hyper::{Response, StatusCode};
use std::sync::Arc;

/// What a command of ours asks.
pub(super) async fn for_command(shared: &Shared, asked: &AskedPast) -> Response<Content> {
    let looked = look(shared, asked).await;
    let text = serde_json::to_vec(&looked).map_err(|error| error.to_string());
    answer(shared, text)
}

/// What anybody asks: JSON lines.
pub(super) async fn for_all(shared: &Shared, wanted: &settings::Past) -> Response<Content> {
    let asked = match asked(wanted, clock::wall_now()) {
        Ok(asked) => asked,
        Err(why) => {
            // Here they are parameters, and no options.
            let why = why.to_string().replace("--", "");
            return refusal(shared, &Refused { status: StatusCode::BAD_REQUEST, why });
        }
    };
    let Looked { host, kept, past } = look(shared, &asked).await;
    match past {
        Ok(past) => {
            let mut stream = Stream::new(host);
            let mut text =
                lines::lines(&past, kept, &wanted.of, wanted.name.as_deref(), &mut stream).join("\n");
            text.push('\n');
            answer(shared, Ok(text.into_bytes()))
        }
        Err(why) => {
            let status = match why {
                NotKept::Time | NotKept::Name => StatusCode::NOT_FOUND,
                NotKept::Ambiguous(_) => StatusCode::BAD_REQUEST,
            };
            refusal(shared, &Refused { status, why: why.to_string() })
        }
    }
}

async fn look(shared: &Shared, asked: &AskedPast) -> Looked {
    let intervals = shared.feed.history().await;
    let snapshot = Arc::clone(&shared.snapshots.borrow());
    let past = look_back(&intervals, asked, &snapshot);
    Looked { host: shared.host().clone(), kept: snapshot.history, past }
}

/// Gives an answer, unless clients have too much already that they have not taken.
fn answer(shared: &Shared, text: Result<Vec<u8>, String>) -> Response<Content> {
    let held = text.and_then(|text| shared.pictures.once(text).map_err(|none| none.to_string()));
    match held {
        Ok(bytes) => whole(StatusCode::OK, bytes),
        Err(why) => refusal(shared, &Refused { status: StatusCode::SERVICE_UNAVAILABLE, why }),
    }
}
