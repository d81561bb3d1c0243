//! A look back as JSON lines, for a command and for whoever asks the socket.

use super::{
    between, clock_of, since, wanted_failures, wanted_findings, wanted_latencies, wanted_names,
    wanted_networks, wanted_pairs, wanted_services, wanted_standing,
};
use crate::settings::PastOf;
use crate::snapshot::{Kept, PairRow, Past, Traced};
use crate::wire::{
    Body, FailureBody, FindingBody, HistoryBody, LatencyBody, LookupBody, NetworkBody, PairBody, PastBody,
    ServiceBody, StandingBody, Stream,
};

/// The lines, the one about all of them last.
pub(in crate::run) fn lines(
    past: &Past,
    kept: Kept,
    of: &PastOf,
    name: Option<&str>,
    stream: &mut Stream,
) -> Vec<String> {
    let (clock, since, sees_drops) = (clock_of(past), since(past), past.sees_drops());
    let mut lines = match of {
        PastOf::Containers => {
            let bodies = past.containers.iter().map(|row| HistoryBody::new(row, &past.told, sees_drops));
            all(stream, bodies)
        }
        PastOf::Course(_) => {
            all(stream, past.points.iter().map(|point| HistoryBody::of_point(point, sees_drops)))
        }
        PastOf::Pairs => {
            let bodies = wanted_pairs(past, name).map(|row| PairBody::new(row, &past.snapshot, &clock));
            all(stream, bodies)
        }
        PastOf::Networks => {
            all(stream, wanted_networks(past).map(|row| NetworkBody::new(row, &past.snapshot)))
        }
        PastOf::Latency => {
            all(stream, wanted_latencies(past, name).map(|row| LatencyBody::new(row, since, &clock)))
        }
        PastOf::Failures => {
            let rows = wanted_failures(past, name);
            all(stream, rows.iter().map(|row| FailureBody::new(row, since, &clock)))
        }
        PastOf::Services => {
            let rows = wanted_services(past, name);
            all(stream, rows.iter().map(|row| ServiceBody::new(row, since, &clock)))
        }
        PastOf::Names => all(stream, wanted_names(past, name).map(|row| LookupBody::new(row, &past.told))),
        PastOf::Between(from, to) => {
            let pairs = between::pairs(past, from, to);
            let findings = between::findings(past, from, to);
            let of = |row| Traced::of(row, &past.snapshot.findings, past.told.start.kernel);
            let traced: Vec<(&PairRow, Traced)> = pairs.into_iter().map(|row| (row, of(row))).collect();
            let bodies = traced.iter().map(|(row, it)| PairBody::traced(row, it, &past.snapshot, &clock));
            let mut lines = all(stream, bodies);
            lines.extend(all(stream, findings.into_iter().map(|it| FindingBody::new(it, &clock))));
            lines
        }
        PastOf::Findings(kinds) => {
            let findings = wanted_findings(past, kinds).map(|finding| FindingBody::new(finding, &clock));
            let mut lines = all(stream, findings);
            let standing = wanted_standing(past, kinds).map(|standing| StandingBody::new(standing, &clock));
            lines.extend(all(stream, standing));
            lines
        }
    };
    lines.push(stream.line(PastBody::new(&past.told, &past.others, kept)));
    lines
}

fn all<B: Body>(stream: &mut Stream, bodies: impl Iterator<Item = B>) -> Vec<String> {
    bodies.map(|body| stream.line(body)).collect()
}
