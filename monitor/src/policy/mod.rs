//! What is expected of a conversation, what became of it, and what of that a person should be told.
//!
//! Pure: no clock, no I/O. Facts come from [`crate::attribution`] and [`crate::flows`], evidence from the
//! collector's observations.

pub mod file;
mod names;
mod party;

pub use names::BUILT_IN;
pub use party::Party;
