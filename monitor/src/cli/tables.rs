//! What may be typed behind the commands that print a table.

use super::{Past, parse};
use clap::Args;
use std::time::Duration;

/// Options of `containers` and `networks`.
#[derive(Debug, Args)]
pub struct Table {
    /// Watch for so long, or until Ctrl-C, before printing.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Or look back.
    #[command(flatten)]
    pub past: Past,
}

/// Options of `pairs`.
#[derive(Debug, Args)]
pub struct Pairs {
    /// Those of a table.
    #[command(flatten)]
    pub table: Table,
    /// Only those with the container with this name or id (or the beginning of its id).
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}

/// Options of `services`.
#[derive(Debug, Args)]
pub struct Services {
    /// What comes in so long from now, or until Ctrl-C, instead of all since the watch began.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Or look back.
    #[command(flatten)]
    pub past: Past,
    /// Only this service (or project/service), or this shared name (or name.network).
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}
