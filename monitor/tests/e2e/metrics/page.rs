//! A page of metrics, as a client gets it.

use anyhow::{Context, Result, ensure};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks for something; the status and what was answered.
pub(crate) fn get(at: SocketAddr, method: &str, path: &str, accept: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&at, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let accept = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\n{accept}\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    let status = head.split(' ').nth(1).context("an answer has a status")?;
    Ok((status.parse()?, body.to_owned()))
}

/// A page in the text format of Prometheus.
pub(crate) struct Page {
    pub(crate) text: String,
}

impl Page {
    /// The page as it is now.
    pub(crate) fn of(at: SocketAddr) -> Result<Self> {
        let (status, text) = get(at, "GET", "/metrics", "")?;
        ensure!(status == 200, "{status}: {text}");
        Ok(Self { text })
    }

    /// The value of the first series of this name with these labels, and maybe others.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let of_name = self.text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let wanted: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let mut series = of_name.filter_map(|series| series.rsplit_once("} "));
        let has = |of: &str| wanted.iter().all(|wanted| of.split(',').any(|label| label == wanted));
        series.find(|(of, _)| has(of))?.1.parse().ok()
    }
}
