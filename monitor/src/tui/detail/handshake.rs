//! How long connections took to be answered, as bars.

use super::paper::Paper;
use crate::snapshot::{LatencyRow, PairRow, Percentiles, Service, Snapshot};
use crate::tui::column::Tone;
use crate::view::units::{duration, exact, plural};
use std::time::Duration;

/// Columns of the longest bar.
const BAR: usize = 32;
/// Columns before a bar.
const BEFORE: usize = 16;

/// Writes the percentiles, each with a bar against the longest.
pub(super) fn handshake(paper: &mut Paper, of: Option<&Percentiles>, whose: &str) {
    paper.heading("TCP handshake");
    let Some(measured) = of else {
        paper.says(Tone::Faint, &format!("of no connection {whose} it was measured"));
        return;
    };
    paper.says(Tone::Plain, &format!("{} {whose}", plural(measured.count, "connection")));
    let room = paper.room().saturating_sub(BEFORE).min(BAR);
    let rows = [
        ("p50", measured.p50),
        ("p90", measured.p90),
        ("p99", measured.p99),
        ("p99.9", measured.p999),
        ("max", measured.max),
    ];
    for (name, time) in rows {
        paper.row(Tone::Plain, &format!("{name:<6}{:>8}  {}", duration(time), bar(time, measured.max, room)));
    }
}

/// Where the time went, by what both ends of the pair's services saw.
pub(super) fn where_it_went(paper: &mut Paper, pair: &PairRow, snapshot: &Snapshot) {
    let (client, server) = (Service::of_client(&pair.client), Service::of_server(&pair.server));
    let is_theirs =
        |row: &&LatencyRow| (&row.client, &row.server, row.port) == (&client, &server, pair.server.port);
    let Some(row) = snapshot.latencies.iter().find(is_theirs) else { return };
    paper.says(Tone::Plain, &format!("Of {client} with {server}:"));
    let seen = [
        ("at the client", row.at_client),
        ("at the server", row.at_server),
        ("between", row.between),
        ("first byte", row.first_byte_at_server.or(row.first_byte_at_client)),
    ];
    for (name, seen) in seen {
        match seen.map(|seen| seen.percentiles) {
            Some(Percentiles { count, p50, p99, max, .. }) => {
                let [p50, p99, max] = [p50, p99, max].map(duration);
                let times = format!("p50 {p50}, p99 {p99}, max {max}, of {}", exact(count));
                paper.field(name, &times);
            }
            None => paper.toned(Tone::Faint, name, "not seen"),
        }
    }
}

/// A bar in whole columns; what is not nothing has at least one.
fn bar(time: Duration, longest: Duration, room: usize) -> String {
    let columns = u128::from(room as u64) * time.as_nanos();
    let columns = columns.checked_div(longest.as_nanos()).unwrap_or(0);
    let columns = usize::try_from(columns).map_or(room, |columns| columns.min(room));
    "█".repeat(columns.max(usize::from(!time.is_zero())))
}

#[cfg(test)]
mod tests {
    use super::{BAR, bar};
    use std::time::Duration;

    #[test]
    fn a_bar_shows_its_share_of_the_longest() {
        let columns = |time: u64, longest: u64| {
            bar(Duration::from_micros(time), Duration::from_micros(longest), BAR).chars().count()
        };
        assert_eq!(columns(100, 100), BAR);
        assert_eq!(columns(50, 100), BAR / 2);
        assert_eq!(columns(1, 1_000_000), 1);
        assert_eq!(columns(0, 100), 0);
        assert_eq!(columns(0, 0), 0);
        assert_eq!(columns(u64::MAX, 1), BAR);
    }
}
