//! Any bytes parse or are skipped, and the same whatever source they are read from.
//!
//! From `monitor-common`: `cargo +nightly fuzz run parse corpus`. What it finds worth keeping goes into `corpus/`
//! under a name that says what it is, and `corpus.txt` is rewritten.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_common::counters::Direction;
use monitor_common::packet::{ByteSource, Frame, Network, parse};
use std::cell::Cell;

/// A packet in two parts, as the kernel's: a linear one and the rest, which is read in another way. Notes how far
/// it was read.
struct Parts<'a> {
    linear: &'a [u8],
    whole: &'a [u8],
    read_to: Cell<usize>,
}

impl ByteSource for Parts<'_> {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let bytes: [u8; N] = match self.linear.read(offset) {
            Some(bytes) => bytes,
            None => self.whole.get(offset..offset.checked_add(N)?)?.try_into().ok()?,
        };
        self.read_to.set(self.read_to.get().max(offset + N));
        Some(bytes)
    }
}

fuzz_target!(|packet: &[u8]| {
    let frame = parse(packet, None);
    let split = packet.first().map_or(0, |byte| usize::from(*byte).min(packet.len()));
    let parts = Parts { linear: &packet[..split], whole: packet, read_to: Cell::new(0) };
    assert_eq!(parse(&parts, None), frame, "the same from two parts");

    // Bytes that were not read do not matter, and a cut before them changes nothing.
    assert_eq!(parse(&packet[..parts.read_to.get().min(packet.len())], None), frame, "the same when cut");

    // Beside the packet a tag changes the VLAN and nothing else.
    let tagged = parse(packet, Some(0x0fff));
    assert_eq!(tagged.link.vlan, 0x1000);
    assert_eq!(tagged.network, frame.network);

    assert!(frame.link.vlan <= 0x1000);
    check_keys(&frame);
});

/// Both directions make one key out of the two ends.
fn check_keys(frame: &Frame) {
    let vlan = frame.link.vlan;
    match frame.network {
        Network::Ipv4(ip) => {
            let (sent, received) = (ip.key(1, Direction::Sent, vlan), ip.key(1, Direction::Received, vlan));
            assert_eq!((sent.local, sent.remote), (received.remote, received.local));
            assert!((34..=8_300).contains(&ip.transport.header_length));
        }
        Network::Ipv6(ip) => {
            let (sent, received) = (ip.key(1, Direction::Sent, vlan), ip.key(1, Direction::Received, vlan));
            assert_eq!((sent.local, sent.remote), (received.remote, received.local));
            assert!((54..=8_400).contains(&ip.transport.header_length));
        }
        Network::Arp | Network::Other => {}
    }
}
