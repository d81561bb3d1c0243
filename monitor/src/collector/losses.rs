//! What the collector itself lost, counted where it happens by whichever thread it happens on.

use crate::model::Losses;
use std::sync::atomic::{AtomicU64, Ordering};

/// A loss of the collector's own.
#[repr(usize)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Notifications about links or addresses that the kernel threw away; everything was read anew.
    NetlinkOverrun,
    /// First packets and samples the engine had no room for.
    Observations,
    /// Ring records that were not what the programs write.
    MalformedRecord,
    /// Generations that could not be drained to the end.
    Drain,
    /// Ticks at which an interface's totals could not be read.
    Totals,
    /// Ticks at which the devices' own counters could not be read.
    DeviceCounters,
    /// Times the wait for programs still running failed: a packet may be in no generation.
    Grace,
    /// Claims that were not what the programs write.
    MalformedClaim,
    /// Flows nobody took when the collector stopped.
    FlowsAtStop,
    /// Times the kernel threw away news of translations; all were asked for anew.
    ConntrackOverrun,
    /// Messages of conntrack that were not what the kernel writes.
    ConntrackUnreadable,
    /// Times that it could not be noted how far the flows were handed over.
    Journal,
    /// Times that there was no agent while the programs counted on.
    GapsWithoutAgent,
    /// Milliseconds of these times.
    WithoutAgent,
    /// Devices that came in these times, watched only from their end.
    CameWithoutAgent,
    /// Devices whose totals could not be gone on with.
    NotAdopted,
    /// Flows that a killed agent had taken last and may not have told.
    UnsureAtKill,
    /// Flows that were in maps of another layout.
    FlowsOfOtherLayout,
    /// Translations that were there at once beyond the most that are told from one list.
    TranslationsNotListed,
    /// Messages on DNS's port that are none, or not for one name.
    DnsMalformed,
    /// DNS messages longer than what is kept of them.
    DnsCut,
    /// Questions for names that found no room, or came too fast.
    DnsQuestions,
    /// Answers to no question that is known.
    DnsUnasked,
    /// Streams of DNS over TCP that were given up.
    DnsStreams,
    /// Questions and answers the engine had no room for.
    DnsExchanges,
    /// Packets that tell of a failure of nobody can say which conversation.
    FailureUnreadable,
}

const KINDS: [(Lost, &str); 26] = [
    (Lost::NetlinkOverrun, "netlink_overrun"),
    (Lost::Observations, "observations_dropped"),
    (Lost::MalformedRecord, "ring_malformed"),
    (Lost::Drain, "drain_failed"),
    (Lost::Totals, "totals_unread"),
    (Lost::DeviceCounters, "device_counters_unread"),
    (Lost::Grace, "grace_period_failed"),
    (Lost::MalformedClaim, "claim_malformed"),
    (Lost::FlowsAtStop, "flows_dropped_at_stop"),
    (Lost::ConntrackOverrun, "conntrack_overrun"),
    (Lost::ConntrackUnreadable, "conntrack_unreadable"),
    (Lost::Journal, "journal_not_written"),
    (Lost::GapsWithoutAgent, "gaps_without_agent"),
    (Lost::WithoutAgent, "milliseconds_without_agent"),
    (Lost::CameWithoutAgent, "interfaces_came_without_agent"),
    (Lost::NotAdopted, "interfaces_not_adopted"),
    (Lost::UnsureAtKill, "flows_unsure_at_kill"),
    (Lost::FlowsOfOtherLayout, "flows_of_other_layout"),
    (Lost::TranslationsNotListed, "translations_not_listed"),
    (Lost::DnsMalformed, "dns_malformed"),
    (Lost::DnsCut, "dns_cut"),
    (Lost::DnsQuestions, "dns_questions_not_kept"),
    (Lost::DnsUnasked, "dns_answers_unasked"),
    (Lost::DnsStreams, "dns_streams_given_up"),
    (Lost::DnsExchanges, "dns_exchanges_dropped"),
    (Lost::FailureUnreadable, "failure_unreadable"),
];

/// The counters.
#[derive(Debug, Default)]
pub(super) struct OwnLosses([AtomicU64; KINDS.len()]);

impl OwnLosses {
    /// Counts.
    pub(super) fn add(&self, lost: Lost, count: u64) {
        self.0[lost as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Adds what was counted to `losses`.
    pub(super) fn report(&self, losses: &mut Losses) {
        for (lost, name) in KINDS {
            losses.set(name, self.0[lost as usize].load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_has_a_counter_and_a_name_of_its_own() {
        let own = OwnLosses::default();
        for (count, (lost, _)) in (1..).zip(KINDS) {
            own.add(lost, count);
        }
        let mut losses = Losses::default();
        own.report(&mut losses);
        for (count, (_, name)) in (1..).zip(KINDS) {
            assert_eq!(losses.get(name), count, "{name}");
        }
    }
}
