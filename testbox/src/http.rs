//! A small HTTP server and a client of it.

use crate::arguments::duration;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A request's head longer than this is refused.
const HEAD_LIMIT: u64 = 16 * 1024;

/// Listens on IPv4 and IPv6, or on IPv4 alone where the kernel has no IPv6.
pub(crate) fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .or_else(|_| TcpListener::bind(("0.0.0.0", port)))
        .with_context(|| format!("listening on port {port}"))
}

/// Serves until the program ends, a thread a connection.
pub(crate) fn serve(port: u16) -> Result<()> {
    let listener = listen(port)?;
    println!("serving on port {port}");
    for connection in listener.incoming() {
        // A connection that was reset before it was accepted is the client's business.
        let Ok(connection) = connection else { continue };
        std::thread::spawn(move || {
            if let Err(error) = answer(&connection) {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

fn answer(connection: &TcpStream) -> Result<()> {
    let peer = connection.peer_addr().context("asking who is there")?;
    let mut request = String::new();
    let mut head = BufReader::new(connection.take(HEAD_LIMIT));
    if head.read_line(&mut request).context("reading a request")? == 0 {
        return Ok(());
    }
    let mut line = String::new();
    while head.read_line(&mut line).context("reading a request")? > 2 {
        line.clear();
    }
    let path = request.split_whitespace().nth(1).unwrap_or("/");
    let body = match path.strip_prefix("/bytes/").and_then(|count| count.parse::<usize>().ok()) {
        Some(count) => vec![b'x'; count.min(1 << 30)],
        None => format!("hello from {}, peer {}\n", host_name(), peer.ip().to_canonical()).into_bytes(),
    };
    let mut connection = connection;
    write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())
        .and_then(|()| connection.write_all(&body))
        .context("answering")
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

/// Requests to send.
#[derive(clap::Args)]
pub(crate) struct Get {
    /// `http://HOST[:PORT]/PATH`.
    url: String,
    /// Time between requests.
    #[arg(long, value_parser = duration, default_value = "200ms")]
    every: Duration,
    /// How many requests; 0 goes on until the program ends.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// How long to wait for a connection, and for each part of the answer.
    #[arg(long, value_parser = duration, default_value = "2s")]
    timeout: Duration,
}

impl Get {
    /// Sends them; an answer that does not come is a line, not the end.
    pub(crate) fn run(&self) -> Result<()> {
        let (host, path) = split(&self.url)?;
        let mut answered: u64 = 0;
        let mut sent: u64 = 0;
        while self.count == 0 || sent < self.count {
            if sent > 0 {
                std::thread::sleep(self.every);
            }
            sent += 1;
            match request(&host, path, self.timeout) {
                Ok(answer) => {
                    answered += 1;
                    println!("{answer}");
                }
                Err(error) => println!("failed: {error:#}"),
            }
        }
        println!("{answered} of {sent} answered");
        if answered == 0 {
            bail!("no answer");
        }
        Ok(())
    }
}

/// The host with its port, and the path.
fn split(url: &str) -> Result<(String, &str)> {
    let rest = url.strip_prefix("http://").context("only http:// is spoken here")?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok((if has_port { host.to_owned() } else { format!("{host}:80") }, path))
}

fn request(host: &str, path: &str, timeout: Duration) -> Result<String> {
    let address = host.to_socket_addrs().context("looking up the host")?.next().context("no address")?;
    let mut connection = TcpStream::connect_timeout(&address, timeout).context("connecting")?;
    connection.set_read_timeout(Some(timeout)).context("setting a time limit")?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        .context("asking")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).context("reading the answer")?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let body = String::from_utf8_lossy(&answer[end + 4..(end + 4 + 80).min(answer.len())]);
    let status = head.lines().next().unwrap_or_default();
    Ok(format!("{status}, {} bytes: {}", answer.len() - end - 4, body.trim()))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_address_without_a_port_gets_port_80() {
        assert_eq!(split("http://app/x/y").unwrap(), ("app:80".to_owned(), "/x/y"));
        assert_eq!(split("http://app:5000").unwrap(), ("app:5000".to_owned(), "/"));
        assert_eq!(split("http://[fd00::2]:5000/").unwrap(), ("[fd00::2]:5000".to_owned(), "/"));
        assert!(split("https://app").is_err());
    }
}
