//! `cargo xtask ci`: everything that must hold before a change is merged.

use crate::test::{self, Tally};
use crate::{fuzz, lint, signals};
use anyhow::Result;
use std::process::ExitCode;

type Step = fn() -> Result<()>;

/// Runs every check, the failed ones not ending it; the last line is `N passed, N failed`.
pub(crate) fn run() -> Result<ExitCode> {
    signals::watch()?;
    let steps: [(&str, Step); 2] =
        [("lint", lint::run), ("fuzz corpus", || fuzz::run(&fuzz::Arguments::default()))];
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
