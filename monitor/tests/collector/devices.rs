//! Devices that come, change and go, and what is told about them.

use crate::exact::check_flows;
use crate::rig::{Host, Watch, modes, run, traffic, two_containers};
use monitor::collector::{Command, Settings};
use monitor::model::Observation;

#[test]
fn the_containers_end_is_read_and_its_namespace_found() {
    let mut host = Host::new();
    let mut watch = Watch::start(host.settings(modes()[0]));
    let ([container, _], [number, _]) = two_containers(&mut host, &mut watch);
    let shown = run(&format!("ip -n {container} -o link show eth0"));
    let mac = shown.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let namespace = watch.wait("the peer", |observation| match observation {
        Observation::Changed { interface, .. } if interface.number == number => {
            let peer = interface.peer.as_ref()?;
            let named = peer.name.as_ref().is_some_and(|name| name.as_str() == "eth0");
            (named && peer.mac?.to_string() == mac).then_some(peer.namespace?)
        }
        _ => None,
    });
    let mut check = |sandbox: String, expected| {
        assert!(watch.collector().asker().ask(Command::Namespace { sandbox: sandbox.clone() }));
        let answer = watch.wait("an answer", |observation| match observation {
            Observation::Namespace { sandbox: of, namespace, .. } if *of == sandbox => Some(*namespace),
            _ => None,
        });
        assert_eq!(answer, expected, "{sandbox}");
    };
    check(format!("/run/netns/{container}"), Some(namespace));
    check("/proc/self/ns/mnt".into(), None);
    check("/dev/random".into(), None);
    check("relative".into(), None);
    watch.stop();
}

#[test]
fn a_device_that_goes_is_told_with_its_last_reading() {
    let mut host = Host::new();
    let mut watch = Watch::start(host.settings(modes()[0]));
    let (containers, numbers) = two_containers(&mut host, &mut watch);
    traffic(&containers);
    let quiet = watch.quiet_reading(numbers[0]);
    run("ip link del v1");
    let last = watch.wait("v1 detached", |observation| match observation {
        Observation::Detached { number, last, .. } if *number == numbers[0] => Some(**last),
        _ => None,
    });
    assert!(last.totals.traffic().sent.skbs >= quiet.totals.traffic().sent.skbs);
    assert!(last.device_before.is_some());
    watch.stop();
    check_flows(&watch, numbers[0], &last);
}

#[test]
fn a_full_table_is_told_and_tried_again() {
    let host = Host::new();
    let settings = Settings { max_interfaces: 1, watch_bridges: false, ..host.settings(modes()[0]) };
    let mut watch = Watch::start(settings);
    host.veth(1);
    watch.attached("v1");
    host.veth(2);
    watch.wait("v2 refused", |observation| match observation {
        Observation::NotWatched(not) if not.name.as_str() == "v2" => Some(()),
        _ => None,
    });
    run("ip link del v1");
    watch.wait("v2 attached after all", |observation| match observation {
        Observation::Attached { interface, .. } if interface.name.as_str() == "v2" => Some(()),
        _ => None,
    });
    watch.stop();
}

#[test]
fn bridges_are_watched_only_when_asked_for() {
    for watch_bridges in [true, false] {
        let host = Host::new();
        host.veth(1);
        let settings = Settings { watch_bridges, ..host.settings(modes()[0]) };
        let mut watch = Watch::start(settings);
        watch.attached("v1");
        if watch_bridges {
            watch.attached("br0");
        }
        watch.stop();
        let is_bridge = |observation: &Observation| match observation {
            Observation::Attached { interface, .. } => interface.name.as_str() == "br0",
            _ => false,
        };
        assert_eq!(watch.seen.iter().any(is_bridge), watch_bridges);
    }
}

#[test]
fn the_hosts_addresses_are_told_when_they_change() {
    let host = Host::new();
    let mut watch = Watch::start(host.settings(modes()[0]));
    run("ip addr add 10.98.0.1/24 dev br0");
    watch.wait("the new address", |observation| match observation {
        Observation::Host(host) => host
            .addresses
            .iter()
            .find(|(_, name, address)| name.as_str() == "br0" && address.to_string() == "10.98.0.1")
            .map(drop),
        _ => None,
    });
    watch.stop();
}
