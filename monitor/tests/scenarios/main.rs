//! Scripted scenarios: what the collector and the inventory would tell, in and out of order, and the snapshots and
//! records that come of it. No kernel, no Docker, no clock.

mod bounds;
mod life;
mod naming;
mod property;
mod world;
