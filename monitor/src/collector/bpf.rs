//! The calls of `bpf(2)` that aya does not offer: per-CPU reads into a buffer that is kept ([`maps`]), many entries at once ([`batch`]), TCX links by ifindex
//! ([`links`]), and pins of both.

mod batch;
mod links;
mod maps;

pub(super) use links::{
    GroupHook, TcxHook, group_attach, group_of, has_tcx, link_update, tcx_attach, tcx_device,
};
pub(super) use maps::{GraceMap, Map, PerCpu};

use rustix::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use zerocopy::{Immutable, IntoBytes};

/// Commands of `bpf(2)`.
mod command {
    pub(super) const MAP_CREATE: u32 = 0;
    pub(super) const MAP_LOOKUP_ELEM: u32 = 1;
    pub(super) const MAP_UPDATE_ELEM: u32 = 2;
    pub(super) const MAP_DELETE_ELEM: u32 = 3;
    pub(super) const MAP_GET_NEXT_KEY: u32 = 4;
    pub(super) const OBJ_PIN: u32 = 6;
    pub(super) const OBJ_GET: u32 = 7;
    pub(super) const OBJ_GET_INFO_BY_FD: u32 = 15;
    pub(super) const PROG_QUERY: u32 = 16;
    pub(super) const MAP_LOOKUP_BATCH: u32 = 24;
    pub(super) const MAP_DELETE_BATCH: u32 = 27;
    pub(super) const LINK_CREATE: u32 = 28;
    pub(super) const LINK_UPDATE: u32 = 29;
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct InfoQuery {
    fd: u32,
    length: u32,
    info: u64,
}

/// The raw call. `attributes` may hold addresses the kernel writes to; the caller answers for them.
///
/// # Safety
/// Every address in `attributes` must be valid for what `command` does with it.
unsafe fn bpf<T: IntoBytes>(command: u32, attributes: &mut T) -> io::Result<u32> {
    // SAFETY: the attributes are a live value of the length given; the caller answers for the addresses inside.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[expect(clippy::cast_sign_loss, reason = "an open file descriptor is not negative")]
fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// Takes a file descriptor the kernel has just made for us.
#[expect(clippy::cast_possible_wrap, reason = "the kernel gave it as a non-negative int")]
fn owned(fd: u32) -> OwnedFd {
    // SAFETY: the kernel has just made it and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

fn address<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<()>() as u64
}

fn address_mut<T: ?Sized>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).cast::<()>() as u64
}

/// How often a program did not run because it was running on the same CPU already (`recursion_misses` of `struct
/// bpf_prog_info`).
///
/// # Errors
/// What the kernel says.
pub(super) fn missed_runs(program: BorrowedFd<'_>) -> io::Result<u64> {
    const MISSES: usize = 208 / 8;
    let mut info = [0_u64; MISSES + 1];
    let mut query = InfoQuery {
        fd: number(program),
        length: u32::try_from(size_of_val(&info)).expect("an array of a few words"),
        info: address_mut(&mut info),
    };
    // SAFETY: `info` is alive and as long as said; all addresses and lengths in it are zero.
    unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut query) }?;
    Ok(info[MISSES])
}

/// Pins a map or a link at a path of the BPF file system: it stays when nobody has it open.
///
/// # Errors
/// What the kernel says.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut pin = Object { path: path.as_ptr() as u64, fd: number(object), flags: 0 };
    // SAFETY: the path is alive and ends in a zero.
    unsafe { bpf(command::OBJ_PIN, &mut pin) }.map(drop)
}

/// Opens what is pinned at a path.
///
/// # Errors
/// What the kernel says.
pub(super) fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut get = Object { path: path.as_ptr() as u64, ..Object::default() };
    // SAFETY: the path is alive and ends in a zero.
    unsafe { bpf(command::OBJ_GET, &mut get) }.map(owned)
}
