//! Makes scenarios of what the matrix recorded: `cargo xtask scenarios`.

use crate::scenario::{FINDINGS, STEPS, Scenario, folder};
use crate::trim::{Moments, Own, trim};
use monitor::model::SafeText;
use monitor::recording;
use monitor::snapshot::{End, Finding};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The most bytes of a scenario; a row that is larger stays proved by its own run only.
const LARGEST: usize = 60_000;

/// Keeps the recordings in `$VW_RECORD`.
#[test]
#[ignore = "writes scenarios; run by cargo xtask scenarios"]
fn keep_what_was_recorded() {
    let recorded = std::env::var_os("VW_RECORD").expect("VW_RECORD names the folder of the recordings");
    let mut kept = Vec::new();
    for entry in fs::read_dir(recorded).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
        let Some((prefix, _)) = stem.rsplit_once('-') else { continue };
        kept.extend(keep(&path, stem, prefix));
    }
    assert!(!kept.is_empty(), "nothing was recorded");
    // Those of rows that are no more go.
    for entry in fs::read_dir(folder()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, text) in kept.into_iter().flatten() {
        fs::write(folder().join(name), text).unwrap();
    }
}

/// Names and contents of the two files of one recording of a row whose names start with `vw-<row>-<pid>`; now they start
/// with `vw-<row>`. Nothing, if it is too large.
fn keep(path: &Path, stem: &str, prefix: &str) -> Option<[(String, String); 2]> {
    let name = prefix.strip_prefix("vw-").unwrap_or(prefix);
    let text = fs::read_to_string(path).expect("a recording can be read").replace(stem, prefix);
    let mut scenario = Scenario::read(name, &text);
    scenario.header.host = SafeText::new("host");
    scenario.header.boot_id = SafeText::new("boot");
    let own = Own::of(&scenario, prefix);
    let expected: Vec<_> = scenario.findings().into_iter().filter(|it| is_about(&own, it)).collect();
    let expected = scenario.lines(&expected);
    let trimmed = [Moments::Few, Moments::All].map(|moments| trim(&scenario, &own, moments));
    let trimmed = trimmed.into_iter().find(|trimmed| trimmed.told() == expected);
    let trimmed = trimmed.unwrap_or_else(|| panic!("{name}: trimming changes what is found"));
    let steps = text_of(&trimmed);
    if steps.len() > LARGEST {
        println!("{name}: {} bytes are too many to keep", steps.len());
        return None;
    }
    println!("{name}: {} bytes, {} findings", steps.len(), expected.lines().count());
    Some([(format!("{name}{STEPS}"), steps), (format!("{name}{FINDINGS}"), expected)])
}

/// Whether a finding is about the row, and not about its marker or others on the host.
fn is_about(own: &Own, finding: &Arc<Finding>) -> bool {
    let ends = [&finding.source, &finding.destination];
    let is_own = |end: &End| end.container.as_ref().is_some_and(|it| own.is_own(it.name.as_str()));
    let is_other = |end: &End| end.container.is_some() && !is_own(end);
    ends.into_iter().any(is_own) && !ends.into_iter().any(is_other)
}

fn text_of(scenario: &Scenario) -> String {
    let (mut tap, tapping) = monitor::engine::Tap::new(scenario.header.started);
    scenario.steps.iter().cloned().for_each(|step| tap.note(step));
    drop(tap);
    let mut text = Vec::new();
    recording::write(&scenario.header, tapping, &mut text).expect("memory takes all");
    String::from_utf8(text).expect("JSON is UTF-8")
}
