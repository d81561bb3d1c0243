//! What the programs cost: nanoseconds a packet over an empty program, printed as a Markdown section.
//!
//! `cargo bench -p monitor --bench kernel`, as root. Every figure is a difference: each round runs the empty
//! program and then the measured one over the same packet by `BPF_PROG_TEST_RUN`, all cells take turns in a round,
//! and the table gives the median of the differences with the tenth and the ninetieth percentile. So a machine
//! that is busy for a while spoils rounds, not cells.
//!
//! A test run repeats one packet. For rows with many flows, a small program in front changes the packet's source
//! address before each run and tail-calls the measured program; the empty program is measured behind the same. So
//! *one hot flow* is one flow among the live ones, *all in turn* touches every live flow, one after another, and
//! *miss* gives every packet a flow that has no entry, in an arena that is emptied between rounds: *new flow* never
//! seen before, so that it is noted as seen and reported (up to the rate cap), *new tick* known from an earlier
//! round. The sample of one round is short there, since the arena must not fill up. So is that of questions for names that
//! are handed over: there are few in a span of time.

#[path = "../tests/kernel/rig.rs"]
mod rig;

use anyhow::{Context, Result, ensure};
use aya::maps::RingBuf;
use monitor_common::counters::Direction;
use monitor_common::dns::{MOST_IN_SPAN, RING, SPAN};
use monitor_common::interface::{InterfaceEntry, interface_flag};
use monitor_common::settings::{Settings, feature};
use rig::{LOOPBACK, NUMBER, Rig, SLOT, Skb, test_run};
use std::env;
use std::io;
use std::iter;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Rounds; each gives one difference for each cell.
const ROUNDS: usize = 15;
/// Runs of a hit in one round.
const HITS: u32 = 500_000;
/// Runs of a miss in one round: below the size of the arena.
const MISSES: u32 = 32_768;
/// Questions for names that a place may hand over in a span of time, if they are short.
const QUESTIONS: u32 = 1_024;
const _: () = assert!(QUESTIONS as u64 == MOST_IN_SPAN);

fn main() -> Result<()> {
    pin()?;
    let mut cells = cells()?;
    // `cargo bench … -- WORDS` measures only the rows whose name contains them.
    let wanted = env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    cells.retain(|cell| cell.name.contains(&wanted));
    for cell in &mut cells {
        cell.fill()?;
    }
    for _ in 0..ROUNDS {
        for cell in &mut cells {
            cell.measure()?;
        }
    }
    print(&cells);
    Ok(())
}

/// Keeps this thread on one CPU, so that the maps' per-CPU parts stay warm.
fn pin() -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(0);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

fn print(cells: &[Cell]) {
    println!("Nanoseconds a packet over an empty program, by `BPF_PROG_TEST_RUN`.");
    println!("Median of {ROUNDS} interleaved rounds; {HITS} packets a round (misses: {MISSES}).\n");
    println!("| case | median | p10 | p90 |\n| --- | ---: | ---: | ---: |");
    for cell in cells {
        let mut sorted = cell.differences.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted[(sorted.len() - 1) * part / 10];
        println!("| {} | {:.1} | {:.1} | {:.1} |", cell.name, at(5), at(1), at(9));
    }
}

/// One row of the table.
struct Cell {
    name: String,
    rig: Rig,
    direction: Direction,
    packet: Vec<u8>,
    traffic: Traffic,
    /// Flows that are put into the arena before, beside the measured packets'.
    live: u32,
    differences: Vec<f64>,
}

/// Which flows the packets of a round are of.
enum Traffic {
    /// One.
    Hot,
    /// All live ones in turn.
    InTurn(Changer),
    /// Ones that have no entry; `true` if they never had one.
    Miss(Changer, bool),
    /// One flow of so many questions for names.
    Names(u32),
}

impl Cell {
    /// A cell of one hot flow among `live` ones.
    fn new(name: &str, settings: &Settings, direction: Direction, packet: &[u8], live: u32) -> Result<Self> {
        let rig = Rig::load(&settings.with_max_flows((2 * live).max(1024)), &[("NAMES", RING)])?;
        let (name, packet) = (name.into(), packet.to_vec());
        Ok(Self { name, rig, direction, packet, traffic: Traffic::Hot, live, differences: Vec::new() })
    }

    /// Makes the live flows.
    fn fill(&self) -> Result<()> {
        let changer = Changer::new(self.rig.program(self.direction)?, &self.packet, self.live - 1)?;
        test_run(changer.measured.as_fd(), &self.packet, &Skb::ordinary(), self.live)?;
        Ok(())
    }

