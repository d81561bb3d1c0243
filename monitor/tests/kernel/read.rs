//! What the programs have written, read back from their maps.

use crate::rig::{Rig, Skb, test_run};
use anyhow::{Context, Result};
use aya::maps::{Array, HashMap, Map, PerCpuArray, RingBuf};
use monitor_common::counters::Direction;
use monitor_common::flow::FlowEntry;
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

    /// Sets the active generation.
    pub(crate) fn activate(&mut self, generation: u32) -> Result<()> {
        let mut active: Array<_, u32> = self.map_mut("ACTIVE")?.try_into()?;
        Ok(active.set(0, generation, 0)?)
    }

    /// Sends one packet through the program of `direction`; returns what the program returned.
    pub(crate) fn send(&self, direction: Direction, packet: &[u8], skb: &Skb) -> Result<i32> {
        test_run(self.program(direction)?, packet, skb, 1)
    }

    /// All entries of a flow map; `N` is the size of its key.
    pub(crate) fn flows<const N: usize>(&self, map: &str) -> Result<Vec<([u8; N], FlowEntry)>> {
        let flows: HashMap<_, [u8; N], [u8; size_of::<FlowEntry>()]> = self.map(map)?.try_into()?;
        flows
            .iter()
            .map(|pair| {
                let (key, value) = pair?;
                Ok((key, FlowEntry::read_from_bytes(&value).expect("the sizes agree")))
            })
            .collect()
    }

    /// All entries of a flow map, which is then empty.
    pub(crate) fn drain<const N: usize>(&mut self, map: &str) -> Result<Vec<([u8; N], FlowEntry)>> {
        let drained = self.flows(map)?;
        let mut flows: HashMap<_, [u8; N], [u8; size_of::<FlowEntry>()]> = self.map_mut(map)?.try_into()?;
        for (key, _) in &drained {
            flows.remove(key)?;
        }
        Ok(drained)
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

    /// How often something was lost, summed over all CPUs.
    pub(crate) fn losses(&self, loss: Loss) -> Result<u64> {
        let losses: PerCpuArray<_, u64> = self.map("LOSSES")?.try_into()?;
        Ok(losses.get(&(loss as u32), 0)?.iter().sum())
    }

    fn map(&self, name: &str) -> Result<&Map> {
        self.ebpf.map(name).with_context(|| format!("find the map {name}"))
    }
}
