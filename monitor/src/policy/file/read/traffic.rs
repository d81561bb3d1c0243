//! What an entry asks of conversations: ends, protocols, ports.

use super::super::pattern::Pattern;
use super::fields::Fields;
use super::selector::selector;
use super::values::values;
use crate::document::{Mistakes, describe, nearest, one_of};
use toml::Spanned;
use toml::de::DeValue;

/// The protocols that have names.
const PROTOCOLS: [(&str, u8); 6] =
    [("tcp", 6), ("udp", 17), ("icmp", 1), ("icmpv6", 58), ("sctp", 132), ("ipv6-icmp", 58)];
/// Those that have ports.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];
const PROTOCOL: &str = "tcp, udp, icmp, icmpv6, sctp or a number from 0 to 255";
const PORTS: &str = "ports from 1 to 65535, such as 443, \"8000-8100\" or a list of them";

/// What an entry asks of conversations.
pub(super) fn pattern(fields: &Fields<'_, '_>, mistakes: &mut Mistakes<'_>) -> Pattern {
    let from = fields.get("from").and_then(|value| selector(value, "from", mistakes));
    let to = fields.get("to").and_then(|value| selector(value, "to", mistakes));
    let protocols: Box<[u8]> = fields.get("protocol").map_or_else(Box::default, |value| {
        let listed = values(value, "protocol", PROTOCOL, mistakes);
        listed.iter().filter_map(|value| protocol(value, mistakes)).collect()
    });
    let ports: Box<[(u16, u16)]> = fields.get("ports").map_or_else(Box::default, |value| {
        if let Some(without) = protocols.iter().find(|number| !WITH_PORTS.contains(number)) {
            let name = PROTOCOLS.iter().find(|(_, number)| number == without).map(|(name, _)| *name);
            let name = name.map_or_else(|| format!("protocol {without}"), str::to_owned);
            mistakes.add(
                &value.span(),
                format_args!("{name} has no ports"),
                "no `ports`, or a rule of its own",
            );
        }
        let listed = values(value, "ports", PORTS, mistakes);
        listed.iter().filter_map(|value| range(value, mistakes)).collect()
    });
    Pattern { from, to, protocols, ports }
}

fn protocol(value: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes<'_>) -> Option<u8> {
    let found = match value.get_ref() {
        DeValue::Integer(number) => u8::from_str_radix(number.as_str(), number.radix()).ok(),
        DeValue::String(text) => match PROTOCOLS.iter().find(|(name, _)| name == text) {
            Some((_, number)) => Some(*number),
            None => text.parse().ok(),
        },
        _ => None,
    };
    if found.is_none() {
        let near = match value.get_ref() {
            DeValue::String(text) => nearest(text, PROTOCOLS.iter().map(|(name, _)| *name)),
            _ => None,
        };
        let expected = near.map_or_else(|| PROTOCOL.to_owned(), |near| one_of(&[near]));
        mistakes.add(&value.span(), format_args!("`protocol` is {}", describe(value.get_ref())), expected);
    }
    found
}

/// A port or a range of them: first and last.
fn range(value: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes<'_>) -> Option<(u16, u16)> {
    let found = match value.get_ref() {
        DeValue::Integer(number) => {
            u16::from_str_radix(number.as_str(), number.radix()).ok().map(|port| (port, port))
        }
        DeValue::String(text) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            first.trim().parse().ok().zip(last.trim().parse().ok())
        }
        _ => None,
    };
    match found {
        Some((first, last)) if first > last => {
            let message = format_args!("a range of ports from {first} down to {last}");
            mistakes.add(&value.span(), message, format_args!("\"{last}-{first}\""));
        }
        Some((1.., _)) => return found,
        _ => {
            mistakes.add(&value.span(), format_args!("`ports` has {}", describe(value.get_ref())), PORTS);
        }
    }
    None
}
