//! `cargo xtask ci`: everything that must hold before a change is merged.

use crate::cargo::target_folder;
use crate::test::{self, Tally};
use crate::{ebpf, fuzz, lint, signals};
use anyhow::Result;
use std::process::ExitCode;

type Step = fn() -> Result<()>;

/// Runs every check, the failed ones not ending it; the last line is `N passed, N failed`.
pub(crate) fn run() -> Result<ExitCode> {
    signals::watch()?;
    let steps: [(&str, Step); 3] = [
        ("lint", lint::run),
        ("kernel object", kernel_object),
        ("fuzz corpus", || fuzz::run(&fuzz::Arguments::default())),
    ];
    let mut tally = Tally::default();
    for (name, step) in steps {
        println!("\n== {name}");
        let result = step();
        if let Err(error) = &result {
            println!("{name}: {error:#}");
        }
        tally.record(name, result.is_ok());
        signals::check()?;
    }
    match test::run_all(&test::Arguments::default()) {
        Ok(tests) => tally.add(tests),
        Err(error) => {
            println!("test: {error:#}");
            tally.record("test", false);
        }
    }
    println!("{tally}");
    Ok(if tally.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
