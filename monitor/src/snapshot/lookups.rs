//! What containers asked for, summed up: by name for a person, by container for metrics.

use super::history::{NameSpan, Others};
use super::{ContainerRef, End, EndKind};
use crate::flows::{Spread, Steps};
use crate::model::{ContainerId, DnsExchange, DnsOutcome, DnsRecord, KernelTime, SafeText};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

/// Names that are kept of one container, and of all.
const MOST_OF_CONTAINER: usize = 128;
const MOST: usize = 1_024;
/// Records of the latest answer that are kept.
const MOST_RECORDS: usize = 8;
/// Where containers ask Docker's own resolver.
const DOCKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// How often rows are made, at most.
const OFTEN: Duration = Duration::from_millis(500);

/// How often each thing came of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes([u64; DnsOutcome::ALL.len()]);

impl Outcomes {
    /// How often this came of one.
    #[must_use]
    pub fn of(&self, outcome: DnsOutcome) -> u64 {
        self.0.get(outcome as usize).copied().unwrap_or_default()
    }

    /// All.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// What came on top of an earlier state of the same.
    fn since(&self, before: &Self) -> Self {
        let mut more = *self;
        more.0.iter_mut().zip(before.0).for_each(|(count, had)| *count = count.saturating_sub(had));
        more
    }

    /// Counts one.
    pub fn add(&mut self, outcome: DnsOutcome) {
        if let Some(count) = self.0.get_mut(outcome as usize) {
            *count = count.saturating_add(1);
        }
    }
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }
}

/// A name that a container asks for, with a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRow {
    /// Who asks.
    pub container: Arc<ContainerRef>,
    /// What for.
    pub name: SafeText,
    /// The type of record.
    pub record_type: SafeText,
    /// Whether Docker's resolver asks on for the container.
    pub forwarded: bool,
    /// What came of it how often, since the watch began.
    pub outcomes: Outcomes,
    /// How long those that were answered took together, and the longest.
    pub took: (Duration, Duration),
    /// When it was asked last.
    pub last: KernelTime,
    /// How long that took; absent without an answer.
    pub last_took: Option<Duration>,
    /// The latest answer's code; absent if there was none to the latest question.
    pub code: Option<SafeText>,
    /// The latest answer's first records.
    pub answers: Vec<DnsRecord>,
    /// Who was asked last.
    pub resolver: End,
}

impl NameRow {
    /// Whether Docker's own resolver was asked.
    #[must_use]
    pub fn is_docker(&self) -> bool {
        self.resolver.kind == EndKind::Host && self.resolver.address == DOCKER
    }

    /// How long an answer takes, as a mean.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let answered = self.outcomes.sum().saturating_sub(self.outcomes.of(DnsOutcome::None));
        self.took.0.checked_div(u32::try_from(answered).unwrap_or(u32::MAX))
    }

    /// The longest that an answer took.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.mean().map(|_| self.took.1)
    }
}

/// All that a container asked for, but for what Docker's resolver asked on for it, which is the same once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskerRow {
    /// Who asks.
    pub container: Arc<ContainerRef>,
    /// What came of it how often, since the watch began.
    pub outcomes: Outcomes,
    /// How long those that were answered took.
    pub steps: Steps,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedUp {
    /// Names, by container; at most 1,024.
    pub names: Vec<NameRow>,
    /// Containers.
    pub containers: Vec<AskerRow>,
}

type Key = (SafeText, SafeText, bool);

#[derive(Debug)]
struct Kept {
    row: NameRow,
    /// Whether it was asked for again since it was last looked at for room.
    again: bool,
    /// What of its outcomes the history was told.
    told: Outcomes,
    /// How long those answers took that it was not told of.
    untold: Spread,
}

#[derive(Debug)]
struct Asker {
    sums: AskerRow,
    names: HashMap<Key, Kept>,
    /// The names, in the order in which they make room.
    order: VecDeque<Key>,
}

/// All of it, while it is summed up.
#[derive(Debug, Default)]
pub struct Lookups {
    askers: HashMap<ContainerId, Asker>,
    /// Names of all.
    kept: usize,
    forgotten: u64,
    /// What the history was not told of names that are gone.
    departed: Others,
    changed: bool,
    made: KernelTime,
    rows: Arc<LookedUp>,
}

