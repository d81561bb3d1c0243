//! Commands to look for oneself. Names are hostile: only interface names, numbers and addresses are in them, and what
//! a shell could read as more than a word is quoted.

use super::answer::{Answer, Conversation, Heading, Look, Place};
use super::course::name;
use super::{Asked, AskedEnd};
use crate::attribution::ContainerRef;
use crate::attribution::Translated;
use crate::model::{Protocol, SafeText};
use std::net::IpAddr;

/// The commands for an answer, the most telling first.
pub(super) fn commands(answer: &Answer) -> Vec<Look> {
    let latest = answer.forward().next();
    let mut commands = Vec::new();
    if let (None, Some(stopped)) = (latest, answer.stopped.first()) {
        commands.extend(firewall(Some(&stopped.reason), stopped.destination));
    } else if latest.is_none() {
        commands.extend(attempt(answer));
    }
    if let Some(seen) = latest {
        commands.extend(firewall(seen.drop_reason.as_ref(), seen.destination.address));
    }
    let used = Used::of(answer, latest);
    let Asked { from, to, .. } = &answer.asked;
    commands.extend(capture(answer, &answer.from, from, &used, Heading::Forward));
    commands.extend(capture(answer, &answer.to, to, &used, Heading::Backward));
    commands.extend(listening(answer, latest));
    if let (Some(pid), Some(address)) = (answer.from.pid, used.address) {
        commands.push(Look {
            shows: format!("which way {} sends", name(from, &answer.from)),
            command: format!("nsenter -t {pid} -n ip route get {address}"),
        });
    }
    commands.extend(latest.and_then(|seen| seen.translated.as_ref()).and_then(tracked));
    commands
}

/// Who listens at the destination, and at the host where it is asked first.
fn listening(answer: &Answer, latest: Option<&Conversation>) -> Vec<Look> {
    let option = match answer.asked.protocol {
        Some(Protocol::TCP) => "-ltn",
        Some(Protocol::UDP) => "-lun",
        None => "-ltun",
        Some(_) => return Vec::new(),
    };
    let Asked { to, .. } = &answer.asked;
    let by_host = matches!(to, AskedEnd::Host { .. }) || latest.is_some_and(Conversation::is_proxied);
    let host = by_host
        .then(|| Look { shows: "who listens on the host".to_owned(), command: format!("ss {option}") });
    let inside = answer.to.pid.map(|pid| Look {
        shows: format!("who listens in {}", name(to, &answer.to)),
        command: format!("nsenter -t {pid} -n ss {option}"),
    });
    host.into_iter().chain(inside).collect()
}

/// What a conversation uses, or would use.
#[derive(Clone, Copy, Debug)]
struct Used {
    protocol: Protocol,
    /// The address that is asked.
    address: Option<IpAddr>,
    port: Option<u16>,
    /// The port at the destination's own interface.
    inner: Option<u16>,
}

impl Used {
    fn of(answer: &Answer, latest: Option<&Conversation>) -> Self {
        let way = answer.ways.first();
        let protocol = answer.asked.protocol();
        match latest {
            Some(seen) => {
                let real = seen.translated.as_ref().and_then(|translated| translated.reply);
                let port = seen.destination.port;
                let inner = real.map(|reply| reply.ports.0).filter(|_| port.is_some());
                Self {
                    protocol: seen.protocol,
                    address: Some(seen.destination.address),
                    port,
                    inner: inner.or(answer.asked.port).or(port),
                }
            }
            None => Self {
                protocol,
                address: way.and_then(|way| way.address),
                port: way.and_then(|way| way.port).or(answer.asked.port),
                inner: answer.asked.port,
            },
        }
    }
}

