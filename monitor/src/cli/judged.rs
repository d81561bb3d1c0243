//! What may be typed behind the commands about verdicts, findings and policy files.

use super::{Past, Target, Wanted, Who, parse};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Options of `violations`.
#[derive(Debug, Args)]
pub struct Violations {
    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Or look back.
    #[command(flatten)]
    pub past: Past,
    /// Only these kinds [default: violation, broken].
    #[arg(long, value_enum, value_delimiter = ',')]
    pub kind: Vec<FindingKind>,
}

/// Options of `why`.
#[derive(Debug, Args)]
pub struct Why {
    /// Who opens the conversation: web, 172.18.0.2, host or outside.
    #[arg(value_name = "A")]
    pub from: Who,
    /// Who is asked, and for what: db, db:5432, 172.18.0.3:53/udp, host/icmp.
    #[arg(value_name = "B[:PORT[/PROTOCOL]]")]
    pub to: Wanted,
    /// Watch for so long.
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = parse)]
    pub watch_for: Duration,
    /// Or look back.
    #[command(flatten)]
    pub past: Past,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Watch for so long, from when all containers are watched.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = parse)]
    pub watch_for: Duration,
    /// Only findings of these kinds count [default: violation, broken].
    #[arg(long, value_enum, value_delimiter = ',')]
    pub kind: Vec<FindingKind>,
    /// How bad a finding must be to fail the check.
    #[arg(long, value_enum, default_value = "warning")]
    pub fail_on: FailOn,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The recording.
    pub file: PathBuf,
    /// Only these kinds [default: violation, broken].
    #[arg(long, value_enum, value_delimiter = ',')]
    pub kind: Vec<FindingKind>,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FindingKind {
    /// Expected not to happen.
    Violation,
    /// Expected to work, and stopped or lost.
    Broken,
    /// Allowed, but round the isolation.
    Crossing,
    /// What the configuration itself says, without any traffic.
    Posture,
}

/// How bad a finding must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Any.
    Info,
    /// A warning or worse.
    Warning,
    /// Critical only.
    Critical,
}

/// What to do with a policy file.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Check a policy file: every mistake, with its line and column. Needs neither root nor Docker.
    ///
    /// Exit codes: 0 the file is fine; 2 it has mistakes, or cannot be read.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Say which rule of a policy file decides about a conversation between two ends, and why not one before it.
    ///
    /// Docker is asked who the ends are: containers by name or id (or the beginning of it), services, addresses,
    /// `host`, or `outside`. Where no rule of the file matches, the built-in rules decide.
    Explain {
        /// The file.
        file: PathBuf,
        /// Who opens the conversation: web, 172.18.0.2, host or outside.
        #[arg(long, value_name = "END")]
        from: Who,
        /// Who is asked, and for what: db:5432/tcp, 172.18.0.3:53/udp, host/icmp; without a protocol it is TCP.
        #[arg(long, value_name = "END:PORT/PROTOCOL")]
        to: Target,
    },
}
