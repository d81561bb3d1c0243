//! What may be typed. What it means is decided in [`crate::settings`].

mod durations;
mod ends;

pub use durations::{NotADuration, parse};
pub use ends::{NotAnEnd, Target, Wanted, Who};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// See who talks to whom between the containers of a Docker host, exactly, by name.
///
/// Counts every packet and byte that enters or leaves a container in the kernel and names both ends. Nothing is ever
/// dropped, changed or delayed, and nothing stays attached when it ends. Needs root (or CAP_BPF, CAP_NET_ADMIN and
/// CAP_PERFMON).
///
/// Exit codes: 0 fine; 1 findings (check); 2 usage or settings wrong, or mistakes in a policy file; 3 not permitted, or
/// the kernel or Docker lacks something; 4 cannot be told (check).
#[derive(Debug, Parser)]
#[command(name = "vethwatch", version, max_term_width = 100)]
pub struct Typed {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub options: Options,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show each container with its traffic, rates and peers, and everything that could not be seen.
    ///
    /// On a terminal the screen is drawn again and again until Ctrl-C; without a terminal, with --once or --json, one
    /// picture is printed.
    Top(Top),
    /// List containers: networks, addresses, interfaces, totals, and what crossed before the watch.
    Containers(Containers),
    /// Print conversations as they go on, one line each tick, both ends named.
    ///
    /// A conversation between two containers is seen, and printed, at both of them; SENT is what the end on the left
    /// sent. Where nobody can tell who began, both ports are shown and the left end is the container that was watched.
    Flows(Flows),
    /// Print what breaks isolation, and what should work and does not, as it is found.
    ///
    /// Each finding says who, what, and how it is known. It is printed when it is new and when it changes: more packets
    /// of it, another outcome, its end. Findings of kind posture need no traffic: they tell what the configuration of
    /// Docker itself means for isolation.
    Violations(Violations),
    /// Say why two ends can or cannot talk: what is expected, what is seen, and where it stops.
    ///
    /// Watches for --for, during which the traffic in question has to be made; it sends nothing itself. Ctrl-C ends it
    /// earlier, with what was seen. Then it says what is expected of every way from A to B and by which rule, what it
    /// saw at each interface and what became of it, and which commands show the same. Ends are containers by name or id
    /// (or the beginning of it), Compose services, addresses, `host`, or `outside`; one of them has to be a container.
    Why(Why),
    /// Watch for a while and say whether isolation held.
    ///
    /// The summary has the findings of the kinds that were asked for, and always the posture; only findings of those
    /// kinds make it fail. Exit codes: 0 it held; 1 there are findings of --kind as bad as --fail-on; 4 it cannot be
    /// told, because something was lost or not watched.
    Check(Check),
    /// Print what was found in a recording that was made by --record. Needs neither root nor Docker.
    ///
    /// The findings are those that were told when it was recorded. The policy file of that time is in the recording;
    /// --policy judges by another one.
    Replay(Replay),
    /// Say what this kernel, this Docker and these permissions allow, and what to do about the rest.
    Doctor,
    /// Check a policy file, or say what it decides. Needs no root.
    #[command(subcommand)]
    Policy(Policy),
    /// Remove programs that a killed vethwatch has left on devices (it leaves none where it attached by tcx).
    Detach,
}

/// Options of `top`.
#[derive(Debug, Args)]
pub struct Top {
    /// Print one picture and end.
    #[arg(long)]
    pub once: bool,
    /// Time between two screens.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse)]
    pub interval: Duration,
}

/// Options of `containers`.
#[derive(Debug, Args)]
pub struct Containers {
    /// Watch for so long before printing.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
}

/// Options of `flows`.
#[derive(Debug, Args)]
pub struct Flows {
    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Only flows of the container with this name or id (or the beginning of its id).
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// Print one packet in so many, after its flow.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: Option<u32>,
    /// Print what crosses bridges too; routed packets then appear more than once.
    #[arg(long, conflicts_with = "no_bridges")]
    pub bridges: bool,
}