impl Lookups {
    /// Takes in a question and what came of it.
    pub fn take(&mut self, container: &Arc<ContainerRef>, told: &DnsExchange, resolver: End) {
        self.changed = true;
        let asker = self.askers.entry(container.id.clone()).or_insert_with(|| Asker {
            sums: AskerRow {
                container: Arc::clone(container),
                outcomes: Outcomes::default(),
                steps: Steps::default(),
            },
            names: HashMap::new(),
            order: VecDeque::new(),
        });
        asker.sums.container = Arc::clone(container);
        if !told.forwarded {
            asker.sums.outcomes.add(told.outcome());
            if let Some(took) = told.took() {
                asker.sums.steps.record(took);
            }
        }
        // DNS takes upper and lower case for the same, and some clients mix them on purpose.
        let name = SafeText::new(&told.name.as_str().to_ascii_lowercase());
        let key = (name, told.record_type.clone(), told.forwarded);
        if let Some(kept) = asker.names.get_mut(&key) {
            kept.again = true;
            kept.row.container = Arc::clone(container);
            kept.add(told, resolver);
            return;
        }
        if asker.names.len() >= MOST_OF_CONTAINER || self.kept >= MOST {
            self.forgotten += 1;
            let Some(from) = self.who_makes_room(&container.id) else {
                let mut outcomes = Outcomes::default();
                outcomes.add(told.outcome());
                self.departed.name(outcomes);
                return;
            };
            if let Some(gone) = self.askers.get_mut(&from).and_then(Asker::make_room) {
                self.kept -= 1;
                gone.departs(&mut self.departed);
            }
        }
        if let Some(asker) = self.askers.get_mut(&container.id) {
            let mut kept = Kept {
                row: NameRow::new(container, told, resolver.clone()),
                again: false,
                told: Outcomes::default(),
                untold: Spread::default(),
            };
            kept.add(told, resolver);
            asker.order.push_back(key.clone());
            asker.names.insert(key, kept);
            self.kept += 1;
        }
    }

    /// A container makes room for itself; one that has no names yet gets it from the one that has most.
    fn who_makes_room(&self, wants: &ContainerId) -> Option<ContainerId> {
        if self.askers.get(wants).is_some_and(|asker| !asker.names.is_empty()) {
            return Some(wants.clone());
        }
        let most = self.askers.iter().max_by_key(|(id, asker)| (asker.names.len(), *id));
        most.map(|(id, _)| id.clone())
    }

    /// Forgets the names of containers that do not run, and the sums of those that are not known: whoever runs again goes on
    /// from its sums.
    pub fn tidy(&mut self, runs: impl Fn(&ContainerId) -> bool, is_known: impl Fn(&ContainerId) -> bool) {
        let Self { askers, kept, changed, departed, .. } = self;
        askers.retain(|id, asker| {
            if !runs(id) && !asker.names.is_empty() {
                *kept -= asker.names.len();
                asker.names.drain().for_each(|(_, gone)| gone.departs(departed));
                asker.order.clear();
                *changed = true;
            }
            let stays = is_known(id);
            *changed |= !stays;
            stays
        });
    }

    /// What came since the history was told last: of each name of which something did, and of those that are gone.
    pub(super) fn tell(&mut self) -> (Vec<NameSpan>, Others) {
        let names = self.askers.values_mut().flat_map(|asker| asker.names.values_mut());
        (names.filter_map(Kept::tell).collect(), std::mem::take(&mut self.departed))
    }

    /// Names that made room for others.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many names are kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.kept
    }

    /// Whether no name is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.kept == 0
    }

    /// The rows; those of half a second ago will do.
    pub fn rows(&mut self, now: KernelTime) -> Arc<LookedUp> {
        if self.changed && now.since(self.made) >= OFTEN {
            self.made = now;
            self.make();
        }
        Arc::clone(&self.rows)
    }

    /// Nothing more will come: the rows have all of it.
    pub fn finish(&mut self) {
        self.make();
    }

    fn make(&mut self) {
        self.changed = false;
        let names = self.askers.values().flat_map(|asker| asker.names.values());
        let mut names: Vec<NameRow> = names.map(|kept| kept.row.clone()).collect();
        names.sort_unstable_by(|one, other| one.order().cmp(&other.order()));
        let mut containers: Vec<AskerRow> = self.askers.values().map(|asker| asker.sums.clone()).collect();
        containers.sort_unstable_by(|one, other| {
            let order = |row: &AskerRow| (row.container.name.clone(), row.container.id.clone());
            order(one).cmp(&order(other))
        });
        self.rows = Arc::new(LookedUp { names, containers });
    }
}

impl Asker {
    /// Forgets the name that came first of those that were not asked for again since, if there is one.
    fn make_room(&mut self) -> Option<Kept> {
        // Each is looked at once: after that, none is marked.
        for _ in 0..=self.order.len() {
            let key = self.order.pop_front()?;
            match self.names.get_mut(&key) {
                Some(kept) if kept.again => {
                    kept.again = false;
                    self.order.push_back(key);
                }
                _ => return self.names.remove(&key),
            }
        }
        None
    }
}

impl Kept {
    fn add(&mut self, told: &DnsExchange, resolver: End) {
        self.row.add(told, resolver);
        if let Some(took) = told.took() {
            self.untold.record(took);
        }
    }

    /// What the history was not told yet, if there is something.
    fn tell(&mut self) -> Option<NameSpan> {
        if self.row.outcomes == self.told {
            return None;
        }
        let outcomes = self.row.outcomes.since(&self.told);
        self.told = self.row.outcomes;
        let NameRow { container, name, record_type, forwarded, .. } = &self.row;
        Some(NameSpan {
            container: Arc::clone(container),
            name: name.clone(),
            record_type: record_type.clone(),
            forwarded: *forwarded,
            outcomes,
            took: std::mem::take(&mut self.untold),
        })
    }

    /// It goes before the history was told all of it.
    fn departs(&self, others: &mut Others) {
        if self.row.outcomes != self.told {
            others.name(self.row.outcomes.since(&self.told));
        }
    }
}

