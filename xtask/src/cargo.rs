//! Calling cargo, and asking it what there is to build.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quickly.
    Dev,
    /// To be fast.
    Release,
}

/// A target of the workspace that `cargo test` does not run by itself: a test that needs root, or a benchmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) package: String,
    pub(crate) name: String,
}

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The folder of what is built.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The same cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    // What cargo told this program about itself is not meant for another build.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("CARGO_BIN_")
        {
            command.env_remove(&*name);
        }
    }
    command
}

/// The variable that says where a program is that was built already. A test that runs as root is told of it, so that it
/// leaves no files of root's where others build.
pub(crate) fn built_already(program: &str) -> String {
    format!("VW_BUILT_{}", program.to_uppercase())
}

/// Builds programs, given as (package, program), and returns their paths in the same order.
pub(crate) fn build(programs: &[(&str, &str)], profile: Profile) -> Result<Vec<PathBuf>> {
    let built =
        programs.iter().map(|(_, program)| std::env::var_os(built_already(program)).map(PathBuf::from));
    if let Some(built) = built.collect() {
        return Ok(built);
    }
    let mut command = cargo();
    command.args(["build", "--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    if profile == Profile::Release {
        command.arg("--release");
    }
    for (package, program) in programs {
        command.args(["--package", package, "--bin", program]);
    }
    let output =
        command.spawn().context("starting cargo")?.wait_with_output().context("waiting for cargo")?;
    ensure!(output.status.success(), "cargo build failed");
    let built = String::from_utf8(output.stdout).context("reading what cargo says")?;
    programs.iter().map(|(_, program)| executable(&built, program)).collect()
}

fn executable(messages: &str, program: &str) -> Result<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo did not say where {program} is"))
}

/// Test targets that are not part of plain `cargo test`, by name.
pub(crate) fn tests_run_by_name() -> Result<Vec<Target>> {
    targets(|target| is_kind(target, "test") && target["test"] == false)
}

/// Benchmarks, by name.
pub(crate) fn benchmarks() -> Result<Vec<Target>> {
    targets(|target| is_kind(target, "bench"))
}

fn is_kind(target: &Value, kind: &str) -> bool {
    target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|known| known == kind))
}

fn targets(wanted: impl Fn(&Value) -> bool) -> Result<Vec<Target>> {
    let output =
        cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output().context("asking cargo")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for target in package["targets"].as_array().into_iter().flatten().filter(|target| wanted(target)) {
            let text = |value: &Value| value.as_str().map(str::to_owned).context("a name in cargo metadata");
            found.push(Target { package: text(&package["name"])?, name: text(&target["name"])? });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::executable;
    use std::path::Path;

    #[test]
    fn the_executable_of_a_program_is_found_among_what_cargo_says() {
        let messages = "not json\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"a\"},\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"a\"},\"executable\":\"/t/a\"}\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"b\"},\"executable\":\"/t/b\"}\n";
        assert_eq!(executable(messages, "b").unwrap(), Path::new("/t/b"));
        assert_eq!(executable(messages, "a").unwrap(), Path::new("/t/a"));
        assert!(executable(messages, "c").is_err());
    }
}
