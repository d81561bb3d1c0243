//! `policy`, `policy_error` and `policy_explanation`: what the commands about policy files tell.

use super::Body;
use super::parts::end_kind;
use crate::model::SafeText;
use crate::snapshot::EndKind;
use serde::Serialize;
use std::net::IpAddr;

/// A file without mistakes.
#[derive(Serialize)]
pub struct PolicyBody {
    /// The file.
    pub file: SafeText,
    /// How many rules it has.
    pub rules: usize,
    /// How many findings it accepts.
    pub accepts: usize,
    /// Lines of accepted findings whose time is over.
    pub over: Vec<usize>,
}

impl Body for PolicyBody {
    const TYPE: &'static str = "policy";
}

/// A mistake of a file.
#[derive(Serialize)]
pub struct PolicyErrorBody {
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// What was found.
    pub message: SafeText,
    /// What was expected.
    pub expected: SafeText,
}

impl Body for PolicyErrorBody {
    const TYPE: &'static str = "policy_error";
}

/// Which rule of a file decides about a conversation.
#[derive(Serialize)]
pub struct PolicyExplanationBody {
    /// Who opens it.
    pub from: ExplainedEnd,
    /// Who is asked.
    pub to: ExplainedEnd,
    /// The protocol.
    pub protocol: SafeText,
    /// `file`, or `built_in` where no rule of the file matches.
    pub decided_by: &'static str,
    /// The rule of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<ExplainedRule>,
    /// The entry by which a finding of that rule is accepted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<ExplainedAccept>,
    /// The rules before it, which do not match.
    pub passed_over: Vec<ExplainedPass>,
    /// What else is to be known.
    pub notes: Vec<SafeText>,
}

impl Body for PolicyExplanationBody {
    const TYPE: &'static str = "policy_explanation";
}

/// One end, as rules see it.
#[derive(Serialize)]
pub struct ExplainedEnd {
    /// `container`, `host`, `external`, `multicast` or `unknown`.
    pub kind: &'static str,
    /// The container's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<SafeText>,
    /// Its address, if one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The networks it is on.
    pub networks: Vec<SafeText>,
}

impl ExplainedEnd {
    /// An end of which only the kind is known.
    #[must_use]
    pub fn of(kind: EndKind) -> Self {
        Self { kind: end_kind(kind), container: None, address: None, port: None, networks: Vec::new() }
    }
}

/// A rule of the file.
#[derive(Serialize)]
pub struct ExplainedRule {
    /// Its name.
    pub name: SafeText,
    /// The line where it begins.
    pub line: usize,
    /// `allow`, `deny` or `report`.
    pub action: &'static str,
    /// How bad a finding by it is, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<&'static str>,
    /// What the operator says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<SafeText>,
}

/// An accepted finding.
#[derive(Serialize)]
pub struct ExplainedAccept {
    /// The line where it begins.
    pub line: usize,
    /// The last day on which it counts.
    pub until: SafeText,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<SafeText>,
}

/// A rule that does not match.
#[derive(Serialize)]
pub struct ExplainedPass {
    /// Its name.
    pub rule: SafeText,
    /// The line where it begins.
    pub line: usize,
    /// Why, a fixed word.
    pub reason: &'static str,
    /// The same for a person.
    #[serde(skip)]
    pub words: &'static str,
}
