//! An `AF_PACKET` socket: whole Ethernet frames of one interface.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::CString;
use std::io::Error;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A raw socket bound to one interface.
pub(crate) struct PacketSocket {
    socket: OwnedFd,
}

/// What came in.
pub(crate) enum Received {
    /// A frame of the given length, at the start of the buffer; what does not fit into the buffer is cut off.
    Frame(usize),
    /// A frame that this machine sent itself.
    Own,
    /// Nothing came within the time limit.
    Nothing,
}

impl PacketSocket {
    /// Opens one for sending only: it is not handed any frame.
    pub(crate) fn for_sending(interface: &str) -> Result<Self> {
        Self::open(interface, 0)
    }

    /// Opens one for receiving; every frame comes with the kernel's 10-byte `struct virtio_net_hdr` in front.
    pub(crate) fn for_receiving(interface: &str) -> Result<Self> {
        let socket = Self::open(interface, libc::ETH_P_ALL)?;
        socket.set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, &1_i32).context("asking for segment sizes")?;
        let bytes = 64 * 1024 * 1024_i32;
        if socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes).is_err() {
            socket.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes).context("enlarging the receive buffer")?;
        }
        Ok(socket)
    }

    fn open(interface: &str, protocol: libc::c_int) -> Result<Self> {
        let name = CString::new(interface).context("an interface's name has no NUL")?;
        // SAFETY: `name` is a C string.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        ensure!(index != 0, "no interface {interface}");
        let protocol = u16::try_from(protocol).context("an ethertype has 16 bits")?.to_be();
        // SAFETY: plain system call. With protocol 0 nothing is received before the bind below chooses one.
        let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        ensure!(raw >= 0, "opening a packet socket (needs CAP_NET_RAW): {}", Error::last_os_error());
        // SAFETY: the descriptor is new and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(raw) };
        // SAFETY: an address of zeros is valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family =
            libc::sa_family_t::try_from(libc::AF_PACKET).context("an address family has 16 bits")?;
        address.sll_protocol = protocol;
        address.sll_ifindex = i32::try_from(index).context("an ifindex has 31 bits")?;
        // SAFETY: the pointer and the length describe `address`.
        let bound = unsafe {
            libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length_of::<libc::sockaddr_ll>())
        };
        ensure!(bound == 0, "binding to {interface}: {}", Error::last_os_error());
        Ok(Self { socket })
    }

    /// Sends one frame; waits while the queue is full.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<()> {
        loop {
            // SAFETY: the pointer and the length describe `frame`.
            let sent = unsafe { libc::send(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
            if usize::try_from(sent).is_ok_and(|sent| sent == frame.len()) {
                return Ok(());
            }
            let error = Error::last_os_error();
            if !matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EINTR)) {
                bail!("sending a frame of {} bytes: {error}", frame.len());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for a frame, not longer than this from now on.
    pub(crate) fn set_time_limit(&self, limit: Duration) -> Result<()> {
        let limit = libc::timeval {
            tv_sec: libc::time_t::try_from(limit.as_secs()).context("too long a time")?,
            tv_usec: libc::suseconds_t::from(limit.subsec_micros()),
        };
        self.set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &limit).context("setting a time limit")
    }

    /// Receives one frame.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Received> {
        // SAFETY: an address of zeros is valid.
        let mut from: libc::sockaddr_ll = unsafe { zeroed() };
        let mut from_length = length_of::<libc::sockaddr_ll>();
        // SAFETY: pointers and lengths describe `buffer`, `from` and `from_length`, which outlive the call.
        let length = unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_TRUNC,
                (&raw mut from).cast(),
                &raw mut from_length,
            )
        };
        let Ok(length) = usize::try_from(length) else {
            let error = Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(Received::Nothing),
                _ => Err(error).context("receiving"),
            };
        };
        Ok(if from.sll_pkttype == libc::PACKET_OUTGOING { Received::Own } else { Received::Frame(length) })
    }

    /// How many frames the kernel could not hand over because the receive buffer was full, since the last call.
    pub(crate) fn lost(&self) -> Result<u32> {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = length_of::<libc::tpacket_stats>();
        // SAFETY: the pointers describe `statistics` and `length`, which outlive the call.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        ensure!(result == 0, "reading the socket's statistics: {}", Error::last_os_error());
        Ok(statistics.tp_drops)
    }

    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> Result<()> {
        // SAFETY: the pointer and the length describe `value`; the kernel copies it.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                length_of::<T>(),
            )
        };
        ensure!(result == 0, "{}", Error::last_os_error());
        Ok(())
    }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}
