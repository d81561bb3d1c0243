//! What is counted is what crossed.

use crate::rig::{Host, Watch, device_like, modes, traffic, two_containers};
use monitor::model::{InterfaceNumber, Reading};
use std::time::Duration;

/// Our totals are what the device counted, which counted nothing between its two readings.
#[track_caller]
pub(crate) fn check_exact(reading: &Reading) {
    let (before, after) = (reading.device_before.unwrap(), reading.device_after.unwrap());
    assert_eq!((before.sent_skbs, before.received_skbs), (after.sent_skbs, after.received_skbs), "not quiet");
    let ours = reading.totals.traffic();
    assert_eq!(device_like(ours.sent), (after.sent_skbs, after.sent_bytes), "{reading:?}");
    assert_eq!(device_like(ours.received), (after.received_skbs, after.received_bytes), "{reading:?}");
    assert!(ours.sent.skbs > 100 && ours.sent.packets > ours.sent.skbs, "GSO happened: {ours:?}");
}

/// Our totals are between the device's two readings.
#[track_caller]
fn check_bracket(reading: &Reading) {
    let (before, after) = (reading.device_before.unwrap(), reading.device_after.unwrap());
    let ours = reading.totals.traffic();
    assert!((before.sent_bytes..=after.sent_bytes).contains(&ours.sent.skb_bytes), "{reading:?}");
    assert!((before.received_bytes..=after.received_bytes).contains(&ours.received.skb_bytes), "{reading:?}");
}

/// Flows, ARP and the rest are the totals.
#[track_caller]
pub(crate) fn check_flows(watch: &Watch, number: InterfaceNumber, reading: &Reading) {
    let flows = watch.flows()[&number];
    let totals = &reading.totals;
    assert_eq!(flows.sent + totals.sent.arp + totals.sent.other, totals.sent.all());
    assert_eq!(flows.received + totals.received.arp + totals.received.other, totals.received.all());
    assert!(totals.not_recorded().is_zero());
}

/// Waits until it is quiet, stops, and checks everything.
#[track_caller]
fn check_all(watch: &mut Watch, numbers: [InterfaceNumber; 2]) {
    numbers.map(|number| watch.quiet_reading(number)).iter().for_each(check_exact);
    watch.stop();
    for number in numbers {
        let last = watch.last_reading(number);
        check_bracket(&last);
        check_flows(watch, number, &last);
    }
    assert_eq!(watch.losses(), []);
}

#[test]
fn totals_are_the_devices_counters_and_the_flows_are_the_totals() {
    for mode in modes() {
        let mut host = Host::new();
        let mut watch = Watch::start(host.settings(mode));
        let (containers, numbers) = two_containers(&mut host, &mut watch);
        traffic(&containers);
        check_all(&mut watch, numbers);
        assert!(watch.resources().any(|resources| resources.flows > 0));
    }
}

#[test]
fn two_instances_at_once_are_both_exact() {
    for mode in modes() {
        let mut host = Host::new();
        let mut first = Watch::start(host.settings(mode));
        let mut second = Watch::start(host.settings(mode));
        let (containers, numbers) = two_containers(&mut host, &mut first);
        let others = ["v1", "v2"].map(|veth| second.attached(veth).0);
        traffic(&containers);
        check_all(&mut first, numbers);
        check_all(&mut second, others);
        crate::neighbours::assert_nothing_left(&["v1", "v2", "br0"]);
    }
}

#[test]
fn a_generation_that_is_full_costs_flows_but_no_totals() {
    let mut host = Host::new();
    let settings = monitor::collector::Settings {
        max_flows: 64,
        tick: Duration::from_secs(1),
        ..host.settings(modes()[0])
    };
    let mut watch = Watch::start(settings);
    let (containers, numbers) = two_containers(&mut host, &mut watch);
    crate::speed::many_flows(&containers[0], 16_000);
    watch.quiet_reading(numbers[0]);
    watch.stop();
    let last = watch.last_reading(numbers[0]);
    let (totals, flows) = (last.totals, watch.flows()[&numbers[0]]);
    let device = last.device_after.unwrap();
    assert_eq!(device_like(totals.sent.all()), (device.sent_skbs, device.sent_bytes));
    assert!(totals.sent.not_recorded.skbs > 1_000, "{totals:?}");
    let ip = totals.sent.ipv4 + totals.sent.ipv6;
    assert_eq!(flows.sent + totals.sent.not_recorded, ip);
    let (_, full) = watch.losses().into_iter().find(|(name, _)| name == "flow_map_full").unwrap();
    assert!(full >= totals.sent.not_recorded.skbs);
}
