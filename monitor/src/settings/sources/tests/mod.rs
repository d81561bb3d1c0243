//! From flags, variables and files to settings, or to everything that is wrong.

mod printed;

use super::keys::{Kind, keys};
use super::{Loaded, Origin, Refused, Sources};
use crate::cli::Typed;
use crate::settings::Task;
use clap::CommandFactory as _;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A file with settings that is there as long as this is.
struct Written(PathBuf);

impl Written {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let file = std::env::temp_dir().join(format!("vw-settings-{}-{name}.toml", std::process::id()));
        fs::write(&file, content).unwrap();
        Self(file)
    }

    fn sources(&self, line: &str, variables: &[(&str, &str)]) -> Sources {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Sources::new(line.split_whitespace(), variables, &self.0)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn load(name: &str, content: &str, line: &str, variables: &[(&str, &str)]) -> Loaded {
    let file = Written::new(name, content);
    match file.sources(line, variables).read() {
        Ok(loaded) => loaded,
        Err(refused) => panic!("{refused:?}"),
    }
}

/// What is wrong, with the name of the file left out.
fn wrong(name: &str, content: impl AsRef<[u8]>, line: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let file = Written::new(name, content);
    let name = file.0.display().to_string();
    match file.sources(line, variables).read() {
        Err(Refused::Wrong(lines)) => lines.iter().map(|line| line.to_string().replace(&name, "")).collect(),
        other => panic!("{other:?}"),
    }
}

/// The value of a setting as a file has it, and where it comes from.
fn entry(loaded: &Loaded, path: &str) -> (String, Origin) {
    let entry = loaded.in_force.entries().find(|entry| entry.path() == path).unwrap();
    (entry.value.as_ref().map(ToString::to_string).unwrap_or_default(), entry.origin.clone())
}

#[test]
fn a_flag_goes_over_the_environment_over_the_file_over_the_default() {
    let file = "tick = \"2s\"\n\n[metrics]\nlisten = \"127.0.0.1:2\"\n";
    let environment =
        [("VETHWATCH_TICK", "3s"), ("VETHWATCH_METRICS_LISTEN", "127.0.0.1:3"), ("VETHWATCH_X", "")];
    let flags = "vethwatch agent --tick 4s --metrics-listen 127.0.0.1:4";
    for (name, file, environment, line, tick, listen) in [
        ("a", "", &[][..], "vethwatch agent", "1s", "127.0.0.1:9797"),
        ("b", file, &[], "vethwatch agent", "2s", "127.0.0.1:2"),
        ("c", file, &environment, "vethwatch agent", "3s", "127.0.0.1:3"),
        ("d", file, &environment, flags, "4s", "127.0.0.1:4"),
        ("e", file, &[], "vethwatch --tick 5s agent", "5s", "127.0.0.1:2"),
        ("f", file, &[("VETHWATCH_TICK", "")], "vethwatch agent", "2s", "127.0.0.1:2"),
    ] {
        let loaded = load(name, file, line, environment);
        assert_eq!(entry(&loaded, "tick").0, format!("\"{tick}\""), "{name}");
        assert_eq!(format!("{:?}", loaded.settings.collector.tick), tick, "{name}");
        assert_eq!(entry(&loaded, "metrics.listen").0, format!("\"{listen}\""), "{name}");
        let Task::Agent(agent) = loaded.settings.task else { panic!("{:?}", loaded.settings.task) };
        assert_eq!(agent.metrics.unwrap().listen.to_string(), listen, "{name}");
    }
}

#[test]
fn each_value_knows_where_it_comes_from() {
    let loaded = load(
        "origins",
        "# a comment\nmax-flows = 1_024\n[metrics]\npairs = true\n",
        "vethwatch agent --no-bridges",
        &[("VETHWATCH_WINDOW", "5s")],
    );
    let line_of = |path: &str| match entry(&loaded, path) {
        (value, Origin::File { line, .. }) => (value, line),
        other => panic!("{other:?}"),
    };
    assert_eq!(line_of("max-flows"), ("1024".to_owned(), 2));
    assert_eq!(line_of("metrics.pairs"), ("true".to_owned(), 4));
    let flag = Origin::Flag("--no-bridges".to_owned());
    assert_eq!(entry(&loaded, "no-bridges"), ("true".to_owned(), flag));
    let variable = Origin::Environment("VETHWATCH_WINDOW".to_owned());
    assert_eq!(entry(&loaded, "window"), ("\"5s\"".to_owned(), variable));
    assert_eq!(entry(&loaded, "policy"), (String::new(), Origin::Default));
}

#[test]
fn the_file_is_the_agents_alone_and_the_environment_everybodys() {
    let nonsense = "this is no TOML";
    let loaded = load(
        "everybody",
        nonsense,
        "vethwatch top",
        &[("VETHWATCH_TICK", "2s"), ("VETHWATCH_METRICS_LISTEN", "x")],
    );
    assert_eq!(loaded.settings.collector.tick.as_secs(), 2);
    assert!(!wrong("alone", nonsense, "vethwatch agent", &[]).is_empty());
    let told = wrong("top", "", "vethwatch top", &[("VETHWATCH_TICK", "1h")]);
    assert_eq!(told, ["VETHWATCH_TICK must be between 50ms and 1m"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let file = "\
tick = \"2m\"
max-flows = 5
form = 1
policy = 7
metrics-listen = \"x\"
attach = \"tcy\"
[metrics]
listen = \"0.0.0.0:9797\"
pairs = \"yes\"
lisen = 1
tick = \"1s\"
[record]
[records]
of = [\"flows\", \"finding\"]
rotate-size = \"5\"
keep = 1.5
keep = 2
";
    let told = wrong(
        "all",
        file,
        "vethwatch agent",
        &[("VETHWATCH_MAX_DROPS", "none"), ("VETHWATCH_METRICS_CADVISOR", "on")],
    );
    let expected = [
        ":1:8: `tick` must be between 50ms and 1m",
        ":2:13: `max-flows` is the number 5: 5 is not in 64..=16777216",
        ":3:1: unknown key `form`; expected a setting, as `vethwatch agent --print-config` lists them",
        ":4:10: `policy` is the number 7; expected a text",
        ":5:1: unknown key `metrics-listen`; expected `listen` in `[metrics]`",
        ":6:10: `attach` is the text \"tcy\"; expected `tcx`",
        ":8:10: `metrics.listen` 0.0.0.0:9797: whoever reaches",
        ":9:9: `metrics.pairs` is the text \"yes\"; expected `true` or `false`",
        ":10:1: unknown key `lisen` in `[metrics]`; expected `listen`",
        ":11:1: unknown key `tick` in `[metrics]`; expected `tick` above the first `[table]`",
        ":12:2: unknown key `record`; expected `records`",
        ":14:16: `records.of` is the text \"finding\"; expected `findings`",
        ":15:15: `records.rotate-size` is the text \"5\": a size is written like",
        ":16:8: `records.keep` is a number with a fraction; expected a whole number",
        ":17:1: duplicate key: `keep`; expected each key once",
        "VETHWATCH_MAX_DROPS is \"none\": invalid digit found in string",
        "VETHWATCH_METRICS_CADVISOR is \"on\"; expected `true` or `false`",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
}

#[test]
fn what_makes_no_sense_together_is_called_by_where_it_was_set() {
    let told =
        |name: &str, file: &str, line: &str, variables: &[(&str, &str)]| wrong(name, file, line, variables);
    let both = told("sense-a", "window = \"1s\"\n", "vethwatch agent", &[("VETHWATCH_TICK", "5s")]);
    assert_eq!(both, [":1:10: `window` must be between one VETHWATCH_TICK and 10m"]);
    let flags = told("sense-b", "tick = \"5s\"\n", "vethwatch agent --window 1s", &[]);
    assert_eq!(flags, ["--window must be between one `tick` and 10m"]);
    // What may have been meant makes sense.
    let one = told("sense-c", "[metrics]\nlisten = \"0.0.0.0:1\"\ninsecure = 1\n", "vethwatch agent", &[]);
    assert_eq!(one.len(), 1, "{one:?}");
    assert!(one[0].starts_with(":3:12: `metrics.insecure` is the number 1"), "{one:?}");
}

#[test]
fn a_file_that_is_named_has_to_be_there_and_the_usual_one_has_not() {
    let nowhere = |line: &str, variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Sources::new(line.split_whitespace(), variables, "/nowhere/usual.toml").read()
    };
    assert!(nowhere("vethwatch agent", &[]).is_ok());
    for (line, variables) in [
        ("vethwatch agent --config /nowhere/named.toml", &[][..]),
        ("vethwatch agent", &[("VETHWATCH_CONFIG", "/nowhere/named.toml")]),
    ] {
        match nowhere(line, variables) {
            Err(Refused::Wrong(lines)) => {
                assert!(
                    lines[0]
                        .as_str()
                        .starts_with("/nowhere/named.toml: the file with settings cannot be read")
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let file = Written::new("named", "tick = \"7s\"\n");
    let name = file.0.display();
    let loaded = nowhere(&format!("vethwatch agent --config {name}"), &[("VETHWATCH_CONFIG", "/nowhere")]);
    assert_eq!(loaded.unwrap().settings.collector.tick.as_secs(), 7);
}

#[test]
fn a_variable_that_looks_like_a_slip_is_told_and_ignored() {
    let variables =
        [("VETHWATCH_TIK", "2s"), ("VETHWATCH_PORT", "tcp://10.0.0.1:80"), ("VETHWATCH_TICK", "3s")];
    let loaded = load("slip", "", "vethwatch agent", &variables);
    assert_eq!(loaded.ignored, ["VETHWATCH_TIK is no setting; VETHWATCH_TICK is one"]);
    assert_eq!(loaded.settings.collector.tick.as_secs(), 3);
    assert!(load("slip-top", "", "vethwatch top", &variables).ignored.is_empty());
}

#[test]
fn hostile_files_are_refused_in_a_few_safe_words() {
    let one = |name: &str, content: &[u8], expected: &str| {
        let told = wrong(name, content, "vethwatch agent", &[]);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains(expected) && !told[0].contains('\x1b'), "{told:?}");
    };
    one("utf8", b"tick = \"1s\"\n# \xff\n", ":2:3: bytes that are no UTF-8; expected text in UTF-8");
    one("large", &vec![b'#'; (1 << 20) + 1], "the file is larger than 1 MiB; expected at most 1 MiB");
    one("escape", b"\"\\u001b[2J\" = 1", "unknown key `\\u{1b}[2J`");
    one("value", b"tick = \"\\u001b[2J\"", "`tick` is the text \"\\u{1b}[2J\"");
    let many = (0..20_000).map(|number| format!("k{number} = 1\n")).collect::<String>();
    let told = wrong("many", many, "vethwatch agent", &[]);
    assert!(told.len() == 1_001 && told[1_000].contains("19000 more mistakes"), "{}", told.len());
    let bytes = OsString::from_vec(vec![b'/', 0xff]);
    let variables = [(OsString::from("VETHWATCH_POLICY"), bytes)];
    match Sources::new(["vethwatch", "top"], variables, "/nowhere").read() {
        Err(Refused::Wrong(lines)) => assert_eq!(lines[0].as_str(), "VETHWATCH_POLICY is no text in UTF-8"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_flag_below_a_heading_is_in_the_table_of_that_name() {
    let definition = Typed::command();
    let agent = definition.find_subcommand("agent").unwrap();
    for arg in definition.get_opts().chain(agent.get_opts()) {
        let (Some(heading), Some(name)) = (arg.get_help_heading(), arg.get_long()) else { continue };
        assert!(name.starts_with(&format!("{}-", heading.to_lowercase())), "--{name} is below {heading}");
    }
    let keys = keys(&definition, true);
    let kind = |path: &str| keys.iter().find(|key| key.path() == path).map(|key| key.kind);
    assert_eq!(kind("metrics.listen"), Some(Kind::Text));
    assert_eq!(kind("metrics.max-series"), Some(Kind::Number));
    assert_eq!(kind("records.rotate-size"), Some(Kind::Text));
    assert_eq!(kind("records.of"), Some(Kind::List));
    assert_eq!(kind("no-bridges"), Some(Kind::Switch));
    for typed in ["json", "record", "print-config", "help"] {
        assert_eq!(kind(typed), None, "{typed}");
    }
}
