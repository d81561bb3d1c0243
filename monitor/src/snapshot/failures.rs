//! What fails between two services.

use super::services::{identity, since};
use super::{Alias, Answers, IcmpRow, Meant, PairRow, Part, Service, ZeroWindows, icmp};
use crate::model::Protocol;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// What failed of one service's conversations with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRow {
    /// Who opened them.
    pub client: Service,
    /// Who was asked.
    pub server: Service,
    /// The port that was asked; absent where nobody can tell who opened them, and where the protocol has none.
    pub port: Option<u16>,
    /// Protocol. Only of TCP anything but errors of ICMP can be told.
    pub protocol: Protocol,
    /// Conversations that were opened.
    pub connections: u64,
    /// How connections went.
    pub answers: Answers,
    /// Segments that the client's end sent again; absent if its sockets are not on this host, or that cannot be seen.
    pub sent_again_by_client: Option<u64>,
    /// Segments that the server's end sent again; as the client's.
    pub sent_again_by_server: Option<u64>,
    /// Segments that said that there is no room for more.
    pub zero_windows: ZeroWindows,
    /// Errors of ICMP about packets of either end: at most 16 different ones, those first that were not obeyed, then the most
    /// frequent.
    pub icmp: Vec<IcmpRow>,
    /// How many others there were.
    pub icmp_others: u64,
}

impl FailureRow {
    /// Connections that have neither been answered nor refused so far.
    #[must_use]
    pub const fn unanswered(&self) -> u64 {
        self.connections.saturating_sub(self.answers.answered.saturating_add(self.answers.refused))
    }

    /// Whether connections were asked for and none was answered.
    #[must_use]
    pub fn is_not_served(&self) -> bool {
        self.protocol == Protocol::TCP
            && self.answers.answered == 0
            && self.answers.refused + self.unanswered() > 0
    }

    /// Connections that were refused, not answered, or reset.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let Answers { refused, reset, .. } = self.answers;
        let is_tcp = self.protocol == Protocol::TCP;
        let all = [refused, reset, self.unanswered()].into_iter().filter(|_| is_tcp);
        all.fold(0, u64::saturating_add)
    }

    /// Errors of ICMP about packets of either end.
    #[must_use]
    pub fn icmp_errors(&self) -> u64 {
        self.icmp.iter().map(|row| row.packets).fold(self.icmp_others, u64::saturating_add)
    }

    /// What it comes to, in a word or two; empty if that is nothing in particular.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.is_wrong_mtu(), self.is_not_served()) {
            (true, _) => "wrong MTU",
            (false, true) => "not served",
            (false, false) => "",
        }
    }

    /// Whether an end was told that its packets are too big for the way, and went on to send such.
    #[must_use]
    pub fn is_wrong_mtu(&self) -> bool {
        self.icmp.iter().any(|row| row.again > 0)
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.rank() == [0; 3]
    }

    /// Connections that failed; packets that did not arrive and connections that went no further; and segments that tell of trouble.
    fn rank(&self) -> [u64; 3] {
        let Answers { half_open, silent_client, silent_server, .. } = self.answers;
        let [client, server] =
            [self.sent_again_by_client, self.sent_again_by_server].map(Option::unwrap_or_default);
        let sum = |figures: &[u64]| figures.iter().copied().fold(0, u64::saturating_add);
        [
            self.failed(),
            sum(&[self.icmp_errors(), half_open, silent_client, silent_server]),
            sum(&[client, server, self.zero_windows.sum()]),
        ]
    }

    /// A pair's row, of which nothing is counted yet.
    #[must_use]
    pub fn of(pair: &PairRow) -> Self {
        Self {
            client: Service::of_client(&pair.client),
            server: Service::of_server(&pair.server),
            port: pair.server.port,
            protocol: pair.protocol,
            connections: 0,
            answers: Answers::default(),
            sent_again_by_client: None,
            sent_again_by_server: None,
            zero_windows: ZeroWindows::default(),
            icmp: Vec::new(),
            icmp_others: 0,
        }
    }

    /// Adds a pair. `sees_retransmits`: whether what is sent again is seen here.
    pub fn add(&mut self, pair: &PairRow, sees_retransmits: bool) {
        self.connections += pair.conversations;
        self.answers += pair.answers;
        let ends = [&mut self.sent_again_by_client, &mut self.sent_again_by_server];
        for (of, segments) in ends.into_iter().zip(pair.sent_again()) {
            if let Some(segments) = segments.filter(|_| sees_retransmits) {
                *of = Some(of.unwrap_or(0).saturating_add(segments));
            }
        }
        self.zero_windows += pair.zero_windows;
        if !pair.icmp.is_empty() {
            self.icmp.extend_from_slice(&pair.icmp);
            let (kept, others) = icmp::merged(std::mem::take(&mut self.icmp));
            self.icmp = kept;
            self.icmp_others = self.icmp_others.saturating_add(others);
        }
    }
}

