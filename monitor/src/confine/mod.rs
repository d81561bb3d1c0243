//! Gives up rights for good, in a process that has one thread yet: rights are a thread's own, and what one gives up its
//! later threads never get.
//!
//! ```text
//! bounding set ─▶ groups, user ─▶ the other sets of capabilities ─▶ no_new_privs ─▶ Landlock
//! ```
//!
//! What this kernel cannot do, or this process may not, is told, and the rest is done.

mod capabilities;
mod landlock;
mod process;
mod user;

pub use capabilities::{bound, held, keep, names};
pub use process::{HELPER, Process, agents};
pub use user::User;

use rustix::thread::{CapabilitySet, set_no_new_privs};
use std::io;
use std::path::Path;

/// How a process is to be.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// As whom it runs.
    pub user: User,
    /// Capabilities that it keeps.
    pub keep: CapabilitySet,
    /// The files that it may still open, to read; no other, nor any folder.
    pub readable: &'a [&'a Path],
}

/// How it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confined {
    /// As whom it runs.
    pub user: User,
    /// Capabilities that it has left.
    pub held: Vec<&'static str>,
    /// What could not be given up, and why: a line each.
    pub not_enforced: Vec<String>,
}

/// Gives up everything but this.
///
/// # Errors
/// When the process could not give up what it holds. It should end then.
pub fn confine(wanted: &Wanted<'_>) -> io::Result<Confined> {
    let mut not_enforced = Vec::new();
    // Before the user is changed, which takes the right to do it.
    not_enforced.extend(bound(wanted.keep)?);
    let may_change_user = user::become_user(&wanted.user, wanted.keep)?;
    if !may_change_user {
        not_enforced.push("the user stays as it is: CAP_SETUID and CAP_SETGID are missing".to_owned());
    }
    keep(wanted.keep)?;
    set_no_new_privs(true)?;
    not_enforced.extend(landlock::enforce(wanted.readable));
    Ok(Confined { user: User::own(), held: names(held()?), not_enforced })
}

/// What this kernel could not enforce of it, without giving up anything.
#[must_use]
pub fn limits() -> Option<String> {
    landlock::limits()
}
