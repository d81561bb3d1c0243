//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian, appended to a buffer.
//!
//! Own code: there is one stable release of a crate that writes them, and its times of statistics are wrong.

/// Types of blocks.
mod block {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const STATISTICS: u32 = 5;
    pub(super) const PACKET: u32 = 6;
}

/// Codes of options; what they mean depends on the block.
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SECTION_HARDWARE: u16 = 2;
    pub(super) const SECTION_SYSTEM: u16 = 3;
    pub(super) const SECTION_APPLICATION: u16 = 4;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const INTERFACE_DESCRIPTION: u16 = 3;
    pub(super) const INTERFACE_RESOLUTION: u16 = 9;
    pub(super) const INTERFACE_FILTER: u16 = 11;
    pub(super) const PACKET_FLAGS: u16 = 2;
    pub(super) const STATISTICS_START: u16 = 2;
    pub(super) const STATISTICS_END: u16 = 3;
    pub(super) const STATISTICS_RECEIVED: u16 = 4;
    pub(super) const STATISTICS_DROPPED: u16 = 5;
    pub(super) const STATISTICS_DELIVERED: u16 = 8;
}

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const ETHERNET: u16 = 1;
/// Nanoseconds: ten to the minus ninth.
const RESOLUTION: u8 = 9;
/// A filter as text of its own language.
const FILTER_AS_TEXT: u8 = 0;
/// Blocks of 32-bit words; the longest text that fits an option.
const WORD: usize = 4;
const LONGEST_TEXT: usize = 65_535;

/// A block that is being appended; [`Block::end`] closes it.
struct Block<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Block<'a> {
    fn begin(bytes: &'a mut Vec<u8>, kind: u32) -> Self {
        let start = bytes.len();
        bytes.extend(kind.to_le_bytes());
        bytes.extend([0; WORD]);
        Self { bytes, start }
    }

    fn word(&mut self, word: u32) -> &mut Self {
        self.bytes.extend(word.to_le_bytes());
        self
    }

    /// A time: its upper half first, whatever the byte order.
    fn time(&mut self, nanoseconds: u64) -> &mut Self {
        self.bytes.extend(halves(nanoseconds));
        self
    }

    fn padded(&mut self, data: &[u8]) -> &mut Self {
        self.bytes.extend(data);
        let padding = data.len().next_multiple_of(WORD) - data.len();
        self.bytes.extend(&[0; WORD][..padding]);
        self
    }

    fn option(&mut self, code: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len()).expect("texts were cut, and all else is short");
        self.bytes.extend(code.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
        self.padded(value)
    }

    fn text(&mut self, code: u16, text: &str) -> &mut Self {
        let end = text.floor_char_boundary(LONGEST_TEXT);
        self.option(code, &text.as_bytes()[..end])
    }

    /// Closes it: the end of its options, and its length at both of its ends.
    fn end(&mut self) {
        self.option(option::END, &[]);
        let length = u32::try_from(self.bytes.len() - self.start + WORD).expect("a block is short");
        self.word(length);
        self.bytes[self.start + WORD..self.start + 2 * WORD].copy_from_slice(&length.to_le_bytes());
    }
}

fn halves(time: u64) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h] = time.to_be_bytes();
    [d, c, b, a, h, g, f, e]
}

/// What a section header says.
pub(super) struct SectionHeader<'a> {
    pub(super) hardware: &'a str,
    pub(super) system: &'a str,
    pub(super) application: &'a str,
    pub(super) comment: &'a str,
}

/// Begins a file.
pub(super) fn section(bytes: &mut Vec<u8>, header: &SectionHeader<'_>) {
    let mut block = Block::begin(bytes, block::SECTION);
    block.word(BYTE_ORDER);
    // Version 1.0, and a section whose length is not known before its end.
    block.bytes.extend([1_u16.to_le_bytes(), 0_u16.to_le_bytes()].concat());
    block.bytes.extend((-1_i64).to_le_bytes());
    block
        .text(option::SECTION_HARDWARE, header.hardware)
        .text(option::SECTION_SYSTEM, header.system)
        .text(option::SECTION_APPLICATION, header.application)
        .text(option::COMMENT, header.comment)
        .end();
}

/// What an interface's description says.
pub(super) struct InterfaceHeader<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    /// What packets were chosen by; absent where all are.
    pub(super) filter: Option<&'a str>,
    pub(super) snap_length: u32,
}

