//! What the words of a filter mean.

use super::{Field, Filter, Filterable, IsText};
use proptest::prelude::*;
use std::net::IpAddr;

/// A row of whatever it is given.
#[derive(Clone, Debug, Default)]
struct Row {
    texts: Vec<(Field, String)>,
    ids: Vec<String>,
    ports: Vec<u16>,
    addresses: Vec<IpAddr>,
}

impl Filterable for Row {
    fn texts(&self, field: Field, is_it: IsText<'_>) -> bool {
        let of_field = self.texts.iter().filter(|(of, _)| field == Field::Any || *of == field);
        of_field.map(|(_, text)| text).any(|text| is_it(text))
    }

    fn ids(&self, is_it: IsText<'_>) -> bool {
        self.ids.iter().any(|id| is_it(id))
    }

    fn ports(&self, is_it: &mut dyn FnMut(u16) -> bool) -> bool {
        self.ports.iter().any(|port| is_it(*port))
    }

    fn addresses(&self, is_it: &mut dyn FnMut(IpAddr) -> bool) -> bool {
        self.addresses.iter().any(|address| is_it(*address))
    }
}

fn row() -> Row {
    let texts = [
        (Field::Container, "Shop-Nginx-1"),
        (Field::Container, "shop-db-1"),
        (Field::Service, "nginx"),
        (Field::Project, "shop"),
        (Field::Network, "shop front"),
        (Field::Protocol, "tcp"),
        (Field::State, "answered"),
        (Field::Kind, "violation"),
        (Field::Severity, "critical"),
        (Field::Rule, "cross-network"),
        (Field::Image, "nginx:1.29"),
        (Field::Service, "Straße-ÉTÉ-日本"),
    ];
    Row {
        texts: texts.map(|(field, text)| (field, text.to_owned())).into(),
        ids: vec!["0c5f00d1".repeat(8)],
        ports: vec![5432, 40_112],
        addresses: vec!["172.18.0.12".parse().unwrap(), "fd00:0:0:1::2".parse().unwrap()],
    }
}

#[track_caller]
fn holds(typed: &str, expected: bool) {
    let filter = Filter::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
    assert_eq!(filter.takes(&row()), expected, "{typed}: {filter:?}");
}

#[test]
fn every_word_has_to_hold() {
    for typed in ["", "   ", "nginx", "NGINX tcp", "c:nginx net:front port:5432", "shop  answered "] {
        holds(typed, true);
    }
    for typed in ["apache", "nginx apache", "c:nginx net:back", "net:nginx", "svc:tcp"] {
        holds(typed, false);
    }
}

#[test]
fn fields_have_short_names() {
    for typed in [
        "container:db",
        "c:db",
        "name:db",
        "service:nginx",
        "svc:nginx",
        "project:shop",
        "proj:shop",
        "network:front",
        "net:front",
        "protocol:tcp",
        "proto:tcp",
        "state:answered",
        "s:answ",
        "kind:violation",
        "severity:critical",
        "sev:crit",
        "rule:cross",
        "image:1.29",
        "img:1.29",
        "p:5432",
        "ip:172.18.0.12",
        "addr:172.18.0.12",
        "address:172.18.0.12",
        "NET:FRONT",
    ] {
        holds(typed, true);
    }
}

#[test]
fn a_word_can_be_negated() {
    holds("-apache", true);
    holds("!apache", true);
    holds("-nginx", false);
    holds("-port:5432", false);
    holds("!port:80 -net:back", true);
    holds("-c:shop-db-1,apache", false);
    holds("\"-nginx\"", true);
    holds("\"-apache\"", false);
}

#[test]
fn quotes_keep_spaces_commas_and_colons() {
    holds("net:\"shop front\"", true);
    holds("net:\"shop fro", true);
    holds("\"shop front\"", true);
    holds("net:\"front,back\"", false);
    holds("net:front,back", true);
    holds("\"net:front\"", false);
    holds("\"nginx:1.29\"", true);
}

#[test]
fn ports_are_whole_lists_or_ranges() {
    for typed in
        ["port:5432", "port:80,5432", "port:5000-6000", "port:5432-5432", "port:5000-", "port:-6000", "5432"]
    {
        holds(typed, true);
    }
    for typed in ["port:543", "port:54320", "port:80,443", "port:8000-9000", "port:50000-", "port:-80", "543"]
    {
        holds(typed, false);
    }
}

#[test]
fn addresses_are_whole_subnets_or_beginnings() {
    for typed in [
        "addr:172.18.0.12",
        "addr:172.18.0.0/16",
        "addr:172.18.0.12/32",
        "addr:0.0.0.0/0",
        "addr:172.18.",
        "addr:172.1",
        "addr:fd00:0:0:1::/64",
        "addr:FD00:0:0:1::2",
        "addr:fd00:",
        "addr:::/0",
        "172.18.0.12",
        "18.0.1",
        "172.18.0.0/24",
        "fd00:0:0:1::/64",
        "addr:10.0.0.0/8,172.16.0.0/12",
    ] {
        holds(typed, true);
    }
    for typed in [
        "addr:172.18.0.1",
        "addr:18.0.12",
        "addr:172.19.0.0/16",
        "addr:172.18.0.13/32",
        "addr:fd00:0:0:2::/64",
        "addr:fd01:",
        "172.18.0.1/32",
        "172.19.",
    ] {
        holds(typed, false);
    }
}

#[test]
fn an_id_is_found_by_its_beginning_alone() {
    holds("c:0c5f", true);
    holds("0C5F00D1", true);
    holds("c:5f00", false);
    holds("c:0c5", false);
}

