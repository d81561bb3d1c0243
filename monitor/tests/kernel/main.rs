//! The kernel programs, run by the kernel over packets made here. Needs root.
//!
//! `cargo test -p monitor --test kernel`. Nothing is attached to a real device: `BPF_PROG_TEST_RUN` hands each
//! packet to a program, and the tests read what it wrote into its maps.

mod claims;
mod events;
mod features;
mod packets;
mod pending;
mod read;
mod rig;
