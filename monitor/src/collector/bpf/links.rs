//! Links: programs at devices and at control groups.

use super::{InfoQuery, address_mut, bpf, command, number, owned};
use rustix::fd::{BorrowedFd, OwnedFd};
use std::io;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `BPF_LINK_TYPE_TCX`.
const LINK_TYPE_TCX: u32 = 11;
/// Put a program before all others of its hook.
const BEFORE: u32 = 1 << 3;

/// A hook of TCX, as the kernel numbers attach types.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collector) enum TcxHook {
    /// `BPF_TCX_INGRESS`.
    Ingress = 46,
    /// `BPF_TCX_EGRESS`.
    Egress = 47,
}

/// A hook of a control group, as the kernel numbers attach types.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collector) enum GroupHook {
    /// `BPF_CGROUP_INET_INGRESS`.
    Received = 0,
    /// `BPF_CGROUP_INET_EGRESS`.
    Sent = 1,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct LinkCreate {
    program: u32,
    /// An ifindex, or the descriptor of a control group.
    target: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    pad: u32,
    expected_revision: u64,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct LinkUpdate {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
}

/// The head of `struct bpf_link_info`, of a TCX link.
#[repr(C)]
#[derive(Default, FromBytes, IntoBytes, Immutable)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program_id: u32,
    pad: u32,
    ifindex: u32,
    attach_type: u32,
}

#[repr(C)]
#[derive(Default, IntoBytes, Immutable)]
struct ProgramQuery {
    ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    program_ids: u64,
    count: u32,
    pad: u32,
    attach_flags_of: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

/// The head of `struct bpf_link_info`, of a link to a control group.
#[repr(C)]
#[derive(Default, FromBytes, IntoBytes, Immutable)]
struct GroupLinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    group: u64,
}

/// Attaches a program to a device's TCX hook, before all others there. It stays as long as the descriptor is open.
///
/// The program runs at once, but the call (and closing the descriptor) returns only after an RCU grace period, some
/// 14 ms at 250 Hz, during which the kernel holds the lock that all changes of links need. A clsact filter has no
/// such wait.
///
/// # Errors
/// `EINVAL` where the kernel has no TCX, `ENODEV` when the device is gone.
pub(in crate::collector) fn tcx_attach(
    program: BorrowedFd<'_>,
    ifindex: u32,
    hook: TcxHook,
) -> io::Result<OwnedFd> {
    let mut create = LinkCreate {
        program: number(program),
        target: ifindex,
        attach_type: hook as u32,
        flags: BEFORE,
        ..LinkCreate::default()
    };
    // SAFETY: no addresses inside.
    unsafe { bpf(command::LINK_CREATE, &mut create) }.map(owned)
}

/// Attaches a program to a control group and those below it, beside whatever is there. It stays as long as the descriptor is
/// open.
///
/// # Errors
/// What the kernel says.
pub(in crate::collector) fn group_attach(
    program: BorrowedFd<'_>,
    group: BorrowedFd<'_>,
    hook: GroupHook,
) -> io::Result<OwnedFd> {
    let mut create = LinkCreate {
        program: number(program),
        target: number(group),
        attach_type: hook as u32,
        ..LinkCreate::default()
    };
    // SAFETY: no addresses inside.
    unsafe { bpf(command::LINK_CREATE, &mut create) }.map(owned)
}

/// The device that a TCX link of this hook is at; `None` when that is gone, or it is another kind of link.
///
/// # Errors
/// What the kernel says.
pub(in crate::collector) fn tcx_device(link: BorrowedFd<'_>, hook: TcxHook) -> io::Result<Option<u32>> {
    let mut info = LinkInfo::default();
    let mut query = InfoQuery {
        fd: number(link),
        length: u32::try_from(size_of::<LinkInfo>()).expect("a struct of a few words"),
        info: address_mut(&mut info),
    };
    // SAFETY: `info` is alive and as long as said.
    unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut query) }?;
    let is_ours = info.kind == LINK_TYPE_TCX && info.attach_type == hook as u32;
    Ok(Some(info.ifindex).filter(|ifindex| is_ours && *ifindex != 0))
}

/// Puts another program in a link's place: every packet is seen by the one or by the other.
///
/// # Errors
/// `ENOLINK` when the link's device is gone.
pub(in crate::collector) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut update = LinkUpdate { link: number(link), program: number(program), ..LinkUpdate::default() };
    // SAFETY: no addresses inside.
    unsafe { bpf(command::LINK_UPDATE, &mut update) }.map(drop)
}

/// The id of the control group at which a link holds its program; `None` when the group is gone.
///
/// # Errors
/// What the kernel says: an older one may want a right for the question.
pub(in crate::collector) fn group_of(link: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let mut info = GroupLinkInfo::default();
    let mut query = InfoQuery {
        fd: number(link),
        length: u32::try_from(size_of::<GroupLinkInfo>()).expect("a struct of a few words"),
        info: address_mut(&mut info),
    };
    // SAFETY: `info` is alive and as long as said.
    unsafe { bpf(command::OBJ_GET_INFO_BY_FD, &mut query) }?;
    Ok((info.group != 0).then_some(info.group))
}

/// Whether the kernel has TCX, asked of a device's hook without changing anything.
pub(in crate::collector) fn has_tcx(ifindex: u32) -> bool {
    let mut query = ProgramQuery { ifindex, attach_type: TcxHook::Ingress as u32, ..ProgramQuery::default() };
    // SAFETY: no addresses inside: with a count of 0 the kernel writes no ids.
    unsafe { bpf(command::PROG_QUERY, &mut query) }.is_ok()
}
