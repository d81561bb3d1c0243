//! A program that is not ours: it counts packets in a map of its own, loaded without any of our code.

use crate::rig::run;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;

/// Attach types of TCX: ingress and egress.
const TCX: [u32; 2] = [46, 47];

/// How many programs are on a device's two TCX hooks.
pub(crate) fn tcx_programs(ifindex: u32) -> [u64; 2] {
    TCX.map(|hook| {
        let mut query = [pair(ifindex, hook), 0, 0, 0, 0, 0, 0, 0];
        bpf(16, &mut query).expect("ask for the programs of a hook");
        query[3] & 0xffff_ffff
    })
}

/// The program and its map.
pub(crate) struct Foreign {
    map: OwnedFd,
    program: OwnedFd,
}

fn bpf(command: u32, attributes: &mut [u64]) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are alive and as long as said; what they point to is alive at every call below.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of_val(attributes)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(fd: libc::c_long) -> OwnedFd {
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap()) }
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// One instruction.
fn op(code: u8, registers: u8, offset: i16, immediate: i32) -> u64 {
    let [a, b] = offset.to_le_bytes();
    let [i, j, k, l] = immediate.to_le_bytes();
    u64::from_le_bytes([code, registers, a, b, i, j, k, l])
}

impl Foreign {
    /// Loads it. Its verdict is `verdict`.
    pub(crate) fn load(verdict: i32) -> Self {
        // An array with one value of eight bytes.
        let map = owned(bpf(0, &mut [pair(2, 4), pair(8, 1), 0]).unwrap());
        let program = [
            op(0x62, 0x0a, -4, 0),              // *(u32 *)(r10 - 4) = 0
            op(0xbf, 0xa2, 0, 0),               // r2 = r10
            op(0x07, 0x02, 0, -4),              // r2 += -4
            op(0x18, 0x11, 0, map.as_raw_fd()), // r1 = map
            0,                                  //
            op(0x85, 0, 0, 1),                  // r0 = lookup(r1, r2)
            op(0x15, 0x00, 2, 0),               // if r0 == 0 skip two
            op(0xb7, 0x01, 0, 1),               // r1 = 1
            op(0xdb, 0x10, 0, 0),               // lock *(u64 *)r0 += r1
            op(0xb7, 0x00, 0, verdict),         // r0 = verdict
            op(0x95, 0, 0, 0),                  // exit
        ];
        let license = c"GPL";
        let count = u32::try_from(program.len()).unwrap();
        // BPF_PROG_TYPE_SCHED_CLS.
        let mut load = [pair(3, count), program.as_ptr() as u64, license.as_ptr() as u64, 0, 0, 0];
        Self { map, program: owned(bpf(5, &mut load).expect("load a foreign program")) }
    }

    /// Puts it at the end of a device's TCX ingress hook; it stays as long as the descriptor.
    pub(crate) fn attach(&self, ifindex: u32) -> OwnedFd {
        let program = u32::try_from(self.program.as_raw_fd()).unwrap();
        owned(bpf(28, &mut [pair(program, ifindex), pair(TCX[0], 0), 0, 0]).expect("attach"))
    }

    /// Puts it on a device's clsact ingress hook, through a file in `bpffs`.
    pub(crate) fn add_filter(&self, bpffs: &Path, device: &str, priority: u16) {
        let file = bpffs.join(format!("{device}-{priority}"));
        let name = CString::new(file.to_str().unwrap()).unwrap();
        let program = u64::from(u32::try_from(self.program.as_raw_fd()).unwrap());
        bpf(6, &mut [name.as_ptr() as u64, program, 0]).expect("pin");
        let filter = format!("ingress prio {priority} bpf da object-pinned {}", file.display());
        run(&format!("tc filter add dev {device} {filter}"));
        std::fs::remove_file(file).unwrap();
    }

    /// Packets it has seen.
    pub(crate) fn count(&self) -> u64 {
        let (key, mut value) = (0_u32, 0_u64);
        let map = u64::from(u32::try_from(self.map.as_raw_fd()).unwrap());
        bpf(1, &mut [map, std::ptr::from_ref(&key) as u64, std::ptr::from_mut(&mut value) as u64, 0])
            .unwrap();
        value
    }
}
