//! vethwatch.

mod memory;

use clap::Parser as _;
use monitor::cli::Typed;
use monitor::run;
use monitor::settings::Settings;
use std::process::ExitCode;

fn main() -> ExitCode {
    memory::keep_little();
    match Settings::understand(Typed::parse()) {
        Ok(settings) => run::run(settings),
        Err(senseless) => run::refuse(&senseless),
    }
}
