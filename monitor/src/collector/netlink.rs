//! Just enough netlink: requests, answers, dumps and attributes, read without copying.
//!
//! Only the attributes asked for are looked at, so a newer kernel's unknown ones cost nothing.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink, recv, send,
    socket_with, sockopt,
};
use std::{io, time::Duration};

/// Message types of rtnetlink.
pub(super) mod kind {
    pub(in super::super) const NEW_LINK: u16 = 16;
    pub(in super::super) const DELETE_LINK: u16 = 17;
    pub(in super::super) const GET_LINK: u16 = 18;
    pub(in super::super) const NEW_ADDRESS: u16 = 20;
    pub(in super::super) const DELETE_ADDRESS: u16 = 21;
    pub(in super::super) const GET_ADDRESS: u16 = 22;
    pub(in super::super) const NEW_QDISC: u16 = 36;
    pub(in super::super) const DELETE_QDISC: u16 = 37;
    pub(in super::super) const GET_QDISC: u16 = 38;
    pub(in super::super) const NEW_FILTER: u16 = 44;
    pub(in super::super) const DELETE_FILTER: u16 = 45;
    pub(in super::super) const GET_FILTER: u16 = 46;
    pub(in super::super) const NEW_NAMESPACE: u16 = 88;
    pub(in super::super) const GET_NAMESPACE: u16 = 90;
    pub(in super::super) const NEW_STATS: u16 = 92;
    pub(in super::super) const GET_STATS: u16 = 94;
}

/// Groups of rtnetlink's notifications, as bits of the address a socket is bound to.
pub(super) mod group {
    pub(in super::super) const LINK: u32 = 1;
    pub(in super::super) const IPV4_ADDRESS: u32 = 1 << 4;
    pub(in super::super) const IPV6_ADDRESS: u32 = 1 << 8;
}

/// Flags of a request that makes something new.
pub(super) const CREATE_NEW: u16 = 0x400 | 0x200;
/// `NLM_F_REPLACE`: what is there is replaced.
pub(super) const REPLACE: u16 = 0x100;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
/// A dump during which the list changed.
const DUMP_INTERRUPTED: u16 = 0x10;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER: usize = 16;
const NESTED: u16 = 1 << 15;
/// The kernel never sends more in one go.
const BUFFER: usize = 64 * 1024;
/// How often a dump that was interrupted is asked for again.
const DUMP_TRIES: usize = 3;
/// The kernel answers at once; this only keeps a thread from hanging on a kernel that does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request being written.
#[derive(Clone, Debug)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// Begins a request with the fixed header of its kind.
    pub(super) fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut message = vec![0; HEADER];
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
        message.extend_from_slice(header);
        Self(message)
    }

    /// Adds an attribute.
    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).expect("our own attributes are short");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a text with its closing zero.
    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute that holds the ones `fill` adds.
    pub(super) fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        let mut whole = fill(self);
        let length = u16::try_from(whole.0.len() - start).expect("our own attributes are short");
        whole.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        whole.0[start + 2..start + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
        whole
    }

    /// The whole message.
    pub(super) fn finish(mut self, flags: u16, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("our own requests are short");
        let flags = flags | u16::from_ne_bytes([self.0[6], self.0[7]]);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// A received message: what follows the netlink header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// One of [`kind`], for rtnetlink.
    pub(super) kind: u16,
    flags: u16,
    sequence: u32,
    /// Fixed header and attributes.
    pub(super) body: &'a [u8],
}

/// Splits what one receive brought into its messages; stops where the lengths make no sense.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(bytes, 0)? as usize;
        let body = bytes.get(HEADER..length)?;
        let message =
            Message { kind: u16_at(bytes, 4)?, flags: u16_at(bytes, 6)?, sequence: u32_at(bytes, 8)?, body };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in `bytes`, as (kind, value); stops where the lengths make no sense.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The attributes behind a fixed header of `header` bytes.
pub(super) fn attributes_after(body: &[u8], header: usize) -> impl Iterator<Item = (u16, &[u8])> {
    attributes(body.get(header..).unwrap_or_default())
}

