//! A connection that is given up when what waits to be sent is not taken in time, however slowly it is.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Time runs from the first write that finds no room until a flush: whoever writes has nothing more to send then.
#[derive(Debug)]
pub(super) struct InTime<S> {
    stream: S,
    within: Duration,
    /// Until then all has to be taken.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> InTime<S> {
    pub(super) fn new(stream: S, within: Duration) -> Self {
        Self { stream, within, deadline: None }
    }

    /// Takes note of how a write went.
    fn after<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_pending() && self.deadline.is_none() {
            self.deadline = Some(Box::pin(sleep(self.within)));
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InTime<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.after(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.after(written, context)
    }

    /// A text that many read must not be copied for each of them.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        if flushed.is_ready() {
            this.deadline = None;
        }
        this.after(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for InTime<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use super::InTime;
    use std::io::ErrorKind;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    const TEXT: &[u8] = &[b'x'; 1_000];

    /// Takes a byte at a time, with a pause after each.
    async fn trickle(mut from: DuplexStream, pause: Duration) {
        while from.read_u8().await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    }

    #[tokio::test]
    async fn who_takes_a_little_now_and_then_is_not_waited_for() {
        let (to, from) = duplex(1);
        let mut to = InTime::new(to, Duration::from_millis(200));
        // That takes ten seconds, and something is taken all the time.
        let taking = tokio::spawn(trickle(from, Duration::from_millis(10)));
        let error = to.write_all(TEXT).await.expect_err("it is given up");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        taking.abort();
    }

    #[tokio::test]
    async fn time_runs_only_while_something_waits() {
        let (to, mut from) = duplex(64);
        let within = Duration::from_millis(500);
        let mut to = InTime::new(to, within);
        let taking = tokio::spawn(async move { from.read_to_end(&mut Vec::new()).await });
        for pause in [within * 2, Duration::ZERO] {
            to.write_all(TEXT).await.expect("it is taken");
            to.flush().await.expect("all of it");
            tokio::time::sleep(pause).await;
        }
        drop(to);
        let came = taking.await.expect("it does not panic").expect("it is read");
        assert_eq!(came, 2 * TEXT.len());
    }
}
