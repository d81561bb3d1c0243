//! What is meant by what was typed: one set of settings for each layer, checked once.

mod agent;
mod ask;
mod capture;
mod past;
mod senseless;
pub mod sources;

pub use agent::{Agent, Metrics, Records, Socket, Tls};
pub use ask::Ask;
pub use capture::{Capture, WriteTo};
pub use past::{Past, PastOf};
pub use senseless::Senseless;

use crate::cli::{
    self, Attach, Command, FailOn, FindingKind, Options, OrOff, Target, Theme, Typed, Wanted, Who,
};
use crate::model::AttachMode;
use crate::snapshot::{Kind, Severity};
use crate::{collector, inventory};
use monitor_common::settings::feature;
use std::path::PathBuf;
use std::time::Duration;

/// The shortest tick: below it, draining costs more than it tells.
const SHORTEST_TICK: Duration = Duration::from_millis(50);
/// The longest tick: the flow maps have to hold the flows of one.
const LONGEST_TICK: Duration = Duration::from_secs(60);
/// The window when none is asked for.
const USUAL_WINDOW: Duration = Duration::from_secs(1);
/// The longest window: a mark is kept for each tick in it.
const LONGEST_WINDOW: Duration = Duration::from_secs(10 * 60);
/// The kinds of findings that are told when none are asked for.
const USUAL_KINDS: [Kind; 2] = [Kind::Violation, Kind::Broken];
/// The shortest time between two screens.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What to do.
    pub task: Task,
    /// Whether to print JSON.
    pub json: bool,
    /// For the kernel's side.
    pub collector: collector::Settings,
    /// For Docker's side.
    pub inventory: inventory::Settings,
    /// Time over which rates are taken.
    pub window: Duration,
    /// Who watches, for a command that may ask an agent.
    pub ask: Ask,
    /// A policy file.
    pub policy: Option<PathBuf>,
    /// A file to record into.
    pub record: Option<PathBuf>,
}

/// Which findings are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Those of traffic.
    pub of_traffic: Vec<Kind>,
    /// Whether also those that stand without any.
    pub posture: bool,
}

/// How the live view is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// The least time between two screens that new data makes.
    pub interval: Duration,
    /// Its colours.
    pub theme: Theme,
    /// Whether it is drawn with ASCII alone, whatever the terminal can show.
    pub ascii: bool,
    /// Whether it takes the mouse.
    pub mouse: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Show containers, rates and peers.
    Top {
        /// Print one picture even on a terminal.
        once: bool,
        /// How the view on a terminal is.
        live: Live,
    },
    /// List containers.
    Containers {
        /// How long to watch before.
        watch_for: Option<Duration>,
    },
    /// List networks.
    Networks {
        /// How long to watch before.
        watch_for: Option<Duration>,
    },
    /// List who talks to whom.
    Pairs {
        /// How long to watch before.
        watch_for: Option<Duration>,
        /// Of which container.
        container: Option<String>,
    },
    /// List how long services took to answer each other.
    Latency {
        /// Of connections opened in so long, instead of all that were seen.
        watch_for: Option<Duration>,
        /// Of which service, container or address.
        name: Option<String>,
    },
    /// Stream names that containers ask for.
    Dns {
        /// Until when.
        watch_for: Option<Duration>,
        /// Of which container.
        container: Option<String>,
    },
    /// List what fails between services.
    Failures {
        /// What fails in so long, instead of all that was seen.
        watch_for: Option<Duration>,
        /// Of which service, container or address.
        name: Option<String>,
    },
    /// List how connections are spread over the replicas of services.
    Services {
        /// Of connections opened in so long, instead of all that were seen.
        watch_for: Option<Duration>,
        /// Of which service.
        name: Option<String>,
    },
    /// Look back.
    Past(Past),
    /// Stream flows.
    Flows {
        /// How long.
        watch_for: Option<Duration>,
        /// Of which container.
        container: Option<String>,
        /// Whether those of bridges too.
        bridges: bool,
    },
    /// Capture packets.
    Capture(Capture),
    /// Stream findings.
    Violations {
        /// How long.
        watch_for: Option<Duration>,
        /// Of which kinds.
        kinds: Kinds,
    },
    /// Say why two ends can or cannot talk.
    Why {
        /// How long to watch.
        watch_for: Duration,
        /// Who opens the conversation.
        from: Who,
        /// Who is asked, and for what.
        to: Wanted,
    },
    /// Watch, and say whether isolation held.
    Check {
        /// How long.
        watch_for: Duration,
        /// Which findings count.
        kinds: Kinds,
        /// How bad a finding must be to fail.
        fail_on: Severity,
    },
    /// Print what a recording's engine found.
    Replay {
        /// The recording.
        file: PathBuf,
        /// Findings of which kinds.
        kinds: Kinds,
    },
    /// Watch on, and export metrics.
    Agent(Agent),
    /// Print what is in force for that.
    PrintConfig,
    /// Say what works here.
    Doctor,
    /// Check a policy file.
    PolicyCheck {
        /// Which.
        file: PathBuf,
    },
    /// Say what a policy file decides.
    PolicyExplain {
        /// Which.
        file: PathBuf,
        /// Who opens the conversation.
        from: Who,
        /// Who is asked, and for what.
        to: Target,
    },
    /// Remove what killed processes left.
    Detach {
        /// The folder where an agent has pinned its programs and maps.
        pin_dir: PathBuf,
    },
}

