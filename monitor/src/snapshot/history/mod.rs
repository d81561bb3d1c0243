//! What was counted in the last hour: by the second for five minutes, by the minute before that.
//!
//! Intervals follow each other without a gap, and what leaves the seconds is added to the minute that is being made. So
//! nothing is in two of them, and the sum of all is what the totals grew by. Where there is so much that memory would
//! not do, seconds become minutes earlier and minutes are forgotten earlier: what is kept stays exact, and says how fine it is.

mod interval;
mod past;
mod spans;

pub use interval::{Interval, Moment};
pub use past::{Asked as AskedPast, NotKept, Past, Point, Told, look_back};
pub use spans::{Connections, ContainerSpan, LatencySpan, NameSpan, Others, PairCounts, PairEnds, PairSpan};

use crate::model::{KernelTime, WallTime};
use crate::snapshot::{ContainerRef, Finding};
use interval::Sum;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The shortest interval; ticks are not exact.
const SECOND: Duration = Duration::from_millis(900);
/// How long intervals stay as they are.
const BY_SECOND: Duration = Duration::from_secs(5 * 60);
/// The shortest minute.
const MINUTE: Duration = Duration::from_millis(59_500);
/// How long minutes are kept.
const BY_MINUTE: Duration = Duration::from_secs(60 * 60);
/// The most memory that seconds take, and that minutes take, in bytes.
const ROOM: [usize; 2] = [16 << 20, 8 << 20];
/// The most that the minute takes that is being made; where it would be more, only the pairs and names stay that weigh most.
const MAKING: usize = 4 << 20;
/// A difference between both clocks' offsets that is no inexact reading.
const STEP: i64 = 20_000_000;

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// From when on.
    pub since: Moment,
    /// Intervals of a second or a tick.
    pub seconds: usize,
    /// Intervals of a minute.
    pub minutes: usize,
    /// Memory they take, in bytes, with what is being made.
    pub bytes: usize,
}

/// The last hour.
#[derive(Debug)]
pub struct History {
    /// The wall clock when the kernel's began.
    booted: WallTime,
    started: KernelTime,
    open: Sum,
    seconds: VecDeque<Arc<Interval>>,
    /// The minute that is being made.
    minute: Sum,
    minutes: VecDeque<Arc<Interval>>,
    /// Memory of seconds and of minutes.
    bytes: [usize; 2],
}

impl History {
    pub(super) fn new(started: KernelTime, booted: WallTime) -> Self {
        let start = moment(started, booted);
        Self {
            booted,
            started,
            open: Sum::starting(start),
            seconds: VecDeque::new(),
            minute: Sum::starting(start),
            minutes: VecDeque::new(),
            bytes: [0, 0],
        }
    }

    /// When it began.
    pub(super) const fn started(&self) -> KernelTime {
        self.started
    }

    /// The wall clock when the kernel's began, as both say now.
    pub(super) fn clock_is(&mut self, booted: WallTime) {
        if booted.0.abs_diff(self.booted.0) > STEP.unsigned_abs() {
            self.booted = booted;
        }
    }

    /// A container's share of now.
    pub(super) fn container(&mut self, container: &Arc<ContainerRef>) -> &mut ContainerSpan {
        self.open.container(container)
    }

    /// A finding was told.
    pub(super) fn finding(&mut self, finding: &Arc<Finding>) {
        self.open.finding(finding);
    }

    /// Whether a tick that ends now ends an interval.
    pub(super) fn is_due(&self, tick_end: KernelTime) -> bool {
        tick_end.since(self.open_since()) >= SECOND
    }

    fn open_since(&self) -> KernelTime {
        self.seconds.back().map_or(self.started, |last| last.end.kernel)
    }

    /// Ends an interval, with what comes from counters that go on.
    pub(super) fn seal(
        &mut self,
        tick_end: KernelTime,
        pairs: Vec<PairSpan>,
        latencies: Vec<LatencySpan>,
        names: Vec<NameSpan>,
        others: Others,
    ) {
        pairs.into_iter().for_each(|span| self.open.pair(span));
        latencies.into_iter().for_each(|span| self.open.latency(span));
        names.into_iter().for_each(|span| self.open.name(span));
        self.open.others(others);
        let second = self.open.take(moment(tick_end, self.booted)).fitted();
        self.bytes[0] += second.bytes();
        self.seconds.push_back(Arc::new(second));
        self.grow_old(tick_end);
    }

