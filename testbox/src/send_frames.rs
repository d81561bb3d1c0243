//! Sending hand-made frames: tagged, with IPv4 options, forged, or any bytes.

use crate::arguments::{Hex, mac};
use crate::clock::Pace;
use crate::frame::{Content, Envelope, build};
use crate::packet_socket::PacketSocket;
use anyhow::{Context, Result, bail};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Frames to send. Without `--hex` or `--hex-file` they are UDP datagrams to `--to`, or with `--arp` ARP replies.
#[derive(clap::Args)]
pub(crate) struct SendFrames {
    /// Interface name.
    #[arg(long, default_value = "eth0")]
    interface: String,
    /// How many.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Frames a second; 0 is as fast as possible.
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// The whole frame in hexadecimal.
    #[arg(long)]
    hex: Option<Hex>,
    /// A file with the whole frame in hexadecimal.
    #[arg(long, conflicts_with = "hex")]
    hex_file: Option<PathBuf>,
    /// Source address of the frame; the interface's own unless given.
    #[arg(long, value_parser = mac)]
    source_mac: Option<[u8; 6]>,
    /// Destination address of the frame.
    #[arg(long, value_parser = mac, default_value = "ff:ff:ff:ff:ff:ff")]
    destination_mac: [u8; 6],
    /// VLAN ids, outermost first.
    #[arg(long = "vlan", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(0..4_096))]
    vlans: Vec<u16>,
    /// Source address; of an ARP reply, the address that it claims.
    #[arg(long, default_value = "0.0.0.0")]
    from: Ipv4Addr,
    /// Destination address.
    #[arg(long)]
    to: Option<Ipv4Addr>,
    /// Send ARP replies.
    #[arg(long)]
    arp: bool,
    /// IPv4 options in hexadecimal.
    #[arg(long, default_value = "")]
    options: Hex,
    /// UDP source port.
    #[arg(long, default_value_t = 40_000)]
    source_port: u16,
    /// UDP destination port.
    #[arg(long, default_value_t = 9)]
    port: u16,
    /// Bytes of UDP payload.
    #[arg(long, default_value_t = 64)]
    size: usize,
}

impl SendFrames {
    /// Sends them.
    pub(crate) fn run(&self) -> Result<()> {
        let frame = self.frame()?;
        let socket = PacketSocket::for_sending(&self.interface)?;
        let pace = Pace::new(self.rate);
        for index in 0..self.count {
            pace.wait(index);
            socket.send(&frame)?;
        }
        println!("sent {} frames of {} bytes", self.count, frame.len());
        Ok(())
    }

    fn frame(&self) -> Result<Vec<u8>> {
        if let Some(Hex(frame)) = &self.hex {
            return Ok(frame.clone());
        }
        if let Some(file) = &self.hex_file {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            return Ok(text.parse::<Hex>()?.0);
        }
        let Some(to) = self.to else { bail!("--to, --hex or --hex-file is needed") };
        let source = match self.source_mac {
            Some(address) => address,
            None => self.own_address()?,
        };
        let payload = vec![b'f'; self.size];
        let content = if self.arp {
            Content::ArpReply { sender: (source, self.from), target: (self.destination_mac, to) }
        } else {
            let (from, to) = ((self.from, self.source_port), (to, self.port));
            Content::Udp { from, to, options: &self.options.0, payload: &payload }
        };
        Ok(build(&Envelope { source, destination: self.destination_mac, vlans: &self.vlans }, &content))
    }

    fn own_address(&self) -> Result<[u8; 6]> {
        let file = format!("/sys/class/net/{}/address", self.interface);
        mac(std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?.trim())
    }
}
