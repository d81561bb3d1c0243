//! Settings that make no sense.

use std::net::SocketAddr;

/// A setting that makes no sense, alone or with the others.
///
/// Messages call settings by their flags. Who knows where one was set calls it by that
/// ([`Sources::read`](super::sources::Sources::read)); the first one of a message is the one to blame.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Senseless {
    /// `--tick`.
    #[error("--tick must be between 50ms and 1m")]
    Tick,
    /// `--window`.
    #[error("--window must be between one --tick and 10m")]
    Window,
    /// `--interval`.
    #[error("--interval must be at least 100ms")]
    Interval,
    /// `--metrics-listen`.
    #[error(
        "--metrics-listen {0}: whoever reaches that address could read the metrics, without a password and by anyone on \
         the way; give --metrics-tls-certificate, --metrics-tls-key and --metrics-token-file, use an address of the \
         loopback, as 127.0.0.1:9797, or add --metrics-insecure"
    )]
    Listen(SocketAddr),
    /// `--metrics-tls-certificate`, `--metrics-tls-key`.
    #[error("--metrics-tls-certificate and --metrics-tls-key belong together")]
    HalfOfTls,
    /// `--bridges`.
    #[error("--bridges prints nothing with --no-bridges: they are not watched")]
    Bridges,
    /// `--since` or `--until` of `flows`.
    #[error(
        "flows cannot look back: single flows are not kept. `vethwatch pairs --since TIME` has who talked to whom, and \
         `vethwatch why A B --since TIME` what became of it (docs/history.md)"
    )]
    FlowsPast,
    /// `--json`, `--write`.
    #[error("--json prints packets, and --write writes them: one of the two")]
    JsonAndWrite,
    /// `--docker-host`.
    #[error("--docker-host must begin with unix:// or tcp://")]
    DockerHost,
}
