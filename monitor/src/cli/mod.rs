//! What may be typed. What it means is decided in [`crate::settings`].

mod agent;
mod durations;
mod ends;
mod health;
mod judged;
mod past;
mod sizes;
mod streams;
mod tables;

pub use agent::{Agent, Detach, Metrics, OrOff, Records, RecordsOf};
pub use durations::{NotADuration, parse};
pub use ends::{NotAnEnd, Target, Wanted, Who};
pub use health::{Failures, Latency};
pub use judged::{Check, FailOn, FindingKind, Policy, Replay, Violations, Why};
pub use past::{History, NotAMoment, Past, When};
pub use sizes::NotASize;
pub use streams::{Capture, Dns, Flows};
pub use tables::{Pairs, Services, Table};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// See who talks to whom between the containers of a Docker host, exactly, by name.
///
/// Counts every packet and byte that enters or leaves a container in the kernel and names both ends. Nothing is ever
/// dropped, changed or delayed, and nothing stays attached when it ends, but for what a killed agent leaves to the next one.
/// Needs root (or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON), or an agent that may be asked.
///
/// Options of every command may be in the environment too: VETHWATCH_TICK for --tick. A variable that is empty counts as not
/// set.
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
    /// On a terminal this is a live view: `?` shows its keys, `q` ends it. Without a terminal, with --once or --json, one
    /// picture is printed.
    Top(Top),
    /// List containers: networks, addresses, interfaces, totals, and what crossed before the watch.
    Containers(Table),
    /// List Docker's networks: who is on each, and what its containers exchanged inside, with the host, with other
    /// networks and with outside.
    ///
    /// INSIDE is counted once, where it was sent; the others in both directions. CROSSINGS are findings that are open,
    /// of kind violation or crossing, with an end on the network.
    Networks(Table),
    /// List who talks to whom: one line for a client, a server and its service, busiest first.
    ///
    /// SENT is what the client sent, each direction counted once, where it was sent if that is watched. Where nobody can
    /// tell who began, because that was before the watch, the server has no port. At most 4,096 are kept, those seen
    /// last.
    Pairs(Pairs),
    /// List how long TCP connections between two services took to be answered, and the first answer to begin: percentiles, and
    /// where the time went.
    ///
    /// SEEN AT client is from SYN to SYN-ACK at the client's interface: the whole way. server is the same at the server's
    /// interface: what lies behind it, without the way. between is, of each connection that both saw, the difference. first
    /// byte is from the client's first data to the server's, where the server is. What was not seen has no line. Containers of one Compose service are one. At most 128 pairs are kept: docs/health.md.
    Latency(Latency),
    /// List what fails between services: connections refused, not answered, reset, half-open, segments sent again, receivers
    /// without room, and packets of which ICMP told that they did not arrive.
    ///
    /// REFUSED is a reset in place of an answer, NO ANSWER neither so far; RST is who reset a connection later, RE-SENT
    /// who sent segments again, as its kernel counts them. `not served`: connections were asked for, and none was answered.
    /// `wrong MTU`: packets do not fit on the way, and their sender goes on although it was told. Below a row: half-open
    /// connections, ends that went silent, windows of 0, and errors of ICMP, with who sent them. Where nothing failed there is
    /// no line: docs/health.md.
    Failures(Failures),
    /// List how TCP connections are spread over the replicas of services, and behind shared names, and how they went.
    ///
    /// NO ANSWER are those that were neither answered nor refused so far, RESET those that a reset of either end ended. A
    /// replica that runs and is not asked while others are gets none. One that answers nobody while others do is a
    /// finding too, of the rule silent-replica. BY NAME are those whose client is known to have asked for a shared
    /// name (--network-alias): docs/health.md.
    Services(Services),
    /// Look back at the last hour, which an agent keeps: what each container did, or NAME from minute to minute.
    ///
    /// Without NAME a row is a container, in the time from --since until --until. With the name of a container, of a service, or
    /// the beginning of an id a row is a part of that time. FAILED are TCP connections that were refused or reset, of those that it
    /// opened and of those that were opened to it; below a row are those that were half-open; NOT FOUND are names that it asked for and did not get. What is kept, and how
    /// exactly, is in docs/history.md. `pairs`, `latency`, `failures`, `services`, `dns`, `violations` and `containers`
    /// look back as well, with the same --since and --until.
    History(History),
    /// Print conversations as they go on, one line each tick, both ends named.
    ///
    /// A conversation between two containers is seen, and printed, at both of them; SENT is what the end on the left
    /// sent. Where nobody can tell who began, both ports are shown and the left end is the container that was watched.
    Flows(Flows),
    /// Print the names that containers ask for, as they are answered: who asked whom, and what came of it.
    ///
    /// LATENCY is from the question to its answer, at the container's interface. A question that has no answer after ten
    /// seconds is printed as such. What is seen, and what is not, is in docs/health.md.
    Dns(Dns),
    /// Capture packets into a pcapng file: both ends, direction and verdict are in each packet's comment, interfaces are
    /// called by container and network, and what was lost is in the file.
    ///
    /// FILTER is that of the live view (docs/top.md): every word has to hold of a packet. `web` takes what crosses the
    /// interfaces of web; `web db port:5432` what they say to each other there, at both of them; `net:front`, `tcp`,
    /// `kind:violation` what they say; `!web` all but web's. Without it all packets of all containers are captured. A packet
    /// that crosses two interfaces that are captured is there twice. State, rule, kind and severity are those known when
    /// the packet is written, within a second or so; ends without a container are called host, external, multicast and
    /// unknown. Expressions of tcpdump are not understood: pipe `-w -` into `tcpdump -r - EXPRESSION`.
    ///
    /// Directions in the file are the container's: outbound is what it sent. Packets are those of the kernel, of up to
    /// 64 KiB where it segments them later. Ctrl-C, --count and --for end the file whole. Interfaces that are not
    /// captured cost nothing more. Flows are drained four times a second unless --tick says otherwise. Needs root, and always
    /// watches by itself; docs/capture.md tells more.
    Capture(Capture),
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
    /// (or the beginning of it), services, addresses, `host`, or `outside`; one of them has to be a container of this node. On
    /// other nodes of a Swarm it may be a service, a task or a container on a network of this node's containers.
    ///
    /// With --since or --until it tells what was between them in that time, as the agent keeps it, and watches nothing: who
    /// asked whom, how that went, and what was found.
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
    /// Watch until it is told to end, answer other commands, and export metrics for Prometheus at
    /// http://127.0.0.1:9797/metrics.
    ///
    /// SIGTERM or Ctrl-C ends it within two seconds. /healthz answers 200 as long as it counts, else 503. Under systemd it
    /// says when it is ready (Type=notify). Its options may be in the environment and in a file, which SIGHUP has it
    /// read again together with the policy: docs/configuration.md. The series are listed in docs/metrics.md; none has an
    /// address or a port.
    Agent(Agent),
    /// Say what this kernel, this Docker and these permissions allow, and what to do about the rest.
    Doctor,
    /// Check a policy file, or say what it decides. Needs no root.
    #[command(subcommand)]
    Policy(Policy),
    /// Remove what a vethwatch has left that is gone: what an agent has pinned, programs on devices, and clsact qdiscs of
    /// ours that are empty.
    Detach(Detach),
}

