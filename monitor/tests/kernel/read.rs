//! What the programs have written, read back from their maps.

use crate::rig::{Rig, Skb, program_name, test_run};
use anyhow::{Context, Result};
use aya::maps::{Array, HashMap, Map, PerCpuArray, RingBuf};
use aya::programs::SchedClassifier;
use monitor_common::claims::{ClaimEntry, ClaimKey};
use monitor_common::counters::Direction;
use monitor_common::flow::{FlowEntry, FlowKey4};
use monitor_common::flow_table::{self, Slot};
use monitor_common::interface::{InterfaceEntry, InterfaceTotals};
use monitor_common::loss::Loss;
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

    /// All flows of a generation; `N` is the size of their key.
    pub(crate) fn flows<const N: usize>(&self, generation: u32) -> Result<Vec<([u8; N], FlowEntry)>> {
        if N == size_of::<FlowKey4>() {
            self.slots::<N, { size_of::<Slot>() }>("ARENA4", 4, generation)
        } else {
            self.slots::<N, { size_of::<Slot>() }>("ARENA6", 6, generation)
        }
    }

    fn slots<const N: usize, const BYTES: usize>(
        &self,
        arena: &str,
        family: u8,
        generation: u32,
    ) -> Result<Vec<([u8; N], FlowEntry)>> {
        let arena: Array<_, [u8; BYTES]> = self.map(arena)?.try_into()?;
        let half = arena.len() / 2;
        let used = self.given_out(family, generation)?;
        let used = u32::try_from(used).map_or(half, |used| used.min(half));
        let mut found = Vec::new();
        for number in 0..used {
            let slot = arena.get(&(generation * half + number), 0)?;
            let (key, entry) = slot.split_at(BYTES - size_of::<FlowEntry>());
            if key.iter().any(|byte| *byte != 0) {
                let key = key.first_chunk().expect("a key of N bytes");
                found.push((*key, FlowEntry::read_from_bytes(entry).expect("the sizes agree")));
            }
        }
        Ok(found)
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
