//! What the host translates, and what is told of it.

use crate::rig::{Host, Watch, inside, modes, run, two_containers};
use monitor::model::{Conntrack, Observation, Protocol, Translation, TranslationChange, Tuple};
use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

/// The host's address and port behind which [`SERVER`] is.
const PUBLISHED: &str = "10.99.0.1:8080";
const SERVER: &str = "10.99.1.2:5000";

/// A host that publishes a port of the second container, and speaks to it in its own name.
fn publishing_host() -> Host {
    let host = Host::new();
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    for protocol in ["tcp", "udp"] {
        run(&format!(
            "iptables -w -t nat -A PREROUTING -d 10.99.0.1 -p {protocol} --dport 8080 -j DNAT --to {SERVER}"
        ));
    }
    run("iptables -w -t nat -A POSTROUTING -d 10.99.1.2 -j MASQUERADE");
    host
}

/// A connection through the published port, and what the server takes for its client.
fn connect(containers: &[String; 2]) -> (TcpStream, SocketAddr, TcpStream) {
    let listener = inside(&containers[1], || TcpListener::bind(SERVER).unwrap());
    let client = inside(&containers[0], || TcpStream::connect(PUBLISHED).unwrap());
    let (server, seen) = listener.accept().unwrap();
    (client, seen, server)
}

fn tuple(from: SocketAddr, to: SocketAddr) -> Tuple {
    Tuple {
        source: from.ip(),
        destination: to.ip(),
        protocol: Protocol::TCP,
        ports: (from.port(), to.port()),
    }
}

/// What is translated, and to what.
fn expected(client: &TcpStream, seen: SocketAddr) -> Translation {
    let published = PUBLISHED.parse().unwrap();
    Translation {
        original: tuple(client.local_addr().unwrap(), published),
        reply: tuple(SERVER.parse().unwrap(), seen),
    }
}

fn changes(observation: &Observation) -> &[TranslationChange] {
    match observation {
        Observation::Translations(changes) => changes,
        _ => &[],
    }
}

fn wait_for(watch: &mut Watch, change: TranslationChange) {
    watch.wait(&format!("{change:?}"), |told| changes(told).contains(&change).then_some(()));
}

fn wait_until_watched(watch: &mut Watch) {
    watch.wait("the first list", |told| match told {
        Observation::Conntrack(Conntrack::Watched) => Some(()),
        Observation::Conntrack(other) => panic!("{other:?}"),
        _ => None,
    });
}

#[test]
fn a_translation_is_told_with_both_its_tuples_and_so_is_its_end() {
    let mut host = publishing_host();
    let mut watch = Watch::start(host.settings(modes()[0]));
    let (containers, _) = two_containers(&mut host, &mut watch);
    wait_until_watched(&mut watch);
    inside(&containers[0], || {
        UdpSocket::bind("10.99.1.1:0").unwrap().send_to(b"not translated", "10.99.0.1:9").unwrap()
    });
    let (client, seen, _server) = connect(&containers);
    let translation = expected(&client, seen);
    wait_for(&mut watch, TranslationChange::Known(translation));
    // The kernel ends what borrows the address of a device that goes down.
    run("ip link set br0 down");
    wait_for(&mut watch, TranslationChange::Gone(translation));
    watch.stop();
    let told: Vec<_> = watch.seen.iter().flat_map(changes).collect();
    assert_eq!(told, [&TranslationChange::Known(translation), &TranslationChange::Gone(translation)]);
}

#[test]
fn a_translation_from_before_the_start_is_told_and_so_is_its_end() {
    let mut host = publishing_host();
    let containers = [1, 2].map(|n| {
        host.veth(n);
        host.container(n)
    });
    let (client, seen, _server) = connect(&containers);
    let translation = expected(&client, seen);
    let mut watch = Watch::start(host.settings(modes()[0]));
    wait_for(&mut watch, TranslationChange::Known(translation));
    // The kernel announces nothing of an entry that was made while nobody listened.
    run("ip link set br0 down");
    wait_for(&mut watch, TranslationChange::Gone(translation));
    watch.stop();
}

#[test]
fn a_kernel_that_announces_nothing_is_told_with_what_to_do() {
    let host = Host::new();
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_events", "0").unwrap();
    let mut watch = Watch::start(host.settings(modes()[0]));
    let why = watch.wait("that it is off", |told| match told {
        Observation::Conntrack(Conntrack::Off(why)) => Some(why.to_string()),
        Observation::Conntrack(other) => panic!("{other:?}"),
        _ => None,
    });
    assert!(why.contains("nf_conntrack_events=2"), "{why}");
    watch.stop();
}

#[test]
fn what_is_lost_while_the_engine_has_no_room_is_counted_and_listed_anew() {
    let mut host = publishing_host();
    // All are to be there at once, and of an entry without an answer that is not sure for long otherwise.
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "300").unwrap();
    let mut watch = Watch::start_with_room(host.settings(modes()[0]), 4);
    let (containers, _) = two_containers(&mut host, &mut watch);
    wait_until_watched(&mut watch);
    // So that no packet waits for an Ethernet address, of which only few may.
    let _connection = connect(&containers);
    let ports = 10_000..30_000_u16;
    inside(&containers[0], || {
        for port in ports.clone() {
            UdpSocket::bind(("10.99.1.1", port)).unwrap().send_to(b"x", PUBLISHED).unwrap();
        }
    });
    let mut known = HashSet::new();
    watch.wait("all of them after an overrun", |told| {
        if *told == Observation::Conntrack(Conntrack::Overrun) {
            known = HashSet::new();
        }
        for change in changes(told) {
            match change {
                TranslationChange::Known(translation) => known.insert(translation.original.ports.0),
                TranslationChange::Gone(translation) => known.remove(&translation.original.ports.0),
            };
        }
        ports.clone().all(|port| known.contains(&port)).then_some(())
    });
    assert!(watch.seen.contains(&Observation::Conntrack(Conntrack::Overrun)));
    watch.wait("the loss", |told| match told {
        Observation::Losses(losses) => (losses.get("conntrack_overrun") > 0).then_some(()),
        _ => None,
    });
    watch.stop();
}
