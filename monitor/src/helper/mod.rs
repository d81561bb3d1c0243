//! The helper: a process beside the agent's main one that keeps the rights, while main gives up all of them.
//!
//! ```text
//! main (no right) ─Request─▶ helper ─▶ kernel: attach, detach, ask for others' devices and for translations
//!        ◀──Answer, descriptors──┘ ├─▶ files, sockets and addresses that the settings name
//!                                  └─▶ Docker: GET, of what the inventory asks for
//! ```
//!
//! Main may be anybody's by the time that it asks. So a request is data with a bounded size, each of its fields is
//! checked here, and what the settings name is what the helper reads in them, not what main says. It remembers nothing
//! that another helper could not find out: it may die at any time, and the guard starts another one.

pub mod channel;
mod client;
mod counter;
mod guard;
mod listen;
pub mod message;
mod named;
mod office;
mod place;
mod serve;

pub use client::{Helper, Lane};
pub use guard::start;
#[cfg(test)]
pub(crate) use listen::bound;
pub use office::Office;
pub use serve::serve_lane;
