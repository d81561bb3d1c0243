//! The layers of `src`: a lower one never imports a higher one, and the pure ones touch no clock, no I/O and no
//! async. See the table in `src/lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// What the files of one top-level module may name.
struct Rule {
    module: &'static str,
    /// Other top-level modules of this crate.
    inside: &'static [&'static str],
    /// Crates of `[dependencies]`.
    outside: Outside,
    /// Whether it must be free of clocks, I/O and async.
    pure: bool,
}

enum Outside {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

use Outside::{AllBut, Only};

/// The crates that reach into the kernel.
const KERNEL: &[&str] = &["aya", "aya_log", "aya_obj", "monitor_common", "zerocopy"];

const RULES: &[Rule] = &[
    Rule { module: "model", inside: &[], outside: Only(&["serde"]), pure: true },
    Rule { module: "confine", inside: &[], outside: Only(&["landlock", "nix", "rustix"]), pure: false },
    Rule { module: "document", inside: &["model"], outside: Only(&["toml"]), pure: true },
    Rule { module: "dns", inside: &["model"], outside: Only(&["hickory_proto"]), pure: true },
    Rule {
        module: "collector",
        inside: &["model", "dns"],
        outside: AllBut(&["bollard", "hyper", "hyper_util", "clap"]),
        pure: false,
    },
    Rule {
        module: "inventory",
        inside: &["model"],
        outside: AllBut(&["aya", "aya_log", "aya_obj", "monitor_common", "clap"]),
        pure: false,
    },
    Rule { module: "attribution", inside: &["model"], outside: Only(&["serde"]), pure: true },
    Rule {
        module: "flows",
        inside: &["model"],
        outside: Only(&["hashbrown", "hdrhistogram", "serde"]),
        pure: true,
    },
    Rule {
        module: "policy",
        inside: &["model", "document", "attribution", "flows"],
        outside: Only(&["serde", "toml"]),
        pure: true,
    },
    Rule {
        module: "snapshot",
        inside: &["model", "document", "attribution", "flows", "policy"],
        outside: Only(&["serde"]),
        pure: true,
    },
    Rule {
        module: "engine",
        inside: &["model", "attribution", "flows", "policy", "snapshot"],
        outside: Only(&["tokio", "log"]),
        pure: false,
    },
    Rule {
        module: "wire",
        inside: &["model", "snapshot"],
        outside: AllBut(&["aya", "bollard"]),
        pure: false,
    },
    Rule {
        module: "view",
        inside: &["model", "snapshot", "wire"],
        outside: AllBut(&["aya", "bollard"]),
        pure: false,
    },
    Rule {
        module: "tui",
        inside: &["model", "snapshot", "wire", "view", "filter"],
        outside: Only(&["crossterm", "ratatui", "unicode_width"]),
        pure: true,
    },
    Rule { module: "filter", inside: &["model", "snapshot"], outside: Only(&[]), pure: true },
    Rule {
        module: "capture",
        inside: &["model", "snapshot", "wire", "view", "filter"],
        outside: Only(&["thiserror"]),
        pure: true,
    },
    Rule {
        module: "recording",
        inside: &["model", "policy", "snapshot", "engine"],
        outside: Only(&["serde", "serde_json", "thiserror", "tokio"]),
        pure: false,
    },
    Rule {
        module: "export",
        inside: &["model", "snapshot", "wire"],
        outside: Only(&["prometheus_client"]),
        pure: true,
    },
    Rule {
        module: "store",
        inside: &["model", "snapshot", "wire"],
        outside: AllBut(&["aya", "bollard"]),
        pure: false,
    },
];

/// Modules that may name everything.
const COMPOSITION: &[&str] = &["settings", "helper", "doctor", "run", "cli", "main", "memory", "lib"];

/// What no pure module names.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::process",
    "std::thread",
    "std::env",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os",
    "std::time::Instant",
    "std::time::SystemTime",
    "async fn",
    "async move",
    ".await",
    "println!",
    "eprintln!",
];

