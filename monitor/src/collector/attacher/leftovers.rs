//! What killed processes of ours left on clsact qdiscs. (Under TCX nothing is left that is not pinned.)

use super::clsact::{self, Hook};
use super::instance::{self, Instance};
use crate::collector::netlink::Netlink;
use crate::collector::programs::{RECEIVED, SENT};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Something that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A filter that ran one of the programs.
    Filter {
        /// On which device.
        ifindex: u32,
        /// The program.
        program: &'static str,
    },
    /// Links of a killed agent, with both programs.
    Links {
        /// On which device.
        ifindex: u32,
    },
    /// The maps and the book of a killed agent.
    Maps,
    /// A clsact qdisc that one of us made and nothing else used.
    Qdisc {
        /// On which device.
        ifindex: u32,
    },
}

/// What is done about clsact qdiscs of ours that are empty but whose devices are in use. (The kernel drops what is sent
/// on a device while a qdisc is taken off.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptied {
    /// Those of devices that were attached to while there was no traffic yet stay, until the devices are gone.
    LetBe,
    /// They are removed.
    Remove,
}

/// Removes the filters whose process is gone, and then the clsact qdiscs such processes made, where nothing is on
/// them and `emptied` does not let them be. A process is known to be gone by its free lock in `state_dir`, so all that run on one host must use
/// the same directory; filters of other directories are left alone, and those that an agent has pinned.
///
/// # Errors
/// When the directory or the qdiscs cannot be read. No directory: nothing was left.
pub fn remove_all(state_dir: &Path, emptied: Emptied) -> io::Result<Vec<Removed>> {
    let state_dir = match state_dir.canonicalize() {
        Ok(state_dir) => state_dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut netlink = Netlink::open()?;
    let mut ours = Vec::new();
    for ifindex in clsact::devices(&mut netlink)? {
        // A device that went away meanwhile has no filters.
        let filters = clsact::filters(&mut netlink, ifindex).unwrap_or_default();
        ours.extend(filters.into_iter().filter_map(|listed| {
            instance::owner(&state_dir, &[SENT, RECEIVED], &listed).map(|number| (number, listed.filter))
        }));
    }
    let mut numbers: BTreeSet<u16> = instance::lock_files(&state_dir)?.into_iter().collect();
    numbers.extend(ours.iter().map(|(number, _)| number));

    let mut removed = Vec::new();
    for number in numbers {
        let gone = Instance::take(&state_dir, number)?.filter(|taken| !taken.is_pinned());
        let Some(mut gone) = gone else { continue };
        for (_, filter) in ours.iter().filter(|(owner, _)| *owner == number) {
            clsact::remove(&mut netlink, filter)?;
            let program = if filter.hook == Hook::Ingress { SENT } else { RECEIVED };
            removed.push(Removed::Filter { ifindex: filter.ifindex, program });
        }
        if emptied == Emptied::Remove {
            gone.let_none_stay();
        }
        for ifindex in gone.qdiscs() {
            if gone.remove_qdisc(&mut netlink, ifindex) {
                removed.push(Removed::Qdisc { ifindex });
            }
        }
    }
    Ok(removed)
}
