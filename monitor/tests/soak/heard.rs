//! What readers of the agent's streams hear: each connection and each finding once.

use crate::traffic::{CLIENT, GUEST, PORT, SERVER};
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Debug};

/// Of a line, what counts here.
#[derive(Deserialize)]
struct Line<'a> {
    r#type: &'a str,
    sequence: u64,
    /// Of a flow.
    #[serde(borrow)]
    local: Option<End<'a>>,
    remote: Option<End<'a>>,
    tcp: Option<Tcp>,
    /// Of a finding.
    id: Option<&'a str>,
    revision: Option<u32>,
    kind: Option<&'a str>,
    source: Option<End<'a>>,
    /// Of what was lost.
    records: Option<u64>,
}

#[derive(Deserialize)]
struct End<'a> {
    port: Option<u16>,
    #[serde(borrow)]
    container: Option<Container<'a>>,
}

#[derive(Deserialize)]
struct Container<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Tcp {
    handshake_us: Option<u64>,
}

/// What a reader of one stream makes of its lines.
pub(crate) trait Heard: Default + Debug + Send + 'static {
    const PATH: &'static str;

    /// # Errors
    /// The line is none of ours, or something that was told before.
    fn take(&mut self, line: &str) -> Result<()>;
}

/// What every stream has.
#[derive(Debug, Default)]
struct Numbers {
    lines: u64,
    lost: u64,
}

impl Numbers {
    fn take(&mut self, line: &Line<'_>) -> Result<()> {
        ensure!(line.sequence == self.lines, "a stream has no gaps: line {} is not next", line.sequence);
        self.lines += 1;
        self.lost = line.records.unwrap_or(self.lost);
        Ok(())
    }
}

/// Connections, by their handshakes: each is told once at each end.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    numbers: Numbers,
    /// Of the client, at its own interface.
    opened: u64,
    /// Of all, at the server's interface.
    accepted: u64,
}

impl Flows {
    /// Whether each connection was heard at each end, or is among the lost records.
    pub(crate) fn has(&self, opened: u64, accepted: u64) -> bool {
        self.opened + self.accepted + self.numbers.lost >= opened + accepted
    }

    /// None was heard twice, and what was not heard is among the lost records.
    pub(crate) fn must_have(&self, opened: u64, accepted: u64) -> Result<()> {
        let once = self.opened <= opened && self.accepted <= accepted;
        ensure!(
            once && self.has(opened, accepted),
            "{opened} connections were opened by the client and {accepted} to the server: {self:?}"
        );
        Ok(())
    }
}

impl fmt::Display for Flows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { numbers: Numbers { lines, lost }, opened, accepted } = self;
        write!(
            formatter,
            "{lines} lines, with {opened} connections of the client and {accepted} to the server, {lost} records lost"
        )
    }
}

impl Heard for Flows {
    const PATH: &'static str = "/v1/flows";

    fn take(&mut self, line: &str) -> Result<()> {
        let line: Line<'_> = serde_json::from_str(line)?;
        self.numbers.take(&line)?;
        let (Some(local), Some(remote)) = (&line.local, &line.remote) else { return Ok(()) };
        if line.r#type == "flow" && line.tcp.is_some_and(|tcp| tcp.handshake_us.is_some()) {
            self.opened += u64::from(local.is(CLIENT) && remote.port == Some(PORT));
            self.accepted += u64::from(local.is(SERVER) && local.port == Some(PORT));
        }
        Ok(())
    }
}

impl End<'_> {
    fn is(&self, name: &str) -> bool {
        self.container.as_ref().is_some_and(|container| container.name == name)
    }
}

/// Violations of guests.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    numbers: Numbers,
    told: HashSet<(String, u32)>,
    guests: BTreeSet<String>,
}

impl Findings {
    /// Whether so many guests were heard of, or are among the lost records.
    pub(crate) fn has(&self, guests: u64) -> bool {
        self.guests.len() as u64 + self.numbers.lost >= guests
    }

    /// None was heard of that did nothing.
    pub(crate) fn must_have(&self, guests: u64) -> Result<()> {
        let heard = self.guests.len() as u64;
        ensure!(heard <= guests && self.has(guests), "{guests} guests went too far: {:?}", self.guests);
        Ok(())
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Numbers { lines, lost } = self.numbers;
        write!(formatter, "{lines} lines, about {} guests, {lost} records lost", self.guests.len())
    }
}

impl Heard for Findings {
    const PATH: &'static str = "/v1/violations";

    fn take(&mut self, line: &str) -> Result<()> {
        let line: Line<'_> = serde_json::from_str(line)?;
        self.numbers.take(&line)?;
        let (Some(id), Some(revision)) = (line.id, line.revision) else { return Ok(()) };
        ensure!(self.told.insert((id.to_owned(), revision)), "a finding is told twice");
        let source = line.source.and_then(|source| source.container);
        if let (Some("violation"), Some(source)) = (line.kind, source)
            && source.name.starts_with(GUEST)
        {
            self.guests.insert(source.name.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Flows, Heard as _};

    const STATUS: &str = r#"{"type":"status","sequence":0}"#;

    /// A tick of a connection of the client, at both ends.
    fn told(sequence: u64, tcp: &str) -> [String; 2] {
        let [client, server] = [("vw-client", 1_024), ("vw-server", 80)]
            .map(|(name, port)| format!(r#"{{"port":{port},"container":{{"name":"{name}"}}}}"#));
        let flow = |sequence: u64, local: &str, remote: &str| {
            format!(
                r#"{{"type":"flow","sequence":{sequence},"local":{local},"remote":{remote},"tcp":{{{tcp}}}}}"#
            )
        };
        [flow(sequence, &client, &server), flow(sequence + 1, &server, &client)]
    }

    fn check(lines: &[String], connections: u64, expected: bool) {
        let mut flows = Flows::default();
        flows.take(STATUS).unwrap();
        lines.iter().for_each(|line| flows.take(line).unwrap());
        assert_eq!(flows.must_have(connections, connections).is_ok(), expected, "{flows}");
    }

    #[test]
    fn a_connection_is_heard_once_or_is_among_the_lost() {
        let opened = |sequence| told(sequence, r#""handshake_us":213"#);
        let lost = |records: u64| format!(r#"{{"type":"lost","sequence":1,"records":{records}}}"#);
        check(&opened(1), 1, true);
        check(&[opened(1), told(3, "")].concat(), 1, true);
        check(&[opened(1), opened(3)].concat(), 1, false);
        check(&opened(1), 2, false);
        check(&[lost(1)], 1, false);
        check(&[lost(2)], 1, true);
    }

    #[test]
    fn a_line_that_is_missing_is_noticed() {
        let mut flows = Flows::default();
        flows.take(STATUS).unwrap();
        assert!(flows.take(&told(2, "")[0]).is_err());
    }
}
