//! Any packets on DNS's port are told, counted, or both; names are safe to print, and nothing that is kept grows.
//!
//! The bytes are packets one behind another: a byte of flags, one of the payload's length, and the payload. What it finds
//! worth keeping goes into `monitor/corpus/dns` under a name that says what it is.
#![no_main]

#[path = "../../../monitor/src/dns/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other parts of it are for the agent")]
mod dns;
#[path = "../../../monitor/src/model/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other parts of it are for the agent")]
mod model;

use dns::{Heard, Listener, Lost, Segment};
use libfuzzer_sys::fuzz_target;
use model::{Direction, DnsExchange, DnsPlace, InterfaceNumber, KernelTime};

/// Bits of the flags.
const SENT: u8 = 1;
const TCP: u8 = 2;
const SYN: u8 = 4;
const CUT: u8 = 8;
const OTHER_PLACE: u8 = 16;

fuzz_target!(|bytes: &[u8]| {
    let (mut listener, mut told, mut datagrams) = (Listener::default(), Vec::new(), 0);
    let (mut rest, mut sequence, mut millis) = (bytes, [0_u32; 2], 0);
    while let [flags, length, behind @ ..] = rest {
        let (payload, next) = behind.split_at(behind.len().min(usize::from(*length)));
        rest = next;
        millis += 100;
        let is = |bit: u8| flags & bit != 0;
        let segment = is(TCP).then(|| {
            let sequence = &mut sequence[usize::from(is(SENT))];
            let this = Segment { sequence: *sequence, syn: is(SYN) };
            *sequence = sequence.wrapping_add(if is(SYN) { 1 } else { payload.len() as u32 });
            this
        });
        datagrams += u64::from(segment.is_none());
        let heard = Heard {
            place: if is(OTHER_PLACE) {
                DnsPlace::Namespace(7)
            } else {
                DnsPlace::Interface(InterfaceNumber(7))
            },
            at: KernelTime(millis * 1_000_000),
            direction: if is(SENT) { Direction::Sent } else { Direction::Received },
            container: ([172, 17, 0, 2], 40_000).into(),
            other: ([172, 17, 0, 1], 53).into(),
            payload,
            is_cut: is(CUT),
            segment,
            forwarded: false,
        };
        listener.hear(&heard, &mut told);
        listener.expire(heard.at, &mut told);
    }
    listener.finish(&mut told);
    let Lost { malformed, not_kept, unasked, .. } = listener.lost();
    let questions: u64 =
        told.iter().map(|told| u64::from(told.asked) + u64::from(told.answer.is_some())).sum();
    assert!(questions + malformed + not_kept + unasked >= datagrams, "each is told or counted");
    told.iter().for_each(check);
});

fn check(told: &DnsExchange) {
    let is_safe = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    assert!(is_safe(told.name.as_str()) && told.name.as_str().len() <= 1_100, "{}", told.name);
    let Some(answer) = &told.answer else { return };
    assert!(answer.at >= told.asked_at && answer.records.len() <= 32);
    for record in &answer.records {
        let text = record.to_string();
        assert!(!text.chars().any(char::is_control) && text.chars().count() <= 140, "{text}");
    }
}
