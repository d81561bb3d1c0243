//! Commands to look for oneself at what was seen already, without an inquiry: no process of its ends is known.

use super::answer::Look;
use super::look::{exec_name, firewall, tracked, word};
use crate::attribution::{End, EndKind, Translated};
use crate::model::SafeText;

/// Interfaces at which a capture is proposed.
const MOST_DEVICES: usize = 4;

/// What was seen, as far as commands need it.
#[derive(Clone, Debug)]
pub struct ByHand<'a> {
    /// Who opened it.
    pub source: &'a End,
    /// Whom it addressed.
    pub destination: &'a End,
    /// The protocol, by name.
    pub protocol: &'a str,
    /// The port that was addressed.
    pub port: Option<u16>,
    /// The devices it was seen at, the source's first. `host`, which is no device, is passed over.
    pub devices: Vec<&'a SafeText>,
    /// The kernel's reason for a drop.
    pub drop_reason: Option<&'a SafeText>,
    /// How the host changes it.
    pub translated: Option<&'a Translated>,
}

impl ByHand<'_> {
    /// The commands, the most telling first.
    #[must_use]
    pub fn looks(&self) -> Vec<Look> {
        let mut looks: Vec<Look> = self.why().into_iter().collect();
        looks.extend(firewall(self.drop_reason, self.destination.address));
        looks.extend(self.captures());
        looks.extend(self.listening());
        looks.extend(self.translated.and_then(tracked));
        looks
    }

    fn why(&self) -> Option<Look> {
        let (from, to) = (end(self.source)?, end(self.destination)?);
        let has_container = self.source.container.is_some() || self.destination.container.is_some();
        let to = match self.port {
            Some(port) if to.contains(':') => format!("'[{to}]:{port}'"),
            Some(port) => format!("{to}:{port}"),
            None => to,
        };
        let protocol = match self.protocol {
            protocol @ ("udp" | "icmp") => format!("/{protocol}"),
            _ => String::new(),
        };
        has_container.then(|| Look {
            shows: "what is expected, and where it stops".to_owned(),
            command: format!("vethwatch why {from} {to}{protocol}"),
        })
    }

    fn captures(&self) -> Vec<Look> {
        let mut devices: Vec<&SafeText> = Vec::new();
        for device in self.devices.iter().filter(|device| device.as_str() != "host") {
            if !devices.contains(device) {
                devices.push(device);
            }
        }
        let captures = devices.into_iter().take(MOST_DEVICES).enumerate();
        captures.filter_map(|(place, device)| self.capture(device, place == 0)).collect()
    }

    /// `tcpdump` at a device; behind the first, addresses may have been changed.
    fn capture(&self, device: &SafeText, first: bool) -> Option<Look> {
        let mut filter: Vec<String> = Vec::new();
        filter.extend(first.then(|| format!("host {}", self.destination.address)));
        match (self.protocol, self.port) {
            ("icmp", _) => filter.push("icmp".to_owned()),
            ("ipv6-icmp", _) => filter.push("icmp6".to_owned()),
            (_, Some(port)) if first || self.translated.is_none() => filter.push(format!("port {port}")),
            _ => {}
        }
        let command = format!("tcpdump -ni {} {}", word(device)?, filter.join(" and "));
        let shows = format!("what crosses {device}");
        Some(Look { shows, command: command.trim_end().to_owned() })
    }

    /// Who listens in the container that was addressed.
    fn listening(&self) -> Option<Look> {
        let option = match self.protocol {
            "tcp" => "-ltn",
            "udp" => "-lun",
            _ => return None,
        };
        let container = self.destination.container.as_ref()?;
        let name = exec_name(container);
        Some(Look {
            shows: format!("who listens in {name}"),
            command: format!("nsenter -t $(docker inspect -f '{{{{.State.Pid}}}}' {name}) -n ss {option}"),
        })
    }
}

/// How `why` is told an end; nothing for one that it cannot be asked about.
fn end(end: &End) -> Option<String> {
    match (&end.container, end.kind) {
        (Some(container), _) => Some(exec_name(container).to_owned()),
        (None, EndKind::Host) => Some("host".to_owned()),
        (None, EndKind::External | EndKind::Container | EndKind::Unknown) => match end.address {
            address if address.is_unspecified() => None,
            address => Some(address.to_string()),
        },
        (None, EndKind::Multicast) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::ByHand;
    use crate::attribution::EndKind;
    use crate::model::SafeText;
    use crate::wire::fixtures::{container_end, end, text};

    fn commands(by_hand: &ByHand<'_>) -> Vec<String> {
        by_hand.looks().into_iter().map(|look| look.command).collect()
    }

    #[test]
    fn a_drop_is_looked_at_with_why_the_firewall_and_a_capture() {
        let source = container_end("shop-web-1", "172.18.0.2", None);
        let destination = container_end("billing-db-1", "172.19.0.3", None);
        let (veth, host, bridge) = (text("veth1a2b3c4"), text("host"), text("br-5187f141c837"));
        let reason = text("NETFILTER_DROP");
        let by_hand = ByHand {
            source: &source,
            destination: &destination,
            protocol: "tcp",
            port: Some(5432),
            devices: vec![&veth, &host, &veth, &bridge],
            drop_reason: Some(&reason),
            translated: None,
        };
        assert_eq!(
            commands(&by_hand),
            [
                "vethwatch why shop-web-1 billing-db-1:5432",
                "iptables -nvL DOCKER-USER",
                "iptables -nvL FORWARD",
                "nft list ruleset",
                "tcpdump -ni veth1a2b3c4 host 172.19.0.3 and port 5432",
                "tcpdump -ni br-5187f141c837 port 5432",
                "nsenter -t $(docker inspect -f '{{.State.Pid}}' billing-db-1) -n ss -ltn",
            ]
        );
    }

    #[test]
    fn no_name_from_outside_reaches_a_shell_as_it_is() {
        let source = container_end("a;reboot", "172.18.0.2", None);
        let destination = end(EndKind::External, "2001:db8::1", None);
        let (evil, odd) = (text("veth\x07x"), text("a'b c"));
        let by_hand = ByHand {
            source: &source,
            destination: &destination,
            protocol: "udp",
            port: Some(53),
            devices: vec![&evil, &odd],
            drop_reason: None,
            translated: None,
        };
        let id = "0c".repeat(6);
        assert_eq!(
            commands(&by_hand),
            [
                format!("vethwatch why {id} '[2001:db8::1]:53'/udp"),
                r"tcpdump -ni 'a'\''b c' port 53".to_owned()
            ]
        );
    }

    #[test]
    fn nobody_is_asked_about_ends_that_why_does_not_take() {
        let source = container_end("web", "172.18.0.2", None);
        let group = end(EndKind::Multicast, "224.0.0.251", None);
        let outside = end(EndKind::External, "203.0.113.9", None);
        let ask = |source, destination| {
            let devices: Vec<&SafeText> = Vec::new();
            let by_hand = ByHand {
                source,
                destination,
                protocol: "igmp",
                port: None,
                devices,
                drop_reason: None,
                translated: None,
            };
            commands(&by_hand)
        };
        assert_eq!(ask(&source, &group), Vec::<String>::new());
        assert_eq!(ask(&outside, &group), Vec::<String>::new());
        assert_eq!(ask(&outside, &source), ["vethwatch why 203.0.113.9 web"]);
    }
}
