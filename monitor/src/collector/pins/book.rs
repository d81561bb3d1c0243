//! The book: what an agent notes for the next one, in maps that are pinned beside the programs'.

use crate::collector::bpf::{self, Map};
use crate::model::{AttachMode, Container, DeviceCounters, Interface, InterfaceNumber, KernelTime};
use anyhow::{Context as _, Result};
use monitor_common::flow_table::Factors;
use monitor_common::interface::InterfaceTotals;
use rustix::fd::AsFd as _;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use zerocopy::{FromBytes, FromZeros as _, Immutable, IntoBytes, KnownLayout};

/// The maps' files. Without the journal the others are worth nothing: it is made last, and removed first.
const JOURNAL: &str = "journal";
const NUMBER: &str = "number";
const KEPT: &str = "kept";
/// Bytes of a device's note.
const NOTE: usize = 16 << 10;
/// The most devices that are noted.
const MOST: u32 = 65_536;

/// How far the flows were handed over, and what the maps are.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(in crate::collector) struct Journal {
    /// Fingerprint of the maps' layout.
    pub(in crate::collector) layout: [u8; 20],
    /// The number of the lock that filters on clsact carry; 0 if there are none.
    pub(in crate::collector) instance: u32,
    /// The cookie of the network namespace.
    pub(in crate::collector) namespace: u64,
    /// What the index's hash multiplies with.
    pub(in crate::collector) factors: Factors,
    /// The generation that was made quiet last.
    pub(in crate::collector) drain: Drain,
    /// When an agent last ended a tick, in nanoseconds of the kernel's clock.
    pub(in crate::collector) beat: u64,
}

/// A generation that was made quiet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(in crate::collector) struct Drain {
    /// Its number.
    pub(in crate::collector) epoch: u64,
    /// When it became active, in nanoseconds of the kernel's clock.
    pub(in crate::collector) start: u64,
    /// When it was made quiet.
    pub(in crate::collector) end: u64,
    /// Flows that were handed over, or were about to be, and may not have been told.
    pub(in crate::collector) unsure: u64,
    /// Slots of each arena that were, IPv4 and IPv6.
    pub(in crate::collector) done: [u64; 2],
    /// What `ACTIVE` said while it was active.
    pub(in crate::collector) active: u32,
    /// 1 until all of it was handed over.
    pub(in crate::collector) is_open: u32,
}

/// What is known of a watched device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::collector) struct Kept {
    /// The device, with the agent's number of it.
    pub(in crate::collector) interface: Interface,
    /// Where its totals are.
    pub(in crate::collector) slot: u32,
    /// How the programs are attached.
    pub(in crate::collector) mode: AttachMode,
    /// Since when it is watched.
    pub(in crate::collector) at: KernelTime,
    /// The device's counters just before.
    pub(in crate::collector) before: Option<DeviceCounters>,
    /// And just after.
    pub(in crate::collector) after: Option<DeviceCounters>,
    /// The container behind it, once that is known.
    pub(in crate::collector) owner: Option<Box<Container>>,
    /// Words of the totals that were counted in maps of other layouts.
    pub(in crate::collector) base: Option<Vec<u64>>,
    /// Where its totals are in maps of other layouts, until they are taken over: the maps' number, and the slot.
    pub(in crate::collector) fold: Vec<(u32, u32)>,
}

impl Kept {
    /// What was counted in maps of other layouts.
    pub(in crate::collector) fn base_totals(&self) -> Option<InterfaceTotals> {
        InterfaceTotals::read_from_bytes(self.base.as_ref()?.as_bytes()).ok()
    }
}

/// A text of bounded length.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Note {
    length: u32,
    text: [u8; NOTE - 4],
}

impl Note {
    fn new(kept: &Kept) -> Option<Self> {
        let text = serde_json::to_vec(kept).ok()?;
        let mut note = Self::new_zeroed();
        note.length = u32::try_from(text.len()).ok()?;
        note.text.get_mut(..text.len())?.copy_from_slice(&text);
        Some(note)
    }

    fn read(&self) -> Option<Kept> {
        serde_json::from_slice(self.text.get(..self.length as usize)?).ok()
    }
}

/// The maps.
#[derive(Debug)]
pub(in crate::collector) struct Book {
    journal: Map<u32, Journal>,
    number: Map<u32, u32>,
    kept: Map<u32, Note>,
    /// Notes are read, changed and written by several threads.
    writing: Mutex<()>,
}

