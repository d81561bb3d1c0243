//! Counting received frames and the wire packets they stand for.
//!
//! A frame that the sender's stack left unsegmented arrives whole over a veth. The header that the kernel puts in
//! front of it on a packet socket says how many payload bytes each wire packet would have had.

use crate::clock::Pace;
use crate::packet_socket::{PacketSocket, Received};
use anyhow::Result;
use std::time::Duration;

/// Length of the kernel's `struct virtio_net_hdr`.
const VIRTIO_HEADER: usize = 10;

/// Enough for all headers of a frame.
const HEADERS: usize = 256;

/// Receives until nothing that counts has come for `idle`, and prints the counts.
pub(crate) fn count(interface: &str, port: Option<u16>, idle: Duration) -> Result<()> {
    let socket = PacketSocket::for_receiving(interface)?;
    socket.set_time_limit(Duration::from_millis(50))?;
    println!("counting on {interface}");
    let clock = Pace::new(0);
    let mut buffer = vec![0; VIRTIO_HEADER + HEADERS];
    let (mut frames, mut packets): (u64, u64) = (0, 0);
    let mut last = Duration::ZERO;
    while frames == 0 || clock.elapsed() - last < idle {
        let Received::Frame(length) = socket.receive(&mut buffer)? else { continue };
        let Some(segments) = segments(&buffer[..length.min(buffer.len())], length, port) else { continue };
        frames += 1;
        packets += segments;
        last = clock.elapsed();
    }
    println!("counted {frames} frames, {packets} packets, {} lost", socket.lost()?);
    Ok(())
}

/// How many wire packets a received frame stands for; `None` if it is not one of this port. `seen` is the start of
/// what was received, `length` all of it, both with the kernel's header.
fn segments(seen: &[u8], length: usize, port: Option<u16>) -> Option<u64> {
    let (header, frame) = seen.split_at_checked(VIRTIO_HEADER)?;
    let transport = Transport::of(frame);
    if let Some(wanted) = port {
        let ports = transport.as_ref()?.ports;
        if !ports.contains(&wanted) {
            return None;
        }
    }
    let segment = usize::from(u16::from_ne_bytes([header[4], header[5]]));
    let is_whole = header[1] == 0 || segment == 0;
    let headers = transport.map(|transport| transport.payload_at);
    let payload = headers.and_then(|headers| (length - VIRTIO_HEADER).checked_sub(headers));
    Some(match payload {
        Some(payload) if !is_whole => payload.div_ceil(segment).max(1) as u64,
        _ => 1,
    })
}

/// Where the transport's payload starts in a frame, and its ports.
struct Transport {
    payload_at: usize,
    ports: [u16; 2],
}

impl Transport {
    /// Reads the headers of TCP or UDP over IPv4 or IPv6, without extension headers, with up to two VLAN tags.
    fn of(frame: &[u8]) -> Option<Self> {
        let mut at = 12;
        while matches!(number(frame, at)?, 0x8100 | 0x88a8) {
            at += 4;
        }
        let (protocol, transport_at) = match number(frame, at)? {
            0x0800 => (*frame.get(at + 11)?, at + 2 + usize::from(frame.get(at + 2)? & 0xf) * 4),
            0x86dd => (*frame.get(at + 8)?, at + 42),
            _ => return None,
        };
        let length = match protocol {
            6 => usize::from(frame.get(transport_at + 12)? >> 4) * 4,
            17 => 8,
            _ => return None,
        };
        let ports = [number(frame, transport_at)?, number(frame, transport_at + 2)?];
        Some(Self { payload_at: transport_at + length, ports })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
mod tests {
    use super::{VIRTIO_HEADER, segments};

    /// A TCP frame with 54 bytes of headers, as received with a segment size.
    fn received(segment: u16, ports: [u16; 2]) -> Vec<u8> {
        let mut bytes = vec![0; VIRTIO_HEADER + 54];
        bytes[1] = u8::from(segment != 0);
        bytes[4..6].copy_from_slice(&segment.to_ne_bytes());
        let frame = &mut bytes[VIRTIO_HEADER..];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x45;
        frame[23] = 6;
        frame[34..36].copy_from_slice(&ports[0].to_be_bytes());
        frame[36..38].copy_from_slice(&ports[1].to_be_bytes());
        frame[46] = 0x50;
        bytes
    }

    fn check(payload: usize, segment: u16, expected: u64) {
        let seen = received(segment, [40_000, 5_201]);
        let length = seen.len() + payload;
        assert_eq!(segments(&seen, length, Some(5_201)), Some(expected), "{payload} bytes by {segment}");
    }

    #[test]
    fn an_unsegmented_frame_stands_for_its_segments() {
        check(1_448, 0, 1);
        check(0, 0, 1);
        check(1_448 * 45, 1_448, 45);
        check(1_448 * 45 + 1, 1_448, 46);
    }

    #[test]
    fn frames_of_other_ports_are_not_counted() {
        let seen = received(0, [1, 2]);
        assert_eq!(segments(&seen, seen.len(), Some(3)), None);
        assert_eq!(segments(&seen, seen.len(), None), Some(1));
    }

    #[test]
    fn a_frame_cut_short_is_one_packet_without_ports() {
        let seen = &received(1_448, [1, 2])[..VIRTIO_HEADER + 20];
        assert_eq!(segments(seen, 9_000, None), Some(1));
        assert_eq!(segments(seen, 9_000, Some(1)), None);
        assert_eq!(segments(&seen[..4], 4, None), None);
    }
}
