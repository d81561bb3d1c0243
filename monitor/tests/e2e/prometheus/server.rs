//! A Prometheus of a test's own: its port, its folder, its configuration.

use super::{CONTRIB, PATIENCE};
use anyhow::{Context, Result, ensure};
use lab::{text, wait_for};
use serde_json::Value;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// One that runs; it and its data are gone when dropped.
pub(crate) struct Prometheus {
    folder: PathBuf,
    server: Child,
    at: SocketAddr,
}

impl Prometheus {
    /// Starts one that asks this agent each second, with the alerts that are there for others to use.
    pub(crate) fn start(name: &str, agent: SocketAddr) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("vw-prometheus-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).context("making a folder")?;
        fs::write(folder.join("prometheus.yml"), configuration(agent))?;
        fs::write(folder.join("rules.yml"), rules()?)?;
        // Free at this moment; a port that is taken meanwhile shows as a server that does not answer.
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--web.listen-address={at}"));
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let server = command.spawn().context(
            "starting prometheus: `cargo xtask test` takes it out of Debian's package, without its service",
        )?;
        let mut prometheus = Self { folder, server, at };
        let ready = wait_for("Prometheus to answer", PATIENCE, || {
            ensure!(prometheus.server.try_wait()?.is_none(), "it has ended");
            Ok(curl(&["--fail", &format!("http://{at}/-/ready")]).ok())
        });
        ready.with_context(|| fs::read_to_string(prometheus.folder.join("log")).unwrap_or_default())?;
        Ok(prometheus)
    }

    /// The result of a query at this moment.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let expression = format!("query={expression}");
        let told = self.ask("query", &["--get", "--data-urlencode", &expression])?;
        told["result"].as_array().cloned().with_context(|| format!("{told} is no vector"))
    }

    /// The alerts that fire or are about to.
    pub(crate) fn alerts(&self) -> Result<Vec<Value>> {
        let told = self.ask("alerts", &[])?;
        told["alerts"].as_array().cloned().with_context(|| format!("{told} has no alerts"))
    }

    fn ask(&self, path: &str, more: &[&str]) -> Result<Value> {
        let url = format!("http://{}/api/v1/{path}", self.at);
        let answer = curl(&[more, &[url.as_str()]].concat())?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| format!("{more:?}: {answer:?}"))?;
        ensure!(answer["status"] == "success", "{more:?}: {answer}");
        Ok(answer["data"].clone())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.server.kill();
        let _ = self.server.wait();
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

/// Without `--fail`, unless asked for: an answer with an error says what is wrong with a query.
fn curl(words: &[&str]) -> Result<String> {
    let mut command = Command::new("curl");
    text(
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "10"]).args(words),
        PATIENCE,
    )
}

fn configuration(agent: SocketAddr) -> String {
    format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files:\n  - rules.yml\n\
         scrape_configs:\n  - job_name: vethwatch\n    static_configs:\n      - targets: [\"{agent}\"]\n"
    )
}

/// The rules as they are, but nobody waits for minutes here: that they wait is what their own tests are about.
fn rules() -> Result<String> {
    let rules = fs::read_to_string(format!("{CONTRIB}/vethwatch.rules.yml")).context("reading the rules")?;
    let hasty = |line: &str| match line.trim_start().strip_prefix("for: ") {
        Some(_) => line.replace(line.trim_start(), "for: 1s"),
        None => line.to_owned(),
    };
    Ok(rules.lines().map(|line| hasty(line) + "\n").collect())
}
