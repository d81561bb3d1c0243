//! Tells the service manager how it goes (sd_notify): a datagram to the socket that it names.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::OnceLock;

/// The socket, once it is connected to: later this process may not be allowed to.
static SOCKET: OnceLock<UnixDatagram> = OnceLock::new();

/// Connects to the socket that `NOTIFY_SOCKET` names, if it does. That it cannot be is worth a warning, not the end.
pub(super) fn connect() {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    match connected(name.as_bytes()) {
        Ok(socket) => drop(SOCKET.set(socket)),
        Err(error) => log::warn!("the service manager cannot be told anything: {error}"),
    }
}

/// Sends a state where there is a service manager.
pub(super) fn tell(state: &str) {
    let Some(socket) = SOCKET.get() else { return };
    if let Err(error) = socket.send(state.as_bytes()) {
        log::warn!("{state} could not be told to the service manager: {error}");
    }
}

/// A name that begins with `@` is abstract: no file.
fn connected(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(Path::new(OsStr::from_bytes(name)))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::connected;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn a_state_reaches_an_abstract_socket() {
        let name = format!("vw-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        connected(format!("@{name}").as_bytes()).unwrap().send(b"READY=1").unwrap();
        let mut told = [0; 16];
        let length = manager.recv(&mut told).unwrap();
        assert_eq!(&told[..length], b"READY=1");
    }

    #[test]
    fn a_socket_that_is_not_there_is_an_error() {
        assert!(connected(b"/nowhere/at/all").is_err());
    }
}
