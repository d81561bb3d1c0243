//! Scripted scenarios: what the collector and the inventory would tell, in and out of order, and the snapshots and
//! records that come of it. No kernel, no Docker, no clock.
#![expect(clippy::unwrap_used, reason = "these are all tests; a panic is how one fails")]

mod absence;
mod asked;
mod bounds;
mod failures;
mod history;
mod host_network;
mod inside;
mod life;
mod naming;
mod pairs;
mod posture;
mod property;
mod rules_change;
mod services;
mod swarm;
mod translated;
mod why;
mod world;
