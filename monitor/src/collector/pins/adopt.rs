//! Going on where another agent ended.

use super::book::{Book, Journal, Kept};
use super::folder::{Folder, remove_tree};
use super::layout::Layout;
use super::{Before, Pins};
use crate::collector::attacher::namespace;
use crate::collector::attacher::rights::Rights;
use crate::collector::attacher::{enter, sweep};
use crate::collector::bpf::{self, Map, PerCpu};
use crate::collector::clock;
use crate::collector::device::Link;
use crate::collector::grace::Grace;
use crate::collector::losses::{Lost, OwnLosses};
use crate::collector::netlink::Netlink;
use crate::collector::programs::Maps;
use crate::model::{InterfaceNumber, KernelTime};
use anyhow::{Context as _, Result};
use monitor_common::flow_table::Factors;
use monitor_common::interface::{InterfaceEntry, InterfaceTotals};
use rustix::fd::{AsFd as _, OwnedFd};
use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zerocopy::{FromBytes as _, IntoBytes as _};

/// What an agent goes on with. Where nothing is pinned it is empty.
#[derive(Debug, Default)]
pub(in crate::collector) struct Resumed {
    /// The book, where anything is pinned.
    pub(in crate::collector) book: Option<Arc<Book>>,
    /// Devices that were watched all the time, with their links.
    pub(in crate::collector) adopted: Vec<(Kept, Vec<OwnedFd>)>,
    /// Those that went meanwhile.
    pub(in crate::collector) gone: Vec<Kept>,
    /// The number that was given last.
    pub(in crate::collector) last_number: InterfaceNumber,
    /// What the journal says, and whether its flows are those of our maps.
    pub(in crate::collector) journal: Option<(Journal, Flows)>,
    /// What is known to be lost.
    pub(in crate::collector) tally: Tally,
}

/// Whose flows a journal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collector) enum Flows {
    /// Of the maps that are gone on with.
    GoOn,
    /// Nobody's yet.
    Begin,
}

/// What is known to be lost between two agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::collector) struct Tally {
    /// How long there was none; absent where there was none before.
    pub(in crate::collector) without: Option<Duration>,
    /// Devices whose totals could not be gone on with.
    pub(in crate::collector) not_adopted: u64,
    /// Flows that the one before was handed and may not have told.
    pub(in crate::collector) unsure: u64,
    /// Flows in maps of another layout.
    pub(in crate::collector) not_read: u64,
}

impl Tally {
    /// Counts it.
    pub(in crate::collector) fn report(&self, losses: &OwnLosses) {
        if let Some(without) = self.without {
            losses.add(Lost::GapsWithoutAgent, 1);
            losses.add(Lost::WithoutAgent, u64::try_from(without.as_millis()).unwrap_or(u64::MAX));
        }
        losses.add(Lost::NotAdopted, self.not_adopted);
        losses.add(Lost::UnsureAtKill, self.unsure);
        losses.add(Lost::FlowsOfOtherLayout, self.not_read);
    }
}

/// With what.
pub(in crate::collector) struct Means<'a> {
    pub(in crate::collector) layout: &'a Layout,
    pub(in crate::collector) factors: Factors,
    pub(in crate::collector) rights: &'a Rights,
    pub(in crate::collector) maps: &'a Maps,
    /// How many slots there are.
    pub(in crate::collector) slots: u32,
    /// Bits of [`interface_flag`](monitor_common::interface::interface_flag) of a device.
    pub(in crate::collector) flags: &'a dyn Fn(&Kept) -> u32,
}

impl Means<'_> {
    fn entry(&self, kept: &Kept) -> InterfaceEntry {
        let Kept { interface, slot, .. } = kept;
        InterfaceEntry {
            ifindex: interface.ifindex,
            number: interface.number.0,
            slot: *slot,
            flags: (self.flags)(kept),
        }
    }
}

