//! What the live view costs, and how soon it answers a key.
//!
//! `cargo xtask bench top`; the last table needs root, and says so where it is not to be had.
//!
//! A made-up host goes through the engine: 300 containers, of which each has conversations with others and with outside,
//! 20,000 flows in all, every one with traffic in every second. The view takes in what the engine gives, all records of
//! a second at once and four snapshots, and draws four pictures of 200 × 60, even where the program itself would not
//! because nothing has changed. The CPU time of all this is measured, and
//! compared with the time that it stands for; nothing waits. What of it records take is told by itself. Then the same view is given keys. Last, a real `vethwatch
//! top` in a terminal of that size is given keys, with no more on the host than there is.

mod measure;
#[path = "../tests/scenarios/world.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "it is made for tests, which use the rest of it")]
mod world;

use anyhow::{Context, Result, ensure};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use lab::wait_for;
use measure::statistics::Sample;
use monitor::collector::clock::kernel_now;
use monitor::engine::{Filter, Topic};
use monitor::model::{KernelTime, WallTime};
use monitor::snapshot::Record;
use monitor::tui::{App, Colours, Look};
use monitor::wire::Clock;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use world::{World, counts, flow};

const CONTAINERS: u32 = 300;
const FLOWS: u32 = 20_000;
/// Columns and lines.
const SIZE: (u16, u16) = (200, 60);
/// Pictures a second.
const PICTURES: u64 = 4;
/// Seconds that each screen is shown.
const SECONDS: u64 = 20;
const KEYS: usize = 200;
/// The most of one core, and the longest from a key to the screen.
const ALLOWED: (f64, f64) = (0.05, 0.030);
const PATIENCE: Duration = Duration::from_secs(20);

/// The screens, by the keys that show them.
const SCREENS: [(char, &str); 6] = [
    ('1', "containers"),
    ('2', "flows"),
    ('3', "networks"),
    ('4', "pairs"),
    ('5', "findings"),
    ('6', "losses and health"),
];

fn main() -> Result<()> {
    let mut host = Host::new();
    let mut view = View::new(&mut host)?;
    println!(
        "{CONTAINERS} containers and {FLOWS} live flows, each with packets in every second, through the engine; the view draws\n\
         {PICTURES} pictures a second of {} × {}, {SECONDS} s of each screen. The engine's own work is not in it.\n",
        SIZE.0, SIZE.1
    );
    println!("| screen | CPU of one core | allowed | written for a picture |");
    println!("| --- | ---: | ---: | ---: |");
    let mut records = Sample::default();
    for (key, name) in SCREENS {
        view.key(KeyCode::Char(key))?;
        // The first second on a screen is the one in which it is built.
        view.second(&mut host)?;
        let (mut cpu, written) = (Duration::ZERO, view.written());
        for _ in 0..SECONDS {
            let took = view.second(&mut host)?;
            cpu += took.all;
            records.push(took.records.as_secs_f64());
        }
        let share = cpu.as_secs_f64() / seconds(SECONDS);
        let bytes = (view.written() - written) / (SECONDS * PICTURES);
        println!("| {name} | {:.2} % | {:.0} % | {bytes} bytes |", share * 100.0, ALLOWED.0 * 100.0);
    }
    println!("\nIn it, to take in a second's records, {FLOWS} of flows, on all screens:\n");
    println!("| records of a second | seconds | median | worst |\n| --- | ---: | ---: | ---: |");
    let [median, worst] = [records.median(), records.worst()].map(|seconds| seconds * 1e3);
    println!("| {FLOWS} | {} | {median:.1} ms | {worst:.1} ms |", records.len());
    println!(
        "\nFrom a key to what has to be written, a whole second's data having come just before every tenth:\n"
    );
    print_keys_heading();
    for (key, name) in SCREENS.iter().take(2) {
        view.key(KeyCode::Char(*key))?;
        let (took, slowest) = answers(&mut view, &mut host)?;
        print_keys(&format!("{name}, slowest: {slowest}"), &took);
    }
    println!(
        "\nFrom a key to the first byte on a real terminal, `vethwatch top` running with what is on this host:\n"
    );
    if lab::is_root() {
        print_keys_heading();
        print_keys("help, opened and closed", &Real::start()?.answers()?);
    } else {
        println!("not measured: it needs root");
    }
    Ok(())
}

fn print_keys_heading() {
    println!("| screen | keys | median | worst | allowed |\n| --- | ---: | ---: | ---: | ---: |");
}

