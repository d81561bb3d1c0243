//! Whether an agent that watches already is asked.

use crate::cli::{Options, OrOff};
use crate::collector;
use std::path::PathBuf;

/// Who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The agent at this socket, if there is one.
    Agent(PathBuf),
    /// The command itself, because of an option that the agent cannot follow.
    Because(&'static str),
    /// The command itself: it was asked to.
    Never,
}

impl Ask {
    /// By what was typed. What has its usual value counts as not typed.
    pub(super) fn understand(options: &Options, samples: bool) -> Self {
        let OrOff::On(path) = &options.socket else { return Self::Never };
        let usual = collector::Settings::default();
        let own = [
            ("--attach", options.attach.is_some()),
            ("--max-flows", options.max_flows != usual.max_flows),
            ("--max-drops", options.max_drops != usual.max_drops),
            ("--max-interfaces", options.max_interfaces != usual.max_interfaces),
            ("--tick", options.tick != usual.tick),
            ("--window", options.window.is_some()),
            ("--policy", options.policy_file.is_some()),
            ("--record", options.record.is_some()),
            ("--no-bridges", options.no_bridges),
            ("--sample", samples),
            ("--diagnostics", options.diagnostics),
            ("--docker-host", options.docker_host.is_some()),
        ];
        let own = own.into_iter().find(|(_, is_there)| *is_there);
        own.map_or_else(|| Self::Agent(path.clone()), |(option, _)| Self::Because(option))
    }
}

#[cfg(test)]
mod tests {
    use super::Ask;
    use crate::cli::Typed;
    use crate::settings::Settings;
    use clap::Parser as _;

    #[track_caller]
    fn check(typed: &str, expected: Ask) {
        let line = format!("vethwatch {typed}");
        let settings = Settings::understand(Typed::try_parse_from(line.split(' ')).unwrap()).unwrap();
        assert_eq!(settings.ask, expected, "{line}");
    }

    #[test]
    fn an_agent_is_asked_unless_an_option_is_for_a_watch_of_ones_own() {
        let usual = || Ask::Agent("/run/vethwatch/vethwatch.sock".into());
        check("top", usual());
        check("flows --for 1s --container web --bridges --json", usual());
        check("check --kind posture --fail-on info", usual());
        check("top --socket /tmp/s", Ask::Agent("/tmp/s".into()));
        check("top --socket off", Ask::Never);
        check("top --socket off --tick 2s", Ask::Never);
        for (option, value) in [
            ("--attach", " clsact"),
            ("--max-flows", " 1024"),
            ("--max-drops", " 1024"),
            ("--max-interfaces", " 64"),
            ("--tick", " 500ms"),
            ("--window", " 5s"),
            ("--policy", " p.toml"),
            ("--record", " r"),
            ("--no-bridges", ""),
            ("--sample", " 10"),
            ("--diagnostics", ""),
            ("--docker-host", " unix:///x"),
        ] {
            check(&format!("flows {option}{value}"), Ask::Because(option));
        }
    }
}
