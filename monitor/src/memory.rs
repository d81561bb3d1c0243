//! How the allocator treats memory that was given back.

/// Gives memory back to the system as soon as it is free.
///
/// A tick's flows are a few megabytes for some milliseconds. glibc would by default keep as much for the next time,
/// in an arena for each thread, and raise its own limits with every large piece: half as much again was resident with
/// 65,536 flows (`cargo xtask bench agent`). Elsewhere than on glibc nothing is done.
pub(crate) fn keep_little() {
    #[cfg(target_env = "gnu")]
    {
        /// Pieces from here on are mapped by themselves and unmapped when they are freed; glibc's own first value.
        const LARGE: i32 = 128 << 10;
        // SAFETY: the program has no other thread yet. A setting that is refused stays what it was.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
        }
    }
}
