//! `cargo xtask soak`: months under an agent, compressed into what this machine can do. The short form is one of the tests.

use crate::cargo::cargo;
use crate::{image, signals};
use anyhow::{Context, Result, ensure};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// As `cargo xtask test` does it, in about two minutes.
    #[arg(long, conflicts_with_all = ["containers", "flows"])]
    short: bool,
    /// How many containers are started and end.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    containers: u64,
    /// How many connections are opened beside.
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    flows: u64,
}

/// Runs the test of that name, for as long as it is asked for, and shows its table.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    signals::watch()?;
    crate::test::install_missing()?;
    image::make_testbox()?;
    let mut variables = vec!["VW_IMAGES_READY=1".to_owned()];
    let mut command = cargo();
    command.args(["test", "--package", "monitor", "--test", "soak"]);
    if !arguments.short {
        command.arg("--release");
        variables.push(format!("VW_SOAK_CONTAINERS={}", arguments.containers));
        variables.push(format!("VW_SOAK_FLOWS={}", arguments.flows));
    }
    if lab::is_root() {
        command.envs(variables.iter().filter_map(|variable| variable.split_once('=')));
    } else {
        let words: Vec<String> = variables.iter().map(|variable| format!("{variable:?}")).collect();
        let runner = format!(r#"target."cfg(unix)".runner = ["sudo", "env", {}]"#, words.join(", "));
        command.args(["--config", &runner]);
    }
    command.args(["--", "--test-threads", "1", "--nocapture"]);
    let mut child = command.spawn().context("starting cargo")?;
    let status = signals::wait(&mut child, None)?;
    ensure!(status.success(), "the soak failed");
    Ok(())
}
