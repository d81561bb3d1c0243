//! Others on the same hooks: programs of somebody else, and what killed processes of ours left.

use crate::exact::check_exact;
use crate::foreign::{Foreign, tcx_programs};
use crate::rig::{Host, Watch, ifindex_of, modes, run, traffic, wait_until};
use monitor::collector::leftovers::{self, Emptied};
use monitor::collector::{Collector, Settings, probe};
use monitor::model::AttachMode;
use std::process::{Command, Stdio};

/// `TC_ACT_OK`: the packet passes, and no program behind is asked.
const PASS: i32 = 0;
/// Names the state directory to a process that is to attach and wait to be killed.
const HELPER: &str = "VW_HELPER_STATE_DIR";

/// Nothing is attached to these devices in either way, and they have no clsact qdisc.
#[track_caller]
pub(crate) fn assert_nothing_left(devices: &[&str]) {
    for device in devices {
        if probe::has_tcx() {
            assert_eq!(tcx_programs(ifindex_of(device)), [0, 0], "{device}");
        }
        let qdiscs = run(&format!("tc qdisc show dev {device}"));
        assert!(!qdiscs.contains("clsact"), "{qdiscs}");
    }
}

#[test]
fn nothing_of_ours_is_left_after_a_stop() {
    for mode in modes() {
        let host = Host::new();
        host.veth(1);
        let mut watch = Watch::start(host.settings(mode));
        watch.attached("v1");
        watch.attached("br0");
        match mode {
            AttachMode::Tcx => assert_eq!(tcx_programs(ifindex_of("v1")), [1, 1]),
            AttachMode::Clsact => {
                assert!(run("tc filter show dev v1 ingress").contains("vethwatch_in@"));
                assert!(run("tc filter show dev v1 egress").contains("vethwatch_out@"));
            }
        }
        watch.stop();
        assert_nothing_left(&["v1", "br0"]);
    }
}

#[test]
fn a_program_of_somebody_else_still_runs_and_hides_nothing_under_tcx() {
    if !probe::has_tcx() {
        return;
    }
    let mut host = Host::new();
    let veth = host.veth(1);
    host.veth(2);
    let foreign = Foreign::load(PASS);
    let _link = foreign.attach(ifindex_of(&veth));
    let mut watch = Watch::start(host.settings(AttachMode::Tcx));
    let numbers = ["v1", "v2"].map(|veth| watch.attached(veth).0);
    let containers = [host.container(1), host.container(2)];
    traffic(&containers);
    let reading = watch.quiet_reading(numbers[0]);
    check_exact(&reading);
    assert_eq!(foreign.count(), reading.totals.traffic().sent.skbs);
    watch.stop();
    assert_eq!(tcx_programs(ifindex_of(&veth)), [1, 0], "the foreign program stays");
}

#[test]
fn a_filter_and_a_qdisc_of_somebody_else_stay_and_hide_nothing_under_clsact() {
    let mut host = Host::new();
    host.veth(1);
    host.veth(2);
    let bpffs = host.bpffs();
    let [earlier, later] = [Foreign::load(PASS), Foreign::load(PASS)];
    run("tc qdisc add dev v1 clsact");
    earlier.add_filter(&bpffs, "v1", 1);
    // A filter of another kind has the first priority.
    run("tc qdisc add dev v2 clsact");
    run("tc filter add dev v2 ingress prio 1 protocol ip u32 match ip src 192.0.2.1 classid 1:1");
    let mut watch = Watch::start(host.settings(AttachMode::Clsact));
    let numbers = ["v1", "v2"].map(|veth| watch.attached(veth).0);
    later.add_filter(&bpffs, "v2", 50);
    let containers = [host.container(1), host.container(2)];
    traffic(&containers);
    for (number, foreign) in numbers.into_iter().zip([earlier, later]) {
        let reading = watch.quiet_reading(number);
        check_exact(&reading);
        assert_eq!(foreign.count(), reading.totals.traffic().sent.skbs);
    }
    watch.stop();
    for (device, kind) in [("v1", "bpf"), ("v2", "u32")] {
        assert!(run(&format!("tc qdisc show dev {device}")).contains("clsact"));
        let filters = run(&format!("tc filter show dev {device} ingress"));
        assert!(filters.contains(kind) && !filters.contains("vethwatch"), "{filters}");
    }
}

/// Runs one of these tests in a process of its own.
fn process_of(test: &str) -> Command {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", test, "--nocapture"]).stdout(Stdio::null());
    process
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let host = Host::new();
    host.veth(1);
    host.veth(2);
    run("tc qdisc add dev v2 clsact");
    run("tc filter add dev v2 egress prio 7 protocol all u32 match u32 0 0 classid 1:1");
    let mut living = Watch::start(host.settings(AttachMode::Clsact));
    let filters = || run("tc filter show dev v2 egress").matches("vethwatch_out@").count();
    wait_until("we have attached", || filters() == 1);
    let mut helper = process_of("neighbours::a_process_that_waits_to_be_killed")
        .env(HELPER, &host.state_dir)
        .spawn()
        .unwrap();
    wait_until("the helper has attached", || filters() == 2);
    helper.kill().unwrap();
    helper.wait().unwrap();
    assert_eq!(filters(), 2);

    let removed = leftovers::remove_all(&host.state_dir, Emptied::LetBe).unwrap();
    assert!(removed.len() >= 2, "{removed:?}");
    assert_eq!(filters(), 1, "those of the living stay");
    assert!(run("tc filter show dev v2 egress").contains("u32"));
    assert_eq!(leftovers::remove_all(&host.state_dir, Emptied::LetBe).unwrap(), []);
    living.stop();
    assert_eq!(filters(), 0);
    assert!(run("tc qdisc show dev v2").contains("clsact"));
    assert_nothing_left(&["v1", "br0"]);
}

#[test]
fn a_process_that_waits_to_be_killed() {
    let Some(state_dir) = std::env::var_os(HELPER) else { return };
    let (out, mut observations) = tokio::sync::mpsc::channel(1_024);
    let attach = Some(AttachMode::Clsact);
    let settings = Settings { attach, state_dir: state_dir.into(), ..Settings::default() };
    let _collector = Collector::start(settings, out).unwrap();
    while observations.blocking_recv().is_some() {}
}

/// Tells a process to count what it has open.
const COUNT: &str = "VW_COUNT_DESCRIPTORS";

#[test]
fn a_stopped_collector_leaves_no_descriptors_and_no_threads() {
    let mut process = process_of("neighbours::a_process_that_counts_what_it_has_open");
    assert!(process.env(COUNT, "1").status().unwrap().success());
}

#[test]
fn a_process_that_counts_what_it_has_open() {
    if std::env::var_os(COUNT).is_none() {
        return;
    }
    let host = Host::new();
    host.veth(1);
    let open = || ["fd", "task"].map(|what| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count());
    let round = || {
        for mode in modes() {
            let mut watch = Watch::start(host.settings(mode));
            watch.attached("v1");
            watch.stop();
        }
    };
    round();
    let before = open();
    round();
    assert_eq!(open(), before, "descriptors and threads");
}
