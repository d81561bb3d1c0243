//! Who asks the agent all the time: one that reads flows, one that reads violations, and one that wants everything as it is now.

use crate::agent::{Metrics, PATIENCE};
use crate::heard::Heard;
use anyhow::{Context, Result, anyhow, ensure};
use lab::wait_for;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often everything is asked for.
const EVERY: Duration = Duration::from_secs(3);

/// A client that reads a stream to its end.
pub(crate) struct Reader<H> {
    heard: Arc<Mutex<H>>,
    thread: JoinHandle<Result<()>>,
}

impl<H: Heard> Reader<H> {
    /// Asks, and waits until the stream has begun.
    pub(crate) fn start(at: &Path) -> Result<Self> {
        let lines =
            ask(at, H::PATH)?.lines().filter(|line| !matches!(line, Ok(line) if !line.starts_with('{')));
        let heard = Arc::new(Mutex::new(H::default()));
        let (into, (begun, begins)) = (Arc::clone(&heard), mpsc::channel());
        let thread = std::thread::spawn(move || {
            for line in lines {
                let line = line?;
                let taken = into.lock().unwrap_or_else(PoisonError::into_inner).take(&line);
                taken.with_context(|| format!("{}: {line}", H::PATH))?;
                // Who waits for the first line has gone after it.
                let _ = begun.send(());
            }
            Ok(())
        });
        begins.recv_timeout(PATIENCE).with_context(|| format!("{} has not begun", H::PATH))?;
        Ok(Self { heard, thread })
    }

    /// Waits until it has heard all that it is to hear.
    pub(crate) fn hears(&self, enough: impl Fn(&H) -> bool) -> Result<()> {
        let all = || Ok(enough(&self.heard()).then_some(()));
        let heard = wait_for("a reader to hear everything", PATIENCE, all);
        heard.with_context(|| format!("{:?}", self.heard()))
    }

    fn heard(&self) -> MutexGuard<'_, H> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything it has heard, once the agent has ended.
    pub(crate) fn end(self) -> Result<H> {
        self.thread.join().map_err(|_| anyhow!("a reader panicked"))??;
        let heard = Arc::into_inner(self.heard).context("its thread has ended")?;
        Ok(heard.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A client that asks for everything as it is now, again and again.
pub(crate) struct Asking {
    /// Ends it when dropped.
    goes_on: Sender<()>,
    thread: JoinHandle<Result<u64>>,
}

impl Asking {
    pub(crate) fn start(at: PathBuf, metrics: Metrics) -> Self {
        let (goes_on, until) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut asked = 0;
            while until.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                metrics.page()?;
                snapshot(&at)?;
                asked += 1;
            }
            Ok(asked)
        });
        Self { goes_on, thread }
    }

    /// How often it has asked.
    ///
    /// # Errors
    /// An answer was none.
    pub(crate) fn stop(self) -> Result<u64> {
        drop(self.goes_on);
        self.thread.join().map_err(|_| anyhow!("who asks panicked"))?
    }
}

fn ask(at: &Path, path: &str) -> Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(at).context("connecting to the agent")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    Ok(BufReader::new(stream))
}

/// Asks for everything, which ends with the status.
fn snapshot(at: &Path) -> Result<()> {
    let mut answer = String::new();
    ask(at, "/v1/snapshot")?.read_to_string(&mut answer)?;
    let status = answer.lines().last().is_some_and(|line| line.contains(r#""type":"status""#));
    ensure!(answer.starts_with("HTTP/1.0 200 ") && status, "/v1/snapshot: {answer}");
    Ok(())
}
