//! What is expected of a conversation, what became of it, and what of that a person should be told.
//!
//! Pure: no clock, no I/O. Facts come from [`crate::attribution`] and [`crate::flows`], evidence from the
//! collector's observations.

mod case;
mod claims;
mod drops;
mod explain;
pub mod file;
mod findings;
pub mod hops;
mod inquiry;
mod judge;
mod names;
mod opening;
mod outcome;
mod pairs;
mod party;
mod ports;
pub mod posture;
mod rules;
mod silent;
mod testimony;
mod wrong_mtu;

pub use case::{Around, Seen, Verdict};
pub use findings::{Finding, Kind, Severity};
pub use inquiry::{
    Answer, Asked, AskedEnd, ByHand, Conversation, Decision, Heading, Leg, Look, Place, PlaceInterface,
    Stopped, Way,
};
pub use judge::{InquiryId, Judge};
pub use names::BUILT_IN;
pub use outcome::{Evidence, Outcome, why};
pub use party::{InSwarm, Party};
pub use rules::{Expected, Judgement, Question, Rule, RuleName, judge};
pub use silent::SilentReplica;
pub use wrong_mtu::WrongMtu;
