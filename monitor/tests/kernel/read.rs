//! What the programs have written, read back from their maps.

use crate::rig::front::Front;
use crate::rig::{Rig, Skb, test_run};
use anyhow::{Context, Result};
use aya::maps::{Array, HashMap, Map, PerCpuArray, RingBuf};
use monitor_common::counters::Direction;
use monitor_common::flow::{FlowEntry, FlowKey4};
use monitor_common::front::state;
use monitor_common::interface::{InterfaceEntry, InterfaceTotals};
use monitor_common::loss::Loss;
use zerocopy::{FromBytes, IntoBytes};

impl Front {
    /// Sets the state of a slot of generation A.
    pub(crate) fn set_state(&mut self, number: u32, state: u64) {
        let at = self.slots(0).nth(number as usize).expect("a slot of generation A").as_ptr().cast_mut();
        // SAFETY: the slot's first word, in the mapping; no program runs.
        unsafe { at.write(state) };
    }
}

impl Rig {
    fn front(&self, key_bytes: usize) -> &Front {
        if key_bytes == size_of::<FlowKey4>() { &self.front4 } else { &self.front6 }
    }

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

    /// All flows of a generation, in the front table and in the hash map; `N` is the size of its key.
    pub(crate) fn flows<const N: usize>(&self, generation: u32) -> Result<Vec<([u8; N], FlowEntry)>> {
        let mut found = self.in_front(generation);
        found.extend(self.in_hash(generation)?);
        Ok(found)
    }

    /// The flows of a generation that are in the hash map.
    pub(crate) fn in_hash<const N: usize>(&self, generation: u32) -> Result<Vec<([u8; N], FlowEntry)>> {
        let flows: HashMap<_, [u8; N], [u8; size_of::<FlowEntry>()]> =
            self.map(hash_map(N, generation))?.try_into()?;
        flows
            .iter()
            .map(|pair| {
                let (key, value) = pair?;
                Ok((key, FlowEntry::read_from_bytes(&value).expect("the sizes agree")))
            })
            .collect()
    }

    fn in_front<const N: usize>(&self, generation: u32) -> Vec<([u8; N], FlowEntry)> {
        self.front(N)
            .slots(generation)
            .filter(|slot| slot[0] == state::READY)
            .map(|slot| {
                let (key, entry) = slot[1..].split_at(slot.len() - 1 - size_of::<FlowEntry>() / 8);
                let key = key.as_bytes().first_chunk().expect("a key of N bytes");
                (*key, FlowEntry::read_from_bytes(entry.as_bytes()).expect("the sizes agree"))
            })
            .collect()
    }

    /// All flows of a generation, which is then empty.
    pub(crate) fn drain<const N: usize>(&mut self, generation: u32) -> Result<Vec<([u8; N], FlowEntry)>> {
        let drained = self.flows(generation)?;
        self.front_mut(N).clear(generation);
        let mut flows: HashMap<_, [u8; N], [u8; size_of::<FlowEntry>()]> =
            self.map_mut(hash_map(N, generation))?.try_into()?;
        let keys = flows.keys().collect::<Result<Vec<_>, _>>()?;
        keys.iter().try_for_each(|key| flows.remove(key))?;
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

/// The hash map of a generation for keys of so many bytes.
fn hash_map(key_bytes: usize, generation: u32) -> &'static str {
    match (key_bytes, generation) {
        (20, 0) => "FLOWS4_A",
        (20, _) => "FLOWS4_B",
        (_, 0) => "FLOWS6_A",
        (_, _) => "FLOWS6_B",
    }
}
