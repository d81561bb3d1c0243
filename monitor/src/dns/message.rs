//! One message, as far as it is read: its question, and of an answer the code and the first records.

use crate::model::{DnsRecord, SafeText};
use hickory_proto::op::{Header, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

/// Records of an answer that are kept.
const MOST_RECORDS: u16 = 32;
/// Characters of a record that is no address.
const LONGEST_RECORD: usize = 128;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    name: Name,
    record_type: RecordType,
}

impl Asked {
    /// The name, without the dot at its end.
    #[must_use]
    pub fn name(&self) -> SafeText {
        let name = self.name.to_ascii();
        // A name has at most 255 bytes, each at most four characters (`\255`).
        SafeText::of_length(name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(&name), 1_024)
    }

    /// The type of record.
    #[must_use]
    pub fn record_type(&self) -> SafeText {
        SafeText::new(&type_name(self.record_type))
    }
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The response code; that of EDNS is not read.
    pub code: SafeText,
    /// Whether it says itself that it is not whole.
    pub truncated: bool,
    /// Its first records.
    pub records: Vec<DnsRecord>,
    /// Records that are not among them.
    pub left_out: u32,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The id that an answer shares with its question.
    pub id: u16,
    /// The question; an answer repeats it.
    pub asked: Asked,
    /// Absent in a question.
    pub answered: Option<Answered>,
}

/// Reads a message. Of one that was cut, what there is of it.
///
/// `None`: it is no question for one name nor an answer to one, or not whole and not cut.
#[must_use]
pub fn decode(bytes: &[u8], is_cut: bool) -> Option<Message> {
    let mut decoder = BinDecoder::new(bytes);
    let header = Header::read(&mut decoder).ok()?;
    if header.op_code != OpCode::Query || header.counts.queries != 1 {
        return None;
    }
    let Query { name, query_type, .. } = Query::read(&mut decoder).ok()?;
    let asked = Asked { name, record_type: query_type };
    let answered = match header.message_type {
        MessageType::Query => None,
        MessageType::Response => {
            let truncated = header.truncation;
            let records = records(&mut decoder, header.counts.answers.min(MOST_RECORDS));
            let records = records.or_else(|read| (is_cut || truncated).then_some(read).ok_or(())).ok()?;
            let left_out =
                u32::from(header.counts.answers).saturating_sub(u32::try_from(records.len()).ok()?);
            Some(Answered { code: code(header.response_code.low()), truncated, records, left_out })
        }
    };
    Some(Message { id: header.id, asked, answered })
}

/// So many records; or those that could be read.
fn records(decoder: &mut BinDecoder<'_>, count: u16) -> Result<Vec<DnsRecord>, Vec<DnsRecord>> {
    let mut records = Vec::new();
    for _ in 0..count {
        match Record::read(decoder) {
            Ok(read) => records.push(record(&read)),
            Err(_) => return Err(records),
        }
    }
    Ok(records)
}

fn record(record: &Record) -> DnsRecord {
    match &record.data {
        RData::A(address) => DnsRecord::Address(address.0.into()),
        RData::AAAA(address) => DnsRecord::Address(address.0.into()),
        other => {
            let text = format!("{} {other}", type_name(record.record_type()));
            DnsRecord::Other(SafeText::of_length(&text, LONGEST_RECORD))
        }
    }
}

fn type_name(of: RecordType) -> String {
    match of {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

/// The name of a response code (RFC 1035, RFC 2136).
fn code(number: u8) -> SafeText {
    let name = match number {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        other => return SafeText::new(&format!("RCODE{other}")),
    };
    SafeText::new(name)
}
