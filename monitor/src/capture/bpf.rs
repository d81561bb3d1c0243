//! Expressions of tcpdump, compiled to the instructions of the classic BSD packet filter (S. McCanne and V. Jacobson, "The
//! BSD Packet Filter", 1993; the kernel's `Documentation/networking/filter.rst`) and carried out here: what packets to
//! take is decided behind the programs in the kernel, which take whole interfaces.

use thiserror::Error;

/// The most instructions, as in the kernel (`BPF_MAXINSNS`).
const MOST: usize = 4_096;
/// Words of scratch memory (`BPF_MEMWORDS`).
const WORDS: usize = 16;

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    on_true: u8,
    on_false: u8,
    operand: u32,
}

/// A program that was checked: it ends, and neither jumps nor stores out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

/// Why a text is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAProgram {
    /// It is not lines of four numbers, or not as many as its first line says.
    #[error("it is no list of instructions")]
    Malformed,
    /// It has more than 4,096 instructions, or none.
    #[error("it has more than {MOST} instructions, or none")]
    Length,
    /// An instruction is unknown, divides by nothing, jumps too far, or uses memory that is not there.
    #[error("instruction {0} makes no sense")]
    Instruction(usize),
}

/// Classes of instructions, and the parts of their codes.
mod code {
    pub(super) const CLASS: u16 = 0x07;
    pub(super) const LOAD: u16 = 0x00;
    pub(super) const LOAD_INDEX: u16 = 0x01;
    pub(super) const STORE: u16 = 0x02;
    pub(super) const STORE_INDEX: u16 = 0x03;
    pub(super) const ARITHMETIC: u16 = 0x04;
    pub(super) const JUMP: u16 = 0x05;
    pub(super) const RETURN: u16 = 0x06;
    pub(super) const TRANSFER: u16 = 0x07;
    /// Whether the other operand is the index register.
    pub(super) const BY_INDEX: u16 = 0x08;
    /// The rest of an arithmetic or a jump.
    pub(super) const OPERATION: u16 = 0xf0;
    pub(super) const DIVIDE: u16 = 0x30;
    pub(super) const REMAINDER: u16 = 0x90;
    pub(super) const SHIFTS: [u16; 2] = [0x60, 0x70];
    pub(super) const RETURN_ACCUMULATOR: u16 = 0x16;
    pub(super) const LOAD_MEMORY: u16 = 0x60;
    pub(super) const LOAD_INDEX_MEMORY: u16 = 0x61;
}

impl Program {
    /// Reads what `tcpdump -ddd` prints: how many instructions there are, then one a line, four decimal numbers.
    ///
    /// # Errors
    /// When that is no program, or one that a kernel would refuse.
    pub fn parse(text: &str) -> Result<Self, NotAProgram> {
        let mut lines = text.lines();
        let count: usize =
            lines.next().and_then(|line| line.trim().parse().ok()).ok_or(NotAProgram::Malformed)?;
        let instructions: Option<Vec<Instruction>> = lines.take(MOST + 1).map(instruction).collect();
        let program = Self(instructions.ok_or(NotAProgram::Malformed)?);
        match program.0.len() {
            length if length != count && length <= MOST => Err(NotAProgram::Malformed),
            1..=MOST => program.checked(),
            _ => Err(NotAProgram::Length),
        }
    }

    fn checked(self) -> Result<Self, NotAProgram> {
        let last = self.0.len() - 1;
        for (at, instruction) in self.0.iter().enumerate() {
            let ends_here = at == last && instruction.code & code::CLASS != code::RETURN;
            if ends_here || !instruction.makes_sense(last - at) {
                return Err(NotAProgram::Instruction(at));
            }
        }
        Ok(self)
    }

    /// Whether it takes a packet, of which these bytes were kept. What it wants to see behind them, no packet has: it is not
    /// taken then.
    #[must_use]
    pub fn takes(&self, bytes: &[u8], length: u32) -> bool {
        self.run(bytes, length).is_some_and(|taken| taken != 0)
    }

