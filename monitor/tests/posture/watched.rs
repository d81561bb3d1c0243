//! A vethwatch that tells what stands, and what of it is about the containers and networks of one lab.

use anyhow::{Context, Result, ensure};
use lab::{Lab, Running, Vethwatch};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The marker's name.
const MARKER: &str = "marker";

pub(crate) fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

/// One finding: rule, subject without the lab's prefix, severity, and what exactly.
pub(crate) type Stands<'a> = (&'a str, &'a str, &'a str, &'a [&'a str]);

/// A vethwatch over a lab.
pub(crate) struct Watched {
    running: Running,
    prefix: String,
}

impl Watched {
    /// Starts vethwatch, and then a marker. What was there before the marker was looked at when the marker is told, with
    /// its rights, which are known later than itself: the engine looks at all at once.
    pub(crate) fn over(lab: &Lab, arguments: &[&str]) -> Result<Self> {
        let usual = ["violations", "--json", "--tick", "200ms", "--kind", "posture"];
        let mut running = vethwatch().start(&[&usual, arguments].concat())?;
        let prefix = lab.prefix().to_owned();
        running.wait_for("anything that stands", PATIENCE, |lines| {
            lines.iter().any(|line| ours(line, &prefix).is_some()).then_some(())
        })?;
        lab.container(MARKER).options(&["--network", "host", "--cap-add", "SYS_ADMIN"]).run(&["sleep"])?;
        let mut watched = Self { running, prefix };
        for rule in ["host-mode", "strong-rights"] {
            watched.wait_for(rule, MARKER, "open")?;
        }
        Ok(watched)
    }

    /// Waits until a finding of a rule about a subject is told in a state.
    pub(crate) fn wait_for(&mut self, rule: &str, name: &str, state: &str) -> Result<()> {
        let prefix = &self.prefix;
        self.running.wait_for(&format!("{rule} of {name} to be told as {state}"), PATIENCE, |lines| {
            let about = |line: &Value| ours(line, prefix) == Some(name) && line["rule"] == rule;
            lines.iter().any(|line| about(line) && line["state"] == state).then_some(())
        })
    }

    /// Checks that exactly this stands, once all of it does, whatever else does on this machine; returns it in this order.
    pub(crate) fn must_tell(&mut self, expected: &[Stands<'_>]) -> Result<Vec<Value>> {
        let Self { running, prefix } = self;
        // Each container is inspected in its own time. What does not come is told below.
        let _ = running.wait_for("all that is expected", PATIENCE, |lines| {
            let open = standing(lines, prefix).ok()?;
            let is_told = |stands: &Stands<'_>| open.iter().any(|line| fits(line, prefix, stands));
            expected.iter().all(is_told).then_some(())
        });
        let mut left = standing(&running.lines("finding"), prefix)?;
        let mut found = Vec::new();
        for stands in expected {
            let at = left.iter().position(|line| fits(line, prefix, stands));
            let at = at.with_context(|| format!("no {stands:?} among {left:#?}"))?;
            found.push(left.swap_remove(at));
        }
        ensure!(left.is_empty(), "beside what was expected: {left:#?}");
        for line in &found {
            let absent = ["outcome", "expected", "source", "destination", "protocol", "counts", "evidence"];
            ensure!(absent.iter().all(|field| line.get(field).is_none()), "{line}");
        }
        Ok(found)
    }

    /// Checks that each of these networks is told as one that may not be kept apart from the others of them, whatever
    /// other networks of this machine are named beside.
    pub(crate) fn must_tell_networks(&self, names: &[&str]) -> Result<Vec<Value>> {
        let mut latest: BTreeMap<String, Value> = BTreeMap::new();
        for line in
            self.running.lines("finding").into_iter().filter(|line| line["rule"] == "ipv6-not-isolated")
        {
            if let Some(name) = ours(&line, &self.prefix).map(str::to_owned) {
                latest.insert(name, line);
            }
        }
        ensure!(latest.keys().all(|name| names.contains(&name.as_str())), "{latest:#?}");
        let told = |name: &&str| {
            let line = latest.get(*name).with_context(|| format!("nothing about {name}"))?;
            let what = line["what"].to_string();
            let mut others = names.iter().filter(|other| *other != name);
            ensure!(others.all(|other| what.contains(&format!("{}-{other}", self.prefix))), "{line}");
            Ok(line.clone())
        };
        names.iter().map(told).collect()
    }
}

/// What stands by these lines about this lab, without the marker.
fn standing(lines: &[Value], prefix: &str) -> Result<Vec<Value>> {
    let mut latest: BTreeMap<&str, &Value> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["type"] == "finding") {
        latest.insert(line["id"].as_str().context("an id")?, line);
    }
    let about = |line: &Value| ours(line, prefix).is_some_and(|name| name != MARKER);
    let open = latest.into_values().filter(|line| line["state"] == "open" && about(line));
    Ok(open.cloned().collect())
}

fn fits(line: &Value, prefix: &str, (rule, name, severity, what): &Stands<'_>) -> bool {
    let told = line["what"].as_array().map_or(&[][..], Vec::as_slice);
    let told = told.iter().map(|one| one.as_str().unwrap_or_default());
    let told: Vec<String> = told.map(|one| plain(one, prefix)).collect();
    ours(line, prefix) == Some(name)
        && line["rule"] == *rule
        && line["severity"] == *severity
        && told == *what
}

/// What a finding is about, without the lab's prefix; nothing if it is not about something of this lab.
fn ours<'a>(line: &'a Value, prefix: &str) -> Option<&'a str> {
    let subject = line.get("container").or(line.get("network"))?;
    subject["name"].as_str()?.strip_prefix(prefix)?.strip_prefix('-')
}

/// A name without the lab's prefix; a port with `PORT` for the host's, which Docker chose.
fn plain(what: &str, prefix: &str) -> String {
    let port = what.split_once("->").and_then(|(host, inner)| {
        let (address, port) = host.rsplit_once(':')?;
        port.parse::<u16>().ok().map(|_| format!("{address}:PORT->{inner}"))
    });
    port.unwrap_or_else(|| {
        what.strip_prefix(prefix).map_or(what, |rest| rest.trim_start_matches('-')).to_owned()
    })
}
