//! The hooks, one file a family.

pub mod traffic;
