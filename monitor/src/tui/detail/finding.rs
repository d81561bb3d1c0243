//! A finding: what was found, how it is known hook by hook, and how to look for oneself.

use super::paper::Paper;
use super::words;
use crate::snapshot::{ByHand, Expected, Finding, Severity, Standing, Subject};
use crate::tui::column::Tone;
use crate::tui::context::Context;
use crate::tui::line::Line;
use crate::view::units::exact;

/// A finding.
pub(in crate::tui) fn finding(finding: &Finding, context: &Context<'_>, width: usize) -> Vec<Line> {
    let mut paper = Paper::new(width);
    let title = format!("{} {}: {}", finding.severity.name(), finding.kind.name(), finding.rule.as_str());
    paper.text(tone(finding.severity), 0, &title);
    paper.text(Tone::Plain, 0, &finding.explanation);
    if let Some(comment) = &finding.policy_comment {
        paper.text(Tone::Faint, 0, &format!("The policy file says: {comment}"));
    }
    what(&mut paper, finding, context);
    paper.heading("Evidence, hook by hook");
    if finding.evidence.is_empty() {
        paper.says(Tone::Faint, "none was kept");
    }
    for evidence in &finding.evidence {
        paper.field(evidence.at.as_str(), &evidence.saw);
    }
    let by_hand = ByHand {
        source: &finding.source,
        destination: &finding.destination,
        protocol: &finding.protocol,
        port: finding.ports.first().copied(),
        devices: finding.evidence.iter().map(|evidence| &evidence.at).collect(),
        drop_reason: finding.drop_reason.as_ref(),
        translated: None,
    };
    paper.looks(&by_hand.looks());
    paper.lines()
}

fn what(paper: &mut Paper, finding: &Finding, context: &Context<'_>) {
    paper.heading("What was found");
    paper.field("from", &words::end(&finding.source));
    paper.field("to", &words::end(&finding.destination));
    paper.field("protocol", &finding.protocol);
    paper.field("ports", &ports(finding));
    let expected = match finding.expected {
        Expected::Allow => "to work",
        Expected::Deny => "not to happen",
    };
    paper.field("expected", &format!("{expected}, by {}", finding.rule.as_str()));
    let reason = finding.reason.map_or_else(String::new, |reason| format!(" ({})", reason.replace('_', " ")));
    paper.toned(tone(finding.severity), "outcome", &format!("{}{reason}", finding.outcome.name()));
    if let Some(reason) = &finding.drop_reason {
        paper.field("dropped", &format!("by the kernel: {reason}"));
    }
    paper.field("sent", &words::counts(finding.counts));
    paper.field("first seen", &words::moment(finding.first_seen, context));
    paper.field("last seen", &words::moment(finding.last_seen, context));
    paper.field("state", if finding.is_open { "goes on" } else { "over: no packet for a minute" });
    paper.field("id", &format!("{:016x}, revision {}", finding.id, finding.revision));
}

/// All ports that are kept, and how many more there were.
fn ports(finding: &Finding) -> String {
    if finding.ports.is_empty() {
        return "none".to_owned();
    }
    let listed: Vec<String> = finding.ports.iter().map(ToString::to_string).collect();
    let more = u64::from(finding.port_count).saturating_sub(finding.ports.len() as u64);
    let more = if more > 0 { format!(" and {} more", exact(more)) } else { String::new() };
    format!("{}{more}", listed.join(", "))
}

/// What the configuration itself says.
pub(in crate::tui) fn standing(standing: &Standing, context: &Context<'_>, width: usize) -> Vec<Line> {
    let mut paper = Paper::new(width);
    let title = format!("{} posture: {}", standing.severity.name(), standing.rule.name());
    paper.text(tone(standing.severity), 0, &title);
    paper.text(Tone::Plain, 0, &standing.explanation);
    paper.heading("What was found");
    match &standing.subject {
        Subject::Container(container) => {
            paper.field("container", container.name.as_str());
            paper.field("image", words::told(container.image.as_ref()));
        }
        Subject::Network(network) => paper.field("network", &words::network(network)),
    }
    for what in &standing.what {
        paper.field("what", what.as_str());
    }
    let more = standing.what_count.saturating_sub(standing.what.len());
    if more > 0 {
        paper.field("", &format!("and {} more", exact(more as u64)));
    }
    if let Some(since) = standing.since {
        paper.field("started", &crate::wire::wall_date_and_time(since));
    }
    paper.field("first seen", &words::moment(standing.first_seen, context));
    paper.field("last seen", &words::moment(standing.last_seen, context));
    paper.field("state", if standing.is_open { "stands" } else { "over" });
    paper.heading("What follows");
    paper.says(Tone::Plain, standing.rule.means());
    paper.heading("What to do");
    paper.says(Tone::Plain, standing.rule.todo());
    paper.lines()
}

/// How much a severity stands out.
pub(in crate::tui) const fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Critical => Tone::Critical,
        Severity::Warning => Tone::Warning,
        Severity::Info => Tone::Plain,
    }
}
