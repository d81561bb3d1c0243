//! vethwatch.

mod memory;

use monitor::run;
use monitor::settings::sources::Sources;
use std::process::ExitCode;

fn main() -> ExitCode {
    memory::keep_little();
    let sources = Sources::of_this_process();
    match sources.read() {
        Ok(loaded) => run::run(loaded, sources),
        Err(refused) => run::refuse(&refused),
    }
}
