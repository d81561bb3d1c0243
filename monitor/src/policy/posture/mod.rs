//! Posture: what the configuration itself says about isolation, without any traffic.
//!
//! [`look()`] is pure: from what Docker told to what stands now. [`Standings`] gives it identity, revisions and an end.

mod look;
mod neighbours;
mod rule;
mod standing;
mod standings;
mod words;

pub use look::{Look, look};
pub use rule::PostureRule;
pub use standing::{Standing, Subject};
pub use standings::Standings;

#[cfg(test)]
mod tests;