impl Settings {
    /// What was typed, understood.
    ///
    /// # Errors
    /// When settings make no sense, alone or with the others: all of these.
    pub fn understand(typed: Typed) -> Result<Self, Vec<Senseless>> {
        let Typed { command, options } = typed;
        let mut senseless = check(&options);
        if matches!(&command, Command::Flows(flows) if flows.since.is_some() || flows.until.is_some()) {
            senseless.push(Senseless::FlowsPast);
        }
        if matches!(&command, Command::Flows(flows) if flows.bridges && options.no_bridges) {
            senseless.push(Senseless::Bridges);
        }
        if matches!(&command, Command::Capture(capture) if options.json && capture.write.is_some()) {
            senseless.push(Senseless::JsonAndWrite);
        }
        let window = window(&options);
        let sample_every = match &command {
            Command::Flows(flows) => flows.sample.unwrap_or(0),
            _ => 0,
        };
        let task = task(command, options.socket.clone()).map_err(|more| senseless.extend(more));
        let usual = collector_settings(&options, sample_every);
        let Some(task) = task.ok().filter(|_| senseless.is_empty()) else { return Err(senseless) };
        let collector = match &task {
            Task::Capture(capture) => capture.collector(usual),
            Task::Agent(agent) => collector::Settings { pin: agent.pin.clone(), ..usual },
            _ => usual,
        };
        Ok(Self {
            task,
            ask: Ask::understand(&options, sample_every > 0),
            json: options.json,
            collector,
            inventory: inventory::Settings { host: options.docker_host, ..inventory::Settings::default() },
            window,
            policy: options.policy_file,
            record: options.record,
        })
    }
}

/// The window that was asked for, or one second, but at least one tick.
fn window(options: &Options) -> Duration {
    options.window.unwrap_or_else(|| USUAL_WINDOW.max(options.tick))
}

fn check(options: &Options) -> Vec<Senseless> {
    let mut senseless = Vec::new();
    if !(SHORTEST_TICK..=LONGEST_TICK).contains(&options.tick) {
        senseless.push(Senseless::Tick);
    } else if !(options.tick..=LONGEST_WINDOW).contains(&window(options)) {
        senseless.push(Senseless::Window);
    }
    let known = |host: &String| ["unix://", "tcp://"].iter().any(|scheme| host.starts_with(scheme));
    if options.docker_host.as_ref().is_some_and(|host| !known(host)) {
        senseless.push(Senseless::DockerHost);
    }
    senseless
}

fn live(top: &cli::Top) -> Live {
    Live { interval: top.interval, theme: top.theme, ascii: top.ascii, mouse: !top.no_mouse }
}