/// Everything a file may not name but does. `module` is its top-level module.
fn violations(module: &str, source: &str, dependencies: &[String]) -> Vec<String> {
    if COMPOSITION.contains(&module) {
        return Vec::new();
    }
    let Some(rule) = RULES.iter().find(|rule| rule.module == module) else {
        return vec![format!("module `{module}` has no rule")];
    };
    let code = without_comments_and_tests(source);
    let paths = paths(&code);
    let mut found = Vec::new();
    for path in &paths {
        let mut parts = path.split("::");
        let first = parts.next().unwrap_or_default();
        if matches!(first, "crate" | "monitor") {
            let inner = parts.next().unwrap_or_default();
            if inner != module && !rule.inside.contains(&inner) {
                found.push(format!("`{module}` names `crate::{inner}`"));
            }
        } else if dependencies.iter().any(|name| name == first) {
            let allowed = match &rule.outside {
                Only(allowed) => allowed.contains(&first),
                AllBut(forbidden) => !forbidden.contains(&first),
            };
            if !allowed {
                found.push(format!("`{module}` names the crate `{first}`"));
            }
        }
    }
    if rule.pure {
        for impure in IMPURE {
            let starts = |path: &String| path == impure || path.starts_with(&format!("{impure}::"));
            let named =
                if impure.contains("std::") { paths.iter().any(starts) } else { code.contains(impure) };
            if named {
                found.push(format!("the pure `{module}` names `{impure}`"));
            }
        }
    }
    found
}

/// All paths of a source with at least two parts; groups (`a::{b, c::d}`) are spread out.
fn paths(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let starts = is_word(&tokens[index])
            && tokens.get(index + 1).is_some_and(|token| token == "::")
            && (index == 0 || tokens[index - 1] != "::");
        if starts {
            index = path(&tokens, index, String::new(), &mut paths);
        } else {
            index += 1;
        }
    }
    paths
}

/// Reads one path or group that starts at `index`; returns where it ends.
fn path(tokens: &[String], mut index: usize, mut prefix: String, paths: &mut Vec<String>) -> usize {
    while index < tokens.len() {
        if tokens[index] == "{" {
            index += 1;
            while index < tokens.len() && tokens[index] != "}" {
                if is_word(&tokens[index]) || tokens[index] == "{" {
                    index = path(tokens, index, prefix.clone(), paths);
                } else {
                    index += 1;
                }
            }
            return index + 1;
        }
        if !is_word(&tokens[index]) {
            break;
        }
        prefix =
            if prefix.is_empty() { tokens[index].clone() } else { format!("{prefix}::{}", tokens[index]) };
        index += 1;
        if tokens.get(index).is_none_or(|token| token != "::") {
            break;
        }
        index += 1;
    }
    paths.push(prefix);
    index
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_alphabetic() || character == '_' {
            let mut word = String::from(character);
            while let Some(next) = characters.next_if(|next| next.is_alphanumeric() || *next == '_') {
                word.push(next);
            }
            tokens.push(word);
        } else if character == ':' && characters.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !character.is_whitespace() {
            tokens.push(character.into());
        }
    }
    tokens
}

