//! What the programs have written, read back from their maps.

use crate::rig::{Rig, Skb, program_name, test_run};
use anyhow::{Context, Result};
use aya::maps::{Array, HashMap, Map, PerCpuArray, RingBuf};
use aya::programs::SchedClassifier;
use monitor_common::claims::{ClaimEntry, ClaimKey};
use monitor_common::counters::Direction;
use monitor_common::flow::{FlowEntry, FlowKey4};
use monitor_common::flow_table::{self, Slot, epoch};
use monitor_common::interface::{InterfaceEntry, InterfaceTotals};
use monitor_common::loss::Loss;
use monitor_common::pending::{self, Pending};
use zerocopy::FromBytes;

impl Rig {
    /// Writes an entry into the overflow map.
    pub(crate) fn watch_in_overflow(&mut self, entry: InterfaceEntry) -> Result<()> {
        let mut overflow: HashMap<_, u32, [u8; 16]> = self.map_mut("INTERFACES_OVERFLOW")?.try_into()?;
        let bytes: [u8; 16] = zerocopy::transmute!(entry);
        Ok(overflow.insert(entry.ifindex, bytes, 0)?)
    }

    /// Which epoch is active.
    pub(crate) fn active(&self) -> Result<u32> {
        let active: Array<_, u32> = self.map("ACTIVE")?.try_into()?;
        Ok(active.get(&0, 0)?)
    }

    /// How many instructions the verifier looked at; `None` before Linux 5.16.
    pub(crate) fn verified_instructions(&self, direction: Direction) -> Option<u32> {
        let program: &SchedClassifier = self.ebpf.program(program_name(direction))?.try_into().ok()?;
        program.info().ok()?.verified_instruction_count()
    }

    /// Sends one packet through the program of `direction`; returns what the program returned.
    pub(crate) fn send(&self, direction: Direction, packet: &[u8], skb: &Skb) -> Result<i32> {
        test_run(self.program(direction)?, packet, skb, 1)
    }

    /// All flows of a generation, with what the CPUs have not added to their entries; `N` is the size of their key.
    pub(crate) fn flows<const N: usize>(&self, generation: u32) -> Result<Vec<([u8; N], FlowEntry)>> {
        self.slots(generation, &self.left(family::<N>())?)
    }

    /// All entries of a generation, as they are in the arena.
    pub(crate) fn entries<const N: usize>(&self, generation: u32) -> Result<Vec<([u8; N], FlowEntry)>> {
        self.slots(generation, &[])
    }

    fn slots<const N: usize>(&self, generation: u32, left: &[Pending]) -> Result<Vec<([u8; N], FlowEntry)>> {
        const BYTES: usize = size_of::<Slot>();
        let family = family::<N>();
        let arena: Array<_, [u8; BYTES]> =
            self.map(if family == 4 { "ARENA4" } else { "ARENA6" })?.try_into()?;
        let half = arena.len() / 2;
        let used = self.given_out(family, generation)?;
        let used = u32::try_from(used).map_or(half, |used| used.min(half));
        let mut found = Vec::new();
        for number in 0..used {
            let slot = arena.get(&(generation * half + number), 0)?;
            let (key, entry) = slot.split_at(BYTES - size_of::<FlowEntry>());
            if key.iter().any(|byte| *byte != 0) {
                let key = key.first_chunk().expect("a key of N bytes");
                let mut entry = FlowEntry::read_from_bytes(entry).expect("the sizes agree");
                let own = left
                    .iter()
                    .filter(|line| line.slot == number && generation == (pending::epoch(line.tag) + 1) & 1);
                own.for_each(|line| line.add_to(&mut entry));
                found.push((*key, entry));
            }
        }
        Ok(found)
    }

    /// What the CPUs have of a family's flows, in the epoch that is active and the one before, and have not added to
    /// their entries.
    fn left(&self, family: u8) -> Result<Vec<Pending>> {
        let lines: Array<_, [u8; size_of::<Pending>()]> = self.map("PENDING")?.try_into()?;
        let active = self.active()?;
        let mut left = Vec::new();
        for number in 0..lines.len() {
            let line: Pending = zerocopy::transmute!(lines.get(&number, 0)?);
            let epochs = [active, active.wrapping_sub(1)].map(epoch);
            if pending::family(line.tag) == family && epochs.iter().any(|epoch| line.is_left(*epoch)) {
                left.push(line);
            }
        }
        Ok(left)
    }

    /// How many slots of a half of a family's arena were given out.
    pub(crate) fn given_out(&self, family: u8, generation: u32) -> Result<u64> {
        let used: Array<_, u64> = self.map("USED")?.try_into()?;
        Ok(used.get(&flow_table::used(family, generation), 0)?)
    }

    /// The records in the ring, which is then empty.
    pub(crate) fn records(&mut self) -> Result<Vec<Vec<u8>>> {
        let mut ring: RingBuf<_> = self.map_mut("EVENTS")?.try_into()?;
        let mut records = Vec::new();
        while let Some(record) = ring.next() {
            records.push(record.to_vec());
        }
        Ok(records)
    }

    /// The totals of a slot, summed over all CPUs.
    pub(crate) fn totals(&self, slot: u32) -> Result<InterfaceTotals> {
        let totals: PerCpuArray<_, [u8; size_of::<InterfaceTotals>()]> = self.map("TOTALS")?.try_into()?;
        let mut sum = [0; size_of::<InterfaceTotals>() / 8];
        for value in totals.get(&slot, 0)?.iter() {
            let words: [u64; size_of::<InterfaceTotals>() / 8] = zerocopy::transmute!(*value);
            sum.iter_mut().zip(words).for_each(|(sum, word)| *sum += word);
        }
        Ok(zerocopy::transmute!(sum))
    }

    /// Who claimed what, of both generations.
    pub(crate) fn claims(&self) -> Result<Vec<(ClaimKey, ClaimEntry)>> {
        const KEY: usize = size_of::<ClaimKey>();
        const ENTRY: usize = size_of::<ClaimEntry>();
        let claims: HashMap<_, [u8; KEY], [u8; ENTRY]> = self.map("CLAIMS")?.try_into()?;
        let claims = claims.iter().map(|claim| {
            let (key, entry) = claim?;
            Ok((zerocopy::transmute!(key), zerocopy::transmute!(entry)))
        });
        claims.collect()
    }

    /// How often something was lost, summed over all CPUs.
    pub(crate) fn losses(&self, loss: Loss) -> Result<u64> {
        let losses: PerCpuArray<_, u64> = self.map("LOSSES")?.try_into()?;
        Ok(losses.get(&(loss as u32), 0)?.iter().sum())
    }

    fn map(&self, name: &str) -> Result<&Map> {
        self.ebpf.map(name).with_context(|| format!("find the map {name}"))
    }
}

/// The family whose keys have this size.
const fn family<const N: usize>() -> u8 {
    if N == size_of::<FlowKey4>() { 4 } else { 6 }
}
