//! The live view on a terminal: keys, data, pictures.
//!
//! ```text
//! keyboard ─▶ keys ────┐
//! engine ─▶ snapshots ─┼─▶ App ─▶ pen ─▶ terminal
//! engine ─▶ records ───┘
//! ```
//!
//! Whatever comes first is taken in first, but a key comes before all else, and records come in bounded pieces.

use super::failure::Failure;
use super::keys::Keys;
use super::look::look;
use super::looking::Looking;
use super::screen::{Gone, Pen, Screen, Whom};
use super::source::Source;
use super::watch::{Ended, Watch};
use crate::settings::Live;
use crate::snapshot::Record;
use crate::tui::{App, Effect};
use anyhow::anyhow;
use crossterm::event::Event;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

/// Records that are taken in before it is looked for keys again: less than a millisecond of work.
const BATCH: usize = 512;
/// The least time between two pictures that keys make: a wheel turns faster than anybody can look.
const BETWEEN_KEYS: Duration = Duration::from_millis(20);

/// Shows the view until it is ended, a signal comes, or the terminal goes.
///
/// # Errors
/// When there is no terminal to take, or a part of this program has failed.
pub(super) async fn run(watch: &mut Watch, wanted: Live) -> Result<Ended, Failure> {
    let mut view = View::open(watch, wanted)?;
    let mut told = Vec::with_capacity(BATCH);
    loop {
        let due = view.pace.due(view.app.is_stale());
        tokio::select! {
            biased;
            () = watch.signals.next() => return Ok(Ended::Signal),
            typed = view.keys.next() => match typed {
                Some(event) => if let Some(ended) = view.typed(&event)? { return Ok(ended) },
                None => return view.gone(),
            },
            found = view.looking.next() => view.app.found(found),
            _ = view.job.resized.recv() => view.begin_anew()?,
            _ = view.job.stopped.recv() => view.suspend(Whom::Myself)?,
            _ = view.job.continued.recv() => {
                // Whoever stopped us without asking has left the terminal as it was.
                view.screen.take_again()?;
                view.begin_anew()?;
            }
            ready = due_and_ready(due, &view.pen) => match ready {
                Ok(()) => view.draw()?,
                Err(Gone) => return view.gone(),
            },
            news = news(&mut watch.session, view.app.is_cut_off()) => match news? {
                News::Snapshot => view.app.snapshot(watch.session.snapshot()),
                News::End => view.app.cut_off(),
                News::Beginning => view.begin_again(watch)?,
            },
            count = view.records.recv_many(&mut told, BATCH), if !view.app.is_cut_off() => {
                if count == 0 {
                    view.app.cut_off();
                }
                told.drain(..).for_each(|record| view.app.record(&record));
            }
        }
    }
}

/// What may come next beside records.
enum News {
    /// Another snapshot.
    Snapshot,
    /// Nothing more, for now.
    End,
    /// A first snapshot again.
    Beginning,
}

/// Waits for the next snapshot; where none comes any more, until they come again.
///
/// # Errors
/// When they never will.
async fn news(source: &mut Source, is_cut_off: bool) -> Result<News, Failure> {
    if is_cut_off {
        source.again().await?;
        return Ok(News::Beginning);
    }
    // Why it is the end is told by whoever waits for a beginning, if there is none.
    Ok(if source.changed().await.is_ok() { News::Snapshot } else { News::End })
}

/// Waits until a picture is due and there is room for it; for ever if none is.
async fn due_and_ready(due: Option<Instant>, pen: &Pen) -> Result<(), Gone> {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
    pen.ready().await
}

/// The view and the terminal that it is on. What is first is given up first.
struct View {
    keys: Keys,
    pen: Pen,
    screen: Screen,
    job: JobSignals,
    records: Receiver<Record>,
    app: App,
    pace: Pace,
    looking: Looking,
}

/// What the terminal and the shell tell by signals.
struct JobSignals {
    resized: Signal,
    stopped: Signal,
    continued: Signal,
}

