//! A generator of UDP packets of many flows, sent on a device of the benchmark's own by `AF_PACKET`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Sends frames on one device.
pub(crate) struct Generator {
    socket: OwnedFd,
    frame: [u8; 60],
    next: u32,
}

impl Generator {
    /// Opens a packet socket on the device.
    pub(crate) fn new(device: &str) -> io::Result<Self> {
        let name = CString::new(device).expect("a device name has no NUL");
        // SAFETY: the name is a valid C string; the call only reads it.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: plain socket call; a non-negative result is a descriptor we own.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).expect("17 fits");
        address.sll_ifindex = i32::try_from(index).expect("an ifindex fits");
        let length = u32::try_from(size_of_val(&address)).expect("small");
        // SAFETY: the address is a sockaddr_ll of the length given.
        if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { socket, frame: template(), next: 0 })
    }

    /// Sends `count` packets, each of a flow of its own; after 2^32 the flows begin again.
    pub(crate) fn send_new_flows(&mut self, count: u32) -> io::Result<()> {
        for _ in 0..count {
            let number = self.next.to_be_bytes();
            self.next = self.next.wrapping_add(1);
            // The flow's number is the source port and the low half of the source address.
            self.frame[28..30].copy_from_slice(&number[0..2]);
            self.frame[34..36].copy_from_slice(&number[2..4]);
            self.send()?;
        }
        Ok(())
    }

    /// Sends `count` packets of the latest flow.
    pub(crate) fn send_same(&self, count: u32) -> io::Result<()> {
        (0..count).try_for_each(|_| self.send())
    }

    /// The frame, to be made another.
    pub(crate) fn frame(&mut self) -> &mut [u8; 60] {
        &mut self.frame
    }

    /// Starts again with the first flow.
    pub(crate) fn rewind(&mut self) {
        self.next = 0;
    }

    fn send(&self) -> io::Result<()> {
        // SAFETY: the buffer is valid for its length.
        let sent =
            unsafe { libc::send(self.socket.as_raw_fd(), self.frame.as_ptr().cast(), self.frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// An Ethernet frame with an IPv4 UDP packet between addresses of the documentation ranges; the destination's MAC is
/// a locally administered one that nobody has.
fn template() -> [u8; 60] {
    let mut frame = [0; 60];
    frame[0..6].copy_from_slice(&[0x02, 0x76, 0x77, 0, 0, 2]);
    frame[6..12].copy_from_slice(&[0x02, 0x76, 0x77, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame[14..24].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17]);
    frame[26..30].copy_from_slice(&[198, 18, 0, 1]);
    frame[30..34].copy_from_slice(&[198, 19, 0, 2]);
    frame[36..40].copy_from_slice(&[0x13, 0x88, 0, 26]);
    frame
}
