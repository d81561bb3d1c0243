//! The examples of the documentation, run as they stand there.

use crate::rig::Rig;
use anyhow::{Result, ensure};
use lab::finish;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Where the documentation has the socket.
const USUAL: &str = "/run/vethwatch/vethwatch.sock";
/// How long a stream is read.
const READ: &str = "4";

#[test]
fn the_examples_of_the_documentation_work() -> Result<()> {
    let rig = Rig::new("examples")?;
    let _agent = rig.agent(&[])?;
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/socket.md");
    let document = std::fs::read_to_string(document)?;
    let examples: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .filter(|it| it.starts_with("curl "))
        .collect();
    ensure!(examples.len() >= 6, "{examples:?}");
    for example in examples {
        ensure!(example.contains(USUAL), "{example}");
        let example = example.replace(USUAL, &rig.socket().display().to_string());
        let example = example.replacen("curl ", &format!("curl --fail --max-time {READ} "), 1);
        let told = finish(Command::new("sh").args(["-c", &example]), Duration::from_secs(60))?;
        // 28 is the end of the time that a stream was read.
        ensure!(matches!(told.status.code(), Some(0 | 28)), "{example}: {told:?}");
        let lines: Vec<&str> = told.stdout.lines().collect();
        ensure!(!lines.is_empty(), "{example}: {told:?}");
        for line in lines {
            let line: serde_json::Value = serde_json::from_str(line)?;
            ensure!(line["schema"] == "vethwatch/1", "{example}: {line}");
        }
    }
    Ok(())
}