/// All between which something failed, of those that are meant: what is in `pairs` and was not in `before`. Those with the most
/// failures first; before them, where a name is meant that several containers share, what failed behind it in all.
/// `sees_retransmits`: whether what is sent again is seen here.
#[must_use]
pub fn failures(
    pairs: &[PairRow],
    before: &[PairRow],
    sees_retransmits: bool,
    meant: &Meant<'_>,
) -> Vec<FailureRow> {
    let before: HashMap<_, &PairRow> = before.iter().map(|row| (identity(row), row)).collect();
    let mut sums: BTreeMap<(Service, Service, Option<u16>, Protocol), FailureRow> = BTreeMap::new();
    for row in pairs {
        let Some(more) = since(row, before.get(&identity(row)).copied()) else { continue };
        let mut add = |fresh: FailureRow, more: &PairRow| {
            if meant.has(&fresh.client, &fresh.server) {
                let key = (fresh.client.clone(), fresh.server.clone(), fresh.port, fresh.protocol);
                sums.entry(key).or_insert(fresh).add(more, sees_retransmits);
            }
        };
        let fresh = FailureRow::of(row);
        if let Some(alias) = shared_name(row, meant) {
            let server = Service::Alias(alias.clone());
            add(FailureRow { server, ..fresh.clone() }, &more.came_by(alias));
        }
        add(fresh, &more);
    }
    let mut rows: Vec<FailureRow> = sums.into_values().filter(|row| !row.is_well()).collect();
    // Stable, so that the rest stays in the order of names.
    rows.sort_by_key(|row| (!matches!(row.server, Service::Alias(_)), Reverse(row.rank())));
    rows
}

/// The name that is meant, where the server shares it with other containers.
fn shared_name<'a>(row: &'a PairRow, meant: &Meant<'_>) -> Option<&'a Alias> {
    row.server.container.as_ref()?.alias(meant.name()?, &row.network.as_ref()?.id)
}