impl Book {
    /// Makes one, which is not pinned yet.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn new() -> io::Result<Self> {
        let (journal, number, kept) = (Map::single()?, Map::single()?, Map::hash(MOST)?);
        Ok(Self { journal, number, kept, writing: Mutex::default() })
    }

    /// Pins it in a folder.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn pin(&self, folder: &Path) -> io::Result<()> {
        bpf::pin(self.kept.as_fd(), &folder.join(KEPT))?;
        bpf::pin(self.number.as_fd(), &folder.join(NUMBER))?;
        bpf::pin(self.journal.as_fd(), &folder.join(JOURNAL))
    }

    /// Opens the one in a folder.
    ///
    /// # Errors
    /// When there is none that is understood.
    pub(in crate::collector) fn open(folder: &Path) -> Result<Self> {
        let get = |name: &str| bpf::pinned(&folder.join(name)).with_context(|| format!("open {name}"));
        let (journal, number, kept) = (get(JOURNAL)?, get(NUMBER)?, get(KEPT)?);
        Ok(Self {
            journal: Map::new(journal.as_fd())?,
            number: Map::new(number.as_fd())?,
            kept: Map::new(kept.as_fd())?,
            writing: Mutex::default(),
        })
    }

    /// Whether there is one in a folder.
    pub(in crate::collector) fn is_in(folder: &Path) -> bool {
        folder.join(JOURNAL).exists()
    }

    /// The journal.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn journal(&self) -> io::Result<Journal> {
        self.journal.lookup(&0)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Writes the journal.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn write_journal(&self, journal: &Journal) -> io::Result<()> {
        self.journal.update(&0, journal)
    }

    /// The number that was given last.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn number(&self) -> io::Result<InterfaceNumber> {
        Ok(InterfaceNumber(self.number.lookup(&0)?.unwrap_or_default()))
    }

    /// Notes that a number is given.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn give(&self, number: InterfaceNumber) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Two threads give numbers: the lower one may come later.
        if self.number()? < number { self.number.update(&0, &number.0) } else { Ok(()) }
    }

    /// Notes a device; nothing if its note would be too long even without its container.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn keep(&self, kept: &Kept) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(kept)
    }

    fn write(&self, kept: &Kept) -> io::Result<()> {
        let note = Note::new(kept).or_else(|| Note::new(&Kept { owner: None, ..kept.clone() }));
        let note = note.ok_or(io::ErrorKind::InvalidData)?;
        self.kept.update(&kept.interface.ifindex, &note)
    }

    /// Changes the note of a device, if it is still about the interface with this number.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn change(
        &self,
        (ifindex, number): (u32, InterfaceNumber),
        change: impl FnOnce(&mut Kept),
    ) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let note = self.kept.lookup(&ifindex)?.and_then(|note| note.read());
        let Some(mut kept) = note.filter(|kept| kept.interface.number == number) else { return Ok(()) };
        change(&mut kept);
        self.write(&kept)
    }

    /// Forgets a device.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn forget(&self, ifindex: u32) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.kept.delete(&ifindex)
    }

    /// All devices that are noted, in the order of their numbers, and how many notes were not understood.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn all(&self) -> io::Result<(Vec<Kept>, u64)> {
        let (mut all, mut unread) = (Vec::new(), 0);
        for ifindex in self.kept.keys(MOST)? {
            let kept = self.kept.lookup(&ifindex)?.and_then(|note| note.read());
            match kept.filter(|kept| kept.interface.ifindex == ifindex && ifindex != 0) {
                Some(kept) => all.push(kept),
                None => unread += 1,
            }
        }
        all.sort_by_key(|kept| kept.interface.number);
        Ok((all, unread))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Note};
    use crate::model::{AttachMode, Interface, InterfaceKind, InterfaceNumber, KernelTime, SafeText};
    use monitor_common::interface::InterfaceTotals;
    use zerocopy::{FromZeros as _, IntoBytes as _};

    fn kept() -> Kept {
        Kept {
            interface: Interface {
                number: InterfaceNumber(7),
                ifindex: 9,
                name: SafeText::new("veth1"),
                kind: InterfaceKind::Veth,
                mac: None,
                master: Some((4, SafeText::new("br-1"))),
                peer: None,
            },
            slot: 3,
            mode: AttachMode::Tcx,
            at: KernelTime(5),
            before: None,
            after: None,
            owner: None,
            base: None,
            fold: vec![(0, 2)],
        }
    }

    #[test]
    fn a_note_reads_back_as_it_was_written() {
        assert_eq!(Note::new(&kept()).unwrap().read(), Some(kept()));
    }

    #[test]
    fn what_is_no_note_is_not_understood() {
        let mut note = Note::new(&kept()).unwrap();
        note.length = u32::MAX;
        assert_eq!(note.read(), None);
        note.length = 10;
        assert_eq!(note.read(), None);
        assert_eq!(Note::new_zeroed().read(), None);
    }

    #[test]
    fn a_name_in_a_note_cannot_be_an_escape_sequence() {
        let written = serde_json::to_string(&kept()).unwrap().replace("veth1", "\\u001b[31m");
        let mut note = Note::new_zeroed();
        note.length = u32::try_from(written.len()).unwrap();
        note.text[..written.len()].copy_from_slice(written.as_bytes());
        assert_eq!(note.read().unwrap().interface.name.as_str(), "\\u{1b}[31m");
    }

    #[test]
    fn only_words_of_the_right_number_are_totals() {
        let totals = InterfaceTotals::default();
        let words = |count: usize| Some(vec![0; count]);
        let whole = totals.as_bytes().len() / 8;
        assert_eq!(Kept { base: words(whole), ..kept() }.base_totals(), Some(totals));
        assert_eq!(Kept { base: words(whole + 1), ..kept() }.base_totals(), None);
        assert_eq!(kept().base_totals(), None);
    }
}
