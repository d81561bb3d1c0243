//! What is in a BPF map that a process holds open.

use anyhow::{Context as _, Result};
use std::fs;
use std::io::Error;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// Commands of bpf(2).
const MAP_GET_NEXT_KEY: libc::c_long = 4;
const MAP_GET_FD_BY_ID: libc::c_long = 14;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// The kernel's `union bpf_attr`, as these commands read it.
#[repr(C, align(8))]
#[derive(Default)]
struct Words([u32; 8]);

/// The beginning of the kernel's `struct bpf_map_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    _kind_and_id: [u32; 2],
    key_size: u32,
    _value_size_entries_and_flags: [u32; 3],
    name: [u8; 16],
}

/// How many entries the hash map of this name has that a process holds open.
///
/// # Errors
/// The process holds no such map, or this is not root.
pub fn map_entries(pid: u32, name: &str) -> Result<usize> {
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("listing its descriptors")? {
        // One that was closed meanwhile is no map that it holds.
        let Ok(about) = fs::read_to_string(entry?.path()) else { continue };
        let Some(id) = about.lines().find_map(|line| line.strip_prefix("map_id:")) else { continue };
        let map = open(id.trim().parse()?)?;
        let info = info(&map)?;
        let its: Vec<u8> = info.name.into_iter().take_while(|byte| *byte != 0).collect();
        if its == name.as_bytes() {
            return count(&map, info.key_size);
        }
    }
    anyhow::bail!("process {pid} holds no map called {name}")
}

fn open(id: u32) -> Result<OwnedFd> {
    let mut words = Words([id, 0, 0, 0, 0, 0, 0, 0]);
    let descriptor = call(MAP_GET_FD_BY_ID, &mut words).context("opening a map")?;
    // SAFETY: the kernel has just made it for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn info(map: &OwnedFd) -> Result<Info> {
    let mut info = Info::default();
    let [low, high] = halves(&raw mut info as u64);
    let mut words = Words([descriptor(map)?, u32::try_from(size_of::<Info>())?, low, high, 0, 0, 0, 0]);
    call(OBJ_GET_INFO_BY_FD, &mut words).context("asking about a map")?;
    Ok(info)
}

fn count(map: &OwnedFd, key_size: u32) -> Result<usize> {
    let size = usize::try_from(key_size)?;
    let (mut key, mut next) = (vec![0_u8; size], vec![0_u8; size]);
    for found in 0.. {
        // None asks for the first.
        let [low, high] = halves(if found == 0 { 0 } else { key.as_ptr() as u64 });
        let [to_low, to_high] = halves(next.as_mut_ptr() as u64);
        let mut words = Words([descriptor(map)?, 0, low, high, to_low, to_high, 0, 0]);
        match call(MAP_GET_NEXT_KEY, &mut words) {
            Ok(_) => key.copy_from_slice(&next),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(found),
            Err(error) => return Err(error).context("asking for a key"),
        }
    }
    unreachable!("a map has an end")
}

fn descriptor(of: &OwnedFd) -> Result<u32> {
    Ok(u32::try_from(of.as_raw_fd())?)
}

fn halves(pointer: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = pointer.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

fn call(command: libc::c_long, words: &mut Words) -> Result<i32, Error> {
    // SAFETY: the pointer and the length describe `words`; what it points to is alive and as long as the kernel writes.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *words, size_of::<Words>()) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap_or_default()) }
}
