//! Whether maps that another agent made can be gone on with.

use crate::collector::object;
use anyhow::{Context as _, Result, anyhow};
use sha1::{Digest as _, Sha1};

/// Counted up when what is in the maps changes its meaning and not its size. Totals are
/// [`InterfaceTotals`](monitor_common::interface::InterfaceTotals) of 336 bytes in every layout.
const MEANING: u32 = 2;

/// The maps that are not shared with the agent before: nothing in them is worth it, some have other sizes each time, and
/// the programs on control groups and in namespaces go with it.
const OWN: [&str; 11] = [
    "DROPS",
    "RETRANSMITS",
    "PACKETS",
    "CAPTURED",
    "AYA_LOGS",
    "CGROUPS",
    "INSIDE",
    "NAMES",
    "NAME_RATES",
    "FAILURES",
    "FAILURE_RATES",
];

/// Names and a fingerprint of the maps that are pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collector) struct Layout {
    pub(in crate::collector) maps: Vec<String>,
    pub(in crate::collector) fingerprint: [u8; 20],
}

impl Layout {
    /// Of the object's maps, with the sizes that the loader gives some of them.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub(in crate::collector) fn new(sizes: &[(&str, u32)]) -> Result<Self> {
        let object = aya_obj::Object::parse(object::OBJECT).context("read the kernel programs' maps")?;
        let mut maps: Vec<String> = object.maps.keys().filter(|name| is_shared(name)).cloned().collect();
        maps.sort_unstable();
        let mut hash = Sha1::new();
        hash.update(MEANING.to_le_bytes());
        for name in &maps {
            let map = object.maps.get(name).ok_or_else(|| anyhow!("no map {name}"))?;
            let entries = sizes.iter().find(|(sized, _)| sized == name);
            let entries = entries.map_or_else(|| map.max_entries(), |(_, entries)| *entries);
            hash.update(name.as_bytes());
            for word in [map.map_type(), map.key_size(), map.value_size(), map.map_flags(), entries] {
                hash.update(word.to_le_bytes());
            }
        }
        Ok(Self { maps, fingerprint: hash.finalize().into() })
    }
}

/// Whether a map is; read-only data (`.rodata`) is a map too, and each agent's own.
fn is_shared(name: &str) -> bool {
    !name.starts_with('.') && !OWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{Layout, OWN, object};

    #[test]
    fn a_layout_is_of_the_maps_that_are_shared_and_of_their_sizes() {
        let layout = Layout::new(&[("TOTALS", 64)]).unwrap();
        for shared in ["TOTALS", "INTERFACES", "ARENA4", "USED", "ACTIVE", "SCRATCH", "LOSSES", "SEEN6"] {
            assert!(layout.maps.iter().any(|map| map == shared), "{shared}: {:?}", layout.maps);
        }
        let object = aya_obj::Object::parse(object::OBJECT).unwrap();
        for own in OWN.into_iter().chain([".rodata"]) {
            assert!(object.maps.contains_key(own), "there is no map {own}");
            assert!(!layout.maps.iter().any(|map| map == own), "{own}: {:?}", layout.maps);
        }
        assert_eq!(Layout::new(&[("TOTALS", 64), ("DROPS", 7)]).unwrap(), layout);
        assert_ne!(Layout::new(&[("TOTALS", 65)]).unwrap().fingerprint, layout.fingerprint);
    }
}
