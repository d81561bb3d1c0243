//! What was in a span of time: rows as those of now.

use super::interval::{Interval, Moment};
use super::spans::{ContainerSpan, LatencySpan, NameSpan, NetworkSpan, Others, PairSpan};
use super::sum::Sum;
use crate::flows::Spread;
use crate::model::{ContainerId, NetworkId, SafeText, WallTime};
use crate::policy::Kind;
use crate::snapshot;
use crate::snapshot::{
    ContainerRef, ContainerRow, End, Finding, Hooks, LatencyRow, Measured, NetworkRef, NetworkRow, PairRow,
    Reach, Service, Snapshot, Standing,
};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most rows that a course has where nobody says how long each is.
const USUAL_POINTS: u32 = 60;
/// How many are named where a name may mean several.
const MOST_NAMED: usize = 8;
/// What an interval may be shorter than a step: ticks are not exact.
const SLACK: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// From when; from the beginning, if absent.
    pub since: Option<WallTime>,
    /// Until when; until now, if absent.
    pub until: Option<WallTime>,
    /// Whose course, and nothing else: a container by name or the beginning of its id, or a service (or project/service).
    pub name: Option<String>,
    /// How long each row of the course is at least; if absent, so that there are 60 at most.
    pub step: Option<Duration>,
}

/// Why nothing is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotKept {
    /// No interval is in that time.
    Time,
    /// Nobody of that name did anything in it.
    Name,
    /// The name may mean any of these, which are not one.
    Ambiguous(Vec<String>),
}

impl fmt::Display for NotKept {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => to.write_str("nothing is kept of that time"),
            Self::Name => to.write_str("nothing of that name is kept in that time"),
            Self::Ambiguous(all) => {
                let (named, more) = all.split_at(all.len().min(MOST_NAMED));
                write!(to, "that name is ambiguous, it may be {}", named.join(" or "))?;
                if more.is_empty() { Ok(()) } else { write!(to, " or {} more", more.len()) }
            }
        }
    }
}

/// The time that is told of: whole intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// From when.
    pub start: Moment,
    /// Until when.
    pub end: Moment,
    /// The beginning of the first, on the wall clock of now.
    pub from: WallTime,
    /// The longest of its intervals: start and end are that much off at most.
    pub resolution: Duration,
    /// Whether time was asked for that is not kept any more, or was not watched.
    pub is_cut: bool,
}

/// What one container, or one service, did in a part of the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// From when.
    pub start: WallTime,
    /// Until when.
    pub end: WallTime,
    /// How long, on the kernel's clock.
    pub length: Duration,
    /// What was counted; where it is of several containers together, the span's container is one of them.
    pub span: ContainerSpan,
    /// Whether it is of several containers, all of one service.
    pub is_service: bool,
    /// Findings told in it, with an end there: violations, what is broken, and crossings.
    pub findings: [u64; 3],
}

/// What was in a span of time. Where the course of somebody was asked for, there are only `told`, `points`, and what
/// intervals had no room for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Past {
    /// The time.
    pub told: Told,
    /// Containers of which something was counted, busiest first.
    pub containers: Vec<ContainerSpan>,
    /// Names that were asked for, those that failed most first.
    pub names: Vec<NameSpan>,
    /// What found no room in rows.
    pub others: Others,
    /// The course of whom was asked about.
    pub points: Vec<Point>,
    /// The latest snapshot, with pairs, latencies, networks and findings of that time.
    pub snapshot: Snapshot,
}

impl Past {
    /// Whether what the kernel drops is seen here.
    #[must_use]
    pub fn sees_drops(&self) -> bool {
        !self.snapshot.missing.contains_key("drops")
    }

    /// Who is meant by a name: behind a shared one are those who had it then, whether they are there now or not.
    #[must_use]
    pub fn meant<'a>(&self, name: Option<&'a str>) -> snapshot::Meant<'a> {
        snapshot::Meant::by(name, self.containers.iter().map(|span| &span.container))
    }
}

