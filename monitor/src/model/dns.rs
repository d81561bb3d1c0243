//! Names that containers ask for.

use super::{InterfaceNumber, KernelTime, SafeText};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Where a question was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsPlace {
    /// At a container's interface.
    Interface(InterfaceNumber),
    /// In the network namespace with this number, where Docker's resolver was asked.
    Namespace(u32),
}

/// How a question was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DnsTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl DnsTransport {
    /// As in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// A question, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsExchange {
    /// Where it was seen.
    pub place: DnsPlace,
    /// When it was asked first.
    pub asked_at: KernelTime,
    /// How often it was asked until it was answered, with the same id from the same port.
    pub asked: u32,
    /// Who asked.
    pub client: SocketAddr,
    /// Who was asked.
    pub resolver: SocketAddr,
    /// How.
    pub transport: DnsTransport,
    /// Whether Docker's own resolver asked on, for a container that had asked it.
    pub forwarded: bool,
    /// Its id.
    pub id: u16,
    /// The name, without the dot at its end.
    pub name: SafeText,
    /// The type of record, as in RFC 1035 and its successors (`A`, `AAAA`, `TYPE65280`).
    pub record_type: SafeText,
    /// The answer; absent if none came in time.
    pub answer: Option<DnsAnswer>,
}

impl DnsExchange {
    /// What came of it.
    #[must_use]
    pub fn outcome(&self) -> DnsOutcome {
        self.answer.as_ref().map_or(DnsOutcome::None, |answer| DnsOutcome::of_code(answer.code.as_str()))
    }

    /// From the first question to the answer.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        self.answer.as_ref().map(|answer| answer.at.since(self.asked_at))
    }
}

/// What came of a question, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DnsOutcome {
    /// `NOERROR`.
    Answered,
    /// `NXDOMAIN`.
    NoSuchName,
    /// `SERVFAIL`.
    ServerFailed,
    /// `REFUSED`.
    Refused,
    /// Any other code.
    Other,
    /// No answer in time.
    None,
}

impl DnsOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Answered, Self::NoSuchName, Self::ServerFailed, Self::Refused, Self::Other, Self::None];

    /// As in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "NOERROR",
            Self::NoSuchName => "NXDOMAIN",
            Self::ServerFailed => "SERVFAIL",
            Self::Refused => "REFUSED",
            Self::Other => "other",
            Self::None => "none",
        }
    }

    /// Of a response code, by its name.
    fn of_code(code: &str) -> Self {
        let named = [Self::Answered, Self::NoSuchName, Self::ServerFailed, Self::Refused];
        named.into_iter().find(|outcome| outcome.name() == code).unwrap_or(Self::Other)
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsAnswer {
    /// When it came.
    pub at: KernelTime,
    /// The response code (`NOERROR`, `NXDOMAIN`, `RCODE12`).
    pub code: SafeText,
    /// Whether it says itself that it is not whole: it is asked again over TCP, as a rule.
    pub truncated: bool,
    /// Its first records, in their order.
    pub records: Vec<DnsRecord>,
    /// Records of the answer that are not among them.
    pub left_out: u32,
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsRecord {
    /// Of type A or AAAA.
    Address(IpAddr),
    /// Of another type, as text.
    Other(SafeText),
}

impl std::fmt::Display for DnsRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Other(text) => text.fmt(formatter),
        }
    }
}
