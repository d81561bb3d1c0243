//! The lines of `flows`: one a flow and tick, in the direction of who opened it; sampled packets below.

use super::footer::losses;
use super::names;
use super::style::{Frame, Line, Tone, cut_name, width};
use super::table::{Column, Layout};
use super::units::{bytes, duration, exact, plural};
use crate::model::{Direction, FlowId, FlowPorts, Initiator, KernelTime};
use crate::snapshot::{End, Expected, FlowRecord, SampleRecord, Snapshot};
use std::fmt::Write as _;

const COLUMNS: [Column; 8] = [
    Column::name("TIME (UTC)", 12, 12, 3),
    Column::name("FLOW", 42, 72, 0),
    Column::number("SENT →", 8, 0),
    Column::number("← RCVD", 8, 0),
    Column::name("STATE", 12, 12, 2),
    Column::number("HANDSHAKE", 9, 4),
    Column::name("NETWORK", 10, 24, 5),
    Column::name("SEEN AT", 11, 15, 6),
];
const FLOW: usize = 1;

/// Lays flows out as they come, with columns that stay where they are.
#[derive(Debug)]
pub struct FlowLines {
    layout: Layout<'static>,
    frame: Frame,
    last: Option<FlowId>,
}

impl FlowLines {
    /// Lines for a frame.
    #[must_use]
    pub fn new(frame: Frame) -> Self {
        Self { layout: Layout::for_stream(&COLUMNS, frame.width), frame, last: None }
    }

    /// What they are laid out for.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The headings.
    #[must_use]
    pub fn heading(&self) -> Line {
        self.layout.heading()
    }

    /// One tick of one flow; nothing where no packet crossed: a record that only says that the flow is over would be
    /// a line of zeros.
    pub fn flow(&mut self, flow: &FlowRecord) -> Option<Line> {
        if flow.sent.is_zero() && flow.received.is_zero() {
            return None;
        }
        self.last = Some(flow.flow_id);
        let reverse = flow.initiator == Initiator::Remote;
        let (sent, received) = if reverse { (flow.received, flow.sent) } else { (flow.sent, flow.received) };
        let handshake = flow.tcp.and_then(|tcp| tcp.handshake);
        Some(self.layout.row(&[
            self.frame.clock.time_of_day(flow.tick_end),
            conversation(flow, self.layout.width_of(FLOW)),
            bytes(sent.bytes),
            bytes(received.bytes),
            state(flow),
            handshake.map_or_else(String::new, duration),
            flow.network.as_ref().map_or_else(|| "-".to_owned(), |network| network.name.to_string()),
            flow.observed_at.interface.to_string(),
        ]))
    }

    /// One captured packet and what is said of it.
    pub fn captured(&self, at: KernelTime, length: u32, comment: &str) -> Line {
        let time = self.frame.clock.time_of_day(at);
        Line::of(Tone::Plain, format!("{time}  {:>12}  {comment}", plural(u64::from(length), "byte")))
    }

    /// One sampled packet; it names its interface when the line above is not its flow's.
    pub fn sample(&self, sample: &SampleRecord) -> Line {
        let time = self.frame.clock.time_of_day(sample.at);
        let direction = match sample.direction {
            Direction::Sent => "sent",
            Direction::Received => "received",
        };
        let mut text = format!("    {time}  {direction} {} ", plural(u64::from(sample.length), "byte"));
        if sample.flow_id.is_none() || sample.flow_id != self.last {
            let who = sample.container.as_ref().unwrap_or(&sample.observed_at.interface);
            write!(text, "at {who} ").expect("writing to a String cannot fail");
        }
        for (index, byte) in sample.bytes.iter().enumerate() {
            let gap = if index % 2 == 0 { " " } else { "" };
            write!(text, "{gap}{byte:02x}").expect("writing to a String cannot fail");
        }
        Line::of(Tone::Faint, text)
    }
}

