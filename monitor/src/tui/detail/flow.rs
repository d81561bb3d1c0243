//! One conversation at one interface.

use super::paper::Paper;
use super::words;
use crate::model::{FlowPorts, Initiator, TcpFlags, Tuple};
use crate::snapshot::{ByHand, End, FlowRecord, OriginEnd, OriginKind, TcpState, Translated};
use crate::tui::board::FlowRow;
use crate::tui::column::Tone;
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::view::units::{bytes, duration, plural};

/// A flow.
pub(super) fn flow(row: &FlowRow, context: &Context<'_>, width: usize) -> Vec<Line> {
    let record = &*row.record;
    let mut paper = Paper::new(width);
    let (from, to) = (row.client_end(), row.server_end());
    let arrow = if record.initiator == Initiator::Unknown { "↔" } else { "→" };
    let name = crate::view::names::end_and_port;
    let title = format!("{} {arrow} {}, {}", name(from), name(to), protocol(record));
    paper.text(Tone::Strong, 0, &title);
    paper.heading("Ends");
    paper.field("from", &words::end(from));
    paper.field("to", &words::end(to));
    if record.initiator == Initiator::Unknown {
        paper.field("opened by", "nobody can tell: it was there before the watch");
    }
    verdict(&mut paper, row);
    paper.heading("Traffic");
    let [sent, received] = [0, 1].map(|way| {
        format!("{} in {}", bytes(row.counted.bytes[way]), plural(row.counted.packets[way], "packet"))
    });
    paper.field("sent", &format!("{sent} since this view was opened"));
    paper.field("received", &format!("{received} since this view was opened"));
    paper.field("first seen", &words::moment(record.first_seen, context));
    paper.field("last seen", &words::moment(record.last_seen, context));
    paper.field("state", if record.last { "over" } else { "goes on" });
    if let Some(tcp) = &record.tcp {
        connection(&mut paper, tcp.state, row);
    }
    way(&mut paper, record);
    translated(&mut paper, record.translated.as_ref());
    paper.looks(&by_hand(record, from, to).looks());
    paper.lines()
}

fn verdict(paper: &mut Paper, row: &FlowRow) {
    match &row.verdict {
        Some(verdict) => {
            let (tone, text) = words::verdict(verdict);
            paper.toned(tone, "verdict", &text);
        }
        None => paper.toned(Tone::Faint, "verdict", "no rule says anything"),
    }
}

fn protocol(record: &FlowRecord) -> String {
    let name = record.protocol.name();
    match record.ports {
        FlowPorts::Icmp { kind, code, .. } => format!("{name} type {kind} code {code}"),
        FlowPorts::LaterFragment => format!("{name}, later fragments"),
        FlowPorts::Ports { .. } | FlowPorts::None => name.into_owned(),
    }
}

fn connection(paper: &mut Paper, state: TcpState, row: &FlowRow) {
    paper.heading("TCP");
    paper.field("connection", state.words());
    let [interface, other] = row.flags.map(flags);
    let (sent, received) = if row.is_turned() { (other, interface) } else { (interface, other) };
    paper.field("flags", &format!("sent {sent}, received {received}"));
    match row.handshake {
        Some(took) => paper.field("handshake", &duration(took)),
        None => paper.toned(Tone::Faint, "handshake", "it was not seen"),
    }
}

fn flags(flags: TcpFlags) -> String {
    if flags.0 == 0 { "none".to_owned() } else { flags.to_string() }
}

fn way(paper: &mut Paper, record: &FlowRecord) {
    paper.heading("Where it was seen");
    let at = &record.observed_at;
    match at.ifindex {
        0 => paper.field("seen at", &format!("the {}: no Ethernet headers", at.interface)),
        ifindex => paper.field("interface", &format!("{} ({ifindex})", at.interface)),
    }
    match &record.network {
        Some(network) => paper.field("network", &words::network(network)),
        None => paper.toned(Tone::Faint, "network", "not known"),
    }
    if let Some(vlan) = record.vlan {
        paper.field("vlan", &vlan.to_string());
    }
    match &record.origin {
        Some(origin) => paper.field("came from", &self::origin(origin)),
        None => paper.toned(Tone::Faint, "came from", "nothing was received in the last reading"),
    }
    if record.several_source_macs {
        paper.toned(Tone::Warning, "sender", "frames carried several source addresses");
    }
    paper.field("flow", &format!("{:016x}, epoch {}", record.flow_id.0, record.epoch));
}

fn origin(origin: &OriginEnd) -> String {
    let device = origin.interface.as_ref().map_or_else(String::new, |device| format!(" {device}"));
    let mut text = match origin.kind {
        OriginKind::Veth => format!("the veth{device}"),
        OriginKind::Bridge => format!("the bridge{device}"),
        OriginKind::Host => "the host itself".to_owned(),
        OriginKind::Uplink => format!("outside, by{device}"),
        OriginKind::Other => format!("the device{device}"),
    };
    if let Some(container) = &origin.container {
        text += &format!(" of {container}");
    }
    if let Some(network) = &origin.network {
        text += &format!(" on {}", network.name);
    }
    if origin.several {
        text += ", and from elsewhere too";
    }
    text
}

fn translated(paper: &mut Paper, translated: Option<&Translated>) {
    let Some(translated) = translated else { return };
    paper.heading("How the host changes it");
    paper.field("kind", translated.kind);
    match &translated.original {
        Some(tuple) => paper.field("asked as", &self::tuple(tuple)),
        None => paper.toned(Tone::Faint, "asked as", "not known: only where packets came from"),
    }
    match &translated.reply {
        Some(tuple) => paper.field("answered as", &self::tuple(tuple)),
        None => paper.toned(Tone::Faint, "answered as", "a proxy has a connection of its own"),
    }
    paper.field("known by", translated.evidence);
}

fn tuple(tuple: &Tuple) -> String {
    let port = |port: u16| (port > 0).then_some(port);
    format!(
        "{} → {}",
        words::address_and_port(tuple.source, port(tuple.ports.0)),
        words::address_and_port(tuple.destination, port(tuple.ports.1))
    )
}

fn by_hand<'a>(record: &'a FlowRecord, from: &'a End, to: &'a End) -> ByHand<'a> {
    ByHand {
        source: from,
        destination: to,
        protocol: words::protocol(record.protocol),
        port: to.port,
        devices: vec![&record.observed_at.interface],
        drop_reason: None,
        translated: record.translated.as_ref(),
    }
}