/// Looks back. `intervals` are in their order, `latest` is how it is now.
///
/// # Errors
/// When nothing is kept of what is asked for.
pub fn look_back(intervals: &[Arc<Interval>], asked: &Asked, latest: &Snapshot) -> Result<Past, NotKept> {
    let is_within = |interval: &&Arc<Interval>| {
        asked.since.is_none_or(|since| interval.end.wall > since)
            && asked.until.is_none_or(|until| interval.from() < until)
    };
    let within: Vec<&Arc<Interval>> = intervals.iter().filter(is_within).collect();
    let (Some(first), Some(last)) = (within.first(), within.last()) else { return Err(NotKept::Time) };
    let (start, from) = (first.start, first.from());
    let told = Told {
        start,
        end: last.end,
        from,
        resolution: within.iter().map(|interval| interval.length()).max().unwrap_or_default(),
        is_cut: asked.since.is_some_and(|since| since < from),
    };
    if let Some(name) = &asked.name {
        let points = points(&within, name, asked.step, told.end.kernel.since(start.kernel))?;
        return Ok(course(&within, told, points, latest));
    }
    let Interval {
        mut containers,
        pairs,
        latencies,
        mut names,
        networks,
        findings,
        findings_left,
        mut others,
        ..
    } = Sum::of(&within).take(last.end);
    others.findings += findings_left.len() as u64;
    containers.sort_by_cached_key(|row| {
        let bytes = row.traffic.sent.bytes.saturating_add(row.traffic.received.bytes);
        (Reverse(bytes), row.container.name.clone(), row.container.id.clone())
    });
    names.sort_by_cached_key(|row| {
        (Reverse(row.weight().rank()), row.container.name.clone(), row.name.clone())
    });
    let findings = snapshot::findings(findings.iter().map(AsRef::as_ref));
    let snapshot = Snapshot {
        taken_at: last.end.kernel,
        watching_since: start.kernel,
        window: last.end.kernel.since(start.kernel),
        pairs: pair_rows(pairs),
        latencies: latency_rows(latencies),
        networks: network_rows(networks, &findings, &latest.networks),
        standing: stood(intervals, &told, latest),
        findings,
        past: Some(told),
        containers: of_then(latest, &told).cloned().collect(),
        ..latest.clone()
    };
    Ok(Past { told, containers, names, others, points: Vec::new(), snapshot })
}

/// A course and nothing beside it: it is asked for again and again. Of the snapshot there is what is said below a table.
fn course(within: &[&Arc<Interval>], told: Told, points: Vec<Point>, latest: &Snapshot) -> Past {
    let mut others = Others::default();
    within.iter().for_each(|interval| others += interval.others);
    let left: HashSet<&u64> = within.iter().flat_map(|interval| &interval.findings_left).collect();
    others.findings += left.len() as u64;
    let container = |row: &ContainerRow| ContainerRow {
        container: Arc::clone(&row.container),
        unwatched_reason: row.unwatched_reason.clone(),
        memberships: Vec::new(),
        handshake: None,
        handshake_steps: None,
        peers: Vec::new(),
        details: None,
        ..*row
    };
    let snapshot = Snapshot {
        host: latest.host.clone(),
        taken_at: told.end.kernel,
        watching_since: told.start.kernel,
        window: told.end.kernel.since(told.start.kernel),
        docker: latest.docker.clone(),
        docker_refused: latest.docker_refused.clone(),
        containers: of_then(latest, &told).map(container).collect(),
        unattributed: latest.unattributed.clone(),
        bridges: Vec::new(),
        networks: Arc::default(),
        pairs: Arc::default(),
        latencies: Arc::default(),
        asked: Arc::default(),
        not_watched: latest.not_watched.clone(),
        missing: latest.missing.clone(),
        findings: Vec::new(),
        standing: Vec::new(),
        drops: latest.drops.clone(),
        losses: latest.losses.clone(),
        past: Some(told),
        ..*latest
    };
    Past { told, containers: Vec::new(), names: Vec::new(), others, points, snapshot }
}

/// Containers that were there by the end of a time.
fn of_then<'a>(latest: &'a Snapshot, told: &Told) -> impl Iterator<Item = &'a ContainerRow> {
    let end = told.end.wall;
    latest.containers.iter().filter(move |row| row.started_at.is_none_or(|started| started <= end))
}

