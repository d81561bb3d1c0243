use super::*;
use proptest::prelude::*;

/// Makes a description.
#[derive(Default)]
struct Maker {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Maker {
    fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len();
        self.strings.extend(name.bytes().chain([0]));
        u32::try_from(at).unwrap()
    }

    /// Adds a type with parts of some words each, whose first is a name where there are several; returns its number.
    fn add(&mut self, kind: u32, flag: u32, name: &str, of: u32, parts: &[&[u32]]) -> u32 {
        let name = self.name(name);
        let count = u32::try_from(parts.len()).unwrap();
        for word in [name, flag << 31 | kind << 24 | count, of].iter().chain(parts.iter().copied().flatten())
        {
            self.types.extend(word.to_ne_bytes());
        }
        self.count += 1;
        self.count
    }

    fn finish(&self) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let words = [24, 0, length(&self.types), length(&self.types), length(&self.strings)];
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        words.iter().for_each(|word: &u32| bytes.extend(word.to_ne_bytes()));
        [bytes, self.types.clone(), self.strings.clone()].concat()
    }
}

/// `struct outer { u32 first; union { struct { u32 a; u32 deep; }; u64 b; }; named_t named; u32 bit: 3; }`, where
/// `named_t` is another name of `const struct inner { u32 x; u32 y; }`; an enumeration; and a tracepoint's type.
fn sample() -> Vec<u8> {
    let mut maker = Maker::new();
    let [first, a, deep, b, named, bit, x, y] =
        ["first", "a", "deep", "b", "named", "bit", "x", "y"].map(|name| maker.name(name));
    let [one, two] = ["PREFIX_ONE", "PREFIX_TWO"].map(|name| maker.name(name));
    // Number 1: an integer, with a word of its own.
    maker.name("u32");
    maker.types.extend([0_u32, 1 << 24, 4, 32].iter().flat_map(|word| word.to_ne_bytes()));
    maker.count += 1;
    let inner = maker.add(4, 0, "inner", 8, &[&[x, 1, 0], &[y, 1, 32]]);
    let constant = maker.add(10, 0, "", inner, &[]);
    let named_t = maker.add(8, 0, "named_t", constant, &[]);
    let nameless = maker.add(4, 0, "", 8, &[&[a, 1, 0], &[deep, 1, 32]]);
    let either = maker.add(5, 0, "", 8, &[&[0, nameless, 0], &[b, 1, 0]]);
    maker.add(4, 0, "empty", 0, &[]);
    maker.add(
        4,
        1,
        "outer",
        28,
        &[&[first, 1, 0], &[0, either, 64], &[named, named_t, 128], &[bit, 1, 3 << 24 | 192]],
    );
    maker.add(6, 0, "reason", 4, &[&[one, 1], &[two, 2]]);
    let prototype = maker.add(13, 0, "", 0, &[&[0, 1], &[0, 1], &[0, 1]]);
    let pointer = maker.add(2, 0, "", prototype, &[]);
    maker.add(8, 0, "trace_it", pointer, &[]);
    maker.finish()
}

fn check(path: &[&str], expected: Option<u32>) {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.offset("outer", path).ok(), expected, "{path:?}");
}

#[test]
fn members_are_found_also_in_what_has_no_name() {
    check(&["first"], Some(0));
    check(&["a"], Some(8));
    check(&["deep"], Some(12));
    check(&["b"], Some(8));
    check(&["named"], Some(16));
    check(&["named", "y"], Some(20));
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    check(&["c"], None);
    check(&["x"], None);
    check(&["first", "x"], None);
    check(&["bit"], None);
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    for structure in ["empty", "reason", "nothing"] {
        assert_eq!(btf.offset(structure, &["x"]), Err(BtfError::Missing(structure.into())));
    }
    assert_eq!(btf.offset("outer", &["c"]), Err(BtfError::Missing("outer.c".into())));
    assert!(btf.parameters("named_t").is_err());
}

#[test]
fn enumerations_and_parameters_are_read() {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    let values = btf.enumeration("reason").unwrap();
    assert_eq!(values, HashMap::from([(1, "PREFIX_ONE"), (2, "PREFIX_TWO")]));
    assert_eq!(btf.parameters("trace_it"), Ok(3));
}

#[test]
fn what_is_cut_off_is_refused() {
    let bytes = sample();
    for length in 0..bytes.len() {
        assert!(Btf::parse(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn structures_that_hold_each_other_end_the_search() {
    let mut maker = Maker::new();
    let parts: Vec<[u32; 3]> = vec![[0, 1, 0]; 1_000];
    let parts: Vec<&[u32]> = parts.iter().map(<[u32; 3]>::as_slice).collect();
    maker.add(4, 0, "ring", 8, &parts);
    let bytes = maker.finish();
    assert!(Btf::parse(&bytes).unwrap().offset("ring", &["x"]).is_err());
}

#[test]
fn names_of_names_end_the_search() {
    let mut maker = Maker::new();
    maker.add(8, 0, "itself", 1, &[]);
    let bytes = maker.finish();
    assert!(Btf::parse(&bytes).unwrap().parameters("itself").is_err());
}

proptest! {
    #[test]
    fn damage_is_survived(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = sample();
        for (at, value) in changes {
            *at.get_mut(&mut bytes) = value;
        }
        if let Ok(btf) = Btf::parse(&bytes) {
            let _ = btf.offset("outer", &["named", "y"]);
            let _ = btf.enumeration("reason");
            let _ = btf.parameters("trace_it");
        }
    }

    #[test]
    fn any_bytes_are_survived(rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend(rest);
        if let Ok(btf) = Btf::parse(&bytes) {
            let _ = btf.offset("", &[""]);
        }
    }
}
