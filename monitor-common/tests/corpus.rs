//! Replays the kept packets through the parser: each as expected, and each prefix of each without a panic.
//!
//! `corpus/` holds frames from the Ethernet header on, one a file, named after what they are; the fuzzer starts
//! from them and the kernel tests send them through the programs. `corpus.txt` says how each one parses, a line
//! each: a change of the parser shows there. `UPDATE_CORPUS=1 cargo test -p monitor-common --test corpus` rewrites
//! it.

use monitor_common::packet::{ByteSource, Frame, Ip, Network, parse};
use std::cell::Cell;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The kept packets, by name.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(ROOT).join("corpus");
    let mut packets: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is part of the tree")
        .map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("a readable file"))
        })
        .collect();
    packets.sort();
    packets
}

fn describe(frame: &Frame) -> String {
    let vlan = frame.link.vlan;
    match &frame.network {
        Network::Ipv4(ip) => format!("vlan {vlan}, IPv4 {}", describe_ip(ip)),
        Network::Ipv6(ip) => format!("vlan {vlan}, IPv6 {}", describe_ip(ip)),
        Network::Arp => format!("vlan {vlan}, ARP"),
        Network::Other => format!("vlan {vlan}, other"),
    }
}

fn describe_ip<const N: usize>(ip: &Ip<N>) -> String {
    let last = |address: &[u8; N]| address[N - 1];
    let it = &ip.transport;
    format!(
        "…{} to …{}, protocol {}, kind {}, ports {} and {}, flags {:#04x}, headers {}",
        last(&ip.source),
        last(&ip.destination),
        it.protocol,
        it.kind,
        it.source_port,
        it.destination_port,
        it.tcp_flags,
        it.header_length
    )
}

#[test]
fn every_kept_packet_parses_as_written_down() {
    let mut table = String::new();
    for (name, packet) in corpus() {
        writeln!(table, "{name}: {}", describe(&parse(&packet[..], None))).expect("a string takes all");
    }
    let path = Path::new(ROOT).join("corpus.txt");
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        fs::write(&path, &table).expect("a writable tree");
    }
    let expected = fs::read_to_string(&path).expect("corpus.txt is part of the tree");
    for (is, should) in table.lines().zip(expected.lines()) {
        assert_eq!(is, should);
    }
    assert_eq!(table.lines().count(), expected.lines().count());
}

/// A source that notes how far it was read.
struct Watched<'a>(&'a [u8], Cell<usize>);

impl ByteSource for Watched<'_> {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let bytes = self.0.read(offset)?;
        self.1.set(self.1.get().max(offset + N));
        Some(bytes)
    }
}

#[test]
fn every_prefix_of_a_kept_packet_parses_or_is_skipped() {
    for (name, packet) in corpus() {
        let watched = Watched(&packet, Cell::new(0));
        let whole = parse(&watched, None);
        let needed = watched.1.get();
        for length in 0..=packet.len() {
            let frame = parse(&packet[..length], None);
            assert!(length < needed || frame == whole, "{name}: {length} bytes are enough");
        }
    }
}
