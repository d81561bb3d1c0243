//! What is typed, read by a thread of its own: keys wait for nothing.

use crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that may wait; of more, those that are typed then wait in the terminal.
const QUEUE: usize = 256;
/// How long is waited for another event behind one. Not nothing: crossterm then would not look at what it has read.
const ANOTHER: Duration = Duration::from_millis(1);
/// How long the rest of a key may take that has come in part. The terminal has more to read all the while.
const REST: Duration = Duration::from_millis(50);

/// Keys and the mouse. Dropping it leaves what is typed from then on to whoever comes next.
#[derive(Debug)]
pub(super) struct Keys {
    events: mpsc::Receiver<Event>,
    _open: UnixStream,
}

impl Keys {
    /// Reads from now on.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn of(keyboard: File) -> io::Result<Self> {
        let (open, closed) = UnixStream::pair()?;
        let (to, events) = mpsc::channel(QUEUE);
        std::thread::Builder::new().name("vw-keys".to_owned()).spawn(move || {
            // Its end closes the queue, which tells that the terminal has gone.
            read(&keyboard, &closed, &to).ok();
        })?;
        Ok(Self { events, _open: open })
    }

    /// The next event; nothing when the terminal has gone.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// An event that is there already.
    pub(super) fn another(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

/// Reads until the terminal has gone or nobody listens. Whether there is anything is asked here: crossterm would try
/// for ever to read from a terminal that has gone.
fn read(keyboard: &File, closed: &UnixStream, to: &mpsc::Sender<Event>) -> io::Result<()> {
    loop {
        let mut waiting = [PollFd::new(keyboard, PollFlags::IN), PollFd::new(closed, PollFlags::IN)];
        match poll(&mut waiting, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        let [typed, ended] = waiting.map(|one| one.revents());
        if !ended.is_empty() || typed.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Ok(());
        }
        let mut wait = REST;
        while event::poll(wait)? {
            let event = event::read()?;
            wait = ANOTHER;
            // A new size is told by its signal.
            let told = matches!(event, Event::Resize(..)) || to.blocking_send(event).is_ok();
            if !told {
                return Ok(());
            }
        }
    }
}
