//! Which host this is.

use crate::model::{HostId, SafeText};
use anyhow::Context as _;
use std::fs;

/// Where the boot's id is.
pub(super) const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The host's name and the id of its present boot.
///
/// # Errors
/// When the boot id cannot be read.
pub(super) fn id() -> anyhow::Result<HostId> {
    let boot_id = fs::read_to_string(BOOT_ID).with_context(|| format!("read {BOOT_ID}"))?;
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(HostId { name: SafeText::new(&name), boot_id: SafeText::new(boot_id.trim()).as_str().into() })
}
