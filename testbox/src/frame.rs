//! Building Ethernet frames by hand.

use std::net::Ipv4Addr;

/// What an Ethernet frame carries.
pub(crate) enum Content<'a> {
    /// A UDP datagram over IPv4.
    Udp {
        from: (Ipv4Addr, u16),
        to: (Ipv4Addr, u16),
        /// IPv4 options; filled up with zeros to a multiple of four bytes, at most 40.
        options: &'a [u8],
        payload: &'a [u8],
    },
    /// An ARP reply that nobody asked for.
    ArpReply { sender: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr) },
}

/// Ethernet addresses and tags.
pub(crate) struct Envelope<'a> {
    pub(crate) source: [u8; 6],
    pub(crate) destination: [u8; 6],
    /// VLAN ids of 802.1Q tags, outermost first.
    pub(crate) vlans: &'a [u16],
}

/// The whole frame, without the check sequence.
pub(crate) fn build(envelope: &Envelope<'_>, content: &Content<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(envelope.destination);
    frame.extend(envelope.source);
    for vlan in envelope.vlans {
        frame.extend(0x8100_u16.to_be_bytes());
        frame.extend((vlan & 0xfff).to_be_bytes());
    }
    match content {
        Content::Udp { from, to, options, payload } => {
            frame.extend(0x0800_u16.to_be_bytes());
            frame.extend(ipv4(from.0, to.0, options, &udp(*from, *to, payload)));
        }
        Content::ArpReply { sender, target } => {
            frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2]);
            for (mac, address) in [sender, target] {
                frame.extend(mac);
                frame.extend(address.octets());
            }
        }
    }
    frame
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut options = options[..options.len().min(40)].to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    let words = 5 + options.len() / 4;
    let mut header = vec![0x40 | low_byte(words), 0];
    header.extend(low_half(words * 4 + payload.len()).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    header.extend(options);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend(payload);
    header
}

fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let length = low_half(8 + payload.len());
    let mut datagram = Vec::new();
    for number in [from.1, to.1, length, 0] {
        datagram.extend(number.to_be_bytes());
    }
    datagram.extend(payload);
    let mut covered = Vec::new();
    covered.extend(from.0.octets());
    covered.extend(to.0.octets());
    covered.extend([0, 17]);
    covered.extend(length.to_be_bytes());
    covered.extend(&datagram);
    // A sum of 0 means "no checksum" in UDP and is sent as its other form.
    let sum = match checksum(&covered) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// The Internet checksum: the ones' complement of the ones' complement sum of all 16-bit numbers.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u64 = bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u64::from(low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !low_half(usize::try_from(sum).unwrap_or_default())
}

fn low_half(number: usize) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or_default()
}

fn low_byte(number: usize) -> u8 {
    u8::try_from(number & 0xff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Content, Envelope, build, checksum};

    const ENVELOPE: Envelope<'_> =
        Envelope { source: [2, 0, 0, 0, 0, 1], destination: [2, 0, 0, 0, 0, 2], vlans: &[] };

    fn udp_frame(vlans: &[u16], options: &[u8], payload: &[u8]) -> Vec<u8> {
        let from = ([10, 0, 0, 1].into(), 1_000);
        let to = ([10, 0, 0, 2].into(), 2_000);
        build(&Envelope { vlans, ..ENVELOPE }, &Content::Udp { from, to, options, payload })
    }

    #[test]
    fn a_header_with_its_checksum_sums_up_to_nothing() {
        for options in [&[][..], &[1, 1, 1], &[7; 40]] {
            let frame = udp_frame(&[], options, b"odd");
            let length = usize::from(frame[14] & 0xf) * 4;
            assert_eq!(length, 20 + options.len().next_multiple_of(4));
            assert_eq!(checksum(&frame[14..14 + length]), 0);
            assert_eq!(usize::from(u16::from_be_bytes([frame[16], frame[17]])), frame.len() - 14);
        }
    }

    #[test]
    fn tags_come_between_the_addresses_and_the_ethertype() {
        let frame = udp_frame(&[12, 4_095], &[], b"");
        assert_eq!(frame[12..22], [0x81, 0, 0, 12, 0x81, 0, 0x0f, 0xff, 8, 0]);
    }

    #[test]
    fn an_arp_reply_names_sender_and_target() {
        let sender = (ENVELOPE.source, [10, 0, 0, 254].into());
        let target = (ENVELOPE.destination, [10, 0, 0, 2].into());
        let frame = build(&ENVELOPE, &Content::ArpReply { sender, target });
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[20..22], [0, 2]);
        assert_eq!(frame[28..32], [10, 0, 0, 254]);
        assert_eq!(frame[38..42], [10, 0, 0, 2]);
    }
}
