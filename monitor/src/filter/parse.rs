//! From what was typed to words.

use super::Field;
use super::needle::Needle;
use super::word::{Test, Word};
use crate::snapshot::nearest;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The most words that are read: nobody types more, and each is asked of every row.
const MOST_WORDS: usize = 32;
/// The most values of a word that are read.
const MOST_VALUES: usize = 64;
/// The fewest characters that are taken for the beginning of an id.
const SHORTEST_ID: usize = 4;

/// What fields are called; the first name of each is its full one.
const NAMES: [(&str, Field); 24] = [
    ("container", Field::Container),
    ("c", Field::Container),
    ("name", Field::Container),
    ("service", Field::Service),
    ("svc", Field::Service),
    ("project", Field::Project),
    ("proj", Field::Project),
    ("network", Field::Network),
    ("net", Field::Network),
    ("port", Field::Port),
    ("p", Field::Port),
    ("address", Field::Address),
    ("addr", Field::Address),
    ("ip", Field::Address),
    ("protocol", Field::Protocol),
    ("proto", Field::Protocol),
    ("state", Field::State),
    ("s", Field::State),
    ("kind", Field::Kind),
    ("severity", Field::Severity),
    ("sev", Field::Severity),
    ("rule", Field::Rule),
    ("image", Field::Image),
    ("img", Field::Image),
];

/// The words of a filter; those that say nothing yet are left out.
pub(super) fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    for typed in split(text).into_iter().take(MOST_WORDS) {
        words.extend(word(&typed)?);
    }
    Ok(words)
}

/// A character as it was typed, and whether it stood in quotes, where it means only itself.
type Typed = (char, bool);

/// Splits at spaces outside of quotes. A quote that is not closed yet reaches to the end.
fn split(text: &str) -> Vec<Vec<Typed>> {
    let mut words = vec![Vec::new()];
    let mut quoted = false;
    for character in text.chars() {
        match (character, quoted) {
            ('"', _) => quoted = !quoted,
            (space, false) if space.is_whitespace() => words.push(Vec::new()),
            (character, quoted) => words.last_mut().expect("there is one").push((character, quoted)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// One word; nothing where it says nothing yet.
fn word(typed: &[Typed]) -> Result<Option<Word>, String> {
    let (negated, typed) = match typed {
        [('-' | '!', false), rest @ ..] => (true, rest),
        all => (false, all),
    };
    let tests = match field(typed)? {
        Some((field, values)) => values_of(field, values)?,
        None => anything(&plain(typed)),
    };
    Ok((!tests.is_empty()).then_some(Word { negated, tests }))
}

/// The field that a word names, and what stands behind it. Only letters can be a field's name: `172.18.0.2:80` and
/// `fd00::1` are none.
fn field(typed: &[Typed]) -> Result<Option<(Field, &[Typed])>, String> {
    let Some(colon) = typed.iter().position(|typed| *typed == (':', false)) else { return Ok(None) };
    let (before, values) = (&typed[..colon], &typed[colon + 1..]);
    let is_name = !before.is_empty() && before.iter().all(|(it, quoted)| it.is_ascii_alphabetic() && !quoted);
    if !is_name || plain(typed).parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let name = plain(before).to_ascii_lowercase();
    match NAMES.iter().find(|(known, _)| *known == name) {
        Some((_, field)) => Ok(Some((*field, values))),
        None => Err(match nearest(&name, NAMES.map(|(known, _)| known)) {
            Some(near) => format!("no field {name}: did you mean {near}:?"),
            None => format!("no field {name}: ? tells which there are"),
        }),
    }
}

/// The tests of a field's values, which commas part.
fn values_of(field: Field, typed: &[Typed]) -> Result<Vec<Test>, String> {
    let values = typed.split(|typed| *typed == (',', false)).take(MOST_VALUES).map(plain);
    let mut tests = Vec::new();
    for value in values.filter(|value| !value.is_empty()) {
        match field {
            Field::Port => tests.push(Test::Port(ports(&value)?)),
            Field::Address => tests.push(address(&value)?),
            field => {
                tests.extend(id(&value).filter(|_| field == Field::Container));
                tests.push(Test::Text(field, Needle::new(&value)));
            }
        }
    }
    Ok(tests)
}

/// A word without a field: any text, a whole port, a part of an address, the beginning of an id.
fn anything(text: &str) -> Vec<Test> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut tests = vec![Test::Text(Field::Any, Needle::new(text))];
    tests.extend(text.parse().ok().map(|port: u16| Test::Port(port..=port)));
    if text.contains(['.', ':']) {
        tests.extend(match address(text) {
            Ok(Test::Begins(part)) => Some(Test::Has(part)),
            read => read.ok(),
        });
    }
    tests.extend(id(text));
    tests
}

/// What may be the beginning of an id.
fn id(text: &str) -> Option<Test> {
    let is_id = text.len() >= SHORTEST_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| Test::Id(Needle::new(text)))
}

/// `80`, `8000-9000`, `8000-` and above, `-1023` and below.
fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(format!("{} is no port", short(text))),
    };
    let Some((from, to)) = text.split_once('-') else { return port(text).map(|port| port..=port) };
    let first = if from.is_empty() { 0 } else { port(from)? };
    let last = if to.is_empty() { u16::MAX } else { port(to)? };
    // A second port with fewer digits is still being typed.
    let last = if to.len() < from.len() { u16::MAX } else { last };
    if first > last {
        return Err(format!("{} is no range: the smaller port comes first", short(text)));
    }
    Ok(first..=last)
}

/// `172.18.0.2`, `172.18.0.0/16`, or the beginning of an address.
fn address(text: &str) -> Result<Test, String> {
    let none = || format!("{} is no address", short(text));
    let (address, length) = text.split_once('/').map_or((text, None), |(it, length)| (it, Some(length)));
    let is_part = address.bytes().all(|byte| byte.is_ascii_hexdigit() || b".:".contains(&byte));
    match (address.parse::<IpAddr>(), length) {
        // `fd00::` is more likely to go on than to be meant.
        (Ok(_), None) if address.ends_with(':') => Ok(Test::Begins(Needle::new(address))),
        (Ok(whole), None | Some("")) => Ok(Test::Subnet(whole, bits(whole))),
        (Ok(network), Some(length)) => match length.parse::<u8>() {
            Ok(length) if length <= bits(network) => Ok(Test::Subnet(network, length)),
            _ => Err(format!("/{} is no prefix of {network}", short(length))),
        },
        (Err(_), None) if is_part => Ok(Test::Begins(Needle::new(address))),
        (Err(_), _) => Err(none()),
    }
}

const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// A value as an error shows it.
fn short(text: &str) -> String {
    crate::model::SafeText::new(&text.chars().take(20).collect::<String>()).to_string()
}

fn plain(typed: &[Typed]) -> String {
    typed.iter().map(|(character, _)| character).collect()
}