fn print_keys(name: &str, took: &Sample) {
    let [median, worst, allowed] = [took.median(), took.worst(), ALLOWED.1].map(|seconds| seconds * 1e3);
    println!("| {name} | {} | {median:.1} ms | {worst:.1} ms | {allowed:.0} ms |", took.len());
}

/// The keys of somebody who looks for something.
fn answers(view: &mut View, host: &mut Host) -> Result<(Sample, KeyCode)> {
    let keys = [
        KeyCode::Down,
        KeyCode::PageDown,
        KeyCode::Char('s'),
        KeyCode::Char('r'),
        KeyCode::End,
        KeyCode::Char('/'),
        KeyCode::Char('c'),
        KeyCode::Char('1'),
        KeyCode::Esc,
        KeyCode::Char('w'),
        KeyCode::Home,
    ];
    let (mut took, mut slowest) = (Sample::default(), (Duration::ZERO, KeyCode::Null));
    for (number, key) in keys.iter().cycle().take(KEYS).enumerate() {
        if number % 10 == 0 {
            let snapshot = host.second();
            view.take_in(host, snapshot);
        }
        let start = kernel_now();
        view.key(*key)?;
        let answer = kernel_now().since(start);
        took.push(answer.as_secs_f64());
        if answer > slowest.0 {
            slowest = (answer, *key);
        }
    }
    Ok((took, slowest.1))
}

/// The engine and what is told to it.
struct Host {
    world: World,
    records: mpsc::Receiver<Record>,
    second: u64,
}

impl Host {
    fn new() -> Self {
        let mut world = World::new();
        world.two_networks();
        for number in 1..=CONTAINERS {
            world.running(&name(number), number, "a", &address(number));
        }
        let (queue, records) = mpsc::channel(100_000);
        world.state.subscribe(Filter { topic: Topic::All, ..Filter::default() }, queue);
        let mut host = Self { world, records, second: 1 };
        host.second();
        host
    }

    /// One second of traffic of all flows.
    fn second(&mut self) -> Arc<monitor::snapshot::Snapshot> {
        self.second += 1;
        let second = self.second;
        self.world.pass_until(second * 1_000);
        for number in 1..=CONTAINERS {
            let all = counts(u64::from(number) * second, u64::from(number) * second * 700);
            self.world.total(number, all, all);
        }
        self.world.read(&(1..=CONTAINERS).collect::<Vec<_>>());
        let told = (0..FLOWS).map(|number| {
            let (from, to) = (number % CONTAINERS + 1, (number * 7 + 1) % CONTAINERS + 1);
            let port = 10_000 + number / CONTAINERS;
            let local = format!("{}:{port}", address(from));
            let remote = if number % 2 == 0 && from != to {
                format!("{}:5432", address(to))
            } else {
                format!("9.9.{}.{}:443", number / 250 % 250, number % 250)
            };
            let packets = 1 + (u64::from(number) * second) % 50;
            let told = flow(from, &local, &remote).and_received(2);
            let told = told.tcp(if second == 2 { "SA" } else { "A" }, "SA", None, None);
            let told = told.counted(counts(packets, packets * 700), counts(packets, packets * 90));
            if second == 2 { told } else { told.not_new() }
        });
        let told = told.collect();
        self.world.flows(told);
        Arc::new(self.world.snapshot())
    }

    /// The same a part of a second later.
    fn later(&mut self, part: u64) -> Arc<monitor::snapshot::Snapshot> {
        self.world.pass_until(self.second * 1_000 + part * 1_000 / PICTURES);
        Arc::new(self.world.snapshot())
    }
}

fn name(number: u32) -> String {
    format!("shop-service-{number}")
}

fn address(number: u32) -> String {
    format!("172.18.{}.{}", 1 + number / 250, 1 + number % 250)
}

/// CPU time that the view took for a second.
#[derive(Default)]
struct Took {
    all: Duration,
    records: Duration,
}

/// The view, on a terminal of which only the bytes are counted.
struct View {
    app: App,
    terminal: Terminal<CrosstermBackend<Count>>,
}

