//! Loading the kernel programs, once; and their maps, each with its types.

use super::arena::{Arena, UsedMap};
use super::bpf::{Map, PerCpu};
use super::drops::Drops;
use super::failures::Failures;
use super::pending::Lines;
use super::pins::layout::Layout;
use super::reasons::Reasons;
use super::retransmits::Retransmits;
use super::{Settings, object, reasons};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aya::maps::{Map as AyaMap, MapData, RingBuf};
use aya::programs::{CgroupSkb, SchedClassifier};
use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use monitor_common::{
    capture::{CaptureCounters, MOST_CAPTURED},
    claims::{ClaimEntry, ClaimKey},
    dns,
    drops::DropSettings,
    failure,
    flow_table::Factors,
    interface::{InterfaceEntry, InterfaceTotals},
    retransmits::RetransmitSettings,
    settings::{self, feature, map_sizes},
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The program for TC ingress of a host end: what the container sends.
pub(super) const SENT: &str = "vethwatch_in";
/// The program for TC egress of a host end: what the container receives.
pub(super) const RECEIVED: &str = "vethwatch_out";

/// The program for what the sockets of a control group send.
const GROUP_SENT: &str = "vethwatch_c_out";
/// The program for what they receive.
const GROUP_RECEIVED: &str = "vethwatch_c_in";

/// The program for TC egress of a device in a container's namespace: what it sends.
const INSIDE_SENT: &str = "vethwatch_i_out";
/// The program for its TC ingress: what it receives.
const INSIDE_RECEIVED: &str = "vethwatch_i_in";

/// The program for what sockets of Docker's engine are asked.
const ASKED: &str = "vethwatch_ask";
/// The program for what they answer.
const ANSWERED: &str = "vethwatch_tell";

/// Bytes of packets that may wait to be taken, while packets are captured: some 25 ms of 10 Gbit/s.
const CAPTURE_RING: u32 = 32 << 20;

/// The maps the agent reads and writes.
#[derive(Debug)]
pub(super) struct Maps {
    /// Low bits of an ifindex to its interface.
    pub(super) interfaces: Map<u32, InterfaceEntry>,
    /// ifindex to its interface, where the low bits are taken.
    pub(super) overflow: Map<u32, InterfaceEntry>,
    /// Id of a control group to the container in it.
    pub(super) groups: Map<u64, InterfaceEntry>,
    /// [`inside_key`](monitor_common::interface::inside_key) to a device in a container's namespace.
    pub(super) inside: Map<u64, InterfaceEntry>,
    /// Totals by slot.
    pub(super) totals: PerCpu<InterfaceTotals>,
    /// Losses by kind.
    pub(super) losses: PerCpu<u64>,
    /// The epoch, whose lowest bit is the active generation.
    pub(super) active: Map<u32, u32>,
    /// Who claimed what.
    pub(super) claims: Map<ClaimKey, ClaimEntry>,
}

/// The loaded programs, ready to be attached any number of times.
#[derive(Debug)]
pub(super) struct Programs {
    /// [`SENT`].
    pub(super) sent: OwnedFd,
    /// [`RECEIVED`].
    pub(super) received: OwnedFd,
    /// For the sockets of Docker's engine; or why not.
    pub(super) resolver: Result<ProgramPair, String>,
    /// Those of control groups, or why there are none.
    pub(super) groups: Result<ProgramPair, String>,
    /// Those of devices in namespaces of containers, or why there are none.
    pub(super) inside: Result<ProgramPair, String>,
}

/// One program for each direction.
#[derive(Debug)]
pub(super) struct ProgramPair {
    /// What is sent.
    pub(super) sent: OwnedFd,
    /// What is received.
    pub(super) received: OwnedFd,
}

/// The flows of both families, and what is not in their entries yet.
pub(super) struct Arenas {
    /// IPv4.
    pub(super) ipv4: Arena<UsedMap>,
    /// IPv6.
    pub(super) ipv6: Arena<UsedMap>,
    /// Of both.
    pub(super) lines: Lines,
}

/// What is captured.
pub(super) struct Packets {
    /// Packets of the interfaces that are.
    pub(super) ring: RingBuf<MapData>,
    /// How many there were, by the interface's number.
    pub(super) counters: PerCpu<CaptureCounters>,
}

/// What is told of what fails: at tracepoints, each or why it is not to be had, and by packets.
pub(super) struct Troubles {
    /// What the kernel drops.
    pub(super) drops: Result<Drops>,
    /// What TCP connections send again.
    pub(super) retransmits: Result<Retransmits>,
    /// Packets that tell of a failure, when those are looked at.
    pub(super) failures: Option<Failures>,
}

/// What comes from loading beside the programs and the maps that are theirs and the agent's.
pub(super) struct Loaded {
    /// Their flows.
    pub(super) arenas: Arenas,
    /// What the kernel drops and sends again.
    pub(super) troubles: Troubles,
    /// Their events.
    pub(super) events: RingBuf<MapData>,
    /// Bytes of events that there is room for.
    pub(super) ring_capacity: u32,
    /// Packets, when those are captured.
    pub(super) packets: Option<Packets>,
    /// DNS messages, when those are looked at.
    pub(super) names: Option<RingBuf<MapData>>,
    /// Their diagnostics, when those are on.
    pub(super) diagnostics: Option<EbpfLogger<&'static dyn log::Log>>,
}

/// What the programs are loaded with.
pub(super) struct Wanted {
    wire: settings::Settings,
    reasons: Result<Reasons>,
    /// The number of the namespace that is watched, where what is sent again can be told.
    retransmits: Result<u32>,
    cpus: u32,
    /// Maps that have other sizes than the object says.
    sizes: Vec<(&'static str, u32)>,
}

impl Wanted {
    /// What `settings` asks for.
    ///
    /// # Errors
    /// When the kernel does not say how many CPUs there are, or gives no random numbers.
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let (drops, retransmits) = match reasons::find() {
            Ok(found) => (found.drops, found.retransmits.map(|at| (at, found.namespace))),
            Err(error) => (Err(anyhow!("{error:#}")), Err(error)),
        };
        let (drops, reasons) = drops
            .map_or_else(|error| (DropSettings::NONE, Err(error)), |(drops, reasons)| (drops, Ok(reasons)));
        let (sent_again, retransmits) = retransmits.map_or_else(
            |error| (RetransmitSettings::NONE, Err(error)),
            |(at, namespace)| (at, Ok(namespace)),
        );
        let wire = settings::Settings {
            features: settings.features | settings.capture.map_or(0, |_| feature::CAPTURE),
            snap_length: settings.capture.unwrap_or(settings::Settings::DEFAULT.snap_length),
            sample_every: settings.sample_every,
            factors: factors()?,
            drops,
            retransmits: sent_again,
            ..settings::Settings::DEFAULT.with_max_flows(settings.max_flows)
        };
        let cpus = cpus()?;
        let mut sizes = map_sizes(&wire, cpus).to_vec();
        sizes.extend([("TOTALS", settings.max_interfaces), ("DROPS", settings.max_drops)]);
        if settings.capture.is_some() {
            sizes.extend([("PACKETS", CAPTURE_RING), ("CAPTURED", MOST_CAPTURED)]);
        }
        if wire.features & feature::DNS != 0 {
            sizes.push(("NAMES", dns::RING));
        }
        if wire.features & feature::FAILURES != 0 {
            sizes.push(("FAILURES", failure::RING));
        }
        Ok(Self { wire, reasons, retransmits, cpus, sizes })
    }

    /// What their maps are like.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub(super) fn layout(&self) -> Result<Layout> {
        Layout::new(&self.sizes)
    }

    /// The factors of the index's hash.
    pub(super) fn factors(&self) -> Factors {
        self.wire.factors
    }

    /// The same with factors that an index was filled by.
    #[must_use]
    pub(super) fn with_factors(mut self, factors: Factors) -> Self {
        self.wire.factors = factors;
        self
    }
}

