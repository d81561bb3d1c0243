//! Parts of the programs' arrays, mapped to be read.
//!
//! Mapped only while they are read, because the kernel counts every mapped page as the agent's memory.

use rustix::fd::BorrowedFd;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;
use std::marker::PhantomData;
use std::ops::Range;
use std::{io, ptr, slice};
use zerocopy::{FromBytes, Immutable};

/// Some entries of an array whose entries are `T`, mapped to be read.
pub(super) struct Window<T> {
    address: *mut std::ffi::c_void,
    length: usize,
    /// Bytes of the first page before the first entry.
    before: usize,
    count: usize,
    entries: PhantomData<T>,
}

impl<T: FromBytes + Immutable> Window<T> {
    /// Maps some entries of an array that begins at a page, and that nobody writes as long as they are mapped.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(array: BorrowedFd<'_>, entries: Range<usize>) -> io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
        let (start, end) = (entries.start * size_of::<T>(), entries.end * size_of::<T>());
        let before = start % page_size();
        let first_page = start - before;
        let length = (end - first_page).next_multiple_of(page_size());
        // SAFETY: a new mapping at an address of the kernel's choice.
        let address = unsafe {
            mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, array, first_page as u64)
        }?;
        Ok(Self { address, length, before, count: entries.len(), entries: PhantomData })
    }

    /// The entries.
    pub(super) fn entries(&self) -> &[T] {
        // SAFETY: within the mapping, and aligned: an entry is made of words, and so is what is before it. Every bit
        // pattern is an entry, and nobody writes them.
        unsafe { slice::from_raw_parts(self.address.byte_add(self.before).cast(), self.count) }
    }
}

impl<T> Drop for Window<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nothing borrowed from it outlives this value. An error would mean that
        // it is not mapped, and there is nothing to do about that.
        let _ = unsafe { munmap(self.address, self.length) };
    }
}
