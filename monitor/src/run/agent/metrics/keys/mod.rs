//! What clients need to trust us, and we them: a certificate and its key, and a token. They are read again when their
//! files change, so that a new certificate needs no new start; what is wrong with new ones is said, and the old stay.

mod files;
mod tls;
mod token;

pub(super) use token::Token;

use crate::settings;
use anyhow::{Context as _, Result};
use files::{Secrecy, Stamp};
use rustls::ServerConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether a file has changed.
const LOOK: Duration = Duration::from_secs(1);
/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// The keys that are in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// TLS, where it is wanted.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// The token that a client has to know, where one is wanted.
    pub(super) token: Option<Arc<Token>>,
}

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct KeyFiles {
    tls: Option<settings::Tls>,
    token: Option<PathBuf>,
}

impl KeyFiles {
    pub(super) fn new(wanted: &settings::Metrics) -> Self {
        Self { tls: wanted.tls.clone(), token: wanted.token_file.clone() }
    }

    /// Reads them on a thread that may block.
    ///
    /// # Errors
    /// As [`KeyFiles::read`].
    pub(super) async fn read_aside(self) -> Result<Keys> {
        tokio::task::spawn_blocking(move || self.read()).await.context("read the keys of the metrics")?
    }

    /// Reads them; blocks.
    ///
    /// # Errors
    /// When one cannot be read, is not what it should be, or can be read by whom it should not.
    fn read(&self) -> Result<Keys> {
        let tls = self.tls.as_ref().map(|tls| {
            let certificate = files::read(&tls.certificate, Secrecy::Public, LONGEST)?;
            let key = files::read(&tls.key, Secrecy::Secret, LONGEST)?;
            tls::config(&certificate, &key).with_context(|| {
                format!("{} and {} cannot be used", tls.certificate.display(), tls.key.display())
            })
        });
        let token = self.token.as_ref().map(|file| {
            let text = files::read(file, Secrecy::Secret, LONGEST)?;
            Token::parse(&text).with_context(|| format!("{} has no token", file.display()))
        });
        Ok(Keys { tls: tls.transpose()?.map(Arc::new), token: token.transpose()?.map(Arc::new) })
    }

    /// Reads them whenever they change, for ever.
    pub(super) async fn follow(self, keys: watch::Sender<Keys>) {
        let all = self.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]).chain(&self.token);
        let files: Arc<[PathBuf]> = all.cloned().collect();
        let mut known = None;
        while !files.is_empty() {
            let (these, old) = (self.clone(), known.clone());
            let looked = tokio::task::spawn_blocking({
                let files = Arc::clone(&files);
                move || these.look(&files, old)
            });
            let (stamps, read) = match looked.await {
                Ok(looked) => looked,
                Err(error) => {
                    // It does not panic by design; if it did, the keys in force stay. It is cancelled with the agent alone.
                    if error.is_panic() {
                        log::error!("the keys of the metrics are read no more, the old stay: {error}");
                    }
                    return;
                }
            };
            known = Some(stamps);
            match read {
                Some(Ok(new)) => drop(keys.send_replace(new)),
                Some(Err(error)) => {
                    log::warn!("new keys of the metrics are not used, the old stay: {error:#}")
                }
                None => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the files are now; and what is in them, if that is not what they were.
    fn look(&self, files: &[PathBuf], old: Option<Vec<Stamp>>) -> (Vec<Stamp>, Option<Result<Keys>>) {
        // Asked before they are read: what changes meanwhile is found the next time.
        let stamps: Vec<Stamp> = files.iter().map(|file| Stamp::of(file)).collect();
        let changed = old.is_none_or(|old| old != stamps);
        (stamps, changed.then(|| self.read()))
    }
}

#[cfg(test)]
mod tests;