/// Loads the programs with what is wanted; on the maps that are pinned in a folder, or else with maps of their own, which are
/// pinned there.
///
/// # Errors
/// When the kernel refuses, in its own words.
pub(super) fn load(
    settings: &Settings,
    wanted: Wanted,
    pins: Option<(&Path, &Layout)>,
) -> Result<(Programs, Maps, Loaded)> {
    let Wanted { wire, reasons, retransmits, cpus, sizes } = wanted;
    let mut loader = EbpfLoader::new();
    loader.override_global("SETTINGS", wire.as_bytes(), true);
    for (map, entries) in sizes {
        loader.map_max_entries(map, entries);
    }
    if let Some((folder, layout)) = pins {
        for map in &layout.maps {
            loader.map_pin_path(map, folder.join(map));
        }
    }
    let mut ebpf = loader.load(object::OBJECT).context("load the kernel programs' maps")?;
    let has_names = wire.features & feature::DNS != 0;
    let programs = Programs {
        sent: load_program(&mut ebpf, SENT)?,
        received: load_program(&mut ebpf, RECEIVED)?,
        groups: load_group_programs(&mut ebpf, [GROUP_SENT, GROUP_RECEIVED])
            .map_err(|error| format!("{error:#}")),
        // A namespace is found where the drop watcher finds it.
        inside: match &reasons {
            Ok(_) => load_inside_programs(&mut ebpf).map_err(|error| format!("{error:#}")),
            Err(error) => Err(format!("{error:#}")),
        },
        resolver: match &reasons {
            Ok(_) if has_names => {
                load_group_programs(&mut ebpf, [ANSWERED, ASKED]).map_err(|error| format!("{error:#}"))
            }
            Ok(_) => Err("names are not looked at".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        },
    };
    let drops = reasons.and_then(|reasons| {
        let dropped = map(&ebpf, "DROPS")?;
        Drops::attach(&mut ebpf, dropped, reasons)
    });
    let retransmits = retransmits.and_then(|namespace| {
        let sent_again = map(&ebpf, "RETRANSMITS")?;
        Retransmits::attach(&mut ebpf, sent_again, namespace)
    });
    let maps = maps(&ebpf, cpus as usize)?;
    let events = ebpf.take_map("EVENTS").ok_or_else(|| missing("EVENTS"))?;
    let AyaMap::RingBuf(ring) = &events else { bail!("the map EVENTS is of an unexpected type") };
    let ring_capacity = ring.info().context("ask how large the ring is")?.max_entries();
    let packets = settings.capture.map(|_| packets(&mut ebpf, cpus as usize)).transpose()?;
    let names = has_names.then(|| ring_of(&mut ebpf, "NAMES")).transpose()?;
    let failures =
        (wire.features & feature::FAILURES != 0).then(|| ring_of(&mut ebpf, "FAILURES")).transpose()?;
    let failures = failures.map(Failures::new);
    let diagnostics = (settings.features & feature::DIAGNOSTICS != 0)
        .then(|| EbpfLogger::init(&mut ebpf))
        .transpose()
        .context("open the kernel programs' diagnostics")?;
    let loaded = Loaded {
        troubles: Troubles { drops, retransmits, failures },
        arenas: Arenas {
            ipv4: arena(&ebpf, "ARENA4", 4, wire.max_flows)?,
            ipv6: arena(&ebpf, "ARENA6", 6, wire.max_flows)?,
            lines: Lines::new(descriptor(&ebpf, "PENDING")?.try_clone_to_owned()?, cpus),
        },
        events: RingBuf::try_from(events).context("map the ring of events")?,
        ring_capacity,
        packets,
        names,
        diagnostics,
    };
    Ok((programs, maps, loaded))
}

/// The maps of a capture.
fn packets(ebpf: &mut Ebpf, cpus: usize) -> Result<Packets> {
    let counters = PerCpu::new(descriptor(ebpf, "CAPTURED")?, cpus).context("open the map CAPTURED")?;
    Ok(Packets { ring: ring_of(ebpf, "PACKETS")?, counters })
}

/// A ring of records.
fn ring_of(ebpf: &mut Ebpf, name: &str) -> Result<RingBuf<MapData>> {
    let ring = ebpf.take_map(name).ok_or_else(|| missing(name))?;
    RingBuf::try_from(ring).with_context(|| format!("map the ring {name}"))
}

/// Odd factors that nobody can guess.
fn factors() -> Result<Factors> {
    let mut factors = Factors::default();
    let wanted = size_of::<Factors>();
    let got = rustix::rand::getrandom(factors.as_mut_bytes(), rustix::rand::GetRandomFlags::empty());
    ensure!(got.context("draw random numbers")? == wanted, "the kernel gave too few random numbers");
    Ok(factors.map(|factor| factor | 1))
}

fn arena(ebpf: &Ebpf, name: &str, family: u8, max_flows: u32) -> Result<Arena<UsedMap>> {
    let memory = descriptor(ebpf, name)?.try_clone_to_owned()?;
    Ok(Arena::new(memory, UsedMap { map: map(ebpf, "USED")?, family }, max_flows))
}

fn load_program(ebpf: &mut Ebpf, name: &str) -> Result<OwnedFd> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    let program: &mut SchedClassifier = program.try_into()?;
    program.load().with_context(|| format!("load the kernel program {name}"))?;
    Ok(program.fd()?.as_fd().try_clone_to_owned()?)
}

