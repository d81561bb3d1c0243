//! Filters on the clsact qdisc, where the kernel has no TCX or the user asked for it.
//!
//! Ours are told by their handle and their name; nothing else is ever removed.

use crate::collector::netlink::{
    CREATE_NEW, Netlink, REPLACE, Request, attributes, attributes_after, i32_at, kind, text, u32_at,
};
use rustix::fd::{AsRawFd, BorrowedFd};
use std::io;

/// Length of `struct tcmsg`.
pub(super) const HEADER: usize = 20;
/// The qdisc's handle, and the parent it hangs on.
const CLSACT_HANDLE: u32 = 0xffff_0000;
const CLSACT_PARENT: u32 = 0xffff_fff1;
/// `ETH_P_ALL` in network order, as the lower half of `tcm_info`.
const ALL_PROTOCOLS: u32 = 0x0003_u16.to_be() as u32;
/// A filter that is not first may never see what those before it end, so the lowest priority that is free or
/// holds only BPF filters is taken (the kernel puts a new one first among those).
const PRIORITIES: std::ops::RangeInclusive<u16> = 1..=32;

/// Attributes.
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
/// `TCA_BPF_FLAG_ACT_DIRECT`.
const DIRECT_ACTION: u32 = 1;

/// A hook of the clsact qdisc, as the parent of its filters.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// What enters the host through the device.
    Ingress = 0xffff_fff2,
    /// What leaves through it.
    Egress = 0xffff_fff3,
}

/// A filter of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) ifindex: u32,
    pub(super) hook: Hook,
    pub(super) priority: u16,
    pub(super) handle: u32,
}

/// A filter of anybody's, as a list tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) filter: Filter,
    /// Empty where it is no BPF filter or has none.
    pub(super) name: String,
}

fn header(ifindex: u32, handle: u32, parent: u32, info: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    for (at, word) in [(4, ifindex), (8, handle), (12, parent), (16, info)] {
        header[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    header
}

fn info(priority: u16) -> u32 {
    u32::from(priority) << 16 | ALL_PROTOCOLS
}

/// Makes the qdisc. `false`: there is one already, and it stays as it is.
///
/// # Errors
/// What the kernel says.
pub(super) fn make_qdisc(netlink: &mut Netlink, ifindex: u32) -> io::Result<bool> {
    let header = header(ifindex, CLSACT_HANDLE, CLSACT_PARENT, 0);
    match netlink.command(Request::new(kind::NEW_QDISC, CREATE_NEW, &header).text(TCA_KIND, "clsact")) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the qdisc, with everything on it.
///
/// # Errors
/// What the kernel says.
pub(super) fn remove_qdisc(netlink: &mut Netlink, ifindex: u32) -> io::Result<()> {
    netlink.command(Request::new(kind::DELETE_QDISC, 0, &header(ifindex, CLSACT_HANDLE, CLSACT_PARENT, 0)))
}

/// Puts a program on a hook.
///
/// # Errors
/// What the kernel says.
pub(super) fn add(
    netlink: &mut Netlink,
    ifindex: u32,
    hook: Hook,
    handle: u32,
    name: &str,
    program: BorrowedFd<'_>,
) -> io::Result<Filter> {
    let mut refusal = io::Error::from_raw_os_error(libc::ENOSPC);
    for priority in PRIORITIES {
        let header = header(ifindex, handle, hook as u32, info(priority));
        let request = Request::new(kind::NEW_FILTER, CREATE_NEW, &header);
        match netlink.command(with_program(request, name, program)) {
            Ok(()) => return Ok(Filter { ifindex, hook, priority, handle }),
            // Another kind of filter, or one for another protocol, has this priority.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSPC)) => {
                refusal = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(refusal)
}

/// Puts another program in a filter's place.
///
/// # Errors
/// What the kernel says.
pub(super) fn replace(
    netlink: &mut Netlink,
    filter: &Filter,
    name: &str,
    program: BorrowedFd<'_>,
) -> io::Result<()> {
    let header = header(filter.ifindex, filter.handle, filter.hook as u32, info(filter.priority));
    netlink.command(with_program(Request::new(kind::NEW_FILTER, REPLACE, &header), name, program))
}

/// A request about a filter with this program.
fn with_program(request: Request, name: &str, program: BorrowedFd<'_>) -> Request {
    request.text(TCA_KIND, "bpf").nest(TCA_OPTIONS, |options| {
        options
            .attribute(TCA_BPF_FD, &program.as_raw_fd().to_ne_bytes())
            .text(TCA_BPF_NAME, name)
            .attribute(TCA_BPF_FLAGS, &DIRECT_ACTION.to_ne_bytes())
    })
}

/// Removes a filter; that it or its device is gone already is no error.
///
/// # Errors
/// What the kernel says.
pub(super) fn remove(netlink: &mut Netlink, filter: &Filter) -> io::Result<()> {
    let header = header(filter.ifindex, filter.handle, filter.hook as u32, info(filter.priority));
    match netlink.command(Request::new(kind::DELETE_FILTER, 0, &header).text(TCA_KIND, "bpf")) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::EINVAL)) => {
            Ok(())
        }
        result => result,
    }
}

/// ifindexes of the devices that have a clsact qdisc.
///
/// # Errors
/// What the kernel says.
pub(super) fn devices(netlink: &mut Netlink) -> io::Result<Vec<u32>> {
    netlink.dump(&Request::new(kind::GET_QDISC, 0, &header(0, 0, 0, 0)), |message| {
        let clsact = attributes_after(message.body, HEADER)
            .any(|(kind, value)| kind == TCA_KIND && text(value) == b"clsact");
        (message.kind == kind::NEW_QDISC && clsact).then(|| u32_at(message.body, 4)).flatten()
    })
}

/// The filters of a device, on both hooks.
///
/// # Errors
/// What the kernel says.
pub(super) fn filters(netlink: &mut Netlink, ifindex: u32) -> io::Result<Vec<Listed>> {
    let mut filters = Vec::new();
    for hook in [Hook::Ingress, Hook::Egress] {
        let request = Request::new(kind::GET_FILTER, 0, &header(ifindex, 0, hook as u32, 0));
        filters.extend(netlink.dump(&request, |message| {
            (message.kind == kind::NEW_FILTER).then(|| listed(message.body, hook)).flatten()
        })?);
    }
    Ok(filters)
}

fn listed(body: &[u8], hook: Hook) -> Option<Listed> {
    let ifindex = u32::try_from(i32_at(body, 4)?).ok()?;
    let priority = u16::try_from(u32_at(body, 16)? >> 16).ok()?;
    let filter = Filter { ifindex, hook, priority, handle: u32_at(body, 8)? };
    let name = attributes_after(body, HEADER)
        .filter(|(kind, _)| *kind == TCA_OPTIONS)
        .flat_map(|(_, options)| attributes(options))
        .find(|(kind, _)| *kind == TCA_BPF_NAME)
        .map(|(_, name)| String::from_utf8_lossy(text(name)).into_owned());
    Some(Listed { filter, name: name.unwrap_or_default() })
}
