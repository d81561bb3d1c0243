//! DNS: questions and answers that were copied from packets, decoded and matched with each other.
//!
//! Every byte of it is a container's, or that of whoever answers it: what cannot be decoded is counted, and all that is
//! kept is bounded, for each place where questions are seen and in all.

mod listener;
mod message;
mod streams;

pub use listener::{Heard, Listener, Lost};
pub use message::{Answered, Asked, Message, decode};
pub use streams::Segment;

#[cfg(test)]
mod tests;
