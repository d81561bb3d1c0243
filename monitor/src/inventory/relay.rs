//! A connection to Docker for a process that is not trusted with one: one `GET`, of what the inventory asks for.
//!
//! The request is read, looked at, and written anew; of what was said no byte is passed on but the path. The answer is
//! passed on as it is, until either end closes.

use super::Settings;
use super::host::{self, Host};
use super::transport::keep_alive;
use crate::model::NetworkId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::Duration;

/// Connections at once: the inventory asks for so many things at a time, and one of them is the events.
const MOST: usize = 64;
/// How long connecting, and saying what is wanted, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of a request.
const LONGEST_REQUEST: usize = 8 << 10;
/// Bytes of an answer that are passed on at once.
const PART: usize = 64 << 10;
/// What is answered to a request that is none of ours.
const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 58\r\n\r\n\
                       {\"message\":\"vethwatch asks nothing of the kind of Docker\"}";

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// One of the connections that there may be.
struct Ticket;

impl Ticket {
    fn take() -> io::Result<Self> {
        let taken =
            OPEN.try_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < MOST).then_some(open + 1));
        taken.map(|_| Self).map_err(|_| io::Error::from_raw_os_error(libc::EMFILE))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connects to Docker, and gives back the end at which one `GET` can be asked.
///
/// # Errors
/// When Docker is not there, or too many connections are open.
pub fn relay(settings: &Settings) -> io::Result<UnixStream> {
    let ticket = Ticket::take()?;
    let host = host::find(settings.host.as_deref()).map_err(io::Error::other)?;
    let (docker, name) = connect(&host)?;
    let (ours, theirs) = UnixStream::pair()?;
    Builder::new().name("vw-docker".into()).spawn(move || {
        let _ticket = ticket;
        // Whatever goes wrong, both ends are closed then: who asks sees that.
        drop(pass(ours, docker, &name));
    })?;
    Ok(theirs)
}

/// A connection, and how Docker is called in a request.
fn connect(host: &Host) -> io::Result<(OwnedFd, String)> {
    match host {
        Host::Unix(path) => Ok((UnixStream::connect(path)?.into(), "docker".to_owned())),
        Host::Tcp(address) => {
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for at in address.to_socket_addrs()? {
                match TcpStream::connect_timeout(&at, PATIENCE) {
                    Ok(stream) => {
                        keep_alive(&stream)?;
                        return Ok((stream.into(), address.clone()));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        Host::By(..) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn pass(mut client: UnixStream, docker: OwnedFd, name: &str) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let head = read_head(&mut client)?;
    let Some(path) = path(&head).filter(|path| is_asked(path)) else {
        return client.write_all(REFUSED.as_bytes());
    };
    let mut docker = std::fs::File::from(docker);
    set_socket_timeout(&docker, Timeout::Send, Some(PATIENCE))?;
    docker.write_all(format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nAccept: */*\r\n\r\n").as_bytes())?;
    let mut part = vec![0; PART];
    loop {
        let [answers, asks] = ready(&docker, &client)?;
        if answers {
            match docker.read(&mut part)? {
                0 => return Ok(()),
                length => client.write_all(&part[..length])?,
            }
        }
        // Nothing more is to be said. Who closes wants no more of the answer.
        if asks && client.read(&mut [0; 1])? == 0 {
            return Ok(());
        }
    }
}

/// Waits until either has something to read, or is at its end.
fn ready(docker: impl AsFd, client: impl AsFd) -> io::Result<[bool; 2]> {
    let mut polled = [PollFd::new(&docker, PollFlags::IN), PollFd::new(&client, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut polled, None))?;
    Ok(polled.map(|polled| !polled.revents().is_empty()))
}

fn read_head(client: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0; 512]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = client.read(&mut byte)?;
        if length == 0 || head.len() + length > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&byte[..length]);
    }
    Ok(head)
}

/// The path of a `GET`; absent for anything else.
fn path(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let path = std::str::from_utf8(line).ok()?.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
    path.bytes().all(|byte| byte.is_ascii_graphic()).then_some(path)
}

/// Whether it is one that the inventory asks for.
fn is_asked(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let path = match path.strip_prefix("/v").and_then(|rest| rest.split_once('/')) {
        Some((version, _)) if version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            &path[version.len() + 2..]
        }
        _ => path,
    };
    let is_id = |id: &str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Networks of a swarm have letters of the whole alphabet in their ids.
    let is_network = |id: &str| NetworkId::new(id).is_ok();
    match path {
        "/_ping" | "/version" | "/info" | "/events" | "/containers/json" | "/networks" => true,
        _ => {
            let container = path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix("/json"));
            container.is_some_and(is_id) || path.strip_prefix("/networks/").is_some_and(is_network)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{REFUSED, is_asked, path, read_head};

    #[test]
    fn only_what_the_inventory_asks_for_is_asked() {
        let check = |path: &str, expected| assert_eq!(is_asked(path), expected, "{path}");
        for asked in [
            "/_ping",
            "/version",
            "/v1.41/info",
            "/v1.41/events?since=1&filters=%7B%7D",
            "/v1.53/containers/json?all=true",
            "/networks",
            "/v1.41/networks/0123456789ab",
            "/networks/yz0t1c7vtr5m9gkq2h3wxn8ub",
            "/v1.41/networks/hva8cwifts1cc0z2rkwibgwaf?verbose=true",
            "/v1.41/containers/0123456789abcdef/json",
        ] {
            check(asked, true);
        }
        for other in [
            "",
            "/",
            "/images/json",
            "/containers/0123/logs",
            "/containers/0123/archive?path=/etc",
            "/containers/0123/../../secrets/json",
            "/containers/../images/json",
            "/v1.41/v1.41/info",
            "/vx/info",
            "/secrets",
            "/networks/..",
            "/networks/0123/json",
            "/networks/Front",
            "http://docker/info",
            "/containers/name/json",
        ] {
            check(other, false);
        }
    }

    #[test]
    fn only_a_get_has_a_path() {
        let check = |head: &str, expected| assert_eq!(path(head.as_bytes()), expected, "{head:?}");
        check("GET /info HTTP/1.1\r\nHost: docker\r\n\r\n", Some("/info"));
        check("POST /info HTTP/1.1\r\n\r\n", None);
        check("get /info HTTP/1.1\r\n\r\n", None);
        check("GET /info HTTP/1.0\r\n\r\n", None);
        check("GET /info\nPOST /x HTTP/1.1\r\n\r\n", None);
        check("GET /info HTTP/1.1 HTTP/1.1\r\n\r\n", None);
    }

    #[test]
    fn a_request_without_an_end_is_none() {
        assert!(read_head(&mut &b"GET /info HTTP/1.1\r\n"[..]).is_err());
        assert!(read_head(&mut &vec![b'x'; 1 << 20][..]).is_err());
        let (head, body) = REFUSED.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
