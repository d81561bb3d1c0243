//! UDP datagrams.

use crate::arguments::duration;
use crate::clock::Pace;
use anyhow::{Context, Result};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// Datagrams to send.
#[derive(clap::Args)]
pub(crate) struct Send {
    /// `HOST:PORT`.
    to: String,
    /// How many.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Bytes of payload of each.
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Datagrams a second; 0 is as fast as possible.
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Source port; 0 is any.
    #[arg(long, default_value_t = 0)]
    source_port: u16,
}

impl Send {
    /// Sends them and prints how many the kernel took.
    pub(crate) fn run(&self) -> Result<()> {
        let to = look_up(&self.to)?;
        let socket = socket_towards(to, self.source_port)?;
        let payload = vec![b'u'; self.size];
        let pace = Pace::new(self.rate);
        let mut sent: u64 = 0;
        for index in 0..self.count {
            pace.wait(index);
            // A full queue or an ICMP error of an earlier datagram: not sent, and not counted as sent.
            if socket.send_to(&payload, to).is_ok() {
                sent += 1;
            }
        }
        println!("sent {sent} datagrams, {} bytes", sent * self.size as u64);
        Ok(())
    }
}

/// Sends one datagram.
pub(crate) fn send_one(to: &str, payload: &[u8]) -> Result<()> {
    let to = look_up(to)?;
    socket_towards(to, 0)?.send_to(payload, to).context("sending")?;
    println!("sent 1 datagram, {} bytes", payload.len());
    Ok(())
}

fn look_up(host: &str) -> Result<SocketAddr> {
    host.to_socket_addrs().context("looking up the host")?.next().context("no address")
}

fn socket_towards(to: SocketAddr, port: u16) -> Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    };
    UdpSocket::bind(any).with_context(|| format!("binding port {port}"))
}

/// Datagrams to receive.
#[derive(clap::Args)]
pub(crate) struct Receive {
    /// UDP port.
    port: u16,
    /// End after so many; 0 is no such end.
    #[arg(long, default_value_t = 0)]
    count: u64,
    /// End after this time without a datagram; the time starts with the first one.
    #[arg(long, value_parser = duration, default_value = "2s")]
    idle: Duration,
}

impl Receive {
    /// Receives them and prints how many came.
    pub(crate) fn run(&self) -> Result<()> {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, self.port))
            .or_else(|_| UdpSocket::bind(("0.0.0.0", self.port)))
            .with_context(|| format!("binding port {}", self.port))?;
        println!("receiving on port {}", self.port);
        let mut buffer = vec![0; 65_536];
        let (mut datagrams, mut bytes): (u64, u64) = (0, 0);
        while self.count == 0 || datagrams < self.count {
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    datagrams += 1;
                    bytes += length as u64;
                    if datagrams == 1 {
                        socket.set_read_timeout(Some(self.idle)).context("setting a time limit")?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("receiving"),
            }
        }
        println!("received {datagrams} datagrams, {bytes} bytes");
        Ok(())
    }
}
