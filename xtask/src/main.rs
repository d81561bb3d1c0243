//! Everything a person or CI does to this workspace, as commands: `cargo xtask --help`.

mod cargo;
mod signals;

mod bench;
mod capture;
mod ci;
mod demo;
mod ebpf;
mod fuzz;
mod image;
mod lint;
mod package;
mod run;
mod scenarios;
mod soak;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about, version, bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build vethwatch and run it as root with these arguments.
    Run(run::Arguments),
    /// Run vethwatch over a small set of containers that is made for it and removed afterwards.
    Demo(demo::Arguments),
    /// Install what the tests need, and run all of them, as root where they need it.
    Test(test::Arguments),
    /// Record the matrix of real networks anew, as scenarios that are replayed without a kernel.
    Scenarios,
    /// Have containers come and go under an agent, and see that nothing of it grows.
    Soak(soak::Arguments),
    /// Check formatting, clippy, documentation, and the commands that the documents name.
    Lint,
    /// Compile the programs for the kernel; needs tools that nothing else here needs.
    Ebpf {
        /// Only check that the committed object is made from the sources in the tree.
        #[arg(long)]
        check: bool,
    },
    /// Measure, and write the figures to docs/benchmarks.md.
    Bench(bench::Arguments),
    /// Draw the pictures of the live view that the README shows, from a real run; needs tmux and docker-compose.
    Capture(capture::Arguments),
    /// Fuzz the packet parser.
    Fuzz(fuzz::Arguments),
    /// Everything that CI checks.
    Ci,
    /// Make an image, for tests or of vethwatch itself, unless it exists already.
    Image(image::Arguments),
    /// Write the man pages and the completions for shells to target/dist.
    Dist,
    /// Make the Debian package in target/dist.
    Package(package::Arguments),
}

fn main() -> ExitCode {
    carry_out(Arguments::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn carry_out(task: Task) -> Result<ExitCode> {
    match task {
        Task::Run(arguments) => run::run(&arguments),
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Scenarios => scenarios::run().map(|()| ExitCode::SUCCESS),
        Task::Soak(arguments) => soak::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Lint => lint::run().map(|()| ExitCode::SUCCESS),
        Task::Ebpf { check } => ebpf::run(check).map(|()| ExitCode::SUCCESS),
        Task::Bench(arguments) => bench::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Capture(arguments) => capture::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Fuzz(arguments) => fuzz::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Ci => ci::run(),
        Task::Image(arguments) => image::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Dist => package::dist().map(|()| ExitCode::SUCCESS),
        Task::Package(arguments) => package::run(&arguments).map(|()| ExitCode::SUCCESS),
    }
}
