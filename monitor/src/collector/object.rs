//! The compiled kernel programs, as committed in `monitor/bpf/`.
//!
//! The agent embeds them, so that building it needs neither a nightly compiler nor a BPF linker. They are made
//! from `monitor-ebpf` by `cargo xtask ebpf`, which also writes the manifest beside them: what made them, from
//! which sources.

/// The ELF object, aligned as the loader wants it.
pub(super) const OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/vethwatch.o"));
