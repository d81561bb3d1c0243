//! vethwatch.

use clap::Parser as _;
use monitor::cli::Typed;
use monitor::run;
use monitor::settings::Settings;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Settings::understand(Typed::parse()) {
        Ok(settings) => run::run(settings),
        Err(senseless) => run::refuse(&senseless),
    }
}
