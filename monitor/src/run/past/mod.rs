//! Commands that look back: an agent is asked, and what it tells is printed.

mod between;
pub(super) mod lines;

use super::failure::Failure;
use super::output::{Closed, Output};
use super::protocol::Looked;
use super::remote::{Refusal, past};
use super::source::not_permitted;
use super::{logger, terminal};
use crate::collector::clock;
use crate::model::{KernelTime, WallTime};
use crate::settings::{self, Ask, PastOf, Settings};
use crate::snapshot::{
    AskedPast, Finding, LatencyRow, NameSpan, NetworkRow, NotKept, PairRow, Past, Reach, ServiceRow,
    Standing, failures, services,
};
use crate::view::{self, Line};
use crate::wire::{Clock, Stream, wall_date_and_time};
use anyhow::anyhow;
use std::time::Duration;

/// How long a reader that stands still may delay the end: as good as for ever.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks back, and prints one table.
pub(super) async fn run(settings: &Settings, wanted: &settings::Past) -> Result<(), Failure> {
    let path = match &settings.ask {
        Ask::Agent(path) => path,
        Ask::Because(option) => {
            return Err(Failure::wrong(anyhow!(
                "history is kept by an agent, which is not asked because of {option}"
            )));
        }
        Ask::Never => {
            return Err(Failure::wrong(anyhow!("history is kept by an agent, and --socket off asks none")));
        }
    };
    let asked = asked(wanted, clock::wall_now()).map_err(Failure::wrong)?;
    let Looked { host, kept, past } = past(path, &asked).await.map_err(|refusal| match refusal {
        Refusal::NotThere => Failure::from(anyhow!(
            "history is kept by an agent, and none answers at {}: `vethwatch agent` is one (docs/history.md)",
            path.display()
        )),
        Refusal::NotPermitted => not_permitted(path),
        Refusal::OtherVersion(why) | Refusal::NotWell(why) => anyhow!("{why}").into(),
    })?;
    let past = match past {
        Ok(past) => past,
        Err(why @ NotKept::Time) => {
            let since = wall_date_and_time(kept.since.wall);
            return Err(anyhow!("{why}: the agent keeps what was since {since}").into());
        }
        Err(why @ (NotKept::Name | NotKept::Ambiguous(_))) => return Err(anyhow!("{why}").into()),
    };
    let mut output = Output::to(std::io::stdout());
    let name = wanted.name.as_deref();
    // That nobody reads it is no failure.
    let _closed: Result<(), Closed> = async {
        if settings.json {
            let mut stream = Stream::new(host);
            for line in lines::lines(&past, kept, &wanted.of, name, &mut stream) {
                output.line(&line).await?;
            }
            return Ok(());
        }
        let frame = terminal::frame(clock_of(&past), false);
        for line in drawn(&past, &wanted.of, name, &frame) {
            output.line(&line.draw(&frame)).await?;
        }
        Ok(())
    }
    .await;
    output.finish(PATIENCE).await?;
    let found_nothing = matches!(&wanted.of, PastOf::Findings(kinds)
        if wanted_findings(&past, kinds).next().is_none() && wanted_standing(&past, kinds).next().is_none());
    if found_nothing && !settings.json {
        logger::tell("nothing was found");
    }
    if let Some(left_out) = view::left_out(&past.others).filter(|_| !settings.json) {
        logger::tell(&left_out);
    }
    Ok(())
}

/// What is to be asked, where it makes sense.
///
/// # Errors
/// When it ends before it begins, or begins in the future.
pub(super) fn asked(wanted: &settings::Past, now: WallTime) -> anyhow::Result<AskedPast> {
    let [since, until] = [wanted.since, wanted.until].map(|when| when.map(|when| when.resolve(now)));
    if since.is_some_and(|since| since > now) {
        return Err(anyhow!("--since is in the future"));
    }
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(anyhow!("--until is not after --since"));
    }
    let (name, step) = match wanted.of {
        PastOf::Course(step) => (wanted.name.clone(), step),
        _ => (None, None),
    };
    Ok(AskedPast { since, until, name, step })
}

