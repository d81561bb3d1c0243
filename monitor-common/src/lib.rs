//! What the kernel programs and the agent both say.
//!
//! Every type here crosses the boundary between kernel and user space as plain bytes, so each one is
//! `repr(C)`, has no hidden padding (the zerocopy derives refuse it) and states its size in an assertion
//! beside it. Nothing above the agent's `collector::decode` knows these types.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod capture;
pub mod claims;
pub mod counters;
pub mod dns;
pub mod drops;
pub mod event;
pub mod failure;
pub mod flow;
pub mod flow_table;
pub mod interface;
pub mod loss;
pub mod packet;
pub mod pending;
pub mod retransmits;
pub mod settings;
