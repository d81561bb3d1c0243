//! vethwatch: who talks to whom between containers, and does isolation really hold.
//!
//! The modules are layers; a lower one never imports a higher one (`tests/layers.rs` holds this):
//!
//! ```text
//! 0    model, document, dns, confine           plain types; TOML that people write; names asked for; giving up rights
//! 1    collector, inventory                    the kernel; Docker
//! 2–5  attribution, flows, policy, snapshot    pure
//! 6    engine                                  the owner of all changing state
//! 7    wire, view, tui, recording, export      the versioned JSON; text; the live view; what the engine took in; metrics
//! 7    filter, capture, store                   what rows are looked for; packets in files; lines in files
//! 8–9  settings, helper, run, cli              composition
//! ```

pub mod confine;
pub mod dns;
pub mod document;
pub mod model;

pub mod collector;
pub mod inventory;

pub mod attribution;
pub mod flows;
pub mod policy;
pub mod snapshot;

pub mod engine;

pub mod filter;

pub mod capture;
pub mod export;
pub mod recording;
pub mod store;
pub mod tui;
pub mod view;
pub mod wire;

pub mod cli;
pub mod doctor;
pub mod helper;
pub mod run;
pub mod settings;