#[test]
fn case_does_not_matter_in_any_script() {
    holds("svc:STRASSE", false);
    holds("svc:straße", true);
    holds("svc:été", true);
    holds("svc:ÉT", true);
    holds("日本", true);
    holds("日本語", false);
}

#[test]
fn what_is_typed_half_says_nothing_yet() {
    for typed in [
        "port:",
        "net:",
        "-",
        "!",
        "-port:",
        "port:5432,",
        "\"",
        "-\"\"",
        "addr:",
        "addr:172.18.0.0/",
        "port:5432-5",
        "nginx -",
        "c:,,",
    ] {
        let filter = Filter::parse(typed);
        assert!(filter.is_ok(), "{typed}: {filter:?}");
    }
    for typed in ["port:", "-port:", "-", "!", "\"\"", "c:,,"] {
        assert!(Filter::parse(typed).unwrap().is_empty(), "{typed}");
    }
    holds("port:5000-6", true);
}

#[test]
fn what_makes_no_sense_is_said_shortly() {
    for (typed, expected) in [
        ("nett:front", "no field nett: did you mean net:?"),
        ("conatiner:x", "no field conatiner: did you mean container:?"),
        ("xyzzyplugh:x", "no field xyzzyplugh: ? tells which there are"),
        ("port:http", "http is no port"),
        ("port:70000", "70000 is no port"),
        ("port:+80", "+80 is no port"),
        ("port:9000-8000", "9000-8000 is no range: the smaller port comes first"),
        ("port:8000-x", "x is no port"),
        ("addr:web", "web is no address"),
        ("addr:10.0.0.0/33", "/33 is no prefix of 10.0.0.0"),
        ("addr:fd00::/x", "/x is no prefix of fd00::"),
        ("nginx port:\u{1b}[31m", "\\u{1b}[31m is no port"),
    ] {
        assert_eq!(Filter::parse(typed), Err(expected.to_owned()), "{typed}");
    }
}

#[test]
fn what_is_typed_stays_bounded() {
    let filter = Filter::parse(&"port:1,2 ".repeat(10_000)).unwrap();
    assert!(filter.words.len() <= 32);
    let filter = Filter::parse(&format!("c:{}", "a,".repeat(10_000))).unwrap();
    assert!(filter.words[0].tests.len() <= 128);
}

/// A word that says something, without a `-` before it.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,6}",
        "(c|svc|proj|net|proto|state|kind|sev|rule|image):[a-zA-Z0-9]{1,4}",
        "port:[0-9]{1,4}(-[0-9]{5})?".prop_filter("is one", |word| Filter::parse(word).is_ok()),
        "addr:[1-9][0-9]?\\.[1-9][0-9]?\\.0\\.0/(8|16|24)",
    ]
}

fn any_row() -> impl Strategy<Value = Row> {
    let fields = prop::sample::select(vec![
        Field::Container,
        Field::Service,
        Field::Project,
        Field::Network,
        Field::Protocol,
        Field::State,
        Field::Kind,
        Field::Severity,
        Field::Rule,
        Field::Image,
    ]);
    let texts = prop::collection::vec((fields, ".{0,8}"), 0..4);
    let addresses = prop::collection::vec(any::<IpAddr>(), 0..3);
    (texts, prop::collection::vec("[0-9a-f]{64}", 0..2), prop::collection::vec(any::<u16>(), 0..3), addresses)
        .prop_map(|(texts, ids, ports, addresses)| Row { texts, ids, ports, addresses })
}

proptest! {
    #[test]
    fn nothing_that_is_typed_panics(typed in ".{0,60}", row in any_row()) {
        if let Ok(filter) = Filter::parse(&typed) {
            filter.takes(&row);
        }
    }

    #[test]
    fn nothing_like_a_filter_panics(
        typed in "([-!]?(port|addr|net|c|x)?:?[0-9a-f./:,\"-]{0,20} ?){0,4}", row in any_row(),
    ) {
        if let Ok(filter) = Filter::parse(&typed) {
            filter.takes(&row);
        }
    }

    #[test]
    fn a_row_that_has_nothing_matches_no_word(word in word()) {
        prop_assert!(!Filter::parse(&word).unwrap().takes(&Row::default()));
    }

    #[test]
    fn a_negated_word_is_the_complement(word in word(), row in any_row()) {
        let takes = |typed: &str| Filter::parse(typed).unwrap().takes(&row);
        prop_assert_ne!(takes(&word), takes(&format!("-{word}")));
        prop_assert_ne!(takes(&word), takes(&format!("!{word}")));
    }

    #[test]
    fn words_together_are_what_each_says(one in word(), other in word(), row in any_row()) {
        let takes = |typed: &str| Filter::parse(typed).unwrap().takes(&row);
        prop_assert_eq!(takes(&format!("{one} {other}")), takes(&one) && takes(&other));
    }

    #[test]
    fn a_text_is_found_by_any_part_of_it(text in "[^\"]{1,12}", from in 0_usize..12, to in 0_usize..12) {
        let characters: Vec<char> = text.chars().collect();
        let (from, to) = (from.min(characters.len()), to.min(characters.len()));
        let part: String = characters[from.min(to)..from.max(to)].iter().collect();
        let row = Row { texts: vec![(Field::Network, text)], ..Row::default() };
        let typed = format!("net:\"{part}\"");
        prop_assert!(Filter::parse(&typed).unwrap().takes(&row));
    }
}
