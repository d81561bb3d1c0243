//! vethwatch: who talks to whom between containers, and does isolation really hold.
//!
//! The modules are layers; a lower one never imports a higher one (`tests/layers.rs` holds this):
//!
//! ```text
//! 0    model                                   plain types
//! 1    collector, inventory                    the kernel; Docker
//! 2–5  attribution, flows, policy, snapshot    pure
//! 6    engine                                  the owner of all changing state
//! 7    wire, view, recording                   the versioned JSON; the terminal; what the engine took in
//! 8–9  settings, run, cli                      composition
//! ```

pub mod model;

pub mod collector;
pub mod inventory;

pub mod attribution;
pub mod flows;
pub mod policy;
pub mod snapshot;

pub mod engine;

pub mod recording;
pub mod view;
pub mod wire;

pub mod cli;
pub mod doctor;
pub mod run;
pub mod settings;
