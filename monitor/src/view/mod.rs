//! The terminal: screens and tables as text. Pure: what is drawn depends on a snapshot and a [`Frame`] alone.
//!
//! Rows are computed first and laid out second (`table`), so that what is shown and how wide it is never mix.
//! Widths are those of a terminal, where a Chinese character takes two columns and an accent none.

mod containers;
mod dns;
mod doctor;
mod failures;
mod findings;
mod flows;
mod footer;
mod header;
mod history;
mod latency;
pub(crate) mod names;
mod networks;
mod page;
mod pairs;
mod peers;
mod policy;
mod services;
mod standing;
pub(crate) mod style;
mod table;
mod top;
pub(crate) mod units;
mod why;

pub use containers::containers;
pub use dns::NameLines;
pub use doctor::doctor;
pub(crate) use failures::error as icmp_error;
pub use failures::failures;
pub use findings::finding;
pub use flows::{FlowLines, capture_ended, flows_ended};
pub use history::{course, left_out, past_between, past_containers, past_heading, past_names};
pub use latency::latency;
pub use networks::{networks, past_networks};
pub use pairs::pairs;
pub use policy::policy_explanation;
pub use services::services;
pub use standing::standing;
pub use style::{Frame, Line};
pub use top::top;
pub use units::duration;
pub use why::why;

#[cfg(test)]
mod tests;