    fn measure(&mut self) -> Result<()> {
        if let Traffic::Miss(..) = self.traffic {
            self.rig.flip()?;
        }
        if let Traffic::Names(QUESTIONS) = self.traffic {
            // What was handed over in the last round counts until its span of time is over.
            sleep(Duration::from_nanos(1 << SPAN));
            self.take_names()?;
        }
        let empty = empty()?;
        let skb = Skb::ordinary();
        let (before, measured, repeat) = match &self.traffic {
            Traffic::Hot => (empty.as_fd(), self.rig.program(self.direction)?, HITS),
            Traffic::InTurn(changer) => (changer.empty.as_fd(), changer.measured.as_fd(), HITS),
            Traffic::Miss(changer, _) => (changer.empty.as_fd(), changer.measured.as_fd(), MISSES),
            Traffic::Names(runs) => (empty.as_fd(), self.rig.program(self.direction)?, *runs),
        };
        let base = time(before, &self.packet, &skb, repeat)?;
        self.differences.push(time(measured, &self.packet, &skb, repeat)? - base);
        match self.traffic {
            Traffic::Miss(_, true) => self.never_seen(),
            Traffic::Names(runs) => {
                let handed_over = self.take_names()?;
                ensure!(
                    handed_over == runs || runs > QUESTIONS,
                    "{handed_over} of {runs} questions were handed over"
                );
            }
            Traffic::Hot | Traffic::InTurn(_) | Traffic::Miss(_, false) => {}
        }
        Ok(())
    }

    /// Takes all messages about names out of their ring; how many there were.
    fn take_names(&mut self) -> Result<u32> {
        let mut ring = RingBuf::try_from(self.rig.map_mut("NAMES")?)?;
        let count = iter::from_fn(|| ring.next().map(drop)).count();
        Ok(u32::try_from(count)?)
    }

    /// Changes the packet so that its flows were never seen: they get another source port.
    fn never_seen(&mut self) {
        let at = if is_ipv4(&self.packet) { 34 } else { 54 };
        let port = u16::from_be_bytes([self.packet[at], self.packet[at + 1]]).wrapping_add(1);
        self.packet[at..at + 2].copy_from_slice(&port.to_be_bytes());
    }
}

/// Nanoseconds of one run. Timed here and not by the kernel, which rounds to whole ones.
#[expect(clippy::disallowed_methods, reason = "a bench is about real time")]
fn time(program: BorrowedFd<'_>, packet: &[u8], skb: &Skb, repeat: u32) -> Result<f64> {
    let start = Instant::now();
    let returned = test_run(program, packet, skb, repeat)?;
    let elapsed = start.elapsed();
    ensure!(returned == -1, "the program returned {returned}");
    Ok(elapsed.as_secs_f64() * 1e9 / f64::from(repeat))
}

fn cells() -> Result<Vec<Cell>> {
    let default = Settings::default();
    let mut cells = Vec::new();
    for (family, packet) in [("IPv4", tcp4()), ("IPv6", tcp6())] {
        for live in [1, 8_192, 65_536] {
            for (direction, word) in [(Direction::Sent, "sent"), (Direction::Received, "received")] {
                let name = format!("{family} TCP {word}, {live} live, one hot flow");
                cells.push(Cell::new(&name, &default, direction, &packet, live)?);
            }
            if live > 1 {
                let name = format!("{family} TCP sent, {live} live, all in turn");
                cells.push(in_turn(&name, &default, &packet, live)?);
                let name = format!("{name}, without pending lines");
                cells.push(in_turn(&name, &without(feature::PENDING), &packet, live)?);
            }
        }
        for (is_new, word) in [(true, "new flow"), (false, "new tick")] {
            let name = format!("{family} TCP sent, miss, {word}");
            let cell = Cell::new(&name, &default, Direction::Sent, &packet, MISSES)?;
            let changer = Changer::new(cell.rig.program(Direction::Sent)?, &packet, MISSES - 1)?;
            cells.push(Cell { traffic: Traffic::Miss(changer, is_new), ..cell });
        }
    }
    for (word, settings) in variants() {
        for (direction, side) in [(Direction::Sent, "sent"), (Direction::Received, "received")] {
            cells.push(Cell::new(&format!("IPv4 TCP {side}, {word}"), &settings, direction, &tcp4(), 1)?);
        }
    }
    cells.push(Cell::new("ARP sent", &default, Direction::Sent, &arp(), 1)?);
    let extended = Cell::new(
        "IPv6 TCP sent, behind an extension header",
        &default,
        Direction::Sent,
        &tcp6_extended(),
        1,
    )?;
    cells.push(extended);
    cells.push(names("IPv4 UDP sent, a question for a name, handed over", QUESTIONS)?);
    cells.push(names("IPv4 UDP sent, a question for a name, beyond what a place may hand over", HITS)?);
    Ok(cells)
}

