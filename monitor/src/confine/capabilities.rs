//! What a process may do beyond what its user may.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use std::io;

/// Capabilities that this process has.
///
/// # Errors
/// What the kernel says.
pub fn held() -> io::Result<CapabilitySet> {
    Ok(capabilities(None)?.permitted)
}

/// Their names.
#[must_use]
pub fn names(set: CapabilitySet) -> Vec<&'static str> {
    set.iter_names().map(|(name, _)| name).collect()
}

/// Takes all others out of what a program could get that it starts, and says so where it may not.
///
/// # Errors
/// What the kernel says.
pub fn bound(keep: CapabilitySet) -> io::Result<Option<String>> {
    for capability in CapabilitySet::all().difference(keep).iter() {
        match remove_capability_from_bounding_set(capability) {
            // Older than this capability.
            Err(Errno::INVAL) | Ok(()) => {}
            Err(Errno::PERM) => {
                return Ok(Some("the bounding set stays as it is: CAP_SETPCAP is missing".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Keeps these of the capabilities that it has and no others.
///
/// # Errors
/// What the kernel says.
pub fn keep(keep: CapabilitySet) -> io::Result<()> {
    clear_ambient_capability_set()?;
    let kept = held()? & keep;
    let inheritable = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable })?)
}
