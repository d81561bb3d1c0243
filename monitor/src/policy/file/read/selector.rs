//! Descriptions of ends.

use super::super::glob::Glob;
use super::super::selector::{Clause, Criterion, Selector};
use super::fields::Fields;
use super::values::{text, values};
use crate::attribution::EndKind;
use crate::document::{Mistakes, describe, one_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use toml::Spanned;
use toml::de::DeValue;

/// The keys of a description.
const KEYS: [&str; 10] =
    ["container", "service", "project", "image", "label", "network", "cidr", "host", "external", "not"];
/// Those that only a container can fit.
const OF_CONTAINERS: [&str; 5] = ["container", "service", "project", "image", "label"];
const EXAMPLE: &str = "a table such as { service = \"web\" }, or a list of them";

/// One description, or a list of which one has to fit.
pub(super) fn selector(
    value: &Spanned<DeValue<'_>>,
    key: &'static str,
    mistakes: &mut Mistakes<'_>,
) -> Option<Selector> {
    let inside_not = key == "not";
    let listed = values(value, key, EXAMPLE, mistakes);
    let clauses: Box<[Clause]> =
        listed.iter().filter_map(|value| clause(value, key, inside_not, mistakes)).collect();
    (!clauses.is_empty()).then_some(Selector(clauses))
}

fn clause(
    value: &Spanned<DeValue<'_>>,
    key: &'static str,
    inside_not: bool,
    mistakes: &mut Mistakes<'_>,
) -> Option<Clause> {
    if let DeValue::String(text) = value.get_ref() {
        let message = format_args!("`{key}` is {}, which does not say of what", describe(value.get_ref()));
        match text.as_ref() {
            "host" => mistakes.add(&value.span(), message, "{ host = true }"),
            "external" | "outside" => mistakes.add(&value.span(), message, "{ external = true }"),
            _ => mistakes.add(&value.span(), message, "{ container = … } or { service = … }"),
        }
        return None;
    }
    let fields = Fields::open(value, key, &KEYS, mistakes)?;
    if fields.has_only(&[]) {
        let message = format_args!("`{key}` is empty");
        mistakes.add(&value.span(), message, format_args!("no `{key}` for everything, or {}", one_of(&KEYS)));
        return None;
    }
    contradictions(&fields, mistakes);
    let mut criteria = Vec::new();
    for (key, make) in [
        ("container", Criterion::Container as fn(Box<[Glob]>) -> Criterion),
        ("service", Criterion::Service),
        ("project", Criterion::Project),
        ("image", Criterion::Image),
        ("network", Criterion::Network),
    ] {
        criteria.extend(fields.get(key).map(|value| make(globs(value, key, mistakes))));
    }
    criteria.extend(fields.get("label").map(|value| labels(value, mistakes)));
    criteria.extend(fields.get("cidr").map(|value| cidr(value, mistakes)));
    for (key, kind) in [("host", EndKind::Host), ("external", EndKind::External)] {
        criteria.extend(fields.get(key).and_then(|value| is_kind(value, key, kind, mistakes)));
    }
    let not = fields.get("not").and_then(|value| {
        if inside_not {
            mistakes.add(&value.span(), "`not` inside `not`", "what it comes to, without either");
            return None;
        }
        selector(value, "not", mistakes)
    });
    Some(Clause { criteria: criteria.into(), not })
}

/// What no end can fit at once.
fn contradictions(fields: &Fields<'_, '_>, mistakes: &mut Mistakes<'_>) {
    let is_true =
        |key: &str| fields.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Boolean(true)));
    let of_container = OF_CONTAINERS.iter().find(|key| fields.get(key).is_some());
    let kinds: Vec<&str> = of_container
        .copied()
        .into_iter()
        .chain(["host", "external"].into_iter().filter(|key| is_true(key)))
        .collect();
    if let [first, second, ..] = kinds[..] {
        let message = format_args!("no end fits both `{first}` and `{second}`");
        mistakes.add(&fields.span, message, "a list for one or the other: [{ … }, { … }]");
    }
}

fn globs(value: &Spanned<DeValue<'_>>, key: &str, mistakes: &mut Mistakes<'_>) -> Box<[Glob]> {
    let expected = "a name, which may have * and ?, or a list of them";
    let listed = values(value, key, expected, mistakes);
    listed.iter().filter_map(|value| text(value, key, expected, mistakes)).map(Glob::new).collect()
}

/// `name` or `name=value`; both may have `*` and `?`.
fn labels(value: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes<'_>) -> Criterion {
    let expected = "\"name\" or \"name=value\", which may have * and ?, or a list of them";
    let listed = values(value, "label", expected, mistakes);
    let texts = listed.iter().filter_map(|value| {
        let text = text(value, "label", expected, mistakes)?;
        if text.starts_with('=') {
            mistakes.add(&value.span(), "`label` has no name", expected);
        }
        Some(text)
    });
    let label = |text: &str| match text.split_once('=') {
        Some((name, value)) => (Glob::new(name), Some(Glob::new(value))),
        None => (Glob::new(text), None),
    };
    Criterion::Label(texts.map(label).collect())
}

fn cidr(value: &Spanned<DeValue<'_>>, mistakes: &mut Mistakes<'_>) -> Criterion {
    let expected = "an address such as \"10.1.2.3\", a subnet such as \"10.0.0.0/8\", or a list of them";
    let listed = values(value, "cidr", expected, mistakes);
    let subnets = listed.iter().filter_map(|value| {
        let written = text(value, "cidr", expected, mistakes)?;
        let Some((address, prefix)) = subnet(written) else {
            mistakes.add(&value.span(), format_args!("`cidr` is {}", describe(value.get_ref())), expected);
            return None;
        };
        let start = start_of(address, prefix);
        if start != address {
            let message = format_args!("{address} is inside of the subnet {start}/{prefix}");
            mistakes.add(&value.span(), message, format_args!("\"{start}/{prefix}\" or \"{address}\""));
        }
        Some((address, prefix))
    });
    Criterion::Cidr(subnets.collect())
}

fn subnet(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
    (prefix <= longest).then_some((address, prefix))
}

/// The first address of the subnet that holds an address.
fn start_of(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

fn is_kind(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    kind: EndKind,
    mistakes: &mut Mistakes<'_>,
) -> Option<Criterion> {
    if let DeValue::Boolean(expected) = value.get_ref() {
        return Some(Criterion::Kind(kind, *expected));
    }
    mistakes.add(
        &value.span(),
        format_args!("`{key}` is {}", describe(value.get_ref())),
        "`true` or `false`",
    );
    None
}
