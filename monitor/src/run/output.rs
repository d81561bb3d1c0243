//! Standard output, or a file, written by a thread of its own: a reader that stands still stops neither the engine nor
//! Ctrl-C.

use super::failure::Failure;
use anyhow::Context as _;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Texts that may wait to be written.
const QUEUE: usize = 16;
/// Bytes of a text that is handed over without being asked for.
const LARGE: usize = 64 << 10;

/// Where a command prints.
#[derive(Debug)]
pub(super) struct Output {
    /// What was printed and not handed over yet: handing over each line would cost more than writing it.
    printed: Vec<u8>,
    texts: mpsc::Sender<Vec<u8>>,
    writer: JoinHandle<io::Result<()>>,
    /// What it is called in messages.
    name: String,
}

/// Nobody takes what is printed any more; [`Output::finish`] tells whether that is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl Output {
    /// Starts to write to `target`.
    pub(super) fn to(target: impl Write + Send + 'static) -> Self {
        Self::called("standard output", target)
    }

    /// Starts to write to `target`, which has a name. What is handed over at once is written by one `write_all`.
    pub(super) fn called(name: &str, target: impl Write + Send + 'static) -> Self {
        let (texts, waiting) = mpsc::channel(QUEUE);
        Self {
            printed: Vec::new(),
            texts,
            writer: tokio::task::spawn_blocking(|| write_all(waiting, target)),
            name: name.to_owned(),
        }
    }

    /// Prints a text as it is. It is written when it is large, flushed, or at the end.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub(super) async fn print(&mut self, text: &str) -> Result<(), Closed> {
        self.bytes(text.as_bytes()).await
    }

    /// The same with bytes.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub(super) async fn bytes(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.printed.extend(bytes);
        if self.printed.len() < LARGE { Ok(()) } else { self.flush().await }
    }

    /// Prints a line.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub(super) async fn line(&mut self, line: &str) -> Result<(), Closed> {
        self.printed.extend(line.as_bytes());
        self.print("\n").await
    }

    /// Has written what was printed.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub(super) async fn flush(&mut self) -> Result<(), Closed> {
        if self.printed.is_empty() {
            return Ok(());
        }
        self.texts.send(std::mem::take(&mut self.printed)).await.map_err(|_| Closed)
    }

    /// Waits until nobody takes what is printed any more.
    pub(super) async fn closed(&self) {
        self.texts.closed().await;
    }

    /// Waits until everything is written, at most for `patience`.
    ///
    /// # Errors
    /// When it could not be written. A pipe whose reader has gone is no error.
    pub(super) async fn finish(mut self, patience: Duration) -> Result<(), Failure> {
        let write = format!("write to {}", self.name);
        let written = async {
            // Nobody taking it shows in how the writer ended.
            let _ = self.flush().await;
            drop(self.texts);
            self.writer.await
        };
        match tokio::time::timeout(patience, written).await {
            Ok(Ok(Err(error))) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Ok(Ok(written)) => Ok(written.context(write)?),
            Ok(Err(panicked)) => Err(anyhow::Error::from(panicked).context(write).into()),
            Err(_) => Ok(()),
        }
    }
}

fn write_all(mut texts: mpsc::Receiver<Vec<u8>>, mut target: impl Write) -> io::Result<()> {
    while let Some(text) = texts.blocking_recv() {
        target.write_all(&text)?;
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
        let mut output = Output::to(written.clone());
        for number in 0..1_000 {
            output.line(&number.to_string()).await.unwrap();
        }
        output.finish(PATIENCE).await.unwrap();
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1_000);
        assert_eq!(text.lines().last(), Some("999"));
    }

    #[tokio::test]
    async fn a_line_is_written_when_it_is_flushed_and_much_text_without() {
        let written = Written::default();
        let mut output = Output::to(written.clone());
        let length = || written.0.lock().unwrap().len();
        output.line("first").await.unwrap();
        output.flush().await.unwrap();
        let large = "x".repeat(super::LARGE);
        output.print(&large).await.unwrap();
        while length() < 6 + large.len() {
            tokio::task::yield_now().await;
        }
    }

    async fn check(kind: ErrorKind, fine: bool) {
        let mut output = Output::to(Failing(kind));
        output.line("text").await.ok();
        output.flush().await.ok();
        output.closed().await;
        assert_eq!(output.finish(PATIENCE).await.is_ok(), fine, "{kind}");
    }

    #[tokio::test]
    async fn a_pipe_whose_reader_has_gone_is_no_error_and_a_full_disk_is_one() {
        check(ErrorKind::BrokenPipe, true).await;
        check(ErrorKind::StorageFull, false).await;
    }
}
