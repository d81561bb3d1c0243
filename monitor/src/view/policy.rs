//! The lines of `policy explain`.

use super::style::{Frame, Line, Tone, wrap};
use crate::wire::{ExplainedEnd, PolicyExplanationBody};

/// The most rules before the one that decides that are listed.
const MOST_PASSED: usize = 20;

/// Draws who asks whom, which rule decides, and why not one before it.
#[must_use]
pub fn policy_explanation(explanation: &PolicyExplanationBody, frame: &Frame) -> Vec<Line> {
    let mut texts = vec![
        (Tone::Plain, 0, format!("from  {}", end(&explanation.from, ""))),
        (Tone::Plain, 0, format!("to    {}", end(&explanation.to, explanation.protocol.as_str()))),
    ];
    texts.extend(explanation.notes.iter().map(|note| (Tone::Warning, 0, format!("note: {note}"))));
    texts.extend(decision(explanation));
    if !explanation.passed_over.is_empty() {
        texts.push((Tone::Plain, 0, "passed over:".to_owned()));
    }
    let listed = explanation.passed_over.iter().take(MOST_PASSED);
    texts.extend(
        listed.map(|pass| (Tone::Plain, 2, format!("{} (line {}): {}", pass.rule, pass.line, pass.words))),
    );
    let more = explanation.passed_over.len().saturating_sub(MOST_PASSED);
    if more > 0 {
        texts.push((Tone::Plain, 2, format!("and {more} more")));
    }
    texts.iter().flat_map(|(tone, indent, text)| indented(*tone, *indent, text, frame)).collect()
}

fn decision(explanation: &PolicyExplanationBody) -> Vec<(Tone, usize, String)> {
    let Some(rule) = &explanation.rule else {
        let text = "no rule of the file matches: the built-in rules decide";
        return vec![(Tone::Strong, 0, text.to_owned())];
    };
    let severity = rule.severity.map(|severity| format!(", {severity}")).unwrap_or_default();
    let head = format!("{} by rule {} (line {}){severity}", rule.action, rule.name, rule.line);
    let mut texts = vec![(Tone::Strong, 0, head)];
    texts.extend(rule.comment.iter().map(|comment| (Tone::Plain, 2, comment.to_string())));
    texts.extend(explanation.accepted.iter().map(|accept| {
        let why = accept.comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
        (Tone::Plain, 2, format!("accepted until {} (line {}){why}", accept.until, accept.line))
    }));
    texts
}

/// `shop-web-1 172.18.0.2 port 80 tcp, on shop_front`.
fn end(end: &ExplainedEnd, protocol: &str) -> String {
    let mut words = vec![match &end.container {
        Some(name) => name.to_string(),
        None => end.kind.to_owned(),
    }];
    words.extend(end.address.map(|address| address.to_string()));
    words.extend(end.port.map(|port| format!("port {port}")));
    words.extend((!protocol.is_empty()).then(|| protocol.to_owned()));
    let networks: Vec<&str> = end.networks.iter().map(|name| name.as_str()).collect();
    let on = if networks.is_empty() { String::new() } else { format!(", on {}", networks.join(", ")) };
    words.join(" ") + &on
}

fn indented(tone: Tone, indent: usize, text: &str, frame: &Frame) -> Vec<Line> {
    let lines = wrap(text, frame.width.saturating_sub(indent).max(1));
    let draw = |text: String| Line::of(tone, format!("{}{text}", " ".repeat(indent)));
    lines.into_iter().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::policy_explanation;
    use crate::model::SafeText;
    use crate::snapshot::EndKind;
    use crate::view::Frame;
    use crate::wire::{
        ExplainedAccept, ExplainedEnd, ExplainedPass, ExplainedRule, PolicyExplanationBody, fixtures,
    };

    fn explanation(passes: usize, rule: Option<ExplainedRule>) -> PolicyExplanationBody {
        let text = SafeText::new;
        let web = ExplainedEnd {
            container: Some(text("web")),
            address: "172.18.0.2".parse().ok(),
            networks: vec![text("back"), text("front")],
            ..ExplainedEnd::of(EndKind::Container)
        };
        let accept = ExplainedAccept { line: 40, until: text("2027-01-31"), comment: Some(text("ticket")) };
        let pass = |line| ExplainedPass { rule: text("r"), line, reason: "from", words: "it is for others" };
        PolicyExplanationBody {
            from: web,
            to: ExplainedEnd { port: Some(443), ..ExplainedEnd::of(EndKind::External) },
            protocol: text("tcp"),
            decided_by: if rule.is_some() { "file" } else { "built_in" },
            accepted: rule.as_ref().map(|_| accept),
            rule,
            passed_over: (1..=passes).map(pass).collect(),
            notes: vec![text("web does not run")],
        }
    }

    fn draw(explanation: &PolicyExplanationBody) -> Vec<String> {
        let frame = Frame { width: 80, height: None, colour: false, clock: fixtures::clock() };
        policy_explanation(explanation, &frame).iter().map(|line| line.draw(&frame)).collect()
    }

    #[test]
    fn who_asks_whom_and_what_decides_are_lines() {
        let rule = ExplainedRule {
            name: SafeText::new("stay-inside"),
            line: 12,
            action: "deny",
            severity: Some("critical"),
            comment: Some(SafeText::new("call me")),
        };
        let expected = [
            "from  web 172.18.0.2, on back, front",
            "to    external port 443 tcp",
            "note: web does not run",
            "deny by rule stay-inside (line 12), critical",
            "  call me",
            "  accepted until 2027-01-31 (line 40): ticket",
            "passed over:",
            "  r (line 1): it is for others",
        ];
        assert_eq!(draw(&explanation(1, Some(rule))), expected);
    }

    #[test]
    fn of_very_many_rules_only_some_are_listed() {
        let lines = draw(&explanation(4_096, None));
        assert!(lines.contains(&"no rule of the file matches: the built-in rules decide".to_owned()));
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (26, Some("  and 4076 more")));
    }
}