/// Puts our programs in the place of those that another agent left, or begins a book.
///
/// # Errors
/// When the book cannot be read or written.
pub(in crate::collector) fn adopt(before: Before, folder: &Folder, means: &Means<'_>) -> Result<Resumed> {
    let mut tally = Tally::default();
    let (book, journal) = match before {
        Before::Nothing => {
            let (book, journal) = begin(folder, means)?;
            return Ok(Resumed {
                book: Some(Arc::new(book)),
                journal: Some((journal, Flows::Begin)),
                ..Resumed::default()
            });
        }
        Before::Same(book) => {
            let journal = book.journal()?;
            (book, (journal, Flows::GoOn))
        }
        Before::Other(old, number) => {
            tally.not_read = folder.olds()?.iter().map(|maps| flows_in(maps)).fold(0, u64::saturating_add);
            let (book, journal) = convert((&old, number), folder, means, &mut tally)?;
            (book, (journal, Flows::Begin))
        }
    };
    let now = clock::kernel_now();
    tally.without = Some(now.since(KernelTime(journal.0.beat)));
    tally.unsure = journal.0.drain.unsure;
    let (all, unread) = book.all().context("read what is kept of devices")?;
    tally.not_adopted += unread;
    let mut devices = Devices::default();
    let (mut adopted, mut gone) = (Vec::new(), Vec::new());
    let mut seen = Seen::default();
    for kept in all {
        match take_over(&kept, &mut seen, &mut devices, means) {
            Taken::Over(links) => adopted.push((kept, links)),
            Taken::Gone => gone.push(kept),
            Taken::Not(reason) => {
                tally.not_adopted += 1;
                log::warn!("the totals of {} cannot be gone on with: {reason}", kept.interface.name);
                let_go(&kept, folder, means, &book);
            }
        }
    }
    let live: HashMap<u32, u32> =
        adopted.iter().map(|(kept, _)| (kept.interface.ifindex, kept.interface.number.0)).collect();
    for ifindex in folder.linked().unwrap_or_default() {
        if !live.contains_key(&ifindex)
            && let Err(error) = folder.unpin_links(ifindex)
        {
            log::warn!("pins of interface {ifindex} cannot be removed: {error}");
        }
    }
    sweep(means.maps, &live).context("look through the interfaces' entries")?;
    let all = adopted.iter_mut().map(|(kept, _)| kept).chain(&mut gone);
    fold(all, folder, means, &book, &mut tally)?;
    let last_number = book.number()?.max(seen.highest);
    Ok(Resumed { book: Some(Arc::new(book)), adopted, gone, last_number, journal: Some(journal), tally })
}

/// A book of our own, with nothing in it.
fn blank(means: &Means<'_>) -> Result<(Book, Journal)> {
    let book = Book::new().context("make the book")?;
    let journal = Journal {
        layout: means.layout.fingerprint,
        instance: means.rights.instance().into(),
        namespace: namespace::cookie()?,
        factors: means.factors,
        beat: clock::kernel_now().0,
        ..Journal::default()
    };
    Ok((book, journal))
}

fn begin(folder: &Folder, means: &Means<'_>) -> Result<(Book, Journal)> {
    let (book, journal) = blank(means)?;
    book.write_journal(&journal)?;
    book.pin(&folder.maps()).context("pin the book")?;
    Ok((book, journal))
}

/// A book of our own with the devices of another one, whose totals are to be taken over.
fn convert(
    (old, number): (&Book, u32),
    folder: &Folder,
    means: &Means<'_>,
    tally: &mut Tally,
) -> Result<(Book, Journal)> {
    let (book, journal) = blank(means)?;
    let before = old.journal()?;
    let journal = Journal { drain: before.drain, beat: before.beat, ..journal };
    book.write_journal(&journal)?;
    book.give(old.number()?)?;
    let (all, unread) = old.all()?;
    tally.not_adopted += unread;
    for (slot, mut kept) in (0..).zip(all) {
        if slot >= means.slots {
            tally.not_adopted += 1;
            log::warn!("there is no slot for the totals of {}", kept.interface.name);
            continue;
        }
        kept.fold.push((number, kept.slot));
        book.keep(&Kept { slot, ..kept })?;
    }
    book.pin(&folder.maps()).context("pin the book")?;
    Ok((book, journal))
}

/// Flows that were given out and not handed over, in maps of another layout; 0 if that cannot be told.
fn flows_in(maps: &Path) -> u64 {
    let used = bpf::pinned(&maps.join("USED")).and_then(|used| Map::<u32, u64>::new(used.as_fd()));
    let Ok(used) = used else { return 0 };
    (0..4).filter_map(|half| used.lookup(&half).ok()?).fold(0, u64::saturating_add)
}

/// What became of a device.
enum Taken {
    /// Our programs are in the place of the others. Links, if it is attached by some.
    Over(Vec<OwnedFd>),
    /// It went.
    Gone,
    /// Nobody counts there.
    Not(String),
}

/// Slots and numbers that were seen.
#[derive(Default)]
struct Seen {
    slots: HashSet<u32>,
    numbers: HashSet<InterfaceNumber>,
    highest: InterfaceNumber,
}

fn take_over(kept: &Kept, seen: &mut Seen, devices: &mut Devices, means: &Means<'_>) -> Taken {
    let Kept { interface, slot, mode, .. } = kept;
    let is_alone = seen.slots.insert(*slot) && seen.numbers.insert(interface.number);
    if !is_alone || *slot >= means.slots || interface.number.0 == 0 {
        return Taken::Not("its note makes no sense".to_owned());
    }
    seen.highest = seen.highest.max(interface.number);
    if let Err(error) = enter(means.maps, means.entry(kept)) {
        return Taken::Not(error.to_string());
    }
    match means.rights.adopt(interface.ifindex, *mode) {
        Ok(links) => Taken::Over(links),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOLINK | libc::ENODEV) => Taken::Gone,
            // Another device may have its ifindex by now.
            _ if !devices.has(kept) => Taken::Gone,
            _ => Taken::Not(error.to_string()),
        },
    }
}

