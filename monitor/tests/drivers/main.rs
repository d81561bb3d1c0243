//! Every way in which Docker connects containers: what is counted of each, by which name, and what is said of those that
//! cannot be watched.
//!
//! Needs root, Docker and the testbox image.

mod agent;
mod bridge;
mod compose;
mod crossings;
mod crossings_overlay;
mod elsewhere;
mod heard;
mod host_mode;
mod inside;
mod overlay;
mod overlay_mtu;
mod plugin;
mod swarm;
mod swarm_services;
