//! What may be typed behind `latency` and `failures`.

use super::{Past, parse};
use clap::Args;
use std::time::Duration;

/// Options of `latency`.
#[derive(Debug, Args)]
pub struct Latency {
    /// Of connections that are answered in so long from now, or until Ctrl-C, instead of all since the watch began.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Or look back.
    #[command(flatten)]
    pub past: Past,
    /// Only those with this service (or project/service), container without one, address, or name that containers share
    /// (or name.network), with a row of that name.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Options of `failures`.
#[derive(Debug, Args)]
pub struct Failures {
    /// What fails in so long from now, or until Ctrl-C, instead of all since the watch began.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Or look back.
    #[command(flatten)]
    pub past: Past,
    /// Only those with this service (or project/service), container without one, address, or name that containers share
    /// (or name.network), with a row of that name.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}