    /// Makes minutes of old seconds, and forgets old minutes.
    fn grow_old(&mut self, now: KernelTime) {
        while let Some(first) = self.seconds.front() {
            let is_old = now.since(first.end.kernel) >= BY_SECOND;
            // The latest one stays: the next begins where it ends.
            if self.seconds.len() < 2 || !(is_old || self.bytes[0] > ROOM[0]) {
                break;
            }
            self.bytes[0] -= first.bytes();
            self.minute.add(first);
            self.minute.keep_within(MAKING);
            self.seconds.pop_front();
            if self.minute.length() >= MINUTE {
                let end = self.minute.end();
                let minute = self.minute.take(end).fitted();
                self.bytes[1] += minute.bytes();
                self.minutes.push_back(Arc::new(minute));
            }
        }
        while let Some(first) = self.minutes.front() {
            if now.since(first.end.kernel) < BY_MINUTE && self.bytes[1] <= ROOM[1] {
                break;
            }
            self.bytes[1] -= first.bytes();
            self.minutes.pop_front();
        }
    }

    /// All intervals, the oldest first.
    #[must_use]
    pub fn intervals(&self) -> Vec<Arc<Interval>> {
        let minute = (!self.minute.length().is_zero()).then(|| Arc::new(self.minute.whole()));
        self.minutes.iter().cloned().chain(minute).chain(self.seconds.iter().cloned()).collect()
    }

    /// How much is kept.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let first = self.minutes.front().map(|minute| minute.start);
        Kept {
            since: first.unwrap_or_else(|| self.minute.start()),
            seconds: self.seconds.len(),
            minutes: self.minutes.len() + usize::from(!self.minute.length().is_zero()),
            bytes: self.bytes.iter().sum::<usize>() + self.minute.bytes() + self.open.bytes(),
        }
    }
}

fn moment(kernel: KernelTime, booted: WallTime) -> Moment {
    Moment { kernel, wall: WallTime(booted.0.saturating_add_unsigned(kernel.0)) }
}

#[cfg(test)]
mod tests {
    use super::interval::Interval;
    use super::{
        AskedPast, ContainerSpan, History, LatencySpan, MAKING, NotKept, Others, PairCounts, PairEnds,
        PairSpan, ROOM, look_back,
    };
    use crate::flows::Spread;
    use crate::model::{
        ContainerId, Counts, IcmpKind, InterfaceNumber, KernelTime, Protocol, SafeText, Traffic, WallTime,
    };
    use crate::policy::{Expected, Outcome, RuleName};
    use crate::snapshot::latencies::ServicePair;
    use crate::snapshot::{Answers, ContainerRef, EndKind, Finding, IcmpRow, Kind, Service, Severity};
    use crate::wire::fixtures;
    use std::sync::Arc;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;
    const BOOTED: WallTime = WallTime(1_795_500_000_000_000_000);

    fn at(second: u64) -> KernelTime {
        KernelTime(second * SECOND)
    }

    fn wall(second: u64) -> WallTime {
        WallTime(BOOTED.0.saturating_add_unsigned(second * SECOND))
    }

    fn container(number: u64) -> Arc<ContainerRef> {
        let id = ContainerId::new(&format!("{number:064x}")).unwrap();
        Arc::new(ContainerRef { id, ..(*fixtures::container(&format!("c{number}"), None)).clone() })
    }

    fn traffic(bytes: u64) -> Traffic {
        let counts = |bytes| Counts { packets: 1, bytes, skbs: 1, skb_bytes: bytes };
        Traffic { sent: counts(bytes), received: counts(bytes / 2) }
    }

    fn pair(port: u16, bytes: u64) -> PairSpan {
        let mut handshakes = Spread::default();
        handshakes.record(Duration::from_micros(bytes));
        let answered = Answers { answered: 1, ..Answers::default() };
        PairSpan {
            ends: Arc::new(PairEnds {
                client: fixtures::container_end("shop-nginx-1", "172.18.0.2", None),
                server: fixtures::end(EndKind::External, "192.0.2.7", Some(port)),
                protocol: Protocol::TCP,
                network: None,
            }),
            counts: PairCounts {
                traffic: traffic(bytes),
                conversations: 1,
                answers: answered,
                ..PairCounts::default()
            },
            shares: Vec::new(),
            icmp: Vec::new(),
            handshakes,
            verdict: None,
            last_seen: KernelTime(1),
        }
    }

