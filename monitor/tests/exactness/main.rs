//! Every byte is accounted for: totals and flows against the kernel's own counters, on real Docker networks, while
//! the generations flip every 100 ms. Needs root, Docker, and the images of `cargo xtask image`.

mod account;
mod scene;

use account::Difference;
use anyhow::{Context, Result, ensure};
use monitor::model::AttachMode;
use monitor_common::settings::feature;
use scene::{Plan, Scene, host};

/// Seconds of load, so that 100 ms generations flip more than a hundred times where no tick is missed.
const LOAD: &str = "11";

/// Loads `b` from `a` and checks everything.
fn check(name: &str, plan: Plan, load: impl Fn(&Scene) -> Result<()>) -> Result<()> {
    let scene = Scene::new(name, plan)?;
    scene.check_every_reading();
    scene.flip_under(|| load(&scene))?;
    scene.must_be_exact()
}

fn address(scene: &Scene) -> Result<String> {
    scene.b.address(&scene.network)
}

#[test]
fn a_tcp_stream_with_segmentation_offload_is_exact() -> Result<()> {
    for (name, attach) in [("tcx", AttachMode::Tcx), ("clsact", AttachMode::Clsact)] {
        check(name, Plan { attach, ..Plan::default() }, |scene| {
            scene.iperf3(&address(scene)?, &["-t", LOAD])?;
            let account = scene.account();
            let sent = account.interface(&scene.devices[0].name).context("attached")?.totals().traffic().sent;
            ensure!(sent.packets > sent.skbs * 2, "no segmentation offload was at work: {sent:?}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn eight_streams_both_ways_are_exact() -> Result<()> {
    check("bidir", Plan::default(), |scene| {
        scene.iperf3(&address(scene)?, &["-t", LOAD, "-P", "8", "--bidir"]).map(drop)
    })
}

#[test]
fn a_flood_of_small_datagrams_is_exact() -> Result<()> {
    check("udp", Plan::default(), |scene| {
        scene.iperf3(&address(scene)?, &["-t", LOAD, "-u", "-l", "64", "-b", "0"]).map(drop)
    })
}

#[test]
fn fragments_are_exact() -> Result<()> {
    check("fragments", Plan::default(), |scene| {
        let address = address(scene)?;
        scene.in_a(&["ping", "-q", "-s", "8000", "-i", "0.01", "-c", "1100", &address]).map(drop)
    })
}

#[test]
fn ipv6_is_exact() -> Result<()> {
    check("ipv6", Plan { ipv6: true, ..Plan::default() }, |scene| {
        let address = scene.b.ipv6_address(&scene.network)?;
        scene.iperf3(&address, &["-6", "-t", LOAD])?;
        scene.in_a(&["ping", "-6", "-q", "-s", "8000", "-i", "0.05", "-c", "20", &address]).map(drop)
    })
}

#[test]
fn arp_tags_and_options_are_exact() -> Result<()> {
    check("frames", Plan::default(), |scene| {
        let address = address(scene)?;
        let mac = scene.b.mac(&scene.network)?;
        let counted = || -> Result<_> {
            Ok(scene.account().interface(&scene.devices[0].name).context("attached")?.totals().sent)
        };
        let before = counted()?;
        scene.in_a(&["ping", "-q", "-c", "3", &address])?;
        let common =
            ["--destination-mac", &mac, "--from", &scene.a.address(&scene.network)?, "--to", &address];
        let common = [&common[..], &["--count", "4000", "--rate", "1000"]].concat();
        scene.send_frames("tagged", &[&common[..], &["--vlan", "12"]].concat())?;
        scene.send_frames("options", &[&common[..], &["--options", "0101010101010100"]].concat())?;
        scene.send_frames("arp", &[&common[..], &["--arp"]].concat())?;
        scene.settled(0, Difference::is_zero)?;
        let after = counted()?;
        let (arp, tagged) = (after.arp.skbs - before.arp.skbs, after.tagged_skbs - before.tagged_skbs);
        ensure!(arp >= 4_000, "the ARP frames were not counted as ARP: {after:?} after {before:?}");
        ensure!(tagged == 4_000, "the tags were not counted: {after:?} after {before:?}");
        Ok(())
    })
}

/// With segmentation offload off on the host's end of `b`, the kernel cuts skbs after our hook, and the device counts
/// segments as `b` receives them: our wire packets and bytes must equal them, with no error of the method.
#[test]
fn wire_packets_are_the_segments_that_a_receiver_sees() -> Result<()> {
    let scene = Scene::new("segments", Plan::default())?;
    host(&format!("ethtool -K {} tso off gso off", scene.devices[1].name))?;
    scene.flip_under(|| scene.iperf3(&address(&scene)?, &["-t", LOAD]).map(drop))?;
    scene.settled(0, Difference::is_zero)?;
    let received =
        scene.settled(1, |difference| difference.device_sent == [0; 2] && difference.flows == [0; 4])?;
    let ours =
        scene.account().interface(&scene.devices[1].name).context("attached")?.totals().traffic().received;
    ensure!(ours.packets > ours.skbs * 2, "no segmentation offload was at work: {ours:?}");
    ensure!(
        (received.device_received_packets, received.device_received_bytes) == (ours.packets, ours.bytes),
        "the device sent {} packets and {} bytes, we say {ours:?}",
        received.device_received_packets,
        received.device_received_bytes
    );
    Ok(())
}

/// A queueing discipline on the host's end drops after our hook; what it dropped is a term of its own, in skbs.
#[test]
fn drops_of_a_queueing_discipline_are_a_term_of_their_own() -> Result<()> {
    let scene = Scene::new("tbf", Plan::default())?;
    host(&format!(
        "tc qdisc add dev {} root tbf rate 100mbit burst 256kb limit 300kb",
        scene.devices[1].name
    ))?;
    scene.flip_under(|| scene.iperf3(&address(&scene)?, &["-t", LOAD, "-P", "4"]).map(drop))?;
    scene.settled(0, Difference::is_zero)?;
    let settled = scene.settled(1, Difference::is_zero)?;
    ensure!(settled.qdisc_dropped > 0, "the queueing discipline dropped nothing, so nothing was tested");
    println!("{settled}");
    Ok(())
}

#[test]
fn a_missing_add_is_found() -> Result<()> {
    let features = feature::DEFAULT | feature::TEST_SKIP_ADD;
    let scene = Scene::new("skip", Plan { features, ..Plan::default() })?;
    scene.iperf3(&address(&scene)?, &["-t", "2"])?;
    let found =
        scene.settled(0, |difference| difference.device_sent[0] < 0 || difference.device_received[0] < 0)?;
    println!("{found}");
    Ok(())
}

#[test]
fn a_hook_that_was_detached_is_found() -> Result<()> {
    let scene = Scene::new("unhook", Plan { attach: AttachMode::Clsact, ..Plan::default() })?;
    let address = address(&scene)?;
    scene.in_a(&["ping", "-q", "-c", "20", "-i", "0.05", &address])?;
    scene.settled(0, Difference::is_zero)?;
    host(&format!("tc filter del dev {} ingress", scene.devices[0].name))?;
    scene.in_a(&["ping", "-q", "-c", "20", "-i", "0.05", &address])?;
    let found = scene.settled(0, |difference| difference.device_sent[0] <= -20)?;
    ensure!(found.device_received == [0; 2], "the other hook still counts: {found}");
    Ok(())
}