/// Options of `top`.
#[derive(Debug, Args)]
pub struct Top {
    /// Print one picture and end.
    #[arg(long)]
    pub once: bool,
    /// The least time between two screens that new data makes; keys are answered at once.
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = parse)]
    pub interval: Duration,
    /// Colours of the live view.
    #[arg(long, value_enum, default_value = "auto")]
    pub theme: Theme,
    /// Draw the live view with ASCII alone; a locale that is not UTF-8 does so too.
    #[arg(long)]
    pub ascii: bool,
    /// Leave the mouse to the terminal.
    #[arg(long)]
    pub no_mouse: bool,
}

/// Colours of the live view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// What the terminal tells of itself: none where NO_COLOR is set, else its own sixteen, unless it says more.
    Auto,
    /// Any colour, on a dark ground.
    Dark,
    /// Any colour, on a light ground.
    Light,
    /// The sixteen that the terminal names itself.
    #[value(name = "16")]
    Sixteen,
    /// None: bold, dim and reversed alone.
    None,
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
    /// How to attach [default: tcx where the kernel has it, clsact elsewhere, and for new devices that come together].
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
    /// Record everything that is judged into this new file, for `replay` or a bug report. It holds names, labels, addresses,
    /// the policy file and names that containers ask for, but no other content of packets, unless --sample asks for it; only its
    /// owner may read it.
    #[arg(long, global = true, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Do not watch bridges, only containers' interfaces.
    #[arg(long, global = true)]
    pub no_bridges: bool,
    /// Time over which rates are taken [default: 1s, at least one tick].
    #[arg(long, global = true, value_name = "TIME", value_parser = parse)]
    pub window: Option<Duration>,
    /// The agent's socket: commands ask the agent that answers there, unless one of these options is for a watch of their
    /// own; `off` for none.
    #[arg(long, global = true, value_name = "FILE", default_value = "/run/vethwatch/vethwatch.sock")]
    pub socket: OrOff<PathBuf>,
    /// Let the programs in the kernel write diagnostics to standard error.
    #[arg(long, global = true)]
    pub diagnostics: bool,
}

/// How to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attach {
    /// TCX links, which end with the process.
    Tcx,
    /// Filters on the clsact qdisc: faster to attach, for every kernel; those of a killed process stay until the next start,
    /// and the kernel loses some packets of a device in the moment it gets or loses the qdisc.
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
        check_refused("vethwatch agents", ErrorKind::InvalidSubcommand);
        check_refused("vethwatch agent --metrics-listen 9797", ErrorKind::ValueValidation);
        check_refused("vethwatch agent --metrics-max-series 1", ErrorKind::ValueValidation);
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