/// A cell of questions for names, so many a round: the first [`QUESTIONS`] of a span of time are handed over, at a place of
/// which that is wanted.
fn names(name: &str, runs: u32) -> Result<Cell> {
    let mut cell = Cell::new(name, &Settings::default(), Direction::Sent, &question(), 1)?;
    let flags = interface_flag::CLAIMS | interface_flag::DNS;
    cell.rig.watch(InterfaceEntry { ifindex: LOOPBACK, number: NUMBER, slot: SLOT, flags })?;
    Ok(Cell { traffic: Traffic::Names(runs), ..cell })
}

/// A cell whose packets are of all its live flows, one after the other.
fn in_turn(name: &str, settings: &Settings, packet: &[u8], live: u32) -> Result<Cell> {
    let cell = Cell::new(name, settings, Direction::Sent, packet, live)?;
    let changer = Changer::new(cell.rig.program(Direction::Sent)?, packet, live - 1)?;
    Ok(Cell { traffic: Traffic::InTurn(changer), ..cell })
}

/// The default settings without a feature.
fn without(bit: u32) -> Settings {
    let default = Settings::default();
    Settings { features: default.features & !bit, ..default }
}

/// The default settings with one thing changed.
fn variants() -> Vec<(&'static str, Settings)> {
    let default = Settings::default();
    vec![
        ("without origin", without(feature::ORIGIN)),
        ("without source MAC", without(feature::SOURCE_MAC)),
        ("without handshake", without(feature::HANDSHAKE)),
        ("without cgroup", without(feature::CGROUP)),
        ("without first packets", without(feature::FIRST_PACKET)),
        ("without pending lines", without(feature::PENDING)),
        ("without flows", without(feature::FLOWS)),
        ("with 1 in 1,000 sampled", Settings { sample_every: 1000, ..default }),
        ("with diagnostics", Settings { features: default.features | feature::DIAGNOSTICS, ..default }),
    ]
}

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
/// Ports 40,000 to 443, ACK and PSH, no options; then ten bytes of payload.
const TCP: [u8; 30] = {
    let mut tcp = [0; 30];
    [tcp[0], tcp[1], tcp[2], tcp[3], tcp[12], tcp[13]] = [0x9c, 0x40, 0x01, 0xbb, 0x50, 0x18];
    [tcp[14], tcp[15]] = [0x01, 0xf6];
    tcp
};

fn tcp4() -> Vec<u8> {
    let ip = [0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0, 172, 18, 0, 3];
    [&MACS[..], &[0x08, 0x00], &ip, &TCP].concat()
}

fn tcp6() -> Vec<u8> {
    let from = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let to = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    [&MACS[..], &[0x86, 0xdd], &[0x60, 0, 0, 0, 0, 30, 6, 64], &from, &to, &TCP].concat()
}

/// [`tcp6`] behind eight bytes of hop-by-hop options.
fn tcp6_extended() -> Vec<u8> {
    let mut packet = tcp6();
    [packet[19], packet[20]] = [38, 0];
    packet.splice(54..54, [6, 0, 1, 4, 0, 0, 0, 0]);
    packet
}

/// A question for `a.example`, to port 53.
fn question() -> Vec<u8> {
    let ip = [0x45, 0, 0, 55, 0, 0, 0x40, 0, 64, 17, 0, 0, 172, 18, 0, 2, 172, 18, 0, 3];
    let udp = [0x9c, 0x40, 0, 53, 0, 35, 0, 0];
    let head = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let name = *b"\x01a\x07example\x00\x00\x01\x00\x01";
    [&MACS[..], &[0x08, 0x00], &ip, &udp, &head, &name].concat()
}

fn is_ipv4(packet: &[u8]) -> bool {
    packet[12] == 0x08
}

fn arp() -> Vec<u8> {
    [&MACS[..], &[0x08, 0x06], &[0; 28]].concat()
}

/// A program in front of the measured one, and the same in front of an empty one.
struct Changer {
    measured: OwnedFd,
    empty: OwnedFd,
    /// What the two call; they hold only numbers of these.
    _arrays: [OwnedFd; 2],
}