fn load_inside_programs(ebpf: &mut Ebpf) -> Result<ProgramPair> {
    Ok(ProgramPair { sent: load_program(ebpf, INSIDE_SENT)?, received: load_program(ebpf, INSIDE_RECEIVED)? })
}

/// Kernels without `CONFIG_CGROUP_BPF` refuse these.
fn load_group_programs(ebpf: &mut Ebpf, [sent, received]: [&str; 2]) -> Result<ProgramPair> {
    let mut load = |name| {
        let program: &mut CgroupSkb = ebpf.program_mut(name).ok_or_else(|| missing(name))?.try_into()?;
        program.load().with_context(|| format!("load the kernel program {name}"))?;
        anyhow::Ok(program.fd()?.as_fd().try_clone_to_owned()?)
    };
    Ok(ProgramPair { sent: load(sent)?, received: load(received)? })
}

/// How many CPUs there may be.
fn cpus() -> Result<u32> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error).context("count the CPUs")?;
    Ok(cpus.try_into()?)
}

fn maps(ebpf: &Ebpf, cpus: usize) -> Result<Maps> {
    Ok(Maps {
        interfaces: map(ebpf, "INTERFACES")?,
        overflow: map(ebpf, "INTERFACES_OVERFLOW")?,
        groups: map(ebpf, "CGROUPS")?,
        inside: map(ebpf, "INSIDE")?,
        totals: PerCpu::new(descriptor(ebpf, "TOTALS")?, cpus).context("open the map TOTALS")?,
        losses: PerCpu::new(descriptor(ebpf, "LOSSES")?, cpus).context("open the map LOSSES")?,
        active: map(ebpf, "ACTIVE")?,
        claims: map(ebpf, "CLAIMS")?,
    })
}

fn map<K, V>(ebpf: &Ebpf, name: &str) -> Result<Map<K, V>>
where
    K: IntoBytes + FromBytes + Immutable,
    V: IntoBytes + FromBytes + Immutable,
{
    Map::new(descriptor(ebpf, name)?).with_context(|| format!("open the map {name}"))
}

fn descriptor<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>> {
    match ebpf.map(name).ok_or_else(|| missing(name))? {
        AyaMap::Array(map) | AyaMap::HashMap(map) | AyaMap::PerCpuArray(map) => Ok(map.fd().as_fd()),
        _ => bail!("the map {name} is of an unexpected type"),
    }
}

fn missing(name: &str) -> anyhow::Error {
    anyhow!("the kernel programs' object has no {name}")
}
