//! A bridge of the host with network namespaces on it, made without Docker: what a lying Docker API can point at.
//!
//! A packet from one namespace to another may be dropped by the host's firewall (Docker sends bridged packets through
//! it); one between a namespace and the host arrives.

use anyhow::{Context, Result};
use lab::{Device, text};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// The port that everybody has a socket at.
const PORT: u16 = 7_000;

/// A bridge and what is connected to it. Removed when dropped.
pub(crate) struct Bridged {
    /// The name of the bridge.
    pub(crate) bridge: String,
    /// The first three parts of all addresses on it.
    pub(crate) prefix: String,
    /// The namespaces, in the order they were connected.
    pub(crate) ends: Vec<End>,
    /// A socket of the host's, at its address on the bridge.
    socket: UdpSocket,
}

/// A namespace at the bridge; it has no way to anywhere else.
pub(crate) struct End {
    /// The host's end of its veth.
    pub(crate) device: Device,
    /// Its namespace's name.
    pub(crate) namespace: String,
    /// The Ethernet address of its own end.
    pub(crate) mac: String,
    /// Its address.
    pub(crate) address: String,
    /// A socket in it.
    pub(crate) socket: UdpSocket,
}

/// Runs `ip` with these words; a word may hold anything.
fn ip(words: &[&str]) -> Result<()> {
    text(Command::new("ip").args(words), Duration::from_secs(10)).map(drop)
}

impl Bridged {
    /// Makes the bridge and so many namespaces; `device_name` names the host's ends.
    pub(crate) fn new(name: &str, ends: usize, device_name: impl Fn(usize) -> String) -> Result<Self> {
        static SCENES: AtomicU8 = AtomicU8::new(1);
        let prefix = format!("10.213.{}", SCENES.fetch_add(1, Ordering::Relaxed));
        let bridge = format!("vw-{name}-{:x}", std::process::id());
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        let host = format!("{prefix}.254");
        let socket =
            prepare(&bridge, &host).or_else(|error| ip(&["link", "delete", &bridge]).and(Err(error)))?;
        let mut bridged = Self { bridge, prefix, ends: Vec::new(), socket };
        for number in 0..ends {
            let end = bridged.connect(number, &device_name(number))?;
            bridged.ends.push(end);
        }
        bridged.introduce()?;
        Ok(bridged)
    }

    fn connect(&self, number: usize, device: &str) -> Result<End> {
        let namespace = format!("{}-{number}", self.bridge);
        let (mac, address) =
            (format!("02:76:77:00:00:{number:02x}"), format!("{}.{}", self.prefix, number + 1));
        ip(&["netns", "add", &namespace])?;
        // From here on the namespace's end goes with the namespace, and the host's end with it.
        ip(&[
            "-n", &namespace, "link", "add", "eth0", "address", &mac, "type", "veth", "peer", "name", "host",
        ])?;
        ip(&["-n", &namespace, "link", "set", "host", "netns", "1", "name", device])
            .or_else(|error| remove_namespace(&namespace).and(Err(error)))?;
        for side in [&["link", "set", device] as &[&str], &["-n", &namespace, "link", "set", "eth0"]] {
            ip(&[side, &["addrgenmode", "none"]].concat())?;
        }
        ip(&["link", "set", device, "master", &self.bridge])?;
        ip(&["-n", &namespace, "address", "add", &format!("{address}/24"), "dev", "eth0"])?;
        ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
        ip(&["link", "set", device, "up"])?;
        let socket = inside(&namespace, || UdpSocket::bind((address.as_str(), PORT)))??;
        let device = Device { ifindex: ifindex(device)?, name: device.to_owned() };
        Ok(End { device, namespace, mac, address, socket })
    }

    /// Tells everybody everybody's Ethernet address, so that nobody asks for one at an odd moment.
    fn introduce(&self) -> Result<()> {
        let bridge_mac = std::fs::read_to_string(format!("/sys/class/net/{}/address", self.bridge))?;
        let host = format!("{}.254", self.prefix);
        let tell = |namespace: &[&str], address: &str, mac: &str, device: &str| {
            let neighbour =
                ["neighbour", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent"];
            ip(&[namespace, &neighbour].concat())
        };
        for end in &self.ends {
            tell(&[], &end.address, &end.mac, &self.bridge)?;
            tell(&["-n", &end.namespace], &host, bridge_mac.trim(), "eth0")?;
            for other in self.ends.iter().filter(|other| other.address != end.address) {
                tell(&["-n", &end.namespace], &other.address, &other.mac, "eth0")?;
            }
        }
        Ok(())
    }

    /// Sends one datagram from each end to the next, and from the host to each end.
    pub(crate) fn send_round(&self) -> Result<()> {
        for (end, next) in self.ends.iter().zip(self.ends.iter().cycle().skip(1)) {
            end.socket.send_to(&[0; 100], (next.address.as_str(), PORT)).context("sending")?;
            self.socket.send_to(&[0; 300], (end.address.as_str(), PORT)).context("sending")?;
        }
        Ok(())
    }
}

/// Gives a bridge its address and brings it up; without an IPv6 address it says nothing by itself.
fn prepare(bridge: &str, address: &str) -> Result<UdpSocket> {
    ip(&["link", "set", bridge, "addrgenmode", "none"])?;
    ip(&["address", "add", &format!("{address}/24"), "dev", bridge])?;
    ip(&["link", "set", bridge, "up"])?;
    UdpSocket::bind((address, PORT)).context("a socket on the bridge")
}

impl Drop for Bridged {
    fn drop(&mut self) {
        for End { device, namespace, socket, .. } in self.ends.drain(..) {
            // The socket keeps the namespace, and that the devices, for a while; so each goes by itself.
            drop(socket);
            for removed in [ip(&["link", "delete", &device.name]), remove_namespace(&namespace)] {
                if let Err(error) = removed {
                    eprintln!("{error:#}");
                }
            }
        }
        if let Err(error) = ip(&["link", "delete", &self.bridge]) {
            eprintln!("{error:#}");
        }
    }
}

fn remove_namespace(namespace: &str) -> Result<()> {
    ip(&["netns", "delete", namespace])
}

/// The ifindex of a device, whatever characters are in its name.
fn ifindex(name: &str) -> Result<u32> {
    let path = std::path::Path::new("/sys/class/net").join(name).join("ifindex");
    let index = std::fs::read_to_string(path).context("reading an ifindex")?;
    index.trim().parse().context("an ifindex is a number")
}

/// Does something inside a namespace, on a thread of its own.
fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> Result<T> {
    let file = File::open(format!("/run/netns/{namespace}")).context("opening a namespace")?;
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        });
        worker.join().expect("the worker does not panic")
    })
}