impl Changer {
    /// Before each run, counts up the first four bytes of the source address (the last four in IPv6), modulo
    /// `mask` + 1.
    fn new(measured: BorrowedFd<'_>, packet: &[u8], mask: u32) -> Result<Self> {
        let at = if is_ipv4(packet) { 26 } else { 34 };
        let arrays = [program_array(measured)?, program_array(empty()?.as_fd())?];
        let [measured, empty] = &arrays;
        Ok(Self { measured: changer(measured, at, mask)?, empty: changer(empty, at, mask)?, _arrays: arrays })
    }
}

/// One instruction: operation, registers (source in the high four bits), offset, immediate.
const fn op(code: u8, registers: u8, offset: i16, immediate: i32) -> u64 {
    let [o0, o1] = offset.to_le_bytes();
    let [i0, i1, i2, i3] = immediate.to_le_bytes();
    u64::from_le_bytes([code, registers, o0, o1, i0, i1, i2, i3])
}

/// `return -1`.
fn empty() -> Result<OwnedFd> {
    load(&[op(0xb7, 0, 0, -1), op(0x95, 0, 0, 0)])
}

fn changer(array: &OwnedFd, at: i16, mask: u32) -> Result<OwnedFd> {
    load(&[
        op(0xbf, 0x16, 0, 0),                  // r6 = r1
        op(0x61, 0x12, 76, 0),                 // r2 = data
        op(0x61, 0x13, 80, 0),                 // r3 = data_end
        op(0xbf, 0x24, 0, 0),                  // r4 = r2
        op(0x07, 0x04, 0, 38),                 // r4 += 38
        op(0x2d, 0x34, 9, 0),                  // if r4 > r3 goto out
        op(0x61, 0x25, at, 0),                 // r5 = *(u32 *)(r2 + at)
        op(0x04, 0x05, 0, 1),                  // w5 += 1
        op(0x54, 0x05, 0, mask.cast_signed()), // w5 &= mask
        op(0x63, 0x52, at, 0),                 // *(u32 *)(r2 + at) = w5
        op(0xbf, 0x61, 0, 0),                  // r1 = r6
        op(0x18, 0x12, 0, array.as_raw_fd()),  // r2 = array
        op(0, 0, 0, 0),
        op(0xb7, 0x03, 0, 0), // r3 = 0
        op(0x85, 0, 0, 12),   // bpf_tail_call
        op(0xb7, 0, 0, 0),    // out: return 0, which no measured program does
        op(0x95, 0, 0, 0),
    ])
}

// Commands of bpf(2).
const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROGRAM_LOAD: libc::c_int = 5;

fn load(instructions: &[u64]) -> Result<OwnedFd> {
    const SCHED_CLS: u32 = 3;
    let license = c"GPL";
    let mut attr = [0u64; 16];
    attr[0] = u64::from(SCHED_CLS) | (instructions.len() as u64) << 32;
    attr[1] = instructions.as_ptr() as u64;
    attr[2] = license.as_ptr() as u64;
    bpf(PROGRAM_LOAD, &mut attr).context("load a helper program")
}

fn program_array(program: BorrowedFd<'_>) -> Result<OwnedFd> {
    const PROG_ARRAY: u32 = 3;
    let mut attr = [0u64; 16];
    (attr[0], attr[1]) = (u64::from(PROG_ARRAY) | 4 << 32, 4 | 1 << 32);
    let array = bpf(MAP_CREATE, &mut attr).context("create a program array")?;
    let (key, value) = (0u32, program.as_raw_fd());
    let mut attr = [0u64; 16];
    attr[0] = u64::try_from(array.as_raw_fd())?;
    (attr[1], attr[2]) = (&raw const key as u64, &raw const value as u64);
    // SAFETY: the attribute is as the command wants it, and what it points to outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_bpf, MAP_UPDATE, attr.as_ptr(), size_of_val(&attr)) };
    ensure!(done == 0, "put a program into an array: {}", io::Error::last_os_error());
    Ok(array)
}

/// A bpf(2) command that makes a file descriptor.
fn bpf(command: libc::c_int, attr: &mut [u64; 16]) -> Result<OwnedFd> {
    // SAFETY: callers fill the attribute as the command wants it, with pointers that outlive the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    ensure!(fd >= 0, "bpf(2): {}", io::Error::last_os_error());
    // SAFETY: the kernel has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) })
}
