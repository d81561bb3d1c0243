//! The kernel's description of its own types (BTF): where members of structures are, and what enumerations say.
//!
//! Reads no more than the drop watcher asks for. The bytes are taken as hostile: whatever they say, a search ends,
//! and what is not there is an error.

use std::collections::HashMap;

const MAGIC: u16 = 0xeb9f;
/// Bytes of a type before what its kind adds.
const TYPE: usize = 12;
/// Members that one search may look at; the kernel's largest structures have some hundred.
const MOST_MEMBERS: u32 = 10_000;
/// How deep structures without a name, or other names of a type, may be in each other.
const DEEPEST: u32 = 16;

/// Kinds of types.
mod kind {
    pub(super) const POINTER: u32 = 2;
    pub(super) const STRUCTURE: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUMERATION: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const PROTOTYPE: u32 = 13;
    pub(super) const TYPE_TAG: u32 = 18;
}

/// What is wrong with a description, or missing in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BtfError {
    /// It is not what the format says.
    #[error("the kernel's description of its types cannot be read: {0}")]
    Malformed(&'static str),
    /// It does not have what was asked for.
    #[error("the kernel's description of its types has no {0}")]
    Missing(String),
}

/// A description.
#[derive(Debug)]
pub(super) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins; the first has the number 1.
    starts: Vec<u32>,
}

/// One type.
#[derive(Clone, Copy, Debug)]
struct Type<'a> {
    name: u32,
    kind: u32,
    /// Whether offsets of members have the size of a bit field in their high byte.
    has_bit_fields: bool,
    /// How many parts it has.
    count: usize,
    /// The number of the type it is made of, for some kinds.
    of: u32,
    /// What its kind adds.
    rest: &'a [u8],
}

/// A member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    /// From the start of the structure, in bits.
    bits: u32,
    /// The number of its type.
    of: u32,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// Bytes that a kind adds to a type; `None` for a kind that is not known.
fn added(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        // Pointers, forward declarations, other names and qualities of types, functions, floats.
        2 | 7..=12 | 16 | 18 => 0,
        // Integers, variables, tags.
        1 | 14 | 17 => 4,
        // Arrays.
        3 => 12,
        // Structures, unions, sections, enumerations of 64 bits.
        4 | 5 | 15 | 19 => 12 * count,
        // Enumerations, prototypes.
        6 | 13 => 8 * count,
        _ => return None,
    })
}

