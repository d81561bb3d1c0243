//! The collector against real devices, as root, in network namespaces of the tests' own.
//!
//! `cargo test -p monitor --test collector`, with `-- --nocapture` for the figures of `speed`.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod devices;
mod drops;
mod exact;
mod foreign;
mod inside;
mod neighbours;
mod rig;
mod speed;
mod translations;
mod undisturbed;