    fn run(&self, bytes: &[u8], length: u32) -> Option<u32> {
        let (mut accumulator, mut index, mut memory) = (0_u32, 0_u32, [0_u32; WORDS]);
        let mut at = 0;
        // Jumps go forward alone, so this ends.
        loop {
            let it = self.0.get(at)?;
            at += 1;
            let slot = usize::try_from(it.operand).unwrap_or(WORDS);
            let other = if it.code & code::BY_INDEX == 0 { it.operand } else { index };
            match it.code & code::CLASS {
                code::LOAD => {
                    accumulator = match it.code {
                        0x00 => it.operand,
                        0x20 => word(bytes, it.operand, 4)?,
                        0x28 => word(bytes, it.operand, 2)?,
                        0x30 => word(bytes, it.operand, 1)?,
                        0x40 => word(bytes, index.checked_add(it.operand)?, 4)?,
                        0x48 => word(bytes, index.checked_add(it.operand)?, 2)?,
                        0x50 => word(bytes, index.checked_add(it.operand)?, 1)?,
                        code::LOAD_MEMORY => *memory.get(slot)?,
                        _ => length,
                    }
                }
                code::LOAD_INDEX => {
                    index = match it.code {
                        0x01 => it.operand,
                        code::LOAD_INDEX_MEMORY => *memory.get(slot)?,
                        0x81 => length,
                        // The length of an IPv4 header from its first byte.
                        _ => (word(bytes, it.operand, 1)? & 0x0f) * 4,
                    }
                }
                code::STORE => *memory.get_mut(slot)? = accumulator,
                code::STORE_INDEX => *memory.get_mut(slot)? = index,
                code::ARITHMETIC => {
                    accumulator = match it.code & code::OPERATION {
                        0x00 => accumulator.wrapping_add(other),
                        0x10 => accumulator.wrapping_sub(other),
                        0x20 => accumulator.wrapping_mul(other),
                        code::DIVIDE => accumulator.checked_div(other)?,
                        0x40 => accumulator | other,
                        0x50 => accumulator & other,
                        0x60 => accumulator.checked_shl(other).unwrap_or(0),
                        0x70 => accumulator.checked_shr(other).unwrap_or(0),
                        0x80 => accumulator.wrapping_neg(),
                        code::REMAINDER => accumulator.checked_rem(other)?,
                        _ => accumulator ^ other,
                    }
                }
                code::JUMP => {
                    let holds = match it.code & code::OPERATION {
                        0x00 => {
                            at = at.checked_add(usize::try_from(it.operand).ok()?)?;
                            continue;
                        }
                        0x10 => accumulator == other,
                        0x20 => accumulator > other,
                        0x30 => accumulator >= other,
                        _ => accumulator & other != 0,
                    };
                    at += usize::from(if holds { it.on_true } else { it.on_false });
                }
                code::RETURN => {
                    return Some(if it.code == code::RETURN_ACCUMULATOR { accumulator } else { it.operand });
                }
                _ if it.code == code::TRANSFER => index = accumulator,
                _ => accumulator = index,
            }
        }
    }
}

impl Instruction {
    /// Whether it is one, with so many behind it.
    fn makes_sense(&self, behind: usize) -> bool {
        let far = |distance: usize| distance < behind;
        let in_memory = usize::try_from(self.operand).is_ok_and(|slot| slot < WORDS);
        match self.code & code::CLASS {
            code::LOAD => match self.code {
                0x00 | 0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 | 0x80 => true,
                code::LOAD_MEMORY => in_memory,
                _ => false,
            },
            code::LOAD_INDEX => match self.code {
                0x01 | 0x81 | 0xb1 => true,
                code::LOAD_INDEX_MEMORY => in_memory,
                _ => false,
            },
            code::STORE => self.code == code::STORE && in_memory,
            code::STORE_INDEX => self.code == code::STORE_INDEX && in_memory,
            code::ARITHMETIC => {
                let (operation, by_index) = (self.code & code::OPERATION, self.code & code::BY_INDEX != 0);
                let divides = matches!(operation, code::DIVIDE | code::REMAINDER);
                let shifts = code::SHIFTS.contains(&operation);
                self.code <= 0xff
                    && operation <= 0xa0
                    && (by_index || !(divides && self.operand == 0 || shifts && self.operand >= 32))
            }
            code::JUMP => match self.code {
                0x05 => usize::try_from(self.operand).is_ok_and(far),
                0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {
                    far(usize::from(self.on_true)) && far(usize::from(self.on_false))
                }
                _ => false,
            },
            code::RETURN => matches!(self.code, 0x06 | code::RETURN_ACCUMULATOR),
            _ => matches!(self.code, code::TRANSFER | 0x87),
        }
    }
}