/// Options of `violations`.
#[derive(Debug, Args)]
pub struct Violations {
    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
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
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Watch for so long.
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
    /// Docker is asked who the ends are: containers by name or id (or the beginning of it), Compose services, addresses,
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

/// Options of every command.
#[derive(Debug, Args)]
pub struct Options {
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where Docker is: unix:///path or tcp://name:port [default: DOCKER_HOST, then the current context].
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub docker_host: Option<String>,
    /// How to attach [default: tcx where the kernel has it, clsact elsewhere and for devices that come together].
    #[arg(long, global = true, value_enum)]
    pub attach: Option<Attach>,
    /// Flows that can be counted in one tick, for IPv4 and for IPv6 each.
    #[arg(long, global = true, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(64..=16_777_216))]
    pub max_flows: u32,
    /// Conversations whose drops can be counted in one tick.
    #[arg(long, global = true, value_name = "N", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub max_drops: u32,
    /// Interfaces that can be watched at once.
    #[arg(long, global = true, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_interfaces: u32,
    /// Time between two drains of the flows.
    #[arg(long, global = true, value_name = "TIME", default_value = "1s", value_parser = parse)]
    pub tick: Duration,
    /// Judge by the rules of this file before the built-in ones; `policy check` checks it.
    #[arg(long = "policy", global = true, value_name = "FILE")]
    pub policy_file: Option<PathBuf>,
    /// Record everything that is judged into this new file, for `replay` or a bug report. It holds names, labels, addresses
    /// and the policy file, but no content of packets, unless --sample asks for it; only its owner may read it.
    #[arg(long, global = true, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Do not watch bridges, only containers' interfaces.
    #[arg(long, global = true)]
    pub no_bridges: bool,
    /// Time over which rates are taken [default: 1s, at least one tick].
    #[arg(long, global = true, value_name = "TIME", value_parser = parse)]
    pub window: Option<Duration>,
    /// Let the programs in the kernel write diagnostics to standard error.
    #[arg(long, global = true)]
    pub diagnostics: bool,
}

/// How to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attach {
    /// TCX links, which end with the process.
    Tcx,
    /// Filters on the clsact qdisc: faster to attach, for every kernel; those of a killed process stay until the next start.
    Clsact,
}

#[cfg(test)]
mod tests {
    use super::{Command, Typed};
    use clap::error::ErrorKind;
    use clap::{CommandFactory, Parser};
    use std::time::Duration;

    fn parse(line: &str) -> Result<Typed, clap::Error> {
        Typed::try_parse_from(line.split_whitespace())
    }

    fn check_refused(line: &str, kind: ErrorKind) {
        let error = parse(line).expect_err(line);
        assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}: {error}");
    }

    #[test]
    fn the_definition_holds_together() {
        Typed::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        for command in Typed::command().get_subcommands() {
            let error =
                parse(&format!("vethwatch {} --help", command.get_name())).expect_err("help is an early end");
            assert_eq!((error.kind(), error.exit_code()), (ErrorKind::DisplayHelp, 0));
            let help = error.to_string();
            assert!(help.contains("--json") && help.contains("--docker-host"), "{help}");
        }
    }

    #[test]
    fn options_may_stand_before_and_after_the_command() {
        let typed = parse("vethwatch --json flows --for 1m --sample 100 --tick 100ms").unwrap();
        assert!(typed.options.json);
        assert_eq!(typed.options.tick, Duration::from_millis(100));
        let Command::Flows(flows) = typed.command else { panic!("another command") };
        assert_eq!((flows.watch_for, flows.sample), (Some(Duration::from_secs(60)), Some(100)));
    }

    #[test]
    fn wrong_usage_ends_with_2() {
        check_refused("vethwatch", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        check_refused("vethwatch agent", ErrorKind::InvalidSubcommand);
        check_refused("vethwatch flows --for 10", ErrorKind::ValueValidation);
        check_refused("vethwatch flows --sample 0", ErrorKind::ValueValidation);
        check_refused("vethwatch flows --bridges --no-bridges", ErrorKind::ArgumentConflict);
        check_refused("vethwatch top --attach xdp", ErrorKind::InvalidValue);
        check_refused("vethwatch top --max-flows 0", ErrorKind::ValueValidation);
        check_refused("vethwatch top --max-drops 0", ErrorKind::ValueValidation);
        check_refused("vethwatch doctor --once", ErrorKind::UnknownArgument);
        check_refused("vethwatch policy", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        check_refused("vethwatch policy check", ErrorKind::MissingRequiredArgument);
        check_refused("vethwatch policy explain p.toml --from web", ErrorKind::MissingRequiredArgument);
        check_refused("vethwatch policy explain p.toml --from web --to db", ErrorKind::ValueValidation);
    }
}
