//! What is in force as text: printed, in the example, in the documentation.

use super::{Written, load};
use crate::settings::sources::{Origin, Refused, Value};
use proptest::prelude::*;

/// The example that comes with the program.
const EXAMPLE: &str = include_str!("../../../../../packaging/vethwatch.toml");
const DOCUMENTATION: &str = include_str!("../../../../../docs/configuration.md");

#[test]
fn what_is_printed_is_read_back_as_the_same() {
    let odd = "/tmp/a\\\"b\u{1b}\u{202e}猫";
    let file = format!(
        "policy = {}\nmax-flows = 0x400\n[records]\nof = \"findings\"\nfile = '-'\n",
        Value::Text(odd.to_owned())
    );
    let variables = [("VETHWATCH_DOCKER_HOST", "tcp://a:1"), ("VETHWATCH_RECORDS_KEEP", "+3")];
    let first = load("back-a", &file, "vethwatch agent --metrics-pairs --tick 2s", &variables);
    assert_eq!(first.settings.policy, Some(odd.into()));
    let printed = first.in_force.to_string();
    assert!(printed.is_ascii() || !printed.contains(['\u{1b}', '\u{202e}']), "{printed}");
    let second = load("back-b", &printed, "vethwatch agent", &[]);
    assert_eq!(first.in_force.differing(&second.in_force).count(), 0, "{printed}");
    assert_eq!(format!("{:?}", first.settings), format!("{:?}", second.settings));
    for said in [
        "\ntick = \"2s\" # --tick\n",
        "keep = 3 # VETHWATCH_RECORDS_KEEP\n",
        "pairs = true # --metrics-pairs\n",
    ] {
        assert!(printed.contains(said), "{printed}");
    }
    assert!(
        printed.contains("\nmax-flows = 1024 # /") && printed.contains("# attach is not set\n"),
        "{printed}"
    );
}

/// The example with every setting that it has commented out.
fn uncommented() -> String {
    let is_setting = |line: &&str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
    };
    let line = |line: &str| line.strip_prefix('#').filter(is_setting).unwrap_or(line).to_owned() + "\n";
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn the_example_says_nothing_and_with_all_its_settings_the_defaults() {
    let defaults = load("example-a", "", "vethwatch agent", &[]);
    let as_it_is = load("example-b", EXAMPLE, "vethwatch agent", &[]);
    assert_eq!(as_it_is.in_force, defaults.in_force);
    let all = load("example-c", &uncommented(), "vethwatch agent", &[]);
    for entry in defaults.in_force.entries() {
        let path = entry.path();
        let it = all.in_force.entries().find(|it| it.path() == path).unwrap();
        assert!(matches!(it.origin, Origin::File { .. }), "the example lacks `{path}`");
        if entry.value.is_some() {
            assert_eq!(it.value, entry.value, "{path}");
        }
    }
}

#[test]
fn the_documentation_lists_every_setting() {
    let loaded = load("documented", "", "vethwatch agent", &[]);
    for entry in loaded.in_force.entries() {
        let default = entry.value.as_ref().map_or_else(|| "–".to_owned(), |value| format!("`{value}`"));
        let change = if entry.needs_restart() { "restart" } else { "SIGHUP" };
        let row = format!("| `{}` | {default} | {change} | ", entry.path());
        assert!(DOCUMENTATION.contains(&row), "docs/configuration.md has to have a row {row}");
    }
}

proptest! {
    // Each case builds the definition of the command line three times.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_are_settings_or_mistakes_with_places(content in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        "(tick|max-flows|policy|\\[metrics\\]|listen|records.of|=|\"|1s|7|true|\\[|\\]|,|\n| |#|\\{|\\}){0,60}".prop_map(String::into_bytes),
    ]) {
        let file = Written::new("proptest", &content);
        match file.sources("vethwatch agent", &[]).read() {
            Ok(_) => {}
            Err(Refused::Wrong(lines)) => {
                prop_assert!(!lines.is_empty());
                let name = file.0.display().to_string();
                prop_assert!(lines.iter().all(|line| line.as_str().starts_with(&name)));
            }
            Err(Refused::Usage(error)) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn any_text_is_printed_so_that_it_is_read_back(text in "\\PC{1,40}|[\\x00-\\x20\"\\\\]{1,20}") {
        let written = format!("socket-group = {}\n", Value::Text(text.clone()));
        let loaded = load("quoted", &written, "vethwatch agent", &[]);
        let value = loaded.in_force.entries().find(|entry| entry.name == "socket-group").unwrap().value.clone();
        prop_assert_eq!(value, Some(Value::Text(text)));
    }
}
