//! What each loss means, and what to do about it.

/// A loss, by the name that it has everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its name, as in JSON.
    pub name: &'static str,
    /// What was not seen, not counted or not told.
    pub means: &'static str,
    /// What to do about it.
    pub todo: &'static str,
}

const fn loss(name: &'static str, means: &'static str, todo: &'static str) -> Loss {
    Loss { name, means, todo }
}

const HARMLESS: &str = "Totals and flows miss nothing.";
const REPORT: &str = "This should never be: please report it.";

/// Losses after which a check cannot say that it saw everything. What other readers lost is not among them.
pub const BLINDING: [&str; 11] = [
    "flow_map_full",
    "drain_failed",
    "grace_period_failed",
    "unknown_interface",
    "drop_map_full",
    "drops_missed",
    "flows_forgotten",
    "flows_not_paired",
    "conversations_not_judged",
    "findings_refused",
    "standing_findings_refused",
];

/// All of them, by name. One that is not here is counted all the same; a test finds those that were forgotten.
pub const LOSSES: &[Loss] = &[
    loss("claim_malformed", "Claims of addresses that were not what the programs write.", REPORT),
    loss(
        "claim_map_full",
        "Claims of addresses (ARP, neighbours) that found no room in a tick.",
        "A forged address may be missed. See which container claims so many: tcpdump -ni DEVICE arp or icmp6.",
    ),
    loss(
        "connections_not_compared",
        "Connections to more replicas and ports than are compared with each other.",
        "A replica that answers nobody may not be found. `services` has what was counted.",
    ),
    loss(
        "conntrack_overrun",
        "The kernel threw away news of translations; all were asked for anew.",
        "A short connection may show the host's address in place of a container's name.",
    ),
    loss("conntrack_unreadable", "News of translations that were not what the kernel writes.", REPORT),
    loss(
        "containers_refused",
        "More containers than are kept: the rest have no name.",
        "Traffic of theirs is counted, as interfaces without a container.",
    ),
    loss(
        "conversations_not_judged",
        "Conversations that found no room to be followed: what became of them is not told.",
        "Totals and flows are whole. `check` cannot say that isolation held.",
    ),
    loss(
        "device_counters_unread",
        "Readings at which the devices' own counters could not be read.",
        "Nothing is missing: our totals were not compared with them at that time.",
    ),
    loss(
        "dns_answers_unasked",
        "Answers on DNS's port to no question that is known: it was not kept, or nobody asked.",
        "Their names are not told. If it grows, see who sends them: `vethwatch capture port:53 -w -`.",
    ),
    loss(
        "dns_askers_given_up",
        "Names that were asked for, and told before it was known by which container.",
        "See whether Docker is slow: docker ps.",
    ),
    loss(
        "dns_cut",
        "DNS messages longer than what is kept of them: the last records of such an answer are not told.",
        "Question and code are told. Totals and flows miss nothing.",
    ),
    loss(
        "dns_exchanges_dropped",
        "Names that were asked for that the engine had no room for.",
        "See which container asks for so many. Totals and flows miss nothing.",
    ),
    loss(
        "dns_malformed",
        "Packets on DNS's port that are no message about one name.",
        "Totals and flows have them. See who sends them: `vethwatch capture port:53 -w -`.",
    ),
    loss(
        "dns_names_forgotten",
        "Names of addresses that made room for others: flows to such an address do not tell the name.",
        "See which container asks for so many. Totals and flows miss nothing.",
    ),
    loss(
        "dns_questions_not_kept",
        "Names that were asked for beyond those that may wait, or faster than they are taken.",
        "See which container asks for so many. Totals and flows miss nothing.",
    ),
    loss(
        "dns_rate_capped",
        "DNS messages beyond those that are taken of one interface or namespace in a short time.",
        "See which container asks for so many. Totals and flows miss nothing.",
    ),
    loss(
        "dns_ring_full",
        "DNS messages that found no room in their ring, or could not be read.",
        "Names are not told, or as not answered. Totals and flows miss nothing.",
    ),
    loss(
        "dns_rows_forgotten",
        "Names that made room for others among those that the live view lists, those asked for once first.",
        "See which container asks for so many. Sums of containers, totals and flows miss nothing.",
    ),
    loss(
        "dns_streams_given_up",
        "Parts of DNS over TCP that could not be read: they began before the watch, have a gap, or there are too many.",
        "Their names are not told. Totals and flows miss nothing.",
    ),
    loss(
        "docker_answers_refused",
        "Answers of Docker that were too long, or not what its API promises.",
        "A container may have no name, or rights that are not known. Look with docker inspect, and report it.",
    ),
    loss(
        "drain_failed",
        "Generations of flows that could not be read to the end.",
        "Totals are whole; flows of that tick are not. Verdicts of that time are unknown.",
    ),
    loss(
        "drop_map_full",
        "Dropped packets that are in no record: the map of drops was full.",
        "Raise --max-drops.",
    ),
    loss(
        "drops_forgotten",
        "Drops that made room for later ones before a conversation was tied to them.",
        "Such a conversation may be told as undelivered or unknown in place of blocked.",
    ),
    loss(
        "drops_missed",
        "Drops that the kernel did not let us see.",
        "Blocked conversations of that time are unknown. It ends by itself unless the kernel is overloaded.",
    ),
    loss(
        "facts_forgotten",
        "Facts about who had an address when that made room for later ones.",
        "Very old flows may have no name.",
    ),
    loss(
        "facts_refused",
        "Facts about who has an address that found no room.",
        "Ends may have no name. Totals and flows are whole.",
    ),
    loss(
        "failure_rate_capped",
        "Packets that tell of a failure beyond 512 a second of one interface and direction.",
        "`failures` tells too few errors of ICMP or windows of 0. Look for a container that sends many: `vethwatch flows`.",
    ),
    loss(
        "failure_ring_full",
        "Packets that tell of a failure and found no room in their ring.",
        "`failures` tells too few errors of ICMP or windows of 0. Totals and flows miss nothing.",
    ),
    loss(
        "failure_unreadable",
        "Errors of ICMP that do not say which conversation they are about.",
        "Somebody sends broken ones. Totals and flows miss nothing.",
    ),
    loss(
        "failures_not_booked",
        "Packets that tell of a failure of a conversation that is in no pair.",
        "Errors about packets that were never sent are among them, and such that are forged.",
    ),
    loss(
        "findings_refused",
        "Findings that found no room: too many are open.",
        "Repair or accept (a policy file) those that are shown; the rest is told when there is room.",
    ),
    loss(
        "flooded_not_booked",
        "Packets for others that the bridge of an overlay network passed to a container: they are in none of its pairs and verdicts.",
        "The container and its flows have them. Whoever they are for, if on this node, has them in pairs.",
    ),
    loss(
        "flow_map_full",
        "Packets that are in the totals but in no flow: the flow map was full.",
        "Raise --max-flows.",
    ),
    loss(
        "flows_dropped_at_stop",
        "Flows of the last tick that nobody took when the collector stopped.",
        "Nothing was lost while it ran.",
    ),
    loss(
        "flows_forgotten",
        "Flows that made room for others before they ended.",
        "Totals are whole. Raise --max-flows.",
    ),
    loss(
        "flows_not_paired",
        "Flows that could not be tied to those of the other end, for want of room.",
        "Totals and flows are whole; verdicts may be unknown.",
    ),
    loss(
        "flows_not_shown",
        "Flows that made room for others in this view, the quiet ones first.",
        "They are shown again with their next packet. Containers, networks and pairs miss nothing.",
    ),
    loss(
        "flows_of_other_layout",
        "Flows of the time without an agent that were in maps of another layout (another version, other --max-flows).",
        "Totals are whole; those flows are not told. Stop the agent cleanly before such a change.",
    ),
    loss(
        "flows_unsure_at_kill",
        "Flows that a killed agent had taken last, and those that waited for a name: whether it told them is not known. They are not told again.",
        "Totals are whole. Stop the agent by SIGTERM.",
    ),
    loss(
        "gaps_without_agent",
        "Times that there was no agent while the programs counted on.",
        "Totals and flows of watched interfaces are whole. Drops, translations, and containers that came and went meanwhile are not known; what did not arrive in that time is unknown.",
    ),
    loss(
        "grace_period_failed",
        "Times at which it is not sure that no program was still writing to a generation that was read.",
        "A packet may be in no flow. Totals are whole. If it grows, report it.",
    ),
    loss(
        "half_open_undecided",
        "Flows of answered connections that made room for others before it was known whether that was acknowledged.",
        "`failures` may tell too few half-open ones. Raise --max-flows.",
    ),
    loss(
        "handshakes_not_kept",
        "Handshakes of more pairs of services than are kept.",
        "Percentiles of such pairs are absent. Containers, pairs and flows miss nothing.",
    ),
    loss(
        "icmp_errors_not_kept",
        "Errors of ICMP that differ from the kinds that are kept of their pair: eight, of which six may be about anything but a packet's size.",
        "`failures` tells too few. A sender that invents such errors is likely.",
    ),
    loss(
        "interfaces_came_without_agent",
        "Interfaces that came while there was no agent: watched from its return on.",
        "What crossed before is in before_watch; its flows are not known.",
    ),
    loss(
        "interfaces_forgotten",
        "Interfaces that went, and made room for others before all of theirs was told.",
        "What of them came late has no name.",
    ),
    loss(
        "interfaces_not_adopted",
        "Interfaces whose totals could not be gone on with: they begin anew.",
        "The log says which, and why.",
    ),
    loss(
        "journal_not_written",
        "Times that the agent could not note how far flows were handed over.",
        "After a kill, flows may be told twice. This should never be: please report it.",
    ),
    loss(
        "latencies_forgotten",
        "Percentiles of pairs of services that were quiet for ten minutes and made room for others.",
        "Such a pair starts from nothing when it talks again. Containers, pairs and flows miss nothing.",
    ),
    loss(
        "milliseconds_without_agent",
        "Milliseconds without an agent while the programs counted on.",
        "See gaps_without_agent.",
    ),
    loss(
        "names_given_up",
        "Flows that waited for Docker to name their container, and were told without a name.",
        "See whether Docker is slow: docker ps. Totals are whole.",
    ),
    loss(
        "netlink_overrun",
        "The kernel threw away news of devices or addresses; all were read anew.",
        "A device may have been watched a moment late: see what crossed before the watch.",
    ),
    loss(
        "networks_refused",
        "More networks than are kept: the rest have no name.",
        "Traffic on them is counted. Remove unused ones: docker network prune.",
    ),
    loss("observations_dropped", "First packets and samples that the engine had no room for.", HARMLESS),
    loss(
        "pairs_forgotten",
        "Pairs of ends that made room for others.",
        "Such a pair starts from nothing when it talks again. Containers and flows miss nothing.",
    ),
    loss(
        "peers_forgotten",
        "Peers of containers that made room for others.",
        "Such a peer starts from nothing when it talks again. Containers and flows miss nothing.",
    ),
    loss(
        "records_lost_by_slow_readers",
        "Records that a reader, a pipe or a screen, was too slow for.",
        "The reader misses them; totals do not. Let it read faster, or ask for less.",
    ),
    loss(
        "records_not_shown",
        "Records of flows that this view was too slow for: its flows may be old or absent.",
        "Containers, networks and pairs miss nothing.",
    ),
    loss(
        "records_not_written",
        "Records that could not be written to the records' file or to standard output.",
        "The log says why: a full disk, mostly. It goes on by itself when there is room.",
    ),
    loss(
        "retransmit_map_full",
        "Buffers sent again that are in no record: their map was full, or their socket could not be read.",
        "`failures` tells too few segments sent again. Totals and flows miss nothing.",
    ),
    loss(
        "retransmits_missed",
        "Times that something was sent again which the kernel did not let us see.",
        "`failures` tells too few segments sent again. Totals and flows miss nothing.",
    ),
    loss(
        "retransmits_not_booked",
        "Segments sent again by connections of containers that are in no pair.",
        "`failures` tells too few segments sent again. Totals and flows miss nothing.",
    ),
    loss("ring_full", "News of first packets and samples that found no room in the ring.", HARMLESS),
    loss("ring_malformed", "Records of the ring that were not what the programs write.", REPORT),
    loss(
        "ring_rate_capped",
        "News of first packets and samples beyond the rate that is let through.",
        HARMLESS,
    ),
    loss(
        "seen_not_noted",
        "New flows that could not be noted: their first packet may be told twice.",
        HARMLESS,
    ),
    loss(
        "shared_names_not_kept",
        "Handshakes of more pairs of services and names that several containers share than are kept.",
        "`latency` of such a name tells too few. The rows of its containers miss nothing.",
    ),
    loss(
        "skbs_of_nobody",
        "Buffers at interfaces that went without ever being named.",
        "They are in no container's totals.",
    ),
    loss(
        "standing_findings_refused",
        "Standing findings that found no room: too many stand.",
        "Repair or accept (a policy file) those that are shown.",
    ),
    loss(
        "steps_not_recorded",
        "Steps that did not find room in the recording, which ended there.",
        "Record to a faster disk. What is shown misses nothing.",
    ),
    loss(
        "totals_unread",
        "Readings at which an interface's totals could not be read.",
        "The next reading has them: totals are never drained.",
    ),
    loss(
        "translations_forgotten",
        "Translations that made room for later ones.",
        "Such a connection may show the host's address in place of a container's name.",
    ),
    loss(
        "translations_not_listed",
        "Translations beyond the most that are taken from one list.",
        "Old connections may show the host's address in place of a container's name.",
    ),
    loss(
        "unknown_interface",
        "Buffers at an interface that the tables did not know: they are in no total.",
        "A few come when a device comes or goes. If it grows, start vethwatch anew, and report it.",
    ),
];

