//! A filter on a socket that hears of entries: the kernel hands over only those it translates, so that the others
//! neither wake the thread nor take room in the socket's buffer.
//!
//! It is a saving and nothing rests on it: what comes through is looked at again.

use super::message::{DESTINATION_CHANGED, SOURCE_CHANGED, STATUS};
use rustix::fd::{AsRawFd, BorrowedFd};
use std::io;

/// Where the attributes are: behind `struct nlmsghdr` and `struct nfgenmsg`.
const ATTRIBUTES: u32 = 16 + 4;
/// Loads where in the message the attribute is whose kind is in X, looking from offset A on; 0 if it is not there.
const FIND_ATTRIBUTE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_NLATTR).cast_unsigned();
/// An attribute's length and kind.
const ATTRIBUTE_HEADER: u32 = 4;
const WHOLE: u32 = u32::MAX;

/// Lets through what has one of the bits of a translation in its status word. (A message is never in pieces here,
/// so a load cannot miss; if it did, the message would not come through.)
fn program() -> [libc::sock_filter; 9] {
    let load = libc::BPF_LD | libc::BPF_W;
    [
        step(libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM, STATUS.into()),
        step(libc::BPF_LD | libc::BPF_IMM, ATTRIBUTES),
        step(load | libc::BPF_ABS, FIND_ATTRIBUTE),
        // Without a status word it is not for the filter to say.
        jump(libc::BPF_JEQ, 0, 3, 0),
        step(libc::BPF_MISC | libc::BPF_TAX, 0),
        step(load | libc::BPF_IND, ATTRIBUTE_HEADER),
        jump(libc::BPF_JSET, SOURCE_CHANGED | DESTINATION_CHANGED, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, WHOLE),
        step(libc::BPF_RET | libc::BPF_K, 0),
    ]
}

fn step(code: u32, k: u32) -> libc::sock_filter {
    jump_to(code, k, 0, 0)
}

/// Skips `yes` or `no` steps.
fn jump(condition: u32, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    jump_to(libc::BPF_JMP | condition | libc::BPF_K, k, yes, no)
}

fn jump_to(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).expect("codes are of one byte"), jt, jf, k }
}

/// Puts it on a socket.
///
/// # Errors
/// What the kernel says.
pub(super) fn attach(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut program = program();
    let value = libc::sock_fprog {
        len: u16::try_from(program.len()).expect("the program is short"),
        filter: program.as_mut_ptr(),
    };
    let length = libc::socklen_t::try_from(size_of_val(&value)).expect("a small struct");
    // SAFETY: the kernel reads `length` bytes of `value` and `len` steps behind its pointer, and copies them; both
    // live until the call returns, and the socket is open.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{UDP_GONE, UDP_NEW, UDP_PLAIN, bytes};
    use super::attach;
    use rustix::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    /// A filter does not know what kind of socket it is on.
    fn check(message: &[u8], expected: bool) {
        let (from, to) = UnixDatagram::pair().unwrap();
        attach(to.as_fd()).unwrap();
        to.set_nonblocking(true).unwrap();
        from.send(message).unwrap();
        let mut received = [0; 512];
        let length = to.recv(&mut received);
        assert_eq!(length.is_ok(), expected, "{message:x?}");
        assert!(length.map_or(true, |length| received[..length] == *message));
    }

    #[test]
    fn only_what_is_translated_comes_through() {
        check(&bytes(UDP_NEW), true);
        check(&bytes(UDP_GONE), true);
        check(&bytes(UDP_PLAIN), false);
    }

    #[test]
    fn what_has_no_status_comes_through() {
        check(&bytes(&UDP_PLAIN.replace("0800030000000188", "0800500000000188")), true);
        check(&bytes(UDP_PLAIN)[..24], true);
    }
}