/// `tcpdump` at a container's interface: the one that was, or would be, used.
fn capture(answer: &Answer, place: &Place, subject: &AskedEnd, used: &Used, end: Heading) -> Option<Look> {
    let seen_at = answer.forward().next().and_then(|seen| {
        let devices = place.interfaces.iter();
        devices
            .map(|place| &place.interface)
            .find(|device| seen.evidence.iter().any(|one| one.at == **device))
    });
    let would_be = || {
        let way = answer.ways.first()?;
        let network = match end {
            Heading::Forward => way.from_network.as_ref(),
            Heading::Backward => way.network.as_ref(),
        };
        let devices = place.interfaces.iter();
        devices.filter(|place| place.network.as_ref() == network).map(|place| &place.interface).next()
    };
    let device = seen_at.or_else(would_be).or(place.interfaces.first().map(|place| &place.interface))?;
    let mut filter: Vec<String> = Vec::new();
    if let (Heading::Forward, Some(address)) = (end, used.address) {
        filter.push(format!("host {address}"));
    }
    let port = if end == Heading::Forward { used.port } else { used.inner };
    match (used.protocol, port) {
        (Protocol::ICMP, _) => filter.push("icmp".to_owned()),
        (Protocol::ICMPV6, _) => filter.push("icmp6".to_owned()),
        (_, Some(port)) => filter.push(format!("port {port}")),
        (_, None) => {}
    }
    let command = format!("tcpdump -ni {} {}", word(device)?, filter.join(" and "));
    let shows = match end {
        Heading::Forward => format!("what {} sends and gets", name(subject, place)),
        Heading::Backward => format!("what arrives at {}", name(subject, place)),
    };
    Some(Look { shows, command: command.trim_end().to_owned() })
}

/// How to find the rule of the firewall that dropped it.
pub(super) fn firewall(reason: Option<&SafeText>, destination: IpAddr) -> Vec<Look> {
    if reason.map(SafeText::as_str) != Some("NETFILTER_DROP") {
        return Vec::new();
    }
    let program = if destination.is_ipv4() { "iptables" } else { "ip6tables" };
    let look = |shows: &str, command: String| Look { shows: shows.to_owned(), command };
    vec![
        look("rules of your own: which counts?", format!("{program} -nvL DOCKER-USER")),
        look("all that is forwarded", format!("{program} -nvL FORWARD")),
        look("everything, nftables too", "nft list ruleset".to_owned()),
    ]
}

pub(super) fn tracked(translated: &Translated) -> Option<Look> {
    let (original, _) = translated.original.zip(translated.reply)?;
    Some(Look {
        shows: "how the host translates it".to_owned(),
        command: format!("conntrack -L -s {} -d {}", original.source, original.destination),
    })
}

/// How to send something, where nothing was.
fn attempt(answer: &Answer) -> Option<Look> {
    let container = answer.from.container.as_ref()?;
    let way = answer.ways.first()?;
    let (address, asked) = (way.address?, &answer.asked);
    let send = match (asked.protocol(), way.port) {
        (Protocol::TCP, Some(port)) => format!("nc -vz -w 3 {address} {port}"),
        (Protocol::UDP, Some(port)) => format!("nc -vzu -w 3 {address} {port}"),
        _ => format!("ping -c 3 {address}"),
    };
    Some(Look {
        shows: "send something".to_owned(),
        command: format!("docker exec {} {send}", exec_name(container)),
    })
}

/// What to call a container in a command: its name if that is as Docker lets names be, else its id.
pub(super) fn exec_name(container: &ContainerRef) -> &str {
    let name = container.name.as_str();
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let fits = name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.chars().all(is_plain);
    if fits { name } else { container.id.short() }
}

/// A device's name as one word of a shell; `None` where its true name is not known, because it would harm a terminal.
pub(super) fn word(name: &SafeText) -> Option<String> {
    let name = name.as_str();
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.@".contains(character);
    if name.contains('\\') {
        None
    } else if name.chars().all(is_plain) {
        Some(name.to_owned())
    } else {
        Some(format!("'{}'", name.replace('\'', r"'\''")))
    }
}
