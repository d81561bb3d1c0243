//! `cargo xtask ci`: everything that must hold before a change is merged.

use crate::cargo::{target_folder, workspace};
use crate::test::{self, Tally};
use crate::{ebpf, signals};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

/// Tasks that run beside the tests.
const ASIDE: [&str; 2] = ["lint", "fuzz"];

/// The longest that one of them may take.
const ASIDE_LIMIT: Duration = Duration::from_secs(40 * 60);

/// Runs every check, the failed ones not ending it; the last line is `N passed, N failed`.
pub(crate) fn run() -> Result<ExitCode> {
    signals::watch()?;
    let aside: Vec<Aside> = ASIDE.into_iter().map(Aside::start).collect::<Result<_>>()?;
    let mut tally = Tally::default();
    println!("\n== kernel object");
    let result = kernel_object();
    if let Err(error) = &result {
        println!("kernel object: {error:#}");
    }
    tally.record("kernel object", result.is_ok());
    match test::run_all(&test::Arguments::default()) {
        Ok(tests) => tally.add(tests),
        Err(error) => {
            println!("test: {error:#}");
            tally.record("test", false);
        }
    }
    for task in aside {
        let name = task.name;
        tally.record(name, task.finish()?);
    }
    println!("{tally}");
    Ok(if tally.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A task of this program that runs beside the tests, which mostly wait for Docker: with what they leave of the processors,
/// and in a target folder of its own, so that neither waits for what the other builds.
struct Aside {
    name: &'static str,
    child: Child,
    output: PathBuf,
}

impl Aside {
    fn start(name: &'static str) -> Result<Self> {
        let folder = target_folder().join("aside").join(name);
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let output = folder.join("output");
        let file = File::create(&output).with_context(|| format!("making {}", output.display()))?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe().context("finding this program")?).arg(name);
        command.current_dir(workspace()).env("CARGO_TARGET_DIR", &folder).stdin(Stdio::null());
        let child = command.stdout(file.try_clone()?).stderr(file).spawn();
        Ok(Self { name, child: child.with_context(|| format!("starting {name}"))?, output })
    }

    /// Waits for it and shows what it printed; whether all was well.
    fn finish(mut self) -> Result<bool> {
        let status = signals::wait(&mut self.child, Some(ASIDE_LIMIT))?;
        let printed = fs::read(&self.output).with_context(|| format!("reading {}", self.output.display()))?;
        println!("\n== {}\n{}{status}", self.name, String::from_utf8_lossy(&printed));
        Ok(status.success())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // It has ended, unless this program ends early: then nobody wants to know any more.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Compiles the programs for the kernel again and compares, where there are tools for it. Elsewhere a unit test
/// compares their sources with the manifest of the committed object.
fn kernel_object() -> Result<()> {
    let has_linker = target_folder().join("ebpf-tools/bin/bpf-linker").exists();
    if has_linker || std::env::var_os("VETHWATCH_BPF_LINKER").is_some() {
        return ebpf::run(true);
    }
    println!("not compiled again: there is no BPF linker here");
    Ok(())
}
