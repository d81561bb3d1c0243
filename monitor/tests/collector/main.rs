//! The collector against real devices, as root, in network namespaces of the tests' own.
//!
//! `cargo test -p monitor --test collector`, with `-- --nocapture` for the figures of `speed`.

mod devices;
mod exact;
mod foreign;
mod neighbours;
mod rig;
mod speed;
