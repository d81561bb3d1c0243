//! The address of the metrics.

use rustix::fd::OwnedFd;
use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use std::io;
use std::net::SocketAddr;

/// Binds a socket, `beside` one that has the same port at another address: it may share its port then until it listens,
/// when the kernel looks again.
///
/// # Errors
/// When the address is not to be had.
pub(crate) fn bound(at: SocketAddr, beside: bool) -> io::Result<OwnedFd> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    set_socket_reuseaddr(&socket, true)?;
    set_socket_reuseport(&socket, beside)?;
    bind(&socket, &at)?;
    Ok(socket)
}