impl<'a> Btf<'a> {
    /// Takes a description.
    ///
    /// # Errors
    /// When it is not one.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let cut_off = || BtfError::Malformed("it is cut off");
        let magic = bytes.first_chunk().copied().map(u16::from_ne_bytes);
        if magic != Some(MAGIC) {
            return Err(BtfError::Malformed("it does not begin as one"));
        }
        let field = |at| word(bytes, at).map(|value| value as usize).ok_or_else(cut_off);
        let header = field(4)?;
        let section = |at| {
            let start = header.checked_add(field(at)?).ok_or_else(cut_off)?;
            let end = start.checked_add(field(at + 4)?).ok_or_else(cut_off)?;
            bytes.get(start..end).ok_or_else(cut_off)
        };
        let mut this = Self { types: section(8)?, strings: section(16)?, starts: Vec::new() };
        let mut at = 0;
        while at < this.types.len() {
            let found = this.read(at).ok_or(BtfError::Malformed("it has a type that is not known"))?;
            this.starts.push(u32::try_from(at).map_err(|_| cut_off())?);
            at += TYPE + found.rest.len();
        }
        Ok(this)
    }

    /// The type that begins there.
    fn read(&self, at: usize) -> Option<Type<'a>> {
        let [name, info, of] = [0, 4, 8].map(|field| word(self.types, at + field));
        let info = info?;
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let start = at + TYPE;
        let rest = self.types.get(start..start + added(kind, count)?)?;
        Some(Type { name: name?, kind, has_bit_fields: info >> 31 != 0, count, of: of?, rest })
    }

    /// The type with this number.
    fn numbered(&self, number: u32) -> Option<Type<'a>> {
        let start = self.starts.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        self.read(*start as usize)
    }

    /// The same without other names and qualities.
    fn plain(&self, number: u32) -> Option<Type<'a>> {
        let mut found = self.numbered(number)?;
        for _ in 0..DEEPEST {
            match found.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    found = self.numbered(found.of)?;
                }
                _ => return Some(found),
            }
        }
        None
    }

    fn string(&self, at: u32) -> Option<&'a [u8]> {
        self.strings.get(at as usize..)?.split(|byte| *byte == 0).next()
    }

    /// The first type of this kind and name that is not empty.
    fn named(&self, kind: u32, name: &str) -> Result<Type<'a>, BtfError> {
        self.starts
            .iter()
            .filter_map(|start| self.read(*start as usize))
            .find(|found| {
                let is_empty = found.count == 0 && kind != kind::TYPEDEF;
                found.kind == kind && !is_empty && self.string(found.name) == Some(name.as_bytes())
            })
            .ok_or_else(|| BtfError::Missing(name.into()))
    }

    /// Where a member of a structure is, in bytes. `path` is its name, or those of members in each other.
    ///
    /// # Errors
    /// When there is none, or it is a bit field.
    pub(super) fn offset(&self, structure: &str, path: &[&str]) -> Result<u32, BtfError> {
        let missing = || BtfError::Missing(format!("{structure}.{}", path.join(".")));
        let mut found = self.named(kind::STRUCTURE, structure)?;
        let mut bits = 0_u32;
        let mut budget = MOST_MEMBERS;
        for (at, name) in path.iter().enumerate() {
            if at > 0 && !matches!(found.kind, kind::STRUCTURE | kind::UNION) {
                return Err(missing());
            }
            let member = self.member(&found, name, DEEPEST, &mut budget).ok_or_else(missing)?;
            bits = bits.checked_add(member.bits).ok_or_else(missing)?;
            if at + 1 < path.len() {
                found = self.plain(member.of).ok_or_else(missing)?;
            }
        }
        if bits.is_multiple_of(8) { Ok(bits / 8) } else { Err(missing()) }
    }

    /// The member of this name, also in structures and unions without a name inside.
    fn member(&self, of: &Type<'a>, name: &str, deep: u32, budget: &mut u32) -> Option<Member> {
        for part in of.rest.chunks_exact(12) {
            *budget = budget.checked_sub(1)?;
            let member = Member { bits: word(part, 8)?, of: word(part, 4)? };
            let bits = if of.has_bit_fields { member.bits & 0x00ff_ffff } else { member.bits };
            let is_bit_field = of.has_bit_fields && member.bits >> 24 != 0;
            let called = self.string(word(part, 0)?)?;
            if called == name.as_bytes() {
                return (!is_bit_field).then_some(Member { bits, ..member });
            }
            if !called.is_empty() || deep == 0 {
                continue;
            }
            let Some(inner) = self.plain(member.of) else { continue };
            if matches!(inner.kind, kind::STRUCTURE | kind::UNION)
                && let Some(found) = self.member(&inner, name, deep - 1, budget)
            {
                return Some(Member { bits: bits.checked_add(found.bits)?, ..found });
            }
        }
        None
    }

    /// Names and values of an enumeration.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn enumeration(&self, name: &str) -> Result<HashMap<u32, &'a str>, BtfError> {
        let found = self.named(kind::ENUMERATION, name)?;
        let value = |part: &[u8]| {
            let name = std::str::from_utf8(self.string(word(part, 0)?)?).ok()?;
            Some((word(part, 4)?, name))
        };
        Ok(found.rest.chunks_exact(8).filter_map(value).collect())
    }

    /// How many parameters a pointer to a function has that goes by this name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn parameters(&self, name: &str) -> Result<usize, BtfError> {
        let pointer = self.plain(self.named(kind::TYPEDEF, name)?.of).filter(|it| it.kind == kind::POINTER);
        let prototype = pointer.and_then(|pointer| self.plain(pointer.of));
        prototype
            .filter(|it| it.kind == kind::PROTOTYPE)
            .map(|it| it.count)
            .ok_or_else(|| BtfError::Missing(name.into()))
    }
}

#[cfg(test)]
mod tests;