/// The code of a source: no comments, no unit tests (they come last).
fn without_comments_and_tests(source: &str) -> String {
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let line = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    code.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Names of the crates this one depends on, as paths write them.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_end_matches(".workspace").replace('-', "_"))
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source folder can be listed") {
        let path = entry.expect("an entry of the source folder can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a file has unit tests alone: it is of a module `tests` that its parent declares to be for tests.
fn is_of_tests(src: &Path, inside: &Path) -> bool {
    let parts: Vec<_> = inside.iter().collect();
    let Some(at) = parts.iter().position(|part| *part == "tests" || *part == "tests.rs") else {
        return false;
    };
    let parent: PathBuf = parts[..at].iter().collect();
    let declares = |file: PathBuf| {
        fs::read_to_string(src.join(file)).is_ok_and(|source| source.contains("#[cfg(test)]\nmod tests;"))
    };
    declares(parent.join("mod.rs")) || declares(parent.with_extension("rs"))
}

#[test]
fn no_file_imports_a_higher_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest can be read");
    let dependencies = dependencies(&manifest);
    assert!(dependencies.iter().any(|name| name == "monitor_common"), "{dependencies:?}");
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(files.len() > 20, "only {} files found", files.len());
    let mut found = Vec::new();
    for file in files {
        let inside = file.strip_prefix(root.join("src")).expect("it is in there");
        if is_of_tests(&root.join("src"), inside) {
            continue;
        }
        let first = inside.components().next().expect("a file has a name").as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs");
        let source = fs::read_to_string(&file).expect("a source can be read");
        let here = violations(module, &source, &dependencies);
        found.extend(here.into_iter().map(|what| format!("{}: {what}", inside.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Checks that a made-up source of a module is refused for naming `forbidden`, or taken if that is empty.
#[track_caller]
fn check(module: &str, source: &str, forbidden: &str) {
    let dependencies: Vec<String> =
        ["serde", "tokio", "aya", "bollard", "hdrhistogram", "libc"].map(String::from).to_vec();
    let found = violations(module, source, &dependencies);
    if forbidden.is_empty() {
        assert!(found.is_empty(), "{found:?}");
    } else {
        assert!(found.iter().any(|what| what.contains(forbidden)), "{found:?}");
    }
}

#[test]
fn an_import_of_a_higher_layer_is_found() {
    check("attribution", "use crate::engine::Ask;", "crate::engine");
    check("attribution", "use crate::{\n    model::Counts,\n    engine::{Ask, State},\n};", "crate::engine");
    check("flows", "fn f() { let x = crate::snapshot::Peer::new(); }", "crate::snapshot");
    check("collector", "use crate::inventory::Inventory;", "crate::inventory");
    check("view", "pub(crate) use crate::collector;", "crate::collector");
    check("wire", "use crate::view::Table;", "crate::view");
    check("engine", "use crate::wire::Line;", "crate::wire");
    check("novel", "", "has no rule");
}

#[test]
fn a_crate_that_a_layer_must_not_use_is_found() {
    check("model", "use tokio::sync::mpsc;", "`tokio`");
    check("attribution", "fn f() { hdrhistogram::Histogram::<u32>::new(3); }", "`hdrhistogram`");
    check("collector", "use bollard::Docker;", "`bollard`");
    check("inventory", "use aya::Ebpf;", "`aya`");
    check("engine", "use libc::c_int;", "`libc`");
}

#[test]
fn a_clock_or_io_or_async_in_a_pure_layer_is_found() {
    check("flows", "use std::time::{Duration, Instant};", "Instant");
    check("attribution", "let now = std::time::SystemTime::now();", "SystemTime");
    check("snapshot", "use std::{collections::HashMap, fs};", "std::fs");
    check("attribution", "async fn ask() {}", "async fn");
    check("flows", "println!(\"x\");", "println!");
}

#[test]
fn what_is_allowed_and_what_is_only_mentioned_is_not_found() {
    check("attribution", "use crate::model::{Counts, Span};\nuse super::facts::Facts;", "");
    check("attribution", "//! See `crate::engine::State`.\n// use tokio::sync;\n", "");
    check("flows", "use hdrhistogram::Histogram;\nuse std::time::Duration;", "");
    check("engine", "use tokio::sync::mpsc;\nuse crate::{flows::Flow, snapshot::Record};", "");
    check("snapshot", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use tokio::time;\n}", "");
    check("run", "use crate::{collector, inventory, engine};", "");
    check("snapshot", "let a = model::tokio;", "");
}

#[test]
fn the_kernel_crates_stay_out_of_all_layers_but_the_collector() {
    for rule in RULES.iter().filter(|rule| rule.module != "collector" && rule.module != "inventory") {
        if let Only(allowed) = &rule.outside {
            assert!(KERNEL.iter().all(|name| !allowed.contains(name)), "{}", rule.module);
        }
    }
}
