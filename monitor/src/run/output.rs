//! Standard output, written by a thread of its own: a reader that stands still stops neither the engine nor Ctrl-C.

use super::failure::Failure;
use anyhow::Context as _;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Texts that may wait to be written.
const QUEUE: usize = 256;

/// Where a command prints.
#[derive(Debug)]
pub(super) struct Output {
    texts: mpsc::Sender<String>,
    writer: JoinHandle<io::Result<()>>,
}

/// Nobody takes what is printed any more; [`Output::finish`] tells whether that is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl Output {
    /// Starts to write to `target`.
    pub(super) fn to(target: impl Write + Send + 'static) -> Self {
        let (texts, waiting) = mpsc::channel(QUEUE);
        Self { texts, writer: tokio::task::spawn_blocking(|| write_all(waiting, target)) }
    }

    /// Prints a text as it is.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub(super) async fn print(&self, text: String) -> Result<(), Closed> {
        self.texts.send(text).await.map_err(|_| Closed)
    }

    /// Prints a line.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub(super) async fn line(&self, mut line: String) -> Result<(), Closed> {
        line.push('\n');
        self.print(line).await
    }

    /// Waits until nobody takes what is printed any more.
    pub(super) async fn closed(&self) {
        self.texts.closed().await;
    }

    /// Waits until everything is written, at most for `patience`.
    ///
    /// # Errors
    /// When it could not be written. A pipe whose reader has gone is no error.
    pub(super) async fn finish(self, patience: Duration) -> Result<(), Failure> {
        drop(self.texts);
        match tokio::time::timeout(patience, self.writer).await {
            Ok(Ok(Err(error))) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Ok(Ok(written)) => Ok(written.context("write to standard output")?),
            Ok(Err(panicked)) => {
                Err(anyhow::Error::from(panicked).context("write to standard output").into())
            }
            Err(_) => Ok(()),
        }
    }
}

fn write_all(mut texts: mpsc::Receiver<String>, target: impl Write) -> io::Result<()> {
    let mut target = BufWriter::new(target);
    while let Some(text) = texts.blocking_recv() {
        target.write_all(text.as_bytes())?;
        while let Ok(text) = texts.try_recv() {
            target.write_all(text.as_bytes())?;
        }
        target.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Output;
    use std::io::{self, ErrorKind, Write};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn everything_printed_is_written_before_the_end() {
        let written = Written::default();
        let output = Output::to(written.clone());
        for number in 0..1_000 {
            output.line(number.to_string()).await.unwrap();
        }
        output.finish(PATIENCE).await.unwrap();
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1_000);
        assert_eq!(text.lines().last(), Some("999"));
    }

    async fn check(kind: ErrorKind, fine: bool) {
        let output = Output::to(Failing(kind));
        output.line("text".to_owned()).await.ok();
        output.closed().await;
        assert_eq!(output.finish(PATIENCE).await.is_ok(), fine, "{kind}");
    }

    #[tokio::test]
    async fn a_pipe_whose_reader_has_gone_is_no_error_and_a_full_disk_is_one() {
        check(ErrorKind::BrokenPipe, true).await;
        check(ErrorKind::StorageFull, false).await;
    }
}
