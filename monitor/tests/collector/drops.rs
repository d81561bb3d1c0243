//! What the kernel drops of containers' packets is told, and nothing else.

use crate::rig::{Host, Watch, ifindex_of, inside, modes, run};
use monitor::collector::Settings;
use monitor::model::{ClaimKind, Drop, DropWatch, Observation, Protocol};
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

/// What is dropped on its way between the bridges.
const PORT: u16 = 5300;

/// Two containers on two bridges of a host that forwards all but UDP to [`PORT`].
fn two_networks(host: &mut Host) -> [String; 2] {
    host.veth(1);
    host.veth(2);
    run("ip link add br1 type bridge");
    run("ip addr add 10.98.0.1/16 dev br1");
    run("ip link set v2 master br1");
    for bridge in 0..2 {
        run(&format!("ip addr add fd9{}::1/64 dev br{bridge} nodad", 9 - bridge));
    }
    run("ip link set br1 up");
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let containers = [1, 2].map(|n| host.container(n));
    run(&format!("ip -n {} addr add 10.98.1.2/16 dev eth0", containers[1]));
    run(&format!("ip -n {} addr del 10.99.1.2/16 dev eth0", containers[1]));
    for (container, network) in containers.iter().zip([9, 8]) {
        run(&format!("ip -n {container} addr add fd9{network}::2/64 dev eth0 nodad"));
        run(&format!("ip -n {container} route add default via 10.9{network}.0.1"));
        run(&format!("ip -n {container} route add default via fd9{network}::1"));
    }
    for rule in [
        "add table inet vw",
        "add chain inet vw forward { type filter hook forward priority 0 ; }",
        &format!("add rule inet vw forward udp dport {PORT} counter drop"),
    ] {
        run(&format!("nft {rule}"));
    }
    containers
}