/// `who → whom:port protocol`, who being the one that began. Where there is not enough room, the names are cut, so
/// that port and protocol stay.
fn conversation(flow: &FlowRecord, columns: usize) -> String {
    let (from, to) = match flow.initiator {
        Initiator::Local | Initiator::Unknown => (&flow.local, &flow.remote),
        Initiator::Remote => (&flow.remote, &flow.local),
    };
    let port = |end: &End| end.port.map_or_else(String::new, |port| format!(":{port}"));
    let (from_port, arrow) = match flow.initiator {
        Initiator::Unknown => (port(from), "↔"),
        Initiator::Local | Initiator::Remote => (String::new(), "→"),
    };
    let (to_port, protocol) = (port(to), protocol(flow));
    let rest = width(&format!("{from_port} {arrow} {to_port} {protocol}"));
    let called = |end: &End| match &flow.remote_name {
        Some(name) if end.container.is_none() && end.swarm.is_none() && *end == flow.remote => {
            format!("{name}({})", end.address)
        }
        _ => names::end(end),
    };
    let (from, to) = cut_both(&called(from), &called(to), columns.saturating_sub(rest));
    format!("{from}{from_port} {arrow} {to}{to_port} {protocol}")
}

/// Two texts cut so that together they take at most `columns`; the longer one first.
fn cut_both(first: &str, second: &str, columns: usize) -> (String, String) {
    let half = columns / 2;
    let first_room = half.max(columns.saturating_sub(width(second)));
    let first = cut_name(first, first_room);
    let second = cut_name(second, columns.saturating_sub(width(&first)));
    (first, second)
}

fn protocol(flow: &FlowRecord) -> String {
    let name = flow.protocol.name();
    match flow.ports {
        FlowPorts::Icmp { kind, code, .. } => format!("{name} {}", icmp(flow.protocol.0, kind, code)),
        FlowPorts::LaterFragment => format!("{name} later fragments"),
        FlowPorts::Ports { .. } | FlowPorts::None => name.into_owned(),
    }
}

fn icmp(protocol: u8, kind: u8, code: u8) -> String {
    match (protocol, kind) {
        (1, 8) | (58, 128) => "echo".to_owned(),
        _ => format!("type {kind} code {code}"),
    }
}

/// What becomes of a conversation that is not to be, or how a connection stands.
fn state(flow: &FlowRecord) -> String {
    match &flow.verdict {
        Some(verdict) if verdict.expected == Expected::Deny => format!("deny: {}", verdict.outcome.name()),
        _ => tcp_state(flow),
    }
}

/// A TCP connection's state, or the flags while nothing better is known; whether a flow of another kind is over.
fn tcp_state(flow: &FlowRecord) -> String {
    let Some(tcp) = flow.tcp else {
        return if flow.last { "ended".to_owned() } else { String::new() };
    };
    tcp.state.words().to_owned()
}

/// The last line of a capture: how much it has, of what, and what was lost.
#[must_use]
pub fn capture_ended(taken: u64, interfaces: Option<usize>, lost: u64, undecided: u64) -> Line {
    let mut text = plural(taken, "packet");
    if let Some(interfaces) = interfaces {
        write!(text, " of {}", plural(interfaces as u64, "interface"))
            .expect("writing to a String cannot fail");
    }
    let mut line = Line::of(Tone::Plain, format!("{text}; "));
    let tone = if lost > 0 { Tone::Warning } else { Tone::Plain };
    line.push(tone, format!("{} lost because they came too fast", exact(lost)));
    if undecided > 0 {
        line.push(Tone::Warning, format!("; {} not judged in time", exact(undecided)));
    }
    line
}

/// The last line of a stream: how much it told, and what was lost.
#[must_use]
pub fn flows_ended(flows: u64, samples: u64, snapshot: &Snapshot, refused: u64) -> Line {
    let mut text = plural(flows, "flow record");
    if samples > 0 {
        write!(text, ", {}", plural(samples, "sampled packet")).expect("writing to a String cannot fail");
    }
    let mut line = Line::of(Tone::Plain, format!("{text}; "));
    line.extend(losses(snapshot));
    if refused > 0 {
        line.push(Tone::Warning, format!("; this command was too slow for {}", exact(refused)));
    }
    line
}
