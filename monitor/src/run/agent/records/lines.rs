//! Records as JSON lines.

use crate::model::{HostId, KernelTime, WallTime};
use crate::settings;
use crate::snapshot::Record;
use crate::wire::{Body, Clock, FindingBody, FlowBody, NameBody, StandingBody, Stream};

/// Lines that are made and not written yet. What is lost has a number too, so that a gap tells it.
pub(super) struct Lines {
    stream: Stream,
    clock: Clock,
    /// Records that did not come, for want of room in the queue.
    lost: u64,
    text: Vec<u8>,
    flows: bool,
    findings: bool,
    names: bool,
}

impl Lines {
    pub(super) fn new(host: HostId, booted: WallTime, wanted: &settings::Records) -> Self {
        // The same offset as that of the commands, so that times are the same words.
        let clock = Clock::new(KernelTime::default(), booted);
        let settings::Records { flows, findings, names, .. } = *wanted;
        Self { stream: Stream::new(host), clock, lost: 0, text: Vec::new(), flows, findings, names }
    }

    /// Follows when the wall clock is set.
    pub(super) fn set_clock(&mut self, kernel: KernelTime, wall: WallTime) {
        self.clock.update(kernel, wall);
    }

    /// Lines that were made and not written yet.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// They are written, or lost.
    pub(super) fn written(&mut self) {
        self.text.clear();
    }

    /// Makes a line of a record, if it is wanted.
    pub(super) fn add(&mut self, record: &Record) {
        let clock = self.clock;
        match record {
            Record::Flow(flow) if self.flows => self.line(FlowBody::new(flow, &clock)),
            Record::Finding(finding) if self.findings => self.line(FindingBody::new(finding, &clock)),
            Record::Standing(standing) if self.findings => self.line(StandingBody::new(standing, &clock)),
            Record::Name(name) if self.names => self.line(NameBody::new(name, &clock)),
            Record::Lost(lost) => self.did_not_come(*lost),
            Record::Flow(_)
            | Record::Finding(_)
            | Record::Standing(_)
            | Record::Sample(_)
            | Record::Name(_) => {}
        }
    }

    /// Makes no line of a record; how many it would have been.
    pub(super) fn leave_out(&mut self, record: &Record) -> u64 {
        let lines = match record {
            Record::Flow(_) => u64::from(self.flows),
            Record::Finding(_) | Record::Standing(_) => u64::from(self.findings),
            Record::Name(_) => u64::from(self.names),
            Record::Sample(_) => 0,
            Record::Lost(lost) => {
                self.did_not_come(*lost);
                0
            }
        };
        self.stream.skip(lines);
        lines
    }

    fn did_not_come(&mut self, lost: u64) {
        self.stream.skip(lost.saturating_sub(self.lost));
        self.lost = lost;
    }

    fn line(&mut self, body: impl Body) {
        self.text.extend_from_slice(self.stream.line(body).as_bytes());
        self.text.push(b'\n');
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::Lines;
    use crate::model::WallTime;
    use crate::settings;
    use crate::snapshot::{Record, Severity};
    use crate::wire::fixtures;
    use serde_json::Value;
    use std::sync::Arc;
    use std::time::Duration;

    pub(in crate::run::agent::records) fn lines(flows: bool, findings: bool, names: bool) -> Lines {
        let rotate_age = Duration::from_secs(1);
        let wanted =
            settings::Records { file: None, flows, findings, names, rotate_size: 1, rotate_age, keep: 0 };
        Lines::new(fixtures::host(), WallTime::default(), &wanted)
    }

    /// Type and number of each line.
    fn told(lines: &Lines) -> Vec<(String, u64)> {
        let text = String::from_utf8(lines.text.clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| (line["type"].as_str().unwrap().to_owned(), line["sequence"].as_u64().unwrap()))
            .collect()
    }

    fn flow() -> Record {
        Record::Flow(Arc::new(fixtures::flow()))
    }

    fn standing() -> Record {
        Record::Standing(Arc::new(fixtures::standing("web", Severity::Warning)))
    }

    #[test]
    fn records_that_are_wanted_are_lines() {
        let name = Record::Name(Arc::new(fixtures::name()));
        let all = [flow(), standing(), Record::Sample(Arc::new(fixtures::sample())), name, flow()];
        for ((flows, findings, names), expected) in [
            ((true, true, false), &[("flow", 0), ("finding", 1), ("flow", 2)][..]),
            ((true, false, true), &[("flow", 0), ("dns", 1), ("flow", 2)]),
            ((false, true, false), &[("finding", 0)]),
            ((false, false, true), &[("dns", 0)]),
        ] {
            let mut lines = lines(flows, findings, names);
            all.iter().for_each(|record| lines.add(record));
            let expected: Vec<_> =
                expected.iter().map(|(kind, number)| ((*kind).to_owned(), *number)).collect();
            assert_eq!(told(&lines), expected);
            let left_out: u64 = all.iter().map(|record| lines.leave_out(record)).sum();
            assert_eq!(left_out, expected.len() as u64);
        }
    }

    #[test]
    fn what_is_lost_is_a_gap() {
        let mut lines = lines(true, true, false);
        lines.add(&flow());
        assert_eq!(lines.leave_out(&standing()), 1);
        lines.add(&Record::Lost(3));
        lines.add(&flow());
        // The queue tells what it lost since the begin.
        assert_eq!(lines.leave_out(&Record::Lost(5)), 0);
        lines.add(&flow());
        let numbers: Vec<u64> = told(&lines).into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers, [0, 5, 8]);
    }
}