/// The devices that there are, read when they are asked for.
#[derive(Default)]
struct Devices(Option<BTreeMap<u32, Link>>);

impl Devices {
    /// Whether the device that is noted is there.
    fn has(&mut self, kept: &Kept) -> bool {
        let read = || {
            let links = Netlink::open().and_then(|mut netlink| netlink.links()).unwrap_or_default();
            links.into_iter().map(|link| (link.ifindex, link)).collect()
        };
        let there = self.0.get_or_insert_with(read).get(&kept.interface.ifindex);
        there.is_some_and(|link| (&link.name, link.mac) == (&kept.interface.name, kept.interface.mac))
    }
}

/// Removes what is left of a device that is not gone on with.
fn let_go(kept: &Kept, folder: &Folder, means: &Means<'_>, book: &Book) {
    let ifindex = kept.interface.ifindex;
    let removed = means.rights.detach(ifindex).and(folder.unpin_links(ifindex)).and(book.forget(ifindex));
    if let Err(error) = removed {
        log::warn!("what is left of interface {ifindex} cannot be removed: {error}");
    }
}

/// Takes the totals over that were counted in maps of other layouts. Nobody counts there any more, so that it may be done
/// again. A device whose old totals cannot be read is counted.
fn fold<'a>(
    all: impl Iterator<Item = &'a mut Kept>,
    folder: &Folder,
    means: &Means<'_>,
    book: &Book,
    tally: &mut Tally,
) -> Result<()> {
    let mut to_fold: Vec<&mut Kept> = all.filter(|kept| !kept.fold.is_empty()).collect();
    if !to_fold.is_empty() {
        Grace::new()?.wait().context("wait for programs that still run")?;
        let mut old = OldTotals { folder, cpus: means.maps.totals.cpus(), opened: BTreeMap::new() };
        for kept in &mut to_fold {
            match old.of(kept) {
                Ok(base) => kept.base = Some(base),
                Err(error) => {
                    tally.not_adopted += 1;
                    log::warn!("the earlier totals of {} cannot be read: {error:#}", kept.interface.name);
                }
            }
            kept.fold.clear();
            // Both at once: whoever is killed before does it again, and after it is done.
            book.keep(kept)?;
        }
    }
    remove_tree(&folder.old()).context("remove the old maps")
}

/// Totals in maps of other layouts, by the maps' number.
struct OldTotals<'a> {
    folder: &'a Folder,
    cpus: usize,
    opened: BTreeMap<u32, PerCpu<InterfaceTotals>>,
}

impl OldTotals<'_> {
    /// All of a device, with those that were taken over before.
    fn of(&mut self, kept: &Kept) -> Result<Vec<u64>> {
        let mut words = sum(&[], kept.base.as_deref());
        for &(number, slot) in &kept.fold {
            let totals = match self.opened.entry(number) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(new) => {
                    let totals = bpf::pinned(&self.folder.old_maps(number).join("TOTALS"))?;
                    new.insert(PerCpu::new(totals.as_fd(), self.cpus)?)
                }
            };
            let mut read = totals.buffer();
            totals.read(slot, &mut read)?;
            words = sum(&read, Some(&words));
        }
        Ok(words)
    }
}

/// The words of several totals, added up.
fn sum(totals: &[InterfaceTotals], base: Option<&[u64]>) -> Vec<u64> {
    let mut words = vec![0_u64; size_of::<InterfaceTotals>() / size_of::<u64>()];
    let parts = totals.iter().filter_map(|totals| <[u64]>::ref_from_bytes(totals.as_bytes()).ok());
    for part in parts.chain(base) {
        for (word, more) in words.iter_mut().zip(part) {
            *word = word.wrapping_add(*more);
        }
    }
    words
}

impl Pins {
    /// The number of the lock that filters of the agent before carry; 0 if there are none.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn instance(&self) -> io::Result<u16> {
        let journal = self.book().map(Book::journal).transpose()?;
        Ok(journal.and_then(|journal| u16::try_from(journal.instance).ok()).unwrap_or_default())
    }

    /// What the index's hash multiplies with, where it is gone on with.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::collector) fn factors(&self) -> io::Result<Option<Factors>> {
        match &self.before {
            Before::Same(book) => Ok(Some(book.journal()?.factors.map(|factor| factor | 1))),
            Before::Nothing | Before::Other(..) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sum;
    use monitor_common::interface::InterfaceTotals;
    use zerocopy::{FromBytes as _, IntoBytes as _};

    #[test]
    fn totals_of_all_cpus_and_of_earlier_layouts_are_added_up() {
        let mut one = InterfaceTotals::default();
        one.sent.ipv4.skbs = 3;
        one.received.tagged_skbs = 5;
        let mut other = one;
        other.sent.ipv4.skbs = 4;
        let first = sum(&[one, other], None);
        let both = InterfaceTotals::read_from_bytes(sum(&[one], Some(&first)).as_bytes()).unwrap();
        assert_eq!((both.sent.ipv4.skbs, both.received.tagged_skbs), (10, 15));
    }
}