fn task(command: Command, socket: OrOff<PathBuf>) -> Result<Task, Vec<Senseless>> {
    if let Some(past) = Past::understand(&command) {
        return Ok(Task::Past(past));
    }
    Ok(match command {
        Command::Top(top) if top.interval < SHORTEST_INTERVAL => return Err(vec![Senseless::Interval]),
        Command::Top(top) => Task::Top { once: top.once, live: live(&top) },
        Command::Containers(containers) => Task::Containers { watch_for: containers.watch_for },
        Command::History(history) => Task::Past(history.into()),
        Command::Networks(networks) => Task::Networks { watch_for: networks.watch_for },
        Command::Pairs(pairs) => Task::Pairs { watch_for: pairs.table.watch_for, container: pairs.container },
        Command::Latency(latency) => Task::Latency { watch_for: latency.watch_for, name: latency.name },
        Command::Dns(dns) => Task::Dns { watch_for: dns.watch_for, container: dns.container },
        Command::Failures(failures) => Task::Failures { watch_for: failures.watch_for, name: failures.name },
        Command::Services(services) => Task::Services { watch_for: services.watch_for, name: services.name },
        Command::Flows(flows) => {
            Task::Flows { watch_for: flows.watch_for, container: flows.container, bridges: flows.bridges }
        }
        Command::Capture(capture) => Task::Capture(Capture::understand(capture)),
        Command::Violations(violations) => {
            Task::Violations { watch_for: violations.watch_for, kinds: kinds(&violations.kind) }
        }
        Command::Replay(replay) => Task::Replay { file: replay.file, kinds: kinds(&replay.kind) },
        Command::Why(why) => Task::Why { watch_for: why.watch_for, from: why.from, to: why.to },
        Command::Check(check) => Task::Check {
            watch_for: check.watch_for,
            kinds: kinds(&check.kind),
            fail_on: match check.fail_on {
                FailOn::Info => Severity::Info,
                FailOn::Warning => Severity::Warning,
                FailOn::Critical => Severity::Critical,
            },
        },
        Command::Agent(typed) => {
            let print = typed.print_config;
            let agent = Agent::understand(typed, socket)?;
            if print { Task::PrintConfig } else { Task::Agent(agent) }
        }
        Command::Doctor => Task::Doctor,
        Command::Policy(cli::Policy::Check { file }) => Task::PolicyCheck { file },
        Command::Policy(cli::Policy::Explain { file, from, to }) => Task::PolicyExplain { file, from, to },
        Command::Detach(detach) => Task::Detach { pin_dir: detach.pin_dir },
    })
}

/// The kinds that were asked for, or the usual ones.
pub(crate) fn kinds(asked: &[FindingKind]) -> Kinds {
    if asked.is_empty() {
        return Kinds { of_traffic: USUAL_KINDS.to_vec(), posture: false };
    }
    let of_traffic = asked.iter().filter_map(|kind| match kind {
        FindingKind::Violation => Some(Kind::Violation),
        FindingKind::Broken => Some(Kind::Broken),
        FindingKind::Crossing => Some(Kind::Crossing),
        FindingKind::Posture => None,
    });
    Kinds { of_traffic: of_traffic.collect(), posture: asked.contains(&FindingKind::Posture) }
}