    fn tick(history: &mut History, second: u64, pairs: Vec<PairSpan>) {
        assert!(history.is_due(at(second)));
        history.seal(at(second), pairs, Vec::new(), Vec::new(), Others::default());
    }

    /// What containers, and what pairs and others, came to.
    fn sums(intervals: &[Arc<Interval>]) -> [Traffic; 2] {
        let mut sums = [Traffic::default(); 2];
        for interval in intervals {
            interval.containers.iter().for_each(|span| sums[0] += span.traffic);
            interval.pairs.iter().for_each(|span| sums[1] += span.counts.traffic);
            sums[1] += interval.others.counts.traffic;
        }
        sums
    }

    #[track_caller]
    fn check_order(intervals: &[Arc<Interval>]) {
        for two in intervals.windows(2) {
            assert_eq!(two[0].end, two[1].start, "no gap and nothing twice");
        }
    }

    #[test]
    fn nothing_is_lost_or_told_twice_however_it_is_kept() {
        let mut history = History::new(at(0), BOOTED);
        let mut told = [Traffic::default(); 2];
        let mut random = 7_u64;
        for second in 1..=3_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = random >> 44;
            let more = traffic(bytes);
            history.container(&container(random >> 62)).traffic += more;
            told[0] += more;
            // Now and then more pairs than an interval has room for.
            let pairs = if second % 500 == 0 { 6_000 } else { second % 5 };
            let pairs: Vec<PairSpan> =
                (0..pairs).map(|port| pair(u16::try_from(port).unwrap(), bytes)).collect();
            pairs.iter().for_each(|pair| told[1] += pair.counts.traffic);
            tick(&mut history, second, pairs);
            if second % 600 == 0 {
                assert_eq!(sums(&history.intervals()), told, "after {second} s");
            }
        }
        let intervals = history.intervals();
        check_order(&intervals);
        assert_eq!(intervals[0].start.kernel, at(0));
        let kept = history.kept();
        assert_eq!((kept.since.kernel, kept.seconds, kept.minutes), (at(0), 300, 45));
        let lengths: Vec<u64> = intervals.iter().map(|interval| interval.length().as_secs()).collect();
        assert_eq!((lengths[0], lengths[44], lengths[45]), (60, 60, 1));
        let others = intervals.iter().map(|interval| interval.others.pairs).sum::<u64>();
        assert!(others > 0, "what had no room is counted");
    }

    #[test]
    fn an_hour_is_kept_and_what_is_older_is_not() {
        let mut history = History::new(at(0), BOOTED);
        for second in 1..=5_000 {
            history.container(&container(1)).traffic += traffic(100);
            tick(&mut history, second, Vec::new());
        }
        let kept = history.kept();
        let back = at(5_000).since(kept.since.kernel);
        assert!((3_600..=3_660).contains(&back.as_secs()), "{back:?}");
        let intervals = history.intervals();
        check_order(&intervals);
        let [containers, _] = sums(&intervals);
        assert_eq!(containers.sent.packets, back.as_secs());
    }

    #[test]
    fn memory_is_bounded_and_what_does_not_fit_is_kept_by_the_minute_or_not_so_long() {
        let mut history = History::new(at(0), BOOTED);
        let containers: Vec<_> = (0..64).map(container).collect();
        for second in 1..=400 {
            for who in &containers {
                history.container(who).traffic += traffic(second);
            }
            // No pair is there twice.
            let pair = |number: u64| pair(u16::try_from((second * 64 + number) % 60_000).unwrap(), 100);
            tick(&mut history, second, (0..600).map(pair).collect());
            let kept = history.kept();
            assert!(history.bytes.iter().zip(ROOM).all(|(bytes, room)| *bytes <= room), "{kept:?}");
        }
        let kept = history.kept();
        assert!((10..300).contains(&kept.seconds), "{kept:?}");
        let intervals = history.intervals();
        check_order(&intervals);
        let measured: usize = intervals.iter().map(|interval| interval.bytes()).sum();
        assert!(
            measured <= ROOM.iter().sum::<usize>() + (2 << 20),
            "with the minute that is being made: {measured}"
        );
        let seconds = at(400).since(kept.since.kernel).as_secs();
        let [of_containers, _] = sums(&intervals);
        assert_eq!(of_containers.sent.packets, seconds * 64, "what is kept is exact");
    }

    #[test]
    fn an_agent_that_stood_still_has_one_long_interval() {
        let mut history = History::new(at(0), BOOTED);
        for second in [1, 2, 12, 13, 1_000, 1_001] {
            history.container(&container(1)).traffic += traffic(second);
            tick(&mut history, second, Vec::new());
        }
        let intervals = history.intervals();
        check_order(&intervals);
        let lengths: Vec<u64> = intervals.iter().map(|interval| interval.length().as_secs()).collect();
        assert_eq!(
            lengths,
            [13, 987, 1],
            "the first four are a minute that is being made, the fifth is longer than one"
        );
    }

    #[test]
    fn ticks_share_a_second_and_long_ones_are_kept_as_long_as_they_are() {
        let mut history = History::new(at(0), BOOTED);
        let mut ended = Vec::new();
        for tenth in 1..=30 {
            let end = KernelTime(tenth * SECOND / 10 + tenth % 3 * 1_000_000);
            if history.is_due(end) {
                history.seal(end, Vec::new(), Vec::new(), Vec::new(), Others::default());
                ended.push(tenth);
            }
        }
        assert_eq!(ended, [9, 18, 27]);
        tick(&mut history, 10, Vec::new());
        assert_eq!(history.intervals().last().unwrap().length().as_secs(), 7);
    }

    /// A container that sends its second's number in each of 100 seconds; after 50 of them the wall clock is set.
    fn set_after_fifty(by: i64) -> History {
        let mut history = History::new(at(0), BOOTED);
        for second in 1..=100 {
            if second == 51 {
                history.clock_is(WallTime(BOOTED.0 + by));
            }
            history.container(&container(1)).traffic += traffic(second);
            tick(&mut history, second, Vec::new());
        }
        history
    }

    fn asked(since: u64, until: u64) -> AskedPast {
        AskedPast { since: Some(wall(since)), until: Some(wall(until)), ..AskedPast::default() }
    }

    fn bytes_of(history: &History, asked: &AskedPast) -> Result<u64, NotKept> {
        let past = look_back(&history.intervals(), asked, &fixtures::snapshot())?;
        Ok(past.containers.iter().map(|span: &ContainerSpan| span.traffic.sent.bytes).sum())
    }

    #[test]
    fn whole_intervals_of_the_time_that_is_asked_for_are_told() {
        let history = set_after_fifty(0);
        assert_eq!(bytes_of(&history, &asked(10, 13)), Ok(11 + 12 + 13));
        assert_eq!(bytes_of(&history, &AskedPast::default()), Ok(5_050));
        assert_eq!(bytes_of(&history, &asked(100, 200)), Err(NotKept::Time));
        let nobody = AskedPast { name: Some("nobody".into()), ..asked(10, 13) };
        assert_eq!(bytes_of(&history, &nobody), Err(NotKept::Name));
        let past = look_back(&history.intervals(), &asked(10, 13), &fixtures::snapshot()).unwrap();
        assert_eq!((past.told.from, past.told.end.wall, past.told.is_cut), (wall(10), wall(13), false));
        assert_eq!(
            (past.told.resolution, past.snapshot.window),
            (Duration::from_secs(1), Duration::from_secs(3))
        );
    }

    #[test]
    fn a_clock_that_is_set_moves_nothing_that_was_before() {
        for hour in [3_600, -3_600_i64] {
            let history = set_after_fifty(hour * 1_000_000_000);
            check_order(&history.intervals());
            let moved = |second: u64| second.saturating_add_signed(hour);
            assert_eq!(bytes_of(&history, &AskedPast::default()), Ok(5_050));
            if hour > 0 {
                assert_eq!(bytes_of(&history, &asked(10, 13)), Ok(11 + 12 + 13));
                assert_eq!(bytes_of(&history, &asked(moved(60), moved(62))), Ok(61 + 62));
                // The interval in which it was set is as long as both clocks say.
                assert_eq!(bytes_of(&history, &asked(1_000, 1_001)), Ok(51));
            }
        }
        let early = History::new(at(7_200), BOOTED);
        let mut history = early;
        history.container(&container(1)).traffic += traffic(1);
        history.seal(at(7_201), Vec::new(), Vec::new(), Vec::new(), Others::default());
        history.clock_is(WallTime(BOOTED.0 - 3_600_000_000_000));
        history.container(&container(1)).traffic += traffic(2);
        history.seal(at(7_202), Vec::new(), Vec::new(), Vec::new(), Others::default());
        assert_eq!(
            bytes_of(&history, &asked(3_600, 3_602)),
            Ok(2),
            "set back: as far before its end as it is long"
        );
        assert_eq!(bytes_of(&history, &asked(7_200, 7_201)), Ok(1));
    }

    #[test]
    fn a_course_has_rows_that_a_person_would_choose() {
        let mut history = History::new(at(0), BOOTED);
        for second in 1..=3_000 {
            if second % 2 == 0 {
                history.container(&container(1)).traffic += traffic(1);
            }
            tick(&mut history, second, Vec::new());
        }
        let course = |since, step: Option<u64>| {
            let step = step.map(Duration::from_secs);
            let asked = AskedPast { since: Some(wall(since)), until: None, name: Some("c1".into()), step };
            look_back(&history.intervals(), &asked, &fixtures::snapshot()).unwrap().points
        };
        let all = course(0, None);
        assert_eq!((all.len(), all[0].length.as_secs(), all[49].length.as_secs()), (50, 60, 60));
        assert!(all.iter().all(|point| point.span.traffic.sent.packets == 30));
        let minute = course(2_940, None);
        assert_eq!((minute.len(), minute[0].length.as_secs()), (60, 1));
        assert_eq!(minute.iter().map(|point| point.span.traffic.sent.packets).sum::<u64>(), 30);
        assert_eq!(course(2_940, Some(10)).len(), 6);
    }

    fn of(number: u64, name: &str, project: &str, service: &str) -> Arc<ContainerRef> {
        let [name, project, service] = [name, project, service].map(SafeText::new);
        Arc::new(ContainerRef {
            name,
            project: Some(project),
            service: Some(service),
            ..(*container(number)).clone()
        })
    }

    /// Whose course is told by a name, where each container sends 100 bytes in each of six seconds: the container's own
    /// name, whether it is of a service, and all bytes.
    fn course_of(containers: &[Arc<ContainerRef>], name: &str) -> Result<(String, bool, u64), NotKept> {
        let mut history = History::new(at(0), BOOTED);
        for second in 1..=6 {
            for container in containers {
                history.container(container).traffic += traffic(100);
            }
            tick(&mut history, second, Vec::new());
        }
        let asked = AskedPast { name: Some(name.into()), ..AskedPast::default() };
        let past = look_back(&history.intervals(), &asked, &fixtures::snapshot())?;
        let bytes = past.points.iter().map(|point| point.span.traffic.sent.bytes).sum();
        let last = past.points.last().unwrap();
        Ok((last.span.container.name.to_string(), last.is_service, bytes))
    }

    #[test]
    fn a_service_that_two_projects_have_is_ambiguous() {
        let all = [of(1, "shop-web-1", "shop", "web"), of(2, "blog-web-1", "blog", "web")];
        let both = vec!["blog/web".to_owned(), "shop/web".to_owned()];
        let refused = course_of(&all, "web").unwrap_err();
        assert_eq!(refused, NotKept::Ambiguous(both));
        assert_eq!(refused.to_string(), "that name is ambiguous, it may be blog/web or shop/web");
        assert_eq!(course_of(&all, "blog/web"), Ok(("blog-web-1".to_owned(), false, 600)));
        assert_eq!(course_of(&all, "shop-web-1"), Ok(("shop-web-1".to_owned(), false, 600)));
        let by_id = &all[0].id.as_str()[..12];
        let names = vec!["blog-web-1".to_owned(), "shop-web-1".to_owned()];
        assert_eq!(course_of(&all, by_id), Err(NotKept::Ambiguous(names)), "both ids begin so");
    }

    #[test]
    fn a_container_that_was_made_anew_is_no_service() {
        let all = [
            of(1, "shop-web-1", "shop", "web"),
            of(3, "shop-web-2", "shop", "web"),
            of(2, "shop-web-1", "shop", "web"),
        ];
        assert_eq!(course_of(&all, "shop-web-1"), Ok(("shop-web-1".to_owned(), false, 1_200)));
        for name in ["web", "shop/web"] {
            let (_, is_service, bytes) = course_of(&all, name).unwrap();
            assert_eq!((is_service, bytes), (true, 1_800), "{name}");
        }
        let anew = [all[0].clone(), all[2].clone()];
        assert_eq!(course_of(&anew, "web"), Ok(("shop-web-1".to_owned(), false, 1_200)));
    }

    #[test]
    fn a_container_that_got_another_name_is_one() {
        let renamed = [of(1, "shop-web-1", "shop", "web"), of(1, "old", "shop", "web")];
        let id = renamed[0].id.as_str();
        assert_eq!(course_of(&renamed, id), Ok(("old".to_owned(), false, 1_200)));
    }

    #[test]
    fn a_containers_own_name_is_meant_before_a_service() {
        let all = [container(7), of(1, "shop-c7-1", "shop", "c7"), of(2, "shop-c7-2", "shop", "c7")];
        assert_eq!(course_of(&all, "c7"), Ok(("c7".to_owned(), false, 600)));
        assert_eq!(course_of(&all, "shop/c7").map(|told| told.2), Ok(1_200));
    }

    #[test]
    fn pairs_of_which_something_failed_are_kept_before_those_with_more_bytes() {
        let mut history = History::new(at(0), BOOTED);
        let mut pairs: Vec<PairSpan> = (0..600).map(|port| pair(port, 1_000)).collect();
        for pair in &mut pairs[..3] {
            pair.counts.traffic = traffic(10);
        }
        pairs[0].counts.icmp_errors = 50;
        pairs[1].counts.answers.half_open = 50;
        pairs[2].counts.conversations = 51;
        // Of what is no TCP nobody is known to answer.
        let ends = Arc::make_mut(&mut pairs[3].ends);
        ends.protocol = Protocol::UDP;
        pairs[3].counts.answers = Answers::default();
        pairs[3].counts.traffic = traffic(10);
        tick(&mut history, 1, pairs);
        let interval = &history.intervals()[0];
        let kept = [0, 1, 2, 3].map(|port| interval.pairs.iter().any(|p| p.ends.server.port == Some(port)));
        assert_eq!(kept, [true, true, true, false]);
        assert_eq!((interval.others.pairs, interval.others.counts.failed()), (600 - 512, 0));
    }

    fn finding(id: u64, severity: Severity) -> Arc<Finding> {
        Arc::new(Finding {
            id,
            revision: 1,
            is_open: true,
            kind: Kind::Violation,
            severity,
            rule: RuleName::File(SafeText::new("rule")),
            policy_comment: None,
            expected: Expected::Deny,
            outcome: Outcome::Delivered,
            reason: None,
            source: fixtures::container_end("shop-nginx-1", "172.18.0.2", None),
            destination: fixtures::end(EndKind::External, "192.0.2.7", Some(80)),
            protocol: "TCP".into(),
            ports: vec![80],
            port_count: 1,
            counts: Counts::default(),
            first_seen: KernelTime(1),
            last_seen: KernelTime(id),
            drop_reason: None,
            evidence: Vec::new(),
            explanation: String::new(),
        })
    }

    #[test]
    fn the_worst_findings_are_kept_and_those_without_room_are_counted_once() {
        let mut history = History::new(at(0), BOOTED);
        (0..64).for_each(|id| history.finding(&finding(id, Severity::Info)));
        for second in 1..=10 {
            history.finding(&finding(100, Severity::Critical));
            history.finding(&finding(101, Severity::Info));
            history.finding(&finding(101, Severity::Info));
            tick(&mut history, second, Vec::new());
        }
        let told = |since, until| {
            let past = look_back(&history.intervals(), &asked(since, until), &fixtures::snapshot()).unwrap();
            let ids: Vec<u64> = past.snapshot.findings.iter().map(|finding| finding.id).collect();
            (ids.len(), ids[0], ids.contains(&101), past.others.findings)
        };
        assert_eq!(told(0, 1), (64, 100, false, 2), "the oldest of the least and one that came later");
        assert_eq!(told(1, 10), (2, 100, true, 0));
        assert_eq!(told(0, 10), (64, 100, false, 2));
    }

    /// How long two services took: three handshakes at the client's interface, and one at the server's.
    fn latency(port: u16) -> LatencySpan {
        let mut seen: [Spread; 5] = Default::default();
        (0..3).for_each(|_| seen[0].record(Duration::from_micros(100)));
        seen[1].record(Duration::from_micros(90));
        let [client, server] = ["web", "db"].map(|name| Service::Container(SafeText::new(name)));
        LatencySpan { services: Arc::new(ServicePair { client, server, port: Some(port) }), seen }
    }

    #[test]
    fn latency_that_has_no_room_is_counted() {
        let mut history = History::new(at(0), BOOTED);
        for second in 1..=2 {
            let latencies = (0..600).map(latency).collect();
            history.seal(at(second), Vec::new(), latencies, Vec::new(), Others::default());
        }
        let past = look_back(&history.intervals(), &AskedPast::default(), &fixtures::snapshot()).unwrap();
        let told: u64 = past.snapshot.latencies.iter().map(|row| row.connections()).sum();
        assert_eq!(past.snapshot.latencies.len(), 512);
        assert_eq!(told + past.others.handshakes, 2 * 600 * 3);
        assert!(past.others.services >= 2 * 88, "{}", past.others.services);
    }

    #[test]
    fn a_course_comes_without_all_that_was_beside_it() {
        let mut history = History::new(at(0), BOOTED);
        for second in 1..=1_000 {
            for number in 0..64 {
                history.container(&container(number)).traffic += traffic(second);
            }
            history.finding(&finding(second % 20, Severity::Info));
            let pairs = (0..200).map(|number| pair(u16::try_from(second % 10 * 200 + number).unwrap(), 100));
            history.seal(at(second), pairs.collect(), vec![latency(1)], Vec::new(), Others::default());
        }
        let intervals = history.intervals();
        let whole = look_back(&intervals, &AskedPast::default(), &fixtures::snapshot()).unwrap();
        assert_eq!((whole.containers.len(), whole.snapshot.pairs.len()), (64, 2_000));
        let asked = AskedPast { name: Some("c1".into()), ..AskedPast::default() };
        let past = look_back(&intervals, &asked, &fixtures::snapshot()).unwrap();
        assert_eq!(past.points.iter().map(|point| point.span.traffic.sent.packets).sum::<u64>(), 1_000);
        assert_eq!((past.told, past.snapshot.past), (whole.told, Some(whole.told)));
        assert_eq!((past.containers.len(), past.names.len()), (0, 0));
        let snapshot = &past.snapshot;
        assert!(snapshot.pairs.is_empty() && snapshot.latencies.is_empty() && snapshot.findings.is_empty());
        assert_eq!(snapshot.containers.len(), whole.snapshot.containers.len(), "the footer tells of them");
        let [small, all] = [&past, &whole].map(|past| serde_json::to_vec(past).unwrap().len());
        assert!(small < 100_000 && all > 1_000_000, "{small} of {all} bytes");
    }

    #[test]
    fn what_is_being_made_is_bounded_and_counted() {
        let error = |mtu| IcmpRow {
            kind: IcmpKind { v6: false, kind: 3, code: 4 },
            of_client: false,
            sender: fixtures::end(EndKind::External, "192.0.2.1", None),
            mtu: Some(mtu),
            packets: 1,
            largest: 1,
            again: 0,
            again_lately: 0,
            told_at: KernelTime(1),
            told_to: InterfaceNumber(1),
        };
        let errors: Vec<IcmpRow> = (0..8).map(error).collect();
        let mut history = History::new(at(0), BOOTED);
        let mut told = Traffic::default();
        let mut most = 0;
        for second in 1..=120_u64 {
            let pairs: Vec<PairSpan> = (0..2_000)
                .map(|number| PairSpan {
                    icmp: errors.clone(),
                    ..pair(u16::try_from((second * 2_000 + number) % 60_000).unwrap(), 100)
                })
                .collect();
            pairs.iter().for_each(|pair| told += pair.counts.traffic);
            tick(&mut history, second, pairs);
            let made = history.minute.bytes();
            assert!(made <= MAKING, "{made} after {second} s");
            assert!(history.open.bytes() < 100_000, "{} after {second} s", history.open.bytes());
            let bytes = history.kept().bytes;
            assert!(bytes >= history.bytes.iter().sum::<usize>() + made);
            most = most.max(bytes);
        }
        // Seconds without a place for one more, and at least half of what may be being made.
        assert!((ROOM[0] + MAKING / 2..29 << 20).contains(&most), "{most}");
        assert_eq!(sums(&history.intervals())[1], told, "nothing is lost for that");
    }
}