/// Sends datagrams of 100 bytes.
fn send(container: &str, from: &str, to: &str, port: u16, count: usize) {
    inside(container, || {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        for _ in 0..count {
            socket.send_to(&[7; 100], (to, port)).unwrap();
        }
    });
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// All drops told so far.
fn drops(watch: &Watch) -> Vec<Drop> {
    let batches = watch.seen.iter().filter_map(|observation| match observation {
        Observation::Drops(batch) => Some(batch.drops.clone()),
        _ => None,
    });
    batches.flatten().collect()
}

/// Sum of packets and bytes of the drops of a destination, which are all alike otherwise.
#[track_caller]
fn check(drops: &[Drop], from: &str, to: &str, packets: u64, bytes: u64) {
    let mine: Vec<&Drop> = drops.iter().filter(|drop| drop.destination == address(to)).collect();
    for drop in &mine {
        assert_eq!((drop.source, drop.protocol, drop.port), (address(from), Protocol::UDP, Some(PORT)));
        assert_eq!(drop.reason.as_str(), "NETFILTER_DROP");
        let bridge = ifindex_of("br0");
        assert_eq!((drop.device, drop.ingress), (bridge, bridge));
        assert!(drop.first_seen <= drop.last_seen);
    }
    let sum = mine.iter().fold((0, 0), |sum, drop| (sum.0 + drop.packets, sum.1 + drop.bytes));
    assert_eq!(sum, (packets, bytes), "{drops:?}");
}

/// Waits until the reading after now has been drained.
fn settle(watch: &mut Watch) {
    for _ in 0..2 {
        watch.wait_new("the end of a generation", |observation| match observation {
            Observation::Totals(_) => Some(()),
            _ => None,
        });
    }
}

#[test]
fn what_a_rule_drops_is_told_exactly_and_with_its_reason() {
    for watch_bridges in [true, false] {
        let mut host = Host::new();
        let mut watch = Watch::start(Settings { watch_bridges, ..host.settings(modes()[0]) });
        let told = watch.wait("whether drops are watched", |observation| match observation {
            Observation::DropWatch(watch) => Some(watch.clone()),
            _ => None,
        });
        assert_eq!(told, DropWatch::Watched);
        let [container, _] = two_networks(&mut host);
        watch.attached("v1");
        watch.attached("v2");
        run(&format!("ip netns exec {container} ping -q -c 3 -i 0.01 -w 60 10.98.1.2"));
        run(&format!("ip netns exec {container} ping -q -c 3 -i 0.01 -w 60 fd98::2"));
        send(&container, "10.99.1.1", "10.98.1.2", PORT, 50);
        send(&container, "fd99::2", "fd98::2", PORT, 30);
        send(&container, "10.99.1.1", "10.98.1.2", PORT + 1, 20);
        settle(&mut watch);
        watch.stop();
        let drops = drops(&watch);
        check(&drops, "10.99.1.1", "10.98.1.2", 50, 50 * 128);
        check(&drops, "fd99::2", "fd98::2", 30, 30 * 148);
        assert!(drops.iter().all(|drop| drop.reason.as_str() == "NETFILTER_DROP"), "{drops:?}");
        assert_eq!(watch.losses(), []);
    }
}

/// More conversations than there is room for in a generation: each packet is in a drop or in the loss.
#[test]
fn drops_without_room_are_counted() {
    const PORTS: u16 = 40_000;
    let mut host = Host::new();
    let tick = Duration::from_secs(2);
    let mut watch = Watch::start(Settings { tick, ..host.settings(modes()[0]) });
    let [container, _] = two_networks(&mut host);
    watch.attached("v1");
    watch.attached("br0");
    run("nft insert rule inet vw forward udp sport 60000 counter drop");
    inside(&container, || {
        let socket = UdpSocket::bind("10.99.1.1:60000").unwrap();
        for port in 1..=PORTS {
            socket.send_to(&[7; 100], ("10.98.1.2", port)).unwrap();
        }
    });
    settle(&mut watch);
    watch.stop();
    let told: u64 = drops(&watch).iter().map(|drop| drop.packets).sum();
    let lost = watch.losses().into_iter().find(|(name, _)| name == "drop_map_full");
    assert_eq!(told + lost.expect("a full map").1, u64::from(PORTS));
}

/// Drops in another namespace, at a device with the number of a watched one; and at one that is not watched.
#[test]
fn drops_of_others_are_not_told() {
    let mut host = Host::new();
    let mut watch = Watch::start(host.settings(modes()[0]));
    let [_, other] = two_networks(&mut host);
    watch.attached("v1");
    let index = ifindex_of("v1");
    run(&format!("ip -n {other} link add vw0 index {index} type veth peer name vw1"));
    run(&format!("ip -n {other} addr add 10.77.0.1/24 dev vw0"));
    run(&format!("ip -n {other} link set vw0 up"));
    run(&format!("ip -n {other} link set vw1 up"));
    for rule in [
        "add table inet vw",
        "add chain inet vw output { type filter hook output priority 0 ; }",
        "add chain inet vw input { type filter hook input priority 0 ; }",
        "add rule inet vw output ip daddr 10.77.0.2 counter drop",
        "add rule inet vw input iif eth0 udp dport 5400 counter drop",
    ] {
        run(&format!("ip netns exec {other} nft {rule}"));
    }
    inside(&other, || {
        let socket = UdpSocket::bind("10.77.0.1:0").unwrap();
        let refused = socket.send_to(&[7; 100], "10.77.0.2:9").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    });
    let here = UdpSocket::bind("127.0.0.1:0").unwrap();
    here.send_to(&[7; 100], "127.0.0.1:9").unwrap();
    here.set_nonblocking(true).unwrap();
    let host = UdpSocket::bind("10.98.0.1:0").unwrap();
    host.send_to(&[7; 100], "10.98.1.2:5400").unwrap();
    settle(&mut watch);
    watch.stop();
    let counted = run(&format!("ip netns exec {other} nft list table inet vw"));
    assert_eq!(counted.matches("counter packets 1 ").count(), 2, "{counted}");
    assert_eq!(drops(&watch), []);
}

#[test]
fn what_a_container_claims_is_told_of_its_interface() {
    let mut host = Host::new();
    let mut watch = Watch::start(host.settings(modes()[0]));
    let (containers, [number, _]) = crate::rig::two_containers(&mut host, &mut watch);
    run(&format!("ip netns exec {} ping -q -c 1 10.99.1.2", containers[0]));
    let shown = run(&format!("ip -n {} -o link show eth0", containers[0]));
    let mac = shown.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let claim = watch.wait("the claim of the first container's address", |observation| match observation {
        Observation::Claims(claims) => {
            claims.iter().find(|claim| claim.address == address("10.99.1.1")).copied()
        }
        _ => None,
    });
    assert_eq!((claim.interface, claim.kind), (number, ClaimKind::Arp));
    assert_eq!(claim.mac.to_string(), mac);
    watch.stop();
    assert_eq!(watch.losses(), []);
}