fn collector_settings(options: &Options, sample_every: u32) -> collector::Settings {
    let diagnostics = if options.diagnostics { feature::DIAGNOSTICS } else { 0 };
    collector::Settings {
        attach: options.attach.map(|attach| match attach {
            Attach::Tcx => AttachMode::Tcx,
            Attach::Clsact => AttachMode::Clsact,
        }),
        max_flows: options.max_flows,
        max_drops: options.max_drops,
        max_interfaces: options.max_interfaces,
        tick: options.tick,
        sample_every,
        watch_bridges: !options.no_bridges,
        features: feature::DEFAULT | diagnostics,
        engine: inventory::socket(options.docker_host.as_deref()),
        ..collector::Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Live, PastOf, SHORTEST_INTERVAL, Senseless, Settings, Task, Theme};
    use crate::cli::Typed;
    use crate::model::AttachMode;
    use clap::Parser;
    use std::time::Duration;

    fn understand(line: &str) -> Result<Settings, Vec<Senseless>> {
        Settings::understand(Typed::try_parse_from(line.split(' ')).unwrap())
    }

    #[test]
    fn what_is_typed_reaches_its_layer() {
        let settings = understand(
            "vethwatch flows --sample 10 --attach clsact --no-bridges --max-flows 1024 --max-drops 64 --docker-host unix:///x",
        )
        .unwrap();
        let collector = &settings.collector;
        assert_eq!((collector.sample_every, collector.max_flows, collector.max_drops), (10, 1_024, 64));
        assert_eq!((collector.attach, collector.watch_bridges), (Some(AttachMode::Clsact), false));
        assert_eq!(settings.inventory.host.as_deref(), Some("unix:///x"));
        assert_eq!(settings.task, Task::Flows { watch_for: None, container: None, bridges: false });
    }

    #[test]
    fn nothing_typed_means_the_defaults() {
        let settings = understand("vethwatch top").unwrap();
        let interval = Duration::from_millis(250);
        let live = Live { interval, theme: Theme::Auto, ascii: false, mouse: true };
        assert_eq!(settings.task, Task::Top { once: false, live });
        let engine = crate::inventory::socket(None);
        let usual = crate::collector::Settings::default();
        let (typed, meant) = (settings.collector, crate::collector::Settings { engine, ..usual });
        assert_eq!(format!("{typed:?}"), format!("{meant:?}"));
    }

    #[test]
    fn kinds_that_are_asked_for_replace_the_usual_ones() {
        let kinds = |line: &str| match understand(line).unwrap().task {
            Task::Violations { kinds, .. } | Task::Check { kinds, .. } => (kinds.of_traffic, kinds.posture),
            task => panic!("{task:?}"),
        };
        for command in ["violations", "check"] {
            let of = |kind: &str| kinds(&format!("vethwatch {command}{kind}"));
            assert_eq!(of(""), (vec![Kind::Violation, Kind::Broken], false));
            assert_eq!(of(" --kind posture"), (Vec::new(), true));
            assert_eq!(of(" --kind crossing,posture"), (vec![Kind::Crossing], true));
        }
    }

    #[test]
    fn commands_look_back_where_a_time_is_asked_for() {
        let past = |line: &str| match understand(line).unwrap().task {
            Task::Past(past) => Some((past.of, past.name)),
            _ => None,
        };
        let name = Some("web".to_owned());
        let step = Some(Duration::from_secs(10));
        assert_eq!(past("vethwatch history"), Some((PastOf::Containers, None)));
        assert_eq!(past("vethwatch history web --step 10s"), Some((PastOf::Course(step), name.clone())));
        assert_eq!(past("vethwatch latency web --since 5m"), Some((PastOf::Latency, name.clone())));
        assert_eq!(past("vethwatch failures web --until 03:12"), Some((PastOf::Failures, name.clone())));
        assert_eq!(past("vethwatch dns --container web --since 5m"), Some((PastOf::Names, name)));
        for now in ["latency web", "failures --for 5s", "dns", "violations", "why web db"] {
            assert_eq!(past(&format!("vethwatch {now}")), None, "{now}");
        }
    }

    #[test]
    fn the_look_of_the_live_view_is_asked_for() {
        let settings = understand("vethwatch top --theme 16 --ascii --no-mouse --interval 100ms").unwrap();
        let live = Live { interval: SHORTEST_INTERVAL, theme: Theme::Sixteen, ascii: true, mouse: false };
        assert_eq!(settings.task, Task::Top { once: false, live });
    }

    #[test]
    fn a_long_tick_widens_a_window_that_was_not_asked_for() {
        assert_eq!(understand("vethwatch top --tick 5s").unwrap().window, Duration::from_secs(5));
        assert_eq!(understand("vethwatch top --tick 100ms").unwrap().window, Duration::from_secs(1));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (line, expected) in [
            ("vethwatch top --tick 10ms", Senseless::Tick),
            ("vethwatch top --tick 2m", Senseless::Tick),
            ("vethwatch top --tick 2s --window 1s", Senseless::Window),
            ("vethwatch top --window 1h", Senseless::Window),
            ("vethwatch top --interval 1ms", Senseless::Interval),
            (
                "vethwatch agent --metrics-listen 0.0.0.0:9797",
                Senseless::Listen("0.0.0.0:9797".parse().unwrap()),
            ),
            ("vethwatch agent --metrics-listen [::]:1", Senseless::Listen("[::]:1".parse().unwrap())),
            ("vethwatch top --docker-host /var/run/docker.sock", Senseless::DockerHost),
        ] {
            assert_eq!(understand(line).unwrap_err(), [expected], "{line}");
        }
        let both =
            understand("vethwatch agent --tick 2m --docker-host x --metrics-listen 0.0.0.0:1").unwrap_err();
        assert_eq!(both.len(), 3, "{both:?}");
    }
}
