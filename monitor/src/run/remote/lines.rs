//! An agent's lines, read one by one.

use crate::run::protocol::Message;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Incoming};

/// The longest line that is read: a snapshot of some thousand containers and pairs has a tenth of it.
const LONGEST: usize = 64 << 20;

/// Why nothing more comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Over {
    /// The agent has ended, or closed the connection.
    #[error("it has ended, or has closed the connection")]
    Ended,
    /// What it says makes no sense.
    #[error("what it says is not understood: {0}")]
    Nonsense(#[from] serde_json::Error),
    /// A line is too long.
    #[error("it says a line that is too long")]
    TooLong,
}

/// Lines of a body.
#[derive(Debug)]
pub(super) struct Lines<B = Incoming> {
    body: B,
    text: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where there is no end of a line.
    looked: usize,
}

impl<B: Body<Data = Bytes> + Unpin> Lines<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, text: Vec::new(), start: 0, looked: 0 }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// When nothing more comes; then it is over for good.
    pub(super) async fn next(&mut self) -> Result<Message, Over> {
        loop {
            let end = self.text[self.looked..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| self.looked + end) {
                let message = serde_json::from_slice(&self.text[self.start..end]);
                (self.start, self.looked) = (end + 1, end + 1);
                return Ok(message?);
            }
            self.looked = self.text.len();
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Over> {
        // Before more is read: what is left is a part of one line.
        self.text.drain(..self.start);
        self.looked -= self.start;
        self.start = 0;
        if self.text.is_empty() {
            // What one long line took is not kept for ever.
            self.text = Vec::new();
        }
        let Some(Ok(frame)) = self.body.frame().await else { return Err(Over::Ended) };
        if let Some(data) = frame.data_ref() {
            self.text.extend_from_slice(data);
        }
        if self.text.len() > LONGEST { Err(Over::TooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Over};
    use crate::run::protocol::Message;
    use crate::snapshot::Record;
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};
    use std::convert::Infallible;

    /// The lost records that are read of some pieces, and how it ends.
    async fn read(pieces: &[&str]) -> (Vec<u64>, Over) {
        let frames = pieces
            .iter()
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece.as_bytes()))));
        let mut lines = Lines::new(StreamBody::new(futures_util::stream::iter(frames)));
        let mut lost = Vec::new();
        loop {
            match lines.next().await {
                Ok(Message::Record(Record::Lost(count))) => lost.push(count),
                Ok(message) => panic!("{message:?}"),
                Err(over) => return (lost, over),
            }
        }
    }

    #[tokio::test]
    async fn lines_are_read_however_they_are_cut() {
        let text = "{\"record\":{\"Lost\":1}}\n{\"record\":{\"Lost\":22}}\n";
        for cut in 0..text.len() {
            let (one, other) = text.split_at(cut);
            let (lost, over) = read(&[one, other]).await;
            assert_eq!(lost, [1, 22], "cut at {cut}");
            assert!(matches!(over, Over::Ended));
        }
    }

    #[tokio::test]
    async fn half_a_line_and_nonsense_are_no_messages() {
        assert!(matches!(read(&["{\"record\":{\"Lost\":1}}"]).await, (lost, Over::Ended) if lost.is_empty()));
        let nonsense = ["\n", "nonsense\n", "{\"record\":{\"Lost\":-1}}\n", "{\"other\":1}\n", "\u{0}\n"];
        for text in nonsense {
            let (lost, over) = read(&["{\"record\":{\"Lost\":1}}\n", text]).await;
            assert!(lost == [1] && matches!(over, Over::Nonsense(_)), "{text:?}: {over}");
        }
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let piece = "x".repeat(1 << 20);
        let (_, over) = read(&vec![piece.as_str(); 65]).await;
        assert!(matches!(over, Over::TooLong));
    }
}
