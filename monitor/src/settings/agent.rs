//! How the agent is asked to be.

use super::Senseless;
use crate::collector::Pin;
use crate::{cli, export};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Metrics, where they are wanted.
    pub metrics: Option<Metrics>,
    /// The socket, where it is wanted.
    pub socket: Option<Socket>,
    /// Records, where they are wanted.
    pub records: Option<Records>,
    /// Where programs and maps are pinned, if they are.
    pub pin: Option<Pin>,
}

/// How metrics are exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Where they are.
    pub listen: SocketAddr,
    /// Which they are.
    pub export: export::Options,
    /// TLS, where it is wanted.
    pub tls: Option<Tls>,
    /// The file with the token that a client has to know.
    pub token_file: Option<PathBuf>,
}

/// The files that TLS is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

/// Where everything else on the host asks the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The file.
    pub path: PathBuf,
    /// The group that may ask, beside root.
    pub group: String,
}

/// What is written as JSON lines, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The file; absent is standard output.
    pub file: Option<PathBuf>,
    /// Whether flows are written.
    pub flows: bool,
    /// Whether findings are.
    pub findings: bool,
    /// Whether names that were asked for are.
    pub names: bool,
    /// The size in bytes that a file does not exceed.
    pub rotate_size: u64,
    /// The age at which a file is ended.
    pub rotate_age: Duration,
    /// How many ended files are kept.
    pub keep: u32,
}

impl Agent {
    /// What was typed, understood.
    ///
    /// # Errors
    /// When settings make no sense: all of these.
    pub(super) fn understand(typed: cli::Agent, socket: cli::OrOff<PathBuf>) -> Result<Self, Vec<Senseless>> {
        let cli::Agent { metrics, records, socket_group, pin_dir, keep, config: _, print_config: _ } = typed;
        Ok(Self {
            metrics: Metrics::understand(metrics).map_err(|senseless| vec![senseless])?,
            socket: socket.on().map(|path| Socket { path, group: socket_group }),
            records: Records::understand(records),
            pin: pin_dir.on().map(|dir| Pin { dir, keep }),
        })
    }
}

