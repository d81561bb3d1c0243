//! The programs, loaded but attached to nothing, and packets sent through them by `BPF_PROG_TEST_RUN`.
//!
//! Shared by the kernel tests and the kernel bench.

use anyhow::{Context, Result};
use aya::maps::{Array, Map};
use aya::programs::SchedClassifier;
use aya::{Ebpf, EbpfLoader};
use monitor_common::counters::Direction;
use monitor_common::flow_table;
use monitor_common::interface::{INTERFACE_BUCKETS, InterfaceEntry, interface_flag};
use monitor_common::settings::{Settings, map_sizes};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use zerocopy::IntoBytes;

/// The ELF object under test: the one the agent embeds.
pub(crate) const OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/vethwatch.o"));

/// The loopback device's index: test packets are said to be at this device, since the kernel takes only devices
/// that exist.
pub(crate) const LOOPBACK: u32 = 1;
/// The number given to it.
pub(crate) const NUMBER: u32 = 4711;
/// The slot of its totals.
pub(crate) const SLOT: u32 = 3;

/// What a test run may say about a packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Skb {
    /// Where the packet came into this host; 0 for the host itself.
    pub(crate) ingress_ifindex: u32,
    /// The device it is at.
    pub(crate) ifindex: u32,
    /// Segments of a GSO packet, as the kernel counts them.
    pub(crate) gso_segs: u32,
    /// Payload bytes of a segment.
    pub(crate) gso_size: u32,
}

impl Skb {
    /// An ordinary packet at the loopback device.
    pub(crate) fn ordinary() -> Self {
        Self { ifindex: LOOPBACK, ..Self::default() }
    }

    /// The leading part of the kernel's `struct __sk_buff`, up to `gso_size`.
    fn context(self) -> [u32; 46] {
        let mut words = [0; 46];
        [words[9], words[10], words[41], words[44]] =
            [self.ingress_ifindex, self.ifindex, self.gso_segs, self.gso_size];
        words
    }
}

/// The loaded programs.
pub(crate) struct Rig {
    /// As aya holds them.
    pub(crate) ebpf: Ebpf,
}

impl Rig {
    /// Loads the programs with these settings and sizes of other maps, and makes them watch the loopback device.
    pub(crate) fn load(settings: &Settings, others: &[(&'static str, u32)]) -> Result<Self> {
        let bytes = settings.as_bytes();
        let mut loader = EbpfLoader::new();
        loader.override_global("SETTINGS", bytes, true);
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
        for (map, entries) in map_sizes(settings, cpus.try_into()?).into_iter().chain(others.iter().copied())
        {
            loader.map_max_entries(map, entries);
        }
        let mut ebpf = loader.load(OBJECT).context("load the object")?;
        for name in ["vethwatch_in", "vethwatch_out"] {
            let program: &mut SchedClassifier =
                ebpf.program_mut(name).context("find a program")?.try_into()?;
            program.load().with_context(|| format!("load {name}"))?;
        }
        let mut rig = Self { ebpf };
        rig.watch(InterfaceEntry {
            ifindex: LOOPBACK,
            number: NUMBER,
            slot: SLOT,
            flags: interface_flag::CLAIMS,
        })?;
        Ok(rig)
    }

    /// Writes an entry where its ifindex belongs.
    pub(crate) fn watch(&mut self, entry: InterfaceEntry) -> Result<()> {
        let bucket = entry.ifindex & (INTERFACE_BUCKETS - 1);
        let mut interfaces: Array<_, [u8; 16]> = self.map_mut("INTERFACES")?.try_into()?;
        let bytes: [u8; 16] = zerocopy::transmute!(entry);
        interfaces.set(bucket, bytes, 0)?;
        Ok(())
    }

    /// The file descriptor of a direction's program.
    pub(crate) fn program(&self, direction: Direction) -> Result<BorrowedFd<'_>> {
        let program = self.ebpf.program(program_name(direction)).context("find a program")?;
        let program: &SchedClassifier = program.try_into()?;
        Ok(program.fd()?.as_fd())
    }

    /// Makes the next generation active, and its half of both arenas free.
    pub(crate) fn flip(&mut self) -> Result<()> {
        let active: Array<_, u32> = self.map_mut("ACTIVE")?.try_into()?;
        let next = active.get(&0, 0)?.wrapping_add(1);
        let mut used: Array<_, u64> = self.map_mut("USED")?.try_into()?;
        for family in [4, 6] {
            used.set(flow_table::used(family, next & 1), 0, 0)?;
        }
        let mut active: Array<_, u32> = self.map_mut("ACTIVE")?.try_into()?;
        Ok(active.set(0, next, 0)?)
    }

    /// A map, to be written.
    pub(crate) fn map_mut(&mut self, name: &str) -> Result<&mut Map> {
        self.ebpf.map_mut(name).with_context(|| format!("find the map {name}"))
    }
}

/// The program of a direction.
pub(crate) fn program_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Sent => "vethwatch_in",
        Direction::Received => "vethwatch_out",
    }
}

/// Runs a program `repeat` times over one packet; returns what it returned last.
pub(crate) fn test_run(program: BorrowedFd<'_>, packet: &[u8], skb: &Skb, repeat: u32) -> Result<i32> {
    let context = skb.context();
    let mut attr = TestRun {
        program: u32::try_from(program.as_raw_fd())?,
        data_size_in: u32::try_from(packet.len())?,
        data_in: packet.as_ptr() as u64,
        repeat,
        ctx_size_in: u32::try_from(size_of_val(&context))?,
        ctx_in: context.as_ptr() as u64,
        ..TestRun::default()
    };
    // SAFETY: the attribute is as BPF_PROG_TEST_RUN wants it, and what it points to outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_bpf, TEST_RUN, &raw mut attr, size_of::<TestRun>()) };
    if done < 0 {
        return Err(io::Error::last_os_error()).context("run a program over a packet");
    }
    Ok(attr.returned.cast_signed())
}

/// `BPF_PROG_TEST_RUN`.
const TEST_RUN: libc::c_int = 10;

/// The kernel's `union bpf_attr` for [`TEST_RUN`].
#[repr(C)]
#[derive(Debug, Default)]
struct TestRun {
    program: u32,
    returned: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    end: u32,
}