/// The clock as it was at the end of the time that is told of.
pub(super) fn clock_of(past: &Past) -> Clock {
    let end = past.told.end;
    Clock::new(end.kernel, end.wall)
}

fn drawn(past: &Past, of: &PastOf, name: Option<&str>, frame: &view::Frame) -> Vec<Line> {
    let snapshot = &past.snapshot;
    match of {
        PastOf::Containers => view::past_containers(past, frame),
        PastOf::Course(_) => view::course(past, name.unwrap_or_default(), frame),
        PastOf::Pairs => view::pairs(snapshot, wanted_pairs(past, name), frame),
        PastOf::Networks => view::past_networks(snapshot, wanted_networks(past), frame),
        PastOf::Latency => view::latency(snapshot, wanted_latencies(past, name), frame),
        PastOf::Failures => view::failures(snapshot, &wanted_failures(past, name), frame),
        PastOf::Services => view::services(snapshot, &wanted_services(past, name), frame),
        PastOf::Names => view::past_names(past, wanted_names(past, name), frame),
        PastOf::Between(from, to) => {
            let findings = between::findings(past, from, to);
            let found = findings.into_iter().flat_map(|finding| view::finding(finding, frame));
            view::past_between(past, between::pairs(past, from, to), frame).into_iter().chain(found).collect()
        }
        PastOf::Findings(kinds) => {
            let found = wanted_findings(past, kinds).flat_map(|finding| view::finding(finding, frame));
            let stood = wanted_standing(past, kinds).flat_map(|standing| view::standing(standing, frame));
            let heading = view::past_heading(past, frame).into_iter().chain([Line::default()]);
            heading.chain(found).chain(stood).collect()
        }
    }
}

fn wanted_pairs<'a>(past: &'a Past, name: Option<&str>) -> impl Iterator<Item = &'a PairRow> {
    past.snapshot.pairs.iter().filter(move |row| super::pairs::is_wanted(row, name))
}

/// Those on which something was counted.
fn wanted_networks(past: &Past) -> impl Iterator<Item = &NetworkRow> {
    past.snapshot.networks.iter().filter(|row| row.totals != Reach::default())
}

fn wanted_latencies<'a>(past: &'a Past, name: Option<&'a str>) -> impl Iterator<Item = &'a LatencyRow> {
    let meant = past.meant(name);
    let is_wanted = move |row: &&LatencyRow| meant.has(&row.client, &row.server);
    past.snapshot.latencies.iter().filter(is_wanted)
}

fn wanted_failures(past: &Past, name: Option<&str>) -> Vec<crate::snapshot::FailureRow> {
    let snapshot = &past.snapshot;
    failures(&snapshot.pairs, &[], snapshot.sees_retransmits(), &past.meant(name))
}

fn wanted_services(past: &Past, name: Option<&str>) -> Vec<ServiceRow> {
    let mut rows = services(&past.snapshot.pairs, &[], &past.snapshot.containers);
    rows.retain(|row| name.is_none_or(|name| row.service.is_called(name)));
    rows
}

fn wanted_names<'a>(past: &'a Past, name: Option<&str>) -> impl Iterator<Item = &'a NameSpan> {
    past.names.iter().filter(move |row| name.is_none_or(|name| row.container.is_called(name)))
}

fn wanted_findings<'a>(past: &'a Past, kinds: &settings::Kinds) -> impl Iterator<Item = &'a Finding> {
    past.snapshot.findings.iter().filter(|finding| kinds.of_traffic.contains(&finding.kind))
}

/// What stood in that time.
fn wanted_standing<'a>(past: &'a Past, kinds: &settings::Kinds) -> impl Iterator<Item = &'a Standing> {
    let standing = past.snapshot.standing.iter().map(AsRef::as_ref);
    standing.filter(|_| kinds.posture)
}

/// When a span began, as a moment of the kernel's clock that [`clock_of`] shows right.
fn since(past: &Past) -> KernelTime {
    past.told.start.kernel
}