/// Describes an Ethernet interface; interfaces are numbered in the order of these blocks.
pub(super) fn interface(bytes: &mut Vec<u8>, header: &InterfaceHeader<'_>) {
    let mut block = Block::begin(bytes, block::INTERFACE);
    block.bytes.extend([ETHERNET.to_le_bytes(), [0; 2]].concat());
    block
        .word(header.snap_length)
        .text(option::INTERFACE_NAME, header.name)
        .text(option::INTERFACE_DESCRIPTION, header.description)
        .option(option::INTERFACE_RESOLUTION, &[RESOLUTION]);
    if let Some(filter) = header.filter {
        let end = filter.floor_char_boundary(LONGEST_TEXT - 1);
        block.option(option::INTERFACE_FILTER, &[&[FILTER_AS_TEXT], &filter.as_bytes()[..end]].concat());
    }
    block.end();
}

/// Which way a packet went, by the bits of its flags.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Inbound = 1,
    Outbound = 2,
}

/// One packet.
pub(super) struct PacketHeader<'a> {
    pub(super) interface: u32,
    /// Nanoseconds since 1970.
    pub(super) time: u64,
    /// As it was on the wire.
    pub(super) length: u32,
    pub(super) way: Way,
    pub(super) comment: &'a str,
}

/// Appends a packet with what was kept of it.
pub(super) fn packet(bytes: &mut Vec<u8>, header: &PacketHeader<'_>, data: &[u8]) {
    let kept = u32::try_from(data.len()).expect("a packet is short");
    Block::begin(bytes, block::PACKET)
        .word(header.interface)
        .time(header.time)
        .word(kept)
        .word(header.length)
        .padded(data)
        .option(option::PACKET_FLAGS, &(header.way as u32).to_le_bytes())
        .text(option::COMMENT, header.comment)
        .end();
}

/// What was captured at an interface until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statistics {
    pub(super) interface: u32,
    /// Nanoseconds since 1970.
    pub(super) started: u64,
    /// The same.
    pub(super) now: u64,
    pub(super) received: u64,
    pub(super) dropped: u64,
    pub(super) delivered: u64,
}

/// Appends what was captured.
pub(super) fn statistics(bytes: &mut Vec<u8>, statistics: &Statistics, comment: Option<&str>) {
    let mut block = Block::begin(bytes, block::STATISTICS);
    block
        .word(statistics.interface)
        .time(statistics.now)
        .option(option::STATISTICS_START, &halves(statistics.started))
        .option(option::STATISTICS_END, &halves(statistics.now))
        .option(option::STATISTICS_RECEIVED, &statistics.received.to_le_bytes())
        .option(option::STATISTICS_DROPPED, &statistics.dropped.to_le_bytes())
        .option(option::STATISTICS_DELIVERED, &statistics.delivered.to_le_bytes());
    if let Some(comment) = comment {
        block.text(option::COMMENT, comment);
    }
    block.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bodies of all blocks, by their types; each block's length is at both of its ends.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let length = word(bytes, 4) as usize;
            assert_eq!((length % 4, word(bytes, length - 4) as usize), (0, length));
            blocks.push((word(bytes, 0), bytes[8..length - 4].to_vec()));
            bytes = &bytes[length..];
        }
        blocks
    }

    #[test]
    fn a_packet_is_written_as_the_format_says() {
        let mut bytes = Vec::new();
        let time = 0x0102_0304_0506_0708;
        let header = PacketHeader { interface: 3, time, length: 60, way: Way::Outbound, comment: "abc" };
        packet(&mut bytes, &header, &[9; 5]);
        let expected = [
            &[3, 0, 0, 0][..],
            &[4, 3, 2, 1, 8, 7, 6, 5],
            &[5, 0, 0, 0, 60, 0, 0, 0],
            &[9, 9, 9, 9, 9, 0, 0, 0],
            &[2, 0, 4, 0, 2, 0, 0, 0],
            &[1, 0, 3, 0, b'a', b'b', b'c', 0],
            &[0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(blocks(&bytes), [(6, expected)]);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        let mut bytes = Vec::new();
        let name = "é".repeat(40_000);
        let header = InterfaceHeader { name: &name, description: "", filter: Some(&name), snap_length: 1 };
        interface(&mut bytes, &header);
        let [(1, body)] = &blocks(&bytes)[..] else { panic!() };
        assert_eq!(body[8..12], [2, 0, 0xfe, 0xff]);
    }
}
