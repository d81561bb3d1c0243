//! A recording in memory, and what it gives when it is replayed.

use monitor::model::{KernelTime, Step};
use monitor::policy::file::Policy;
use monitor::recording::{Header, Recording, Replay};
use monitor::snapshot::{Finding, Record};
use monitor::wire::{Clock, FindingBody, Stream};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A recording.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) header: Header,
    pub(crate) steps: Vec<Step>,
}

/// Where the scenarios are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/scenarios")
}

/// What a scenario's file has to end with, and its expected findings'.
pub(crate) const STEPS: &str = ".jsonl";
pub(crate) const FINDINGS: &str = ".findings.jsonl";

/// One of a scenario's two files.
pub(crate) fn text(name: &str, end: &str) -> String {
    let file = folder().join(format!("{name}{end}"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

impl Scenario {
    pub(crate) fn read(name: &str, text: &str) -> Self {
        let mut recording =
            Recording::open(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let header = recording.header().clone();
        let steps = recording.by_ref().map(|step| step.unwrap_or_else(|error| panic!("{name}: {error}")));
        let steps = steps.collect();
        assert!(recording.is_complete(), "{name} is not complete");
        Self { name: name.to_owned(), header, steps }
    }

    /// All that are kept, by name.
    pub(crate) fn all() -> Vec<Self> {
        let entries = fs::read_dir(folder()).expect("the scenarios' folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names
            .filter(|name| !name.ends_with(FINDINGS))
            .filter_map(|name| name.strip_suffix(STEPS).map(str::to_owned))
            .collect();
        names.sort();
        names.iter().map(|name| Self::read(name, &text(name, STEPS))).collect()
    }

    /// The same with other steps.
    pub(crate) fn with(&self, steps: Vec<Step>) -> Self {
        Self { name: self.name.clone(), header: self.header.clone(), steps }
    }

    /// The findings it gives, in the order in which they are told.
    pub(crate) fn findings(&self) -> Vec<Arc<Finding>> {
        let policy = self.header.policy.as_deref().unwrap_or_default();
        let policy = Policy::read(policy.as_bytes()).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let mut replay = Replay::new(&self.header, policy);
        let records = self.steps.iter().flat_map(|step| replay.take(step.clone()));
        let of_traffic = records.filter_map(|record| match record {
            Record::Finding(finding) => Some(finding),
            Record::Flow(_) | Record::Standing(_) | Record::Sample(_) | Record::Name(_) | Record::Lost(_) => {
                None
            }
        });
        of_traffic.collect()
    }

    /// The same as JSON lines.
    pub(crate) fn told(&self) -> String {
        self.lines(&self.findings())
    }

    /// Findings as the JSON lines that a command prints.
    pub(crate) fn lines(&self, findings: &[Arc<Finding>]) -> String {
        let clock = Clock::new(KernelTime::default(), self.header.booted);
        let mut stream = Stream::new(self.header.host());
        let lines = findings.iter().map(|finding| stream.line(FindingBody::new(finding, &clock)) + "\n");
        lines.collect()
    }
}
