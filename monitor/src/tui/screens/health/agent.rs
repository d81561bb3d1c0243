//! How the agent itself is.

use super::rows::Rows;
use crate::model::AttachedBy;
use crate::snapshot::Snapshot;
use crate::tui::column::Tone;
use crate::view::units::{bytes, duration, exact, share};
use std::time::Duration;

/// How it is attached, what it takes, and how full its maps are.
pub(super) fn agent(rows: &mut Rows, snapshot: &Snapshot) {
    let watched = snapshot.interfaces_watched as u64;
    let AttachedBy { tcx, clsact } = snapshot.attached;
    let means = match (tcx, clsact) {
        (0, 0) => "No interface is watched.".to_owned(),
        (_, 0) => "All are attached by tcx.".to_owned(),
        (0, _) => "All are attached by clsact filters.".to_owned(),
        (tcx, clsact) => format!("{tcx} are attached by tcx, {clsact} by clsact filters."),
    };
    rows.add("agent", "interfaces", Tone::Plain, exact(watched), &means).number = Some(watched);
    cost(rows, snapshot);
    let used = &snapshot.resources;
    fill(
        rows,
        "flow map",
        used.flows_of_fuller_family(),
        used.flow_capacity,
        "Flows of the last reading of the address family that had more, of what its map has.",
    );
    fill(
        rows,
        "slots",
        used.slots,
        used.slot_capacity,
        "Interfaces the programs have totals for, of what there is.",
    );
    let means = "Conversations with drops in the last reading.";
    match used.drop_capacity {
        0 => {
            rows.add("agent", "drop map", Tone::Faint, "not watched".to_owned(), means);
        }
        capacity => fill(rows, "drop map", used.drops, capacity, means),
    }
    fill(rows, "claim map", used.claims, used.claim_capacity, "Claims of addresses in the last reading.");
    if used.ring_capacity > 0 {
        let means =
            "The most bytes of events that were in the ring when it was read, since the last reading.";
        fill(rows, "ring", used.ring_bytes, used.ring_capacity, means);
    }
    let kept = snapshot.flows_kept as u64;
    rows.add("agent", "flows kept", Tone::Plain, exact(kept), "Flows that the engine keeps now.").number =
        Some(kept);
    let time = |nanoseconds| duration(Duration::from_nanos(nanoseconds));
    let means = format!(
        "Reading and handing over the last flows; {} before it until no program wrote to them.",
        time(used.grace_ns)
    );
    rows.add("agent", "last reading", Tone::Plain, time(used.drain_ns), &means).number = Some(used.drain_ns);
    rows.add(
        "agent",
        "readings",
        Tone::Plain,
        exact(used.flips),
        "Readings of the flow maps since the start.",
    )
    .number = Some(used.flips);
}

/// What the agent itself takes.
fn cost(rows: &mut Rows, snapshot: &Snapshot) {
    let watched = snapshot.taken_at.since(snapshot.watching_since);
    let means = "Processor time of all its threads, and what that is of one core since it watches.";
    let cpu = snapshot.resources.cpu_ns;
    let value = cpu.map_or_else(
        || "not read".to_owned(),
        |cpu| {
            let whole = u64::try_from(watched.as_nanos()).unwrap_or(u64::MAX);
            format!("{} ({})", duration(Duration::from_nanos(cpu)), share(cpu, whole))
        },
    );
    rows.add("agent", "processor time", Tone::Plain, value, means).number = cpu;
    let memory = snapshot.resources.resident_bytes;
    let value = memory.map_or_else(|| "not read".to_owned(), bytes);
    rows.add("agent", "memory", Tone::Plain, value, "Memory that it holds.").number = memory;
}

/// How full something is; what is nearly full stands out.
fn fill(rows: &mut Rows, name: &str, used: u64, capacity: u64, means: &str) {
    let nearly = capacity > 0 && used.saturating_mul(10) >= capacity.saturating_mul(9);
    let tone = if nearly { Tone::Warning } else { Tone::Plain };
    let value = format!("{} ({})", exact(used), share(used, capacity));
    let means = format!("{means} There is room for {}.", exact(capacity));
    rows.add("agent", name, tone, value, &means).number = Some(used);
}