/// What stood in a time: of what stands now what was found before its end, and what was over after its beginning. Each is as
/// it was told last.
fn stood(intervals: &[Arc<Interval>], told: &Told, latest: &Snapshot) -> Vec<Arc<Standing>> {
    let (start, end) = (told.start.kernel, told.end.kernel);
    let over = intervals.iter().flat_map(|interval| &interval.standing).filter(|it| it.last_seen > start);
    latest.standing.iter().chain(over).filter(|standing| standing.first_seen < end).cloned().collect()
}

/// Where traffic of networks went in a time; how they are is known of now, of those that are gone as it was known last.
fn network_rows(
    networks: Vec<NetworkSpan>,
    findings: &[Finding],
    now: &Arc<[NetworkRow]>,
) -> Arc<[NetworkRow]> {
    let mut spans: HashMap<NetworkId, NetworkSpan> =
        networks.into_iter().map(|span| (span.network.id.clone(), span)).collect();
    let crossings = |network: &NetworkRef| {
        let is_on = |end: &End| {
            let networks = end.container.iter().flat_map(|container| &container.networks);
            networks.into_iter().any(|on| on.id == network.id)
        };
        let kinds = |it: &&Finding| matches!(it.kind, Kind::Crossing | Kind::Violation);
        findings.iter().filter(kinds).filter(|it| is_on(&it.source) || is_on(&it.destination)).count()
    };
    let mut rows: Vec<NetworkRow> = now
        .iter()
        .map(|row| {
            let reach = spans.remove(&row.network.id).map_or_else(Reach::default, |span| span.reach);
            let crossings = crossings(&row.network);
            NetworkRow { totals: reach, window: reach, crossings, ..row.clone() }
        })
        .collect();
    rows.extend(spans.into_values().map(|NetworkSpan { network, traits, reach }| NetworkRow {
        crossings: crossings(&network),
        network,
        traits,
        members: Vec::new(),
        interfaces_watched: 0,
        totals: reach,
        window: reach,
    }));
    rows.sort_by(|one, other| {
        (&one.network.name, &one.network.id).cmp(&(&other.network.name, &other.network.id))
    });
    rows.into()
}

fn pair_rows(mut pairs: Vec<PairSpan>) -> Arc<[PairRow]> {
    pairs.sort_by_cached_key(|pair| {
        let traffic = pair.counts.traffic;
        (Reverse(traffic.sent.bytes.saturating_add(traffic.received.bytes)), pair.key())
    });
    let row = |pair: PairSpan| PairRow {
        client: pair.ends.client.clone(),
        server: pair.ends.server.clone(),
        protocol: pair.ends.protocol,
        network: pair.ends.network.clone(),
        traffic: pair.counts.traffic,
        window: pair.counts.traffic,
        conversations: pair.counts.conversations,
        answers: pair.counts.answers,
        shares: pair.shares,
        retransmits: pair.counts.retransmits,
        zero_windows: pair.counts.zero_windows,
        icmp: pair.icmp,
        handshake: pair.handshakes.percentiles(),
        verdict: pair.verdict,
        last_seen: pair.last_seen,
        hooks: Hooks {
            devices: pair.ends.devices.clone(),
            delivered: pair.counts.delivered,
            came_back: pair.counts.came_back,
        },
    };
    pairs.into_iter().map(row).collect()
}

fn latency_rows(latencies: Vec<LatencySpan>) -> Arc<[LatencyRow]> {
    let measured = |spread: &Spread| {
        spread.percentiles().map(|percentiles| Measured { percentiles, steps: spread.steps() })
    };
    let row = |span: &LatencySpan| LatencyRow::new(&span.services, span.seen.each_ref().map(measured));
    let mut rows: Vec<LatencyRow> = latencies.iter().map(row).collect();
    rows.sort_by_cached_key(|row| {
        (Reverse(row.connections()), row.client.clone(), row.server.clone(), row.port)
    });
    rows.into()
}

/// Who is meant by a name.
struct Meant {
    /// One of them, as it was last.
    who: Arc<ContainerRef>,
    ids: HashSet<ContainerId>,
    /// Whether they are containers of different names, all of one service.
    is_service: bool,
}

