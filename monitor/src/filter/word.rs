//! One word of a filter.

use super::needle::{AddressText, Needle};
use super::{Field, Filterable};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// One word: any of its tests has to hold, or none of them where it is negated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) negated: bool,
    pub(super) tests: Vec<Test>,
}

/// What is asked of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// A text has it somewhere.
    Text(Field, Needle),
    /// A container's id begins with it.
    Id(Needle),
    /// A port is one of these.
    Port(RangeInclusive<u16>),
    /// An address is in the subnet.
    Subnet(IpAddr, u8),
    /// An address, as it is written, begins with it.
    Begins(Needle),
    /// An address, as it is written, has it somewhere.
    Has(Needle),
}

impl Word {
    pub(super) fn holds(&self, row: &dyn Filterable) -> bool {
        self.tests.iter().any(|test| test.holds(row)) != self.negated
    }
}

impl Test {
    fn holds(&self, row: &dyn Filterable) -> bool {
        match self {
            Self::Text(field, needle) => row.texts(*field, &mut |text| needle.is_in(text)),
            Self::Id(needle) => row.ids(&mut |id| needle.begins(id)),
            Self::Port(range) => row.ports(&mut |port| range.contains(&port)),
            Self::Subnet(network, length) => {
                row.addresses(&mut |address| is_within(address, *network, *length))
            }
            Self::Begins(needle) => {
                row.addresses(&mut |address| needle.begins(AddressText::of(address).as_str()))
            }
            Self::Has(needle) => {
                row.addresses(&mut |address| needle.is_in(AddressText::of(address).as_str()))
            }
        }
    }
}

/// Whether the first `length` bits of both are the same.
fn is_within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let same = |differing: u128, bits: u32| {
        differing.checked_shr(bits.saturating_sub(u32::from(length))).unwrap_or_default() == 0
    };
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(u128::from(one.to_bits() ^ other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits() ^ other.to_bits(), 128),
        _ => false,
    }
}