impl Metrics {
    fn understand(typed: cli::Metrics) -> Result<Option<Self>, Senseless> {
        let Some(listen) = typed.metrics_listen.on() else { return Ok(None) };
        let tls = match (typed.metrics_tls_certificate, typed.metrics_tls_key) {
            (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(Senseless::HalfOfTls),
        };
        let token_file = typed.metrics_token_file;
        let is_safe = listen.ip().to_canonical().is_loopback() || tls.is_some() && token_file.is_some();
        if !is_safe && !typed.metrics_insecure {
            return Err(Senseless::Listen(listen));
        }
        let export = export::Options {
            most_series: typed.metrics_max_series as usize,
            pairs: typed.metrics_pairs,
            cadvisor: typed.metrics_cadvisor,
        };
        Ok(Some(Self { listen, export, tls, token_file }))
    }
}

impl Records {
    fn understand(typed: cli::Records) -> Option<Self> {
        let of = |what| typed.records_of.contains(&what);
        let (flows, findings) = (of(cli::RecordsOf::Flows), of(cli::RecordsOf::Findings));
        let names = of(cli::RecordsOf::Names);
        Some(Self {
            file: Some(typed.records_file?).filter(|file| file.as_os_str() != "-"),
            flows,
            findings,
            names,
            rotate_size: typed.records_rotate_size,
            rotate_age: typed.records_rotate_age,
            keep: typed.records_keep,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Agent, Pin, Records, Socket, Tls};
    use crate::cli::Typed;
    use crate::settings::{Senseless, Settings, Task};
    use clap::Parser;
    use std::time::Duration;

    fn agent(line: &str) -> Agent {
        let typed = Typed::try_parse_from(line.split(' ')).unwrap();
        match Settings::understand(typed).unwrap().task {
            Task::Agent(agent) => agent,
            task => panic!("{task:?}"),
        }
    }

    #[test]
    fn metrics_are_exported_at_the_loopback_or_where_it_is_insisted_upon() {
        let listen = |line: &str| agent(line).metrics.map(|metrics| metrics.listen.to_string());
        assert_eq!(listen("vethwatch agent").as_deref(), Some("127.0.0.1:9797"));
        for allowed in ["127.0.0.9:1", "[::1]:9797", "[::ffff:127.0.0.1]:9797"] {
            let typed = format!("vethwatch agent --metrics-listen {allowed}");
            assert_eq!(listen(&typed).as_deref(), Some(allowed));
        }
        let anywhere = "vethwatch agent --metrics-insecure --metrics-listen 0.0.0.0:9797";
        assert_eq!(listen(anywhere).as_deref(), Some("0.0.0.0:9797"));
        assert_eq!(listen("vethwatch agent --metrics-listen off"), None);
    }

    #[test]
    fn who_can_be_reached_by_others_has_tls_and_a_token() {
        const TLS: &str = "--metrics-tls-certificate /c.pem --metrics-tls-key /k.pem";
        const TOKEN: &str = "--metrics-token-file /t";
        let understood = |more: &str| {
            let line = format!("vethwatch agent --metrics-listen 192.0.2.1:9797 {more}");
            Settings::understand(Typed::try_parse_from(line.split_whitespace()).unwrap()).map(drop)
        };
        for too_little in ["", TLS, TOKEN] {
            assert_eq!(
                understood(too_little),
                Err(vec![Senseless::Listen("192.0.2.1:9797".parse().unwrap())])
            );
        }
        assert_eq!(understood(&format!("{TLS} {TOKEN}")), Ok(()));
        for half in ["--metrics-tls-certificate /c.pem", "--metrics-insecure --metrics-tls-key /k.pem"] {
            assert_eq!(understood(half), Err(vec![Senseless::HalfOfTls]));
        }
        let line = format!("vethwatch agent {TLS} {TOKEN}");
        let metrics = agent(&line).metrics.unwrap();
        let expected = Tls { certificate: "/c.pem".into(), key: "/k.pem".into() };
        assert_eq!((metrics.tls, metrics.token_file), (Some(expected), Some("/t".into())));
    }

    #[test]
    fn records_are_written_where_a_file_is_named() {
        assert_eq!(agent("vethwatch agent").records, None);
        let records = agent("vethwatch agent --records-file /tmp/x --records-of findings --records-keep 0");
        let expected = Records {
            file: Some("/tmp/x".into()),
            flows: false,
            findings: true,
            names: false,
            rotate_size: 100_000_000,
            rotate_age: Duration::from_secs(24 * 60 * 60),
            keep: 0,
        };
        assert_eq!(records.records, Some(expected));
        assert_eq!(agent("vethwatch agent --records-file -").records.unwrap().file, None);
    }

    #[test]
    fn programs_and_maps_are_pinned_elsewhere_or_nowhere() {
        let usual = Pin { dir: "/sys/fs/bpf/vethwatch".into(), keep: false };
        assert_eq!(agent("vethwatch agent").pin, Some(usual));
        let other = agent("vethwatch agent --pin-dir /sys/fs/bpf/x --keep").pin;
        assert_eq!(other, Some(Pin { dir: "/sys/fs/bpf/x".into(), keep: true }));
        assert_eq!(agent("vethwatch agent --pin-dir off").pin, None);
    }

    #[test]
    fn the_socket_can_be_elsewhere_or_nowhere() {
        let usual = Socket { path: "/run/vethwatch/vethwatch.sock".into(), group: "vethwatch".to_owned() };
        assert_eq!(agent("vethwatch agent").socket, Some(usual));
        let other = agent("vethwatch agent --socket /tmp/s --socket-group adm").socket;
        assert_eq!(other, Some(Socket { path: "/tmp/s".into(), group: "adm".to_owned() }));
        assert_eq!(agent("vethwatch agent --socket off").socket, None);
    }
}
