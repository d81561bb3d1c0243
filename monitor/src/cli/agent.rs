//! What may be typed for `agent`.

use super::{durations, sizes};
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where an agent pins programs and maps.
const PIN_DIR: &str = "/sys/fs/bpf/vethwatch";

/// Options of `detach`.
#[derive(Debug, Args)]
pub struct Detach {
    /// The folder of the BPF file system where an agent has pinned programs and maps.
    #[arg(long, value_name = "DIRECTORY", default_value = PIN_DIR)]
    pub pin_dir: PathBuf,
}

/// Options of `agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// The file with settings, over which the environment and flags go [default: /etc/vethwatch/vethwatch.toml, if it is
    /// there].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print what is in force and where each value comes from, as a file with settings, and end. Needs no root.
    #[arg(long)]
    pub print_config: bool,
    /// The group that may ask the agent at its socket, beside root; where there is no such group, only root may.
    #[arg(long, value_name = "GROUP", default_value = "vethwatch")]
    pub socket_group: String,
    /// Where programs and maps are pinned, so that they go on counting while no agent runs and the next one loses nothing:
    /// a folder of the BPF file system, which is made; `off` for nowhere.
    #[arg(long, value_name = "DIRECTORY", default_value = PIN_DIR)]
    pub pin_dir: OrOff<PathBuf>,
    /// Leave them there at a clean stop too, for the next agent; `vethwatch detach` removes them.
    #[arg(long)]
    pub keep: bool,
    // What has a heading comes last: it would go on for what is behind it.
    /// Metrics for Prometheus.
    #[command(flatten)]
    pub metrics: Metrics,
    /// Records in a file.
    #[command(flatten)]
    pub records: Records,
}

/// Options of the metrics: the table `[metrics]` of a file, by their heading.
#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub struct Metrics {
    /// Where to answer Prometheus: an address of the loopback and a port; 0 is any free one; `off` for no metrics. Other
    /// addresses need TLS and a token.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9797")]
    pub metrics_listen: OrOff<SocketAddr>,
    /// Answer at an address that others can reach without TLS or a token: they can read names and traffic of all containers,
    /// and so can whoever listens on the way.
    #[arg(long)]
    pub metrics_insecure: bool,
    /// Answer over TLS with the certificate in this file (PEM), and those behind it that lead to its issuer. It is read again
    /// when it changes.
    #[arg(long, value_name = "FILE")]
    pub metrics_tls_certificate: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE")]
    pub metrics_tls_key: Option<PathBuf>,
    /// Answer only to who knows the token in the first line of this file (`Authorization: Bearer TOKEN`). It is read again
    /// when it changes.
    #[arg(long, value_name = "FILE")]
    pub metrics_token_file: Option<PathBuf>,
    /// Export pairs of containers too, ten series each, and how long services took to answer each other, 19 for each end
    /// that saw it; at most half of all.
    #[arg(long)]
    pub metrics_pairs: bool,
    /// Export containers by cAdvisor's names too, for dashboards that have them.
    #[arg(long)]
    pub metrics_cadvisor: bool,
    /// The most series of containers, networks, pairs and findings; what more there would be is counted.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub metrics_max_series: u32,
}

/// Options of the records: the table `[records]` of a file, by their heading.
#[derive(Debug, Args)]
#[command(next_help_heading = "Records")]
pub struct Records {
    /// Write flows and findings to this file, one JSON line each, as `flows --json`, `violations --json` and `dns --json`
    /// print them;
    /// `-` is standard output, for the journal.
    #[arg(long, value_name = "FILE")]
    pub records_file: Option<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',', default_value = "flows,findings")]
    pub records_of: Vec<RecordsOf>,
    /// Begin a new file where one would be larger than this.
    #[arg(long, value_name = "SIZE", default_value = "100MB", value_parser = sizes::parse)]
    pub records_rotate_size: u64,
    /// Begin a new file where one is older than this.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = durations::parse)]
    pub records_rotate_age: Duration,
    /// How many ended files to keep.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub records_keep: u32,
}

/// What is written as records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordsOf {
    /// Each tick of each flow.
    Flows,
    /// Violations and what else was found, as it is found.
    Findings,
    /// Names that containers ask for.
    Names,
}

/// A value, or the word `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrOff<T> {
    /// It is wanted, so.
    On(T),
    /// It is not wanted.
    Off,
}

impl<T> OrOff<T> {
    /// The value, if it is wanted.
    pub fn on(self) -> Option<T> {
        match self {
            Self::On(value) => Some(value),
            Self::Off => None,
        }
    }
}

impl<T: FromStr> FromStr for OrOff<T> {
    type Err = T::Err;

    fn from_str(typed: &str) -> Result<Self, T::Err> {
        if typed == "off" { Ok(Self::Off) } else { typed.parse().map(Self::On) }
    }
}
