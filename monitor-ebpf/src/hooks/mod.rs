//! The hooks, one file a family.

pub mod drops;
pub mod traffic;
