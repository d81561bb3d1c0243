//! The hooks, one file a family.

pub mod cgroup;
pub mod drops;
pub mod inside;
pub mod resolver;
pub mod retransmits;
pub mod traffic;