/// What a container is called in one way, if a name means it in that way.
type Way<'a> = &'a dyn Fn(&ContainerRef) -> Option<String>;

/// Who is meant by a name: a container by its own name, which may have been made anew; or by another one, or the
/// beginning of its id; or a service, by its whole name before the short one, which several projects may have.
fn meant(within: &[&Arc<Interval>], name: &str) -> Result<Meant, NotKept> {
    let own =
        |container: &ContainerRef| (container.name.as_str() == name).then(|| container.name.to_string());
    let called = |container: &ContainerRef| container.is_called(name).then(|| container.name.to_string());
    let whole = |container: &ContainerRef| {
        Some(Service::of_container(container).to_string()).filter(|whole| whole == name)
    };
    let short = |container: &ContainerRef| {
        let service = Service::of_container(container);
        service.is_called(name).then(|| service.to_string())
    };
    let ways: [Way<'_>; 4] = [&own, &called, &whole, &short];
    for way in ways {
        // By its id each as it was last: it may have got another name.
        let mut found: BTreeMap<&ContainerId, (&Arc<ContainerRef>, String)> = BTreeMap::new();
        let mut who = None;
        for ContainerSpan { container, .. } in within.iter().flat_map(|interval| &interval.containers) {
            let known = found.get(&container.id);
            // Most references are the same in many intervals.
            if known.is_some_and(|(known, _)| Arc::ptr_eq(known, container)) {
                who = Some(container);
            } else if let Some(means) = way(container) {
                found.insert(&container.id, (container, means));
                who = Some(container);
            }
        }
        let Some(who) = who else { continue };
        let means: BTreeSet<&String> = found.values().map(|(_, means)| means).collect();
        if means.len() > 1 {
            return Err(NotKept::Ambiguous(means.into_iter().cloned().collect()));
        }
        let names: HashSet<&SafeText> = found.values().map(|(container, _)| &container.name).collect();
        return Ok(Meant {
            who: Arc::clone(who),
            is_service: names.len() > 1,
            ids: found.into_keys().cloned().collect(),
        });
    }
    Err(NotKept::Name)
}

/// The course of all containers of a name.
fn points(
    within: &[&Arc<Interval>],
    name: &str,
    step: Option<Duration>,
    length: Duration,
) -> Result<Vec<Point>, NotKept> {
    let Meant { who, ids, is_service } = meant(within, name)?;
    let is_meant = |container: &ContainerRef| ids.contains(&container.id);
    let step = step.unwrap_or_else(|| round_up(length / USUAL_POINTS));
    let mut points: Vec<Point> = Vec::new();
    let mut told = HashSet::new();
    for interval in within {
        let is_full = |point: &Point| point.length + interval.length().min(SLACK) > step;
        if points.last().is_none_or(is_full) {
            told.clear();
            points.push(Point {
                start: interval.from(),
                end: interval.end.wall,
                length: Duration::ZERO,
                span: ContainerSpan::nothing(Arc::clone(&who)),
                is_service,
                findings: [0; 3],
            });
        }
        let Some(point) = points.last_mut() else { continue };
        point.end = interval.end.wall;
        point.length += interval.length();
        let of_name = interval.containers.iter().filter(|span| is_meant(&span.container));
        of_name.for_each(|span| point.span.add(span));
        for finding in &interval.findings {
            let ends = [&finding.source, &finding.destination].map(|end| end.container.as_deref());
            if ends.into_iter().flatten().any(is_meant) && told.insert(finding.id) {
                let [violations, broken, crossings] = &mut point.findings;
                *(match finding.kind {
                    Kind::Violation => violations,
                    Kind::Broken => broken,
                    Kind::Crossing => crossings,
                }) += 1;
            }
        }
    }
    Ok(points)
}

/// The next length that a person would choose.
fn round_up(step: Duration) -> Duration {
    const STEPS: [u64; 6] = [1, 2, 5, 10, 30, 60];
    let chosen = STEPS.into_iter().map(Duration::from_secs).find(|chosen| *chosen >= step);
    chosen.unwrap_or(step)
}
