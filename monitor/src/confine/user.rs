//! As whom a process runs.

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities, set_keep_capabilities};
use std::fmt;
use std::io;

/// The user that there is for this purpose.
const OWN: &str = "vethwatch";
/// The user who owns nothing, where there is none of our own.
const NOBODY: u32 = 65_534;

/// A user and a group, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub user: u32,
    /// Its group, and no other.
    pub group: u32,
}

impl User {
    /// The user `vethwatch`; where there is none, nobody.
    #[must_use]
    pub fn least() -> Self {
        let own = nix::unistd::User::from_name(OWN).ok().flatten();
        own.map_or(Self { user: NOBODY, group: NOBODY }, |own| Self {
            user: own.uid.as_raw(),
            group: own.gid.as_raw(),
        })
    }

    /// This process's.
    #[must_use]
    pub fn own() -> Self {
        Self { user: geteuid().as_raw(), group: getegid().as_raw() }
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.user, self.group)
    }
}

/// Becomes a user with one group. `false`: this process may not, and stays what it is.
pub(super) fn become_user(wanted: &User, keep: CapabilitySet) -> io::Result<bool> {
    let own = User::own();
    let may = capabilities(None)?.effective.contains(CapabilitySet::SETUID | CapabilitySet::SETGID);
    if !may {
        return Ok(own.user != 0);
    }
    set_keep_capabilities(!keep.is_empty())?;
    let (user, group) = (Uid::from_raw(wanted.user), Gid::from_raw(wanted.group));
    setgroups(&[group])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    Ok(true)
}
