//! Many short TCP connections.

use crate::clock::Pace;
use anyhow::{Context, Result, ensure};
use std::io::Error;
use std::mem::size_of;
use std::net::{SocketAddrV4, ToSocketAddrs};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Source ports that are used, one after the other.
const PORTS: std::ops::RangeInclusive<u16> = 1_024..=65_535;

/// Connections to open.
#[derive(clap::Args)]
pub(crate) struct ConnectStorm {
    /// `HOST:PORT`, IPv4.
    to: String,
    /// How many connections.
    #[arg(long, default_value_t = 50_000)]
    count: u64,
    /// Connections a second; 0 is as fast as possible.
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// How many of the source ports are left out at first.
    #[arg(long, default_value_t = 0)]
    skip: usize,
}

impl ConnectStorm {
    /// Opens and resets them, each from another source port, so that each is a flow of its own.
    pub(crate) fn run(&self) -> Result<()> {
        let to = self.to.to_socket_addrs().context("looking up the host")?;
        let to = to
            .filter_map(|address| match address {
                std::net::SocketAddr::V4(address) => Some(address),
                std::net::SocketAddr::V6(_) => None,
            })
            .next()
            .context("no IPv4 address")?;
        let pace = Pace::new(self.rate);
        let mut opened: u64 = 0;
        let mut last_error = None;
        for (index, port) in (0..self.count).zip(PORTS.cycle().skip(self.skip)) {
            pace.wait(index);
            match open_and_reset(port, to) {
                Ok(()) => opened += 1,
                Err(error) => last_error = Some(error),
            }
        }
        if let Some(error) = last_error {
            println!("last error: {error:#}");
        }
        println!("{opened} of {} connections in {:.1} s", self.count, pace.elapsed().as_secs_f64());
        ensure!(opened > 0, "no connection could be opened");
        Ok(())
    }
}

/// One connection. Closing with a linger time of 0 resets it, so that no port is left waiting.
fn open_and_reset(from: u16, to: SocketAddrV4) -> Result<()> {
    // SAFETY: plain system call.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    ensure!(raw >= 0, "making a socket: {}", Error::last_os_error());
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the pointer and the length describe `linger`.
    check("setting the linger time", unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            length_of::<libc::linger>(),
        )
    })?;
    address_call("binding", libc::bind, socket.as_raw_fd(), SocketAddrV4::new([0, 0, 0, 0].into(), from))?;
    address_call("connecting", libc::connect, socket.as_raw_fd(), to)
}

type AddressCall = unsafe extern "C" fn(RawFd, *const libc::sockaddr, libc::socklen_t) -> libc::c_int;

fn address_call(what: &str, call: AddressCall, socket: RawFd, address: SocketAddrV4) -> Result<()> {
    let address = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).context("an address family has 16 bits")?,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    };
    // SAFETY: bind and connect read the address, whose length is given, and keep nothing of it.
    check(what, unsafe { call(socket, (&raw const address).cast(), length_of::<libc::sockaddr_in>()) })
}

fn check(what: &str, result: libc::c_int) -> Result<()> {
    ensure!(result == 0, "{what}: {}", Error::last_os_error());
    Ok(())
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}
