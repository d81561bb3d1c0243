//! The socket that listens at an address.

use rustix::net::sockopt::set_socket_reuseport;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use tokio::net::TcpListener;

/// Connections that may wait to be taken, as many as tokio has by itself.
const WAITING: i32 = 1_024;

/// Listens at an address, beside the socket that listened before if there is one: that runs on if this fails. `bind` gets
/// whether there is one at the same port.
///
/// # Errors
/// When the address is not to be had.
pub(super) fn listen(
    at: SocketAddr,
    before: Option<&TcpListener>,
    bind: impl FnOnce(bool) -> io::Result<OwnedFd>,
) -> io::Result<TcpListener> {
    let has_port =
        |before: &&TcpListener| before.local_addr().is_ok_and(|address| address.port() == at.port());
    let Some(before) = before.filter(has_port) else { return listen_at(bind(false)?) };
    // All addresses (0.0.0.0) and one of them at the same port: for a moment both, which they have to ask for.
    set_socket_reuseport(before, true)?;
    let listener = bind(true).and_then(listen_at);
    set_socket_reuseport(before, false)?;
    let listener = listener?;
    set_socket_reuseport(&listener, false)?;
    Ok(listener)
}

fn listen_at(bound: OwnedFd) -> io::Result<TcpListener> {
    rustix::net::listen(&bound, WAITING)?;
    TcpListener::from_std(bound.into())
}

#[cfg(test)]
mod tests {
    use crate::helper::bound;
    use rustix::net::sockopt::socket_reuseport;
    use std::io::ErrorKind;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    fn listen(at: SocketAddr, before: Option<&TcpListener>) -> std::io::Result<TcpListener> {
        super::listen(at, before, |beside| bound(at, beside))
    }

    async fn takes(listener: &TcpListener, at: SocketAddr) {
        let _client = TcpStream::connect(at).await.expect("somebody listens");
        let taken = timeout(Duration::from_secs(10), listener.accept()).await;
        assert!(taken.is_ok_and(|taken| taken.is_ok()), "the other one took it");
    }

    #[tokio::test]
    async fn the_same_port_can_be_had_at_more_addresses_and_at_less_again() {
        let first = listen("127.0.0.1:0".parse().expect("an address"), None).expect("a free port");
        let one = first.local_addr().expect("an address");
        let all = SocketAddr::new("0.0.0.0".parse().expect("an address"), one.port());
        let second = listen(all, Some(&first)).expect("the same port");
        // Until it ends.
        takes(&first, one).await;
        drop(first);
        takes(&second, one).await;
        let third = listen(one, Some(&second)).expect("the same port");
        drop(second);
        takes(&third, one).await;
        assert!(!socket_reuseport(&third).expect("an option"));
    }

    #[tokio::test]
    async fn what_somebody_else_has_is_not_to_be_had_and_the_first_listens_on() {
        let first = listen("127.0.0.1:0".parse().expect("an address"), None).expect("a free port");
        let one = first.local_addr().expect("an address");
        let other = SocketAddr::new("127.0.0.9".parse().expect("an address"), one.port());
        let _theirs = std::net::TcpListener::bind(other).expect("nobody else is there");
        let all = SocketAddr::new("0.0.0.0".parse().expect("an address"), one.port());
        for wanted in [other, all] {
            let refused = listen(wanted, Some(&first)).expect_err("it is taken");
            assert_eq!(refused.kind(), ErrorKind::AddrInUse, "{wanted}");
        }
        takes(&first, one).await;
        assert!(!socket_reuseport(&first).expect("an option"));
    }
}
