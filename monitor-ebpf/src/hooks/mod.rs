//! The hooks, one file a family.

pub mod cgroup;
pub mod drops;
pub mod resolver;
pub mod retransmits;
pub mod traffic;