impl View {
    fn new(host: &mut Host) -> Result<Self> {
        crossterm::style::force_color_output(true);
        let look = Look { colours: Colours::Dark, ascii: false };
        let clock = Clock::new(KernelTime::default(), WallTime::default());
        let mut app = App::new(look, clock, host.second());
        app.input(&Event::Resize(SIZE.0, SIZE.1));
        let viewport = Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1));
        let backend = CrosstermBackend::new(Count);
        let mut view = Self { app, terminal: Terminal::with_options(backend, TerminalOptions { viewport })? };
        view.draw()?;
        Ok(view)
    }

    /// A second of data and pictures.
    fn second(&mut self, host: &mut Host) -> Result<Took> {
        let mut snapshot = host.second();
        let mut took = Took::default();
        for part in 1..=PICTURES {
            let start = thread_cpu();
            took.records += self.take_in(host, snapshot);
            ensure!(part > 1 || self.app.is_stale(), "a second's data change nothing");
            self.draw()?;
            took.all += thread_cpu() - start;
            snapshot = host.later(part);
        }
        Ok(took)
    }

    /// Takes in all that there is; the CPU time that its records took.
    fn take_in(&mut self, host: &mut Host, snapshot: Arc<monitor::snapshot::Snapshot>) -> Duration {
        self.app.snapshot(snapshot);
        let start = thread_cpu();
        while let Ok(record) = host.records.try_recv() {
            self.app.record(&record);
        }
        thread_cpu() - start
    }

    fn key(&mut self, code: KeyCode) -> Result<()> {
        self.app.input(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        self.draw()
    }

    fn draw(&mut self) -> Result<()> {
        self.terminal.draw(|frame| self.app.draw(frame)).context("drawing").map(drop)
    }

    fn written(&self) -> u64 {
        WRITTEN.load(std::sync::atomic::Ordering::Relaxed)
    }
}

static WRITTEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Counts what is written.
struct Count;

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.fetch_add(bytes.len() as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// CPU time of this thread: what others do on the machine does not count.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("CPU time is positive")
}

#[expect(clippy::cast_precision_loss, reason = "few seconds")]
fn seconds(whole: u64) -> f64 {
    whole as f64
}

/// A vethwatch in a terminal.
struct Real {
    agent: Child,
    screen: File,
}

impl Real {
    fn start() -> Result<Self> {
        let size = libc::winsize { ws_col: SIZE.0, ws_row: SIZE.1, ws_xpixel: 0, ws_ypixel: 0 };
        let (mut ours, mut theirs) = (-1, -1);
        let nothing = std::ptr::null_mut();
        // SAFETY: the two numbers are valid for writing, name and settings may be null, the size is only read.
        let opened = unsafe {
            libc::openpty(
                &raw mut ours,
                &raw mut theirs,
                nothing,
                nothing.cast(),
                (&raw const size).cast_mut(),
            )
        };
        ensure!(opened == 0, "no terminal: {}", io::Error::last_os_error());
        // SAFETY: both were just opened and belong to nobody else.
        let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
        let mut command = Command::new(env!("CARGO_BIN_EXE_vethwatch"));
        command.arg("top").env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
        command.stdin(theirs.try_clone()?).stdout(theirs);
        let agent = command.spawn().context("starting vethwatch")?;
        let mut real = Self { agent, screen: ours.into() };
        let mut seen = Vec::new();
        wait_for("the first picture", PATIENCE, || {
            seen.extend(real.read()?);
            Ok(String::from_utf8_lossy(&seen).contains("vethwatch").then_some(()))
        })?;
        Ok(real)
    }

    /// Each key comes when nothing was drawn for a while, so that what is read is its answer.
    fn answers(mut self) -> Result<Sample> {
        let mut took = Sample::default();
        for key in [&b"?"[..], b"\x1b"].iter().cycle().take(KEYS) {
            while self.waits(Duration::from_millis(60))? {
                self.read()?;
            }
            let start = kernel_now();
            self.screen.write_all(key).context("typing")?;
            ensure!(self.waits(PATIENCE)?, "no answer to a key");
            took.push(kernel_now().since(start).as_secs_f64());
        }
        Ok(took)
    }

    /// Whether anything is drawn within this time.
    fn waits(&self, within: Duration) -> Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let within = Timespec::try_from(within).context("a short time")?;
        let mut waiting = [PollFd::new(&self.screen, PollFlags::IN)];
        Ok(poll(&mut waiting, Some(&within)).context("waiting for a picture")? > 0)
    }

    fn read(&mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; 64 << 10];
        let length = self.screen.read(&mut bytes).context("reading a picture")?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.agent.id()) {
            // SAFETY: a signal to a child that was not waited for yet.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        // What it writes at its end must be read, or it would wait a second for it.
        while self.waits(Duration::from_millis(200)).unwrap_or(false) && self.read().is_ok() {}
        // It is over either way.
        let _ = self.agent.wait();
    }
}