impl PairRow {
    /// The same without the conversations that came by another name. What was sent again, windows of 0 and errors of ICMP are not
    /// told apart by names.
    fn came_by(&self, alias: &Alias) -> Self {
        let (Part { traffic, conversations, answers }, _) = self.by_alias(alias);
        Self { traffic, conversations, answers, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::FailureRow;
    use crate::model::Protocol;
    use crate::snapshot::Meant;
    use crate::snapshot::{Alias, ContainerRef, Part, Service, Share};
    use crate::snapshot::{Answers, IcmpRow, PairRow, Retransmits};
    use crate::wire::fixtures;
    use std::sync::Arc;

    /// All rows.
    fn failures(pairs: &[PairRow], before: &[PairRow], sees_retransmits: bool) -> Vec<FailureRow> {
        super::failures(pairs, before, sees_retransmits, &Meant::by(None, []))
    }

    fn pair(connections: u64, answers: Answers, by_server: u64) -> PairRow {
        let retransmits = Retransmits { by_client: 0, by_server };
        PairRow { conversations: connections, answers, retransmits, ..fixtures::pair_row() }
    }

    fn answers([answered, refused, reset, reset_by_server]: [u64; 4]) -> Answers {
        Answers { answered, refused, reset, reset_by_server, ..Answers::default() }
    }

    #[test]
    fn replicas_are_added_up_and_what_went_well_is_left_out() {
        let one = pair(10, answers([8, 1, 2, 2]), 3);
        let other = PairRow {
            server: fixtures::container_end("shop-flask_app-2", "172.18.0.4", Some(5000)),
            ..pair(5, answers([5, 0, 0, 0]), 4)
        };
        let well = PairRow {
            server: fixtures::container_end("shop-flask_app-1", "172.18.0.3", Some(6000)),
            ..pair(5, answers([5, 0, 0, 0]), 0)
        };
        let rows = failures(&[one.clone(), other, well], &[], true);
        let [row] = &*rows else { panic!("{rows:?}") };
        assert_eq!((row.connections, row.unanswered(), row.answers.refused), (15, 1, 1));
        assert_eq!((row.sent_again_by_client, row.sent_again_by_server), (Some(0), Some(7)));
        assert!(!row.is_not_served());
        assert!(failures(std::slice::from_ref(&one), std::slice::from_ref(&one), true).is_empty());
    }

    #[test]
    fn what_was_before_is_that_of_the_same_protocol() {
        let before = pair(10, answers([8, 2, 0, 0]), 0);
        let datagrams = PairRow { protocol: Protocol::UDP, ..pair(3, answers([0, 0, 0, 0]), 0) };
        let now = pair(12, answers([9, 3, 0, 0]), 0);
        let [row] = &*failures(&[now], &[before, datagrams], true) else { panic!("one row") };
        assert_eq!((row.connections, row.answers.refused), (2, 1));
    }

    #[test]
    fn packets_that_did_not_arrive_are_no_connections_that_failed() {
        let error = fixtures::icmp_row();
        let rejected = PairRow { icmp: vec![error], ..pair(1, answers([0, 0, 0, 0]), 2) };
        let datagrams = PairRow { protocol: Protocol::UDP, ..rejected.clone() };
        let failed = failures(&[rejected, datagrams], &[], true);
        let figures: Vec<_> =
            failed.iter().map(|row| (row.protocol, row.failed(), row.icmp_errors())).collect();
        let errors = failed[0].icmp_errors();
        assert!(errors > 1, "{failed:?}");
        assert_eq!(figures, [(Protocol::TCP, 1, errors), (Protocol::UDP, 0, errors)]);
    }

    #[test]
    fn errors_that_somebody_makes_up_are_bounded_and_all_of_them_are_counted() {
        let of = |number: u32| {
            let row = |mtu| IcmpRow { mtu: Some(mtu), packets: 1, again: 0, ..fixtures::icmp_row() };
            let icmp = (0..8).map(|at| row(number * 8 + at)).collect();
            PairRow { icmp, ..pair(0, answers([0; 4]), 0) }
        };
        let mut pairs: Vec<PairRow> = (0..4_000).map(of).collect();
        pairs.push(PairRow { icmp: vec![fixtures::icmp_row()], ..pair(0, answers([0; 4]), 0) });
        let rows = failures(&pairs, &[], true);
        let [row] = &*rows else { panic!("{rows:?}") };
        assert_eq!((row.icmp.len(), row.icmp_errors()), (16, 4_000 * 8 + 12));
        // The one that was not obeyed is told first.
        assert_eq!(row.icmp.first(), Some(&fixtures::icmp_row()));
    }

    #[test]
    fn what_nobody_serves_and_what_cannot_be_seen_is_told() {
        let mut closed = pair(4, answers([0, 4, 0, 0]), 0);
        let of = |rows: Vec<FailureRow>| rows.into_iter().next().expect("a row");
        assert!(of(failures(&[closed.clone()], &[], true)).is_not_served());
        assert_eq!(of(failures(&[closed.clone()], &[], false)).sent_again_by_client, None);
        closed.server = fixtures::end(crate::snapshot::EndKind::External, "192.0.2.7", Some(80));
        let row = of(failures(&[closed], &[], true));
        assert_eq!((row.sent_again_by_client, row.sent_again_by_server), (Some(0), None));
    }

    #[test]
    fn a_shared_name_has_the_sum_of_those_behind_it_and_nothing_of_what_came_by_another() {
        let alias =
            |name: &str| Alias { network: fixtures::network("shop_back"), name: fixtures::text(name) };
        let behind = |name: &str, connections, refused| {
            let mut row = pair(connections, answers([connections - refused, refused, 0, 0]), 0);
            row.server = fixtures::container_end(name, "172.18.0.3", Some(80));
            row.network = Some(fixtures::network("shop_back"));
            let container = ContainerRef {
                service: None,
                aliases: vec![alias("pool"), alias("other")],
                ..(*fixtures::container(name, None)).clone()
            };
            row.server.container = Some(Arc::new(container));
            row
        };
        let mut failing = behind("two", 5, 5);
        let part = Part { conversations: 2, answers: answers([0, 2, 0, 0]), ..Part::default() };
        failing.shares = vec![Share { alias: Some(alias("other")), part }];
        let elsewhere =
            PairRow { server: fixtures::container_end("x", "172.18.0.9", Some(80)), ..failing.clone() };
        let pairs = [behind("one", 10, 0), failing, elsewhere];
        let rows: Vec<_> = pairs[..2].iter().filter_map(|pair| pair.server.container.clone()).collect();
        for name in ["pool", "POOL", "pool.shop_back"] {
            let told: Vec<_> = super::failures(&pairs, &[], true, &Meant::by(Some(name), &rows))
                .iter()
                .map(|row| (row.server.to_string(), row.connections, row.answers.refused))
                .collect();
            assert_eq!(told, [("pool.shop_back".to_owned(), 13, 3), ("two".to_owned(), 5, 5)], "{name}");
        }
        let all = failures(&pairs, &[], true);
        assert!(all.iter().all(|row| !matches!(row.server, Service::Alias(_))), "{all:?}");
        assert_eq!(super::failures(&pairs, &[], true, &Meant::by(Some("pools"), &rows)), []);
    }
}