/// A number of one, two or four bytes, in network order.
fn word(bytes: &[u8], at: u32, size: usize) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
}

fn instruction(line: &str) -> Option<Instruction> {
    let mut numbers = line.split_ascii_whitespace();
    let instruction = Instruction {
        code: numbers.next()?.parse().ok()?,
        on_true: numbers.next()?.parse().ok()?,
        on_false: numbers.next()?.parse().ok()?,
        operand: numbers.next()?.parse().ok()?,
    };
    numbers.next().is_none().then_some(instruction)
}

#[cfg(test)]
mod tests {
    use super::{NotAProgram, Program};
    use proptest::prelude::{any, proptest};

    /// `tcpdump -ddd -y EN10MB 'udp port 53'`, shortened to IPv4 without fragments and options: Ethernet type, protocol,
    /// then either port by the header's length.
    const UDP_53: &str = "12\n40 0 0 12\n21 0 9 2048\n48 0 0 23\n21 0 7 17\n40 0 0 20\n69 5 0 8191\n177 0 0 14\n\
        72 0 0 14\n21 1 0 53\n5 0 0 1\n6 0 0 262144\n6 0 0 0";

    fn packet(protocol: u8, ports: [u16; 2]) -> Vec<u8> {
        let mut bytes = vec![0; 42];
        bytes[12] = 0x08;
        (bytes[14], bytes[23]) = (0x45, protocol);
        bytes[34..36].copy_from_slice(&ports[0].to_be_bytes());
        bytes[36..38].copy_from_slice(&ports[1].to_be_bytes());
        bytes
    }

    #[test]
    fn a_packet_is_taken_or_not() {
        let program = Program::parse(UDP_53).unwrap();
        assert!(program.takes(&packet(17, [53, 4000]), 42));
        assert!(!program.takes(&packet(17, [4000, 54]), 42));
        assert!(!program.takes(&packet(6, [53, 4000]), 42));
        assert!(!program.takes(&packet(17, [53, 4000])[..30], 42), "too little of it was kept");
        assert!(!program.takes(&[], 0));
    }

    #[test]
    fn the_length_is_that_of_the_whole_packet() {
        let more_than_100 = Program::parse("4\n128 0 0 0\n37 0 1 100\n6 0 0 1\n6 0 0 0").unwrap();
        assert!(more_than_100.takes(&[0; 10], 101));
        assert!(!more_than_100.takes(&[0; 10], 100));
    }

    #[test]
    fn what_a_kernel_would_refuse_is_refused() {
        let check =
            |text: &str, expected: NotAProgram| assert_eq!(Program::parse(text), Err(expected), "{text:?}");
        for text in ["", "x", "1", "2\n6 0 0 0", "1\n6 0 0", "1\n6 0 0 0 0", "1\n6 0 256 0", "-1\n"] {
            check(text, NotAProgram::Malformed);
        }
        check("0", NotAProgram::Length);
        check(&format!("5000\n{}", "6 0 0 0\n".repeat(5_000)), NotAProgram::Length);
        for first in [
            "5 0 0 1",
            "21 0 1 0",
            "21 1 0 0",
            "2 0 0 16",
            "96 0 0 16",
            "52 0 0 0",
            "100 0 0 32",
            "255 0 0 0",
        ] {
            check(&format!("2\n{first}\n6 0 0 0"), NotAProgram::Instruction(0));
        }
        check("2\n6 0 0 0\n0 0 0 0", NotAProgram::Instruction(1));
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_ends(
            instructions in proptest::collection::vec((any::<u16>(), any::<u8>(), any::<u8>(), any::<u32>()), 1..40),
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let one = |(code, yes, no, operand): &(u16, u8, u8, u32)| {
                format!("{} {} {} {}\n", code & 0xff, yes % 8, no % 8, operand % 64)
            };
            let lines: String = instructions.iter().map(one).collect();
            if let Ok(program) = Program::parse(&format!("{}\n{lines}6 0 0 1", instructions.len() + 1)) {
                let _ = program.takes(&bytes, 80);
            }
        }
    }
}