impl View {
    fn open(watch: &mut Watch, wanted: Live) -> Result<Self, Failure> {
        let records = take_records(watch)?;
        let look = look(wanted.theme, wanted.ascii, |name| std::env::var(name).ok());
        let clock = watch.clock();
        let app = App::new(look, clock, watch.session.snapshot());
        let job = JobSignals {
            resized: signal(SignalKind::window_change())?,
            stopped: signal(SignalKind::from_raw(libc::SIGTSTP))?,
            continued: signal(SignalKind::from_raw(libc::SIGCONT))?,
        };
        let screen = Screen::take(wanted.mouse)?;
        let pen = Pen::new(Screen::size())?;
        let keys = Keys::of(screen.keyboard()?)?;
        let (pace, looking) = (Pace::new(wanted.interval), Looking::by(watch.session.looker()));
        Ok(Self { keys, pen, screen, job, records, app, pace, looking })
    }

    /// Takes in what was typed, and all that was typed beside it.
    fn typed(&mut self, first: &Event) -> Result<Option<Ended>, Failure> {
        let mut effect = self.app.input(first);
        while effect == Effect::None {
            let Some(event) = self.keys.another() else { break };
            effect = self.app.input(&event);
        }
        self.pace.typed();
        self.looking.want(self.app.wanted());
        match effect {
            Effect::None => {}
            Effect::Quit => return Ok(Some(Ended::Done)),
            Effect::Suspend => self.suspend(Whom::Group)?,
        }
        Ok(None)
    }

    /// Shows what is told from now on, by an agent that is there again.
    fn begin_again(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        self.records = take_records(watch)?;
        self.app.begin_again(watch.session.snapshot());
        Ok(())
    }

    /// Draws everything on an empty screen of the size that the terminal has now.
    fn begin_anew(&mut self) -> Result<(), Failure> {
        let area = Screen::size();
        self.pen.begin(area)?;
        self.app.input(&Event::Resize(area.width, area.height));
        self.pace.typed();
        Ok(())
    }

    fn suspend(&mut self, whom: Whom) -> Result<(), Failure> {
        self.screen.suspend(whom)?;
        self.begin_anew()
    }

    fn draw(&mut self) -> Result<(), Failure> {
        if self.screen.is_lost() {
            return Err(failed());
        }
        self.pen.draw(&mut self.app)?;
        self.pace.drawn(Instant::now());
        Ok(())
    }

    /// The terminal has gone, or was given back already.
    fn gone(&self) -> Result<Ended, Failure> {
        if self.screen.is_lost() { Err(failed()) } else { Ok(Ended::Closed) }
    }
}

fn take_records(watch: &mut Watch) -> Result<Receiver<Record>, Failure> {
    Ok(watch.session.take_records().ok_or_else(|| anyhow!("no records were asked for"))?)
}

/// Its message was told when it happened.
fn failed() -> Failure {
    anyhow!("a part of vethwatch has failed").into()
}

/// When the next picture is due.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    last: Option<Instant>,
    typed: bool,
}

impl Pace {
    const fn new(interval: Duration) -> Self {
        Self { interval, last: None, typed: false }
    }

    /// Somebody waits for an answer.
    const fn typed(&mut self) {
        self.typed = true;
    }

    const fn drawn(&mut self, at: Instant) {
        self.last = Some(at);
        self.typed = false;
    }

    /// When to draw; a picture that would be the same is never due.
    fn due(&self, stale: bool) -> Option<Instant> {
        let between = if self.typed { BETWEEN_KEYS } else { self.interval };
        stale.then(|| self.last.map_or_else(Instant::now, |last| last + between))
    }
}

#[cfg(test)]
mod tests {
    use super::{BETWEEN_KEYS, Pace};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn data_waits_for_its_time_and_a_key_does_not() {
        let interval = Duration::from_millis(250);
        let (mut pace, start) = (Pace::new(interval), Instant::now());
        assert!(pace.due(true).is_some_and(|due| due <= Instant::now()), "the first picture is due at once");
        pace.drawn(start);
        assert_eq!(pace.due(false), None, "nothing has changed");
        assert_eq!(pace.due(true), Some(start + interval));
        pace.typed();
        assert_eq!(pace.due(true), Some(start + BETWEEN_KEYS));
        pace.drawn(start + BETWEEN_KEYS);
        assert_eq!(pace.due(true), Some(start + BETWEEN_KEYS + interval), "the key was answered");
    }
}