impl NameRow {
    fn new(container: &Arc<ContainerRef>, told: &DnsExchange, resolver: End) -> Self {
        Self {
            container: Arc::clone(container),
            name: told.name.clone(),
            record_type: told.record_type.clone(),
            forwarded: told.forwarded,
            outcomes: Outcomes::default(),
            took: (Duration::ZERO, Duration::ZERO),
            last: told.asked_at,
            last_took: None,
            code: None,
            answers: Vec::new(),
            resolver,
        }
    }

    fn add(&mut self, told: &DnsExchange, resolver: End) {
        self.outcomes.add(told.outcome());
        self.last = told.asked_at;
        self.last_took = told.took();
        if let Some(took) = told.took() {
            self.took = (self.took.0.saturating_add(took), self.took.1.max(took));
        }
        self.code = told.answer.as_ref().map(|answer| answer.code.clone());
        let records = told.answer.iter().flat_map(|answer| &answer.records);
        self.answers = records.take(MOST_RECORDS).cloned().collect();
        self.resolver = resolver;
    }

    fn order(&self) -> (&SafeText, &ContainerId, &SafeText, &SafeText, bool) {
        (&self.container.name, &self.container.id, &self.name, &self.record_type, self.forwarded)
    }
}

#[cfg(test)]
mod tests {
    use super::{LookedUp, Lookups, MOST, MOST_OF_CONTAINER};
    use crate::model::{ContainerId, DnsExchange, DnsOutcome, KernelTime};
    use crate::snapshot::ContainerRef;
    use crate::wire::fixtures;
    use std::sync::Arc;

    fn container(number: usize) -> Arc<ContainerRef> {
        let id = ContainerId::new(&format!("{number:064x}")).unwrap();
        Arc::new(ContainerRef { id, ..(*fixtures::container("c", None)).clone() })
    }

    fn told(name: &str) -> DnsExchange {
        DnsExchange { name: fixtures::text(name), forwarded: false, ..fixtures::name().told }
    }

    fn ask(lookups: &mut Lookups, number: usize, told: &DnsExchange) {
        lookups.take(&container(number), told, fixtures::name().resolver);
    }

    fn rows(lookups: &mut Lookups) -> Arc<LookedUp> {
        lookups.finish();
        lookups.rows(KernelTime::default())
    }

    #[test]
    fn what_came_of_questions_is_summed_up_and_what_docker_asks_on_is_not_counted_twice() {
        let mut lookups = Lookups::default();
        let none = DnsExchange { answer: None, ..told("web") };
        let forwarded = DnsExchange { forwarded: true, ..told("web") };
        [&told("web"), &told("wEb"), &none, &forwarded].into_iter().for_each(|it| ask(&mut lookups, 1, it));
        let rows = rows(&mut lookups);
        assert_eq!(rows.names.len(), 2);
        let of = |outcome| rows.names[0].outcomes.of(outcome);
        assert_eq!((of(DnsOutcome::Answered), of(DnsOutcome::None), &rows.names[0].code), (2, 1, &None));
        assert_eq!(rows.names[0].mean(), rows.names[1].mean(), "those without an answer took no time");
        let asker = &rows.containers[0];
        assert_eq!((asker.outcomes.sum(), asker.steps.count()), (3, 2));
    }

    #[test]
    fn one_that_asks_for_many_names_takes_no_room_from_others_and_keeps_what_it_asks_for_again() {
        let mut lookups = Lookups::default();
        ask(&mut lookups, 2, &told("quiet"));
        for number in 0..10_000 {
            ask(&mut lookups, 1, &told(&format!("random-{number}")));
            ask(&mut lookups, 1, &told("often"));
        }
        let rows = rows(&mut lookups);
        assert_eq!((rows.names.len(), lookups.len()), (MOST_OF_CONTAINER + 1, MOST_OF_CONTAINER + 1));
        assert_eq!(lookups.forgotten(), 10_001 - MOST_OF_CONTAINER as u64);
        assert!(
            ["quiet", "often"].iter().all(|name| rows.names.iter().any(|row| row.name.as_str() == *name))
        );
        assert_eq!(rows.containers[0].outcomes.sum() + rows.containers[1].outcomes.sum(), 20_001);
    }

    #[test]
    fn there_is_room_for_so_many_and_for_a_container_that_has_none_yet() {
        let mut lookups = Lookups::default();
        for number in 0..20 {
            (0..100).for_each(|name| ask(&mut lookups, number, &told(&format!("n{name}"))));
        }
        let rows = rows(&mut lookups);
        assert_eq!((rows.names.len(), lookups.len()), (MOST, MOST));
        let has_one = |number| rows.names.iter().any(|row| row.container.id == container(number).id);
        assert!((0..20).all(has_one));
        lookups.tidy(|_| false, |_| true);
        assert!(lookups.is_empty());
        assert_eq!(self::rows(&mut lookups).containers.len(), 20, "their sums stay");
        lookups.tidy(|_| false, |_| false);
        assert!(self::rows(&mut lookups).containers.is_empty());
    }
}