/// A loss by its name.
#[must_use]
pub fn known(name: &str) -> Option<&'static Loss> {
    LOSSES.binary_search_by_key(&name, |loss| loss.name).ok().map(|at| &LOSSES[at])
}

#[cfg(test)]
mod tests {
    use super::{LOSSES, known};
    use std::path::Path;

    /// The words between quotes behind each `before`.
    fn quoted<'a>(source: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        let behind = source.split(before).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
        behind.filter_map(|rest| rest.split('"').next())
    }

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push(std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_loss_that_can_be_counted_is_explained() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        sources(&folder.join("src"), &mut files);
        let mut names: Vec<&str> = Vec::new();
        for file in &files {
            names.extend(quoted(file, "losses.add("));
            names.extend(quoted(file, "losses.set("));
            names.extend(quoted(file, "count_losses("));
        }
        let own = std::fs::read_to_string(folder.join("src/collector/losses.rs")).unwrap();
        let kinds = own.lines().filter(|line| line.trim_start().starts_with("(Lost::"));
        names.extend(kinds.flat_map(|line| quoted(line, ",")));
        let common = std::fs::read_to_string(folder.join("../monitor-common/src/loss.rs")).unwrap();
        names.extend(quoted(&common, "=>"));
        let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        names.retain(is_name);
        assert!(names.len() > 30, "{names:?}");
        for name in names {
            assert!(known(name).is_some(), "{name} is explained nowhere");
        }
    }

    #[test]
    fn the_documentation_has_the_same_words() {
        let documentation = include_str!("../../../docs/top.md");
        for loss in LOSSES {
            let line = format!("| `{}` | {} | {} |", loss.name, loss.means, loss.todo);
            assert!(documentation.lines().any(|documented| documented == line), "{line}");
        }
    }

    #[test]
    fn losses_are_in_order_and_say_something() {
        assert!(LOSSES.windows(2).all(|pair| pair[0].name < pair[1].name));
        for loss in LOSSES {
            assert!(loss.means.ends_with('.') && loss.todo.ends_with('.'), "{}", loss.name);
        }
        assert_eq!(known("no_such_loss"), None);
    }
}