/// A number of the machine's byte order.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// A number of the machine's byte order.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// A number of the machine's byte order.
pub(super) fn i32_at(bytes: &[u8], offset: usize) -> Option<i32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

/// A number of the machine's byte order.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

/// A text up to its closing zero.
pub(super) fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Which part of the kernel a socket talks to. `None` is rtnetlink, whose number is 0.
type Partner = Option<Protocol>;

fn open(partner: Partner, flags: SocketFlags, groups: u32) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, partner)?;
    bind(&socket, &netlink::SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// A socket to ask on. Each thread has its own.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens one to rtnetlink.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open() -> io::Result<Self> {
        Self::open_to(None)
    }

    /// Opens one to netfilter.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open_netfilter() -> io::Result<Self> {
        Self::open_to(Some(netlink::NETFILTER))
    }

    fn open_to(partner: Partner) -> io::Result<Self> {
        let socket = open(partner, SocketFlags::empty(), 0)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Asks for one thing or commands one; `each` gets the answers.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn ask(&mut self, request: Request, mut each: impl FnMut(Message<'_>)) -> io::Result<()> {
        self.exchange(request, ACKNOWLEDGE, &mut each).map(drop)
    }

    /// Commands something that has no answer but yes or no.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn command(&mut self, request: Request) -> io::Result<()> {
        self.ask(request, |_| ())
    }

    /// Asks for a list. `restart` is called before each try; a list that changed meanwhile is asked for again.
    ///
    /// # Errors
    /// What the kernel says, or when the list never held still; what was told until then was told.
    pub(super) fn dump<T>(
        &mut self,
        request: &Request,
        mut read: impl FnMut(Message<'_>) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut list = Vec::new();
        for _ in 0..DUMP_TRIES {
            list.clear();
            let whole = self.exchange(request.clone(), DUMP, &mut |message| list.extend(read(message)))?;
            if whole {
                return Ok(list);
            }
        }
        // It changed each time; every change is announced to whoever listens, so the list is good enough.
        Ok(list)
    }

    /// Has somebody else ask at this socket, who may ask what this process may not: a request with the number that
    /// `ask` is given. `each` gets the answers.
    ///
    /// # Errors
    /// What the kernel says, or who asks.
    pub(super) fn ask_by(
        &mut self,
        ask: impl FnOnce(u32) -> io::Result<()>,
        mut each: impl FnMut(Message<'_>),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        ask(self.sequence)?;
        self.answers(&mut each).map(drop)
    }

    /// One request and everything that answers it. Whether the answer is of one piece.
    fn exchange(
        &mut self,
        request: Request,
        flags: u16,
        each: &mut dyn FnMut(Message<'_>),
    ) -> io::Result<bool> {
        self.sequence = self.sequence.wrapping_add(1);
        send(&self.socket, &request.finish(flags, self.sequence), SendFlags::empty())?;
        self.answers(each)
    }

    /// Everything that answers the latest request.
    fn answers(&mut self, each: &mut dyn FnMut(Message<'_>)) -> io::Result<bool> {
        let mut whole = true;
        loop {
            let (_, length) = recv(&self.socket, &mut *self.buffer, RecvFlags::empty())?;
            let received = self.buffer.get(..length).unwrap_or(&self.buffer);
            for message in messages(received).filter(|message| message.sequence == self.sequence) {
                whole &= message.flags & DUMP_INTERRUPTED == 0;
                match message.kind {
                    DONE | ERROR => match i32_at(message.body, 0) {
                        Some(code) if code < 0 => return Err(io::Error::from_raw_os_error(-code)),
                        _ => return Ok(whole),
                    },
                    _ => each(message),
                }
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Asks for one thing at a socket that somebody else reads.
///
/// # Errors
/// What the kernel says.
pub(super) fn ask_at(socket: impl AsFd, request: Request, sequence: u32) -> io::Result<()> {
    Ok(send(socket, &request.finish(ACKNOWLEDGE, sequence), SendFlags::empty()).map(drop)?)
}

/// Asks for a list at a socket that somebody else reads.
///
/// # Errors
/// What the kernel says.
pub(super) fn dump_at(socket: impl AsFd, request: Request, sequence: u32) -> io::Result<()> {
    Ok(send(socket, &request.finish(DUMP, sequence), SendFlags::empty()).map(drop)?)
}

/// A socket that hears notifications.
#[derive(Debug)]
pub(super) struct Notifications {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

/// Why [`Notifications::read`] has nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quiet {
    /// All was read.
    Empty,
    /// The kernel had to throw some away: what is known must be asked for anew.
    Overrun,
}

impl Notifications {
    /// Opens one for these bits of [`group`].
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open(groups: u32) -> io::Result<Self> {
        Self::open_to(None, groups)
    }

    /// Opens one for these groups of netfilter.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open_netfilter(groups: u32) -> io::Result<Self> {
        Self::open_to(Some(netlink::NETFILTER), groups)
    }

    fn open_to(partner: Partner, groups: u32) -> io::Result<Self> {
        let socket = open(partner, SocketFlags::NONBLOCK, groups)?;
        // Room for some two thousand links changing at once; without the right to it the default must do.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, 4 << 20);
        Ok(Self { socket, buffer: vec![0; BUFFER] })
    }

    /// Hands over what has come, without waiting.
    ///
    /// # Errors
    /// What the kernel says, other than an overrun.
    pub(super) fn read(&mut self, mut each: impl FnMut(Message<'_>)) -> io::Result<Quiet> {
        loop {
            if let Some(quiet) = self.read_once(&mut each)? {
                return Ok(quiet);
            }
        }
    }

    /// Hands over what one receive brings. `None`: there may be more.
    ///
    /// # Errors
    /// What the kernel says, other than an overrun.
    pub(super) fn read_once(&mut self, each: impl FnMut(Message<'_>)) -> io::Result<Option<Quiet>> {
        match recv(&self.socket, &mut *self.buffer, RecvFlags::empty()) {
            Ok((_, length)) => {
                messages(self.buffer.get(..length).unwrap_or(&self.buffer)).for_each(each);
                Ok(None)
            }
            Err(rustix::io::Errno::AGAIN) => Ok(Some(Quiet::Empty)),
            Err(rustix::io::Errno::NOBUFS) => Ok(Some(Quiet::Overrun)),
            Err(rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let request = Request::new(kind::NEW_FILTER, CREATE_NEW, &[7; 20])
            .text(1, "bpf")
            .nest(2, |options| options.attribute(6, &9_u32.to_ne_bytes()))
            .finish(ACKNOWLEDGE, 42);
        let read: Vec<_> = messages(&request).collect();
        let [message] = read[..] else { panic!("{read:?}") };
        assert_eq!((message.kind, message.sequence), (kind::NEW_FILTER, 42));
        assert_eq!(message.flags, CREATE_NEW | REQUEST | ACKNOWLEDGE);
        let attributes: Vec<_> = attributes_after(message.body, 20).collect();
        assert_eq!(attributes[0], (1, &b"bpf\0"[..]));
        assert_eq!(attributes[1].0, 2);
        assert_eq!(super::attributes(attributes[1].1).collect::<Vec<_>>(), [(6, &9_u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn lengths_that_make_no_sense_end_the_list() {
        for bytes in [&b""[..], &[0; 3], &[0; 16], &[3, 0, 1, 0], &[200, 0, 1, 0, 5], &[255; 64]] {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
            assert_eq!(messages(bytes).count(), 0, "{bytes:?}");
        }
        assert_eq!(attributes(&[4, 0, 1, 0]).collect::<Vec<_>>(), [(1, &[][..])]);
    }

    #[test]
    fn a_text_ends_at_its_zero() {
        assert_eq!(text(b"eth0\0\0"), b"eth0");
        assert_eq!(text(b"eth0"), b"eth0");
        assert_eq!(text(b""), b"");
    }
}
