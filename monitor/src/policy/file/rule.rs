//! A rule of the file.

use super::super::Severity;
use super::pattern::{PassedOver, Pattern};
use crate::model::{Protocol, SafeText};
use crate::policy::Party;

/// What a rule says of the conversations it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They are expected.
    Allow,
    /// They must not be.
    Deny,
    /// They are expected, and told as crossings.
    Report,
}

impl Action {
    /// Its name in the file and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Report => "report",
        }
    }
}

/// A rule of the file.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name; no two rules have the same.
    pub name: SafeText,
    /// What it says.
    pub action: Action,
    /// How bad a finding by it is; absent where the kind of finding decides.
    pub severity: Option<Severity>,
    /// What the operator says about it, printed with its findings.
    pub comment: Option<SafeText>,
    /// The line of the file where it begins.
    pub line: usize,
    pub(super) pattern: Pattern,
}

impl Rule {
    /// Why it says nothing of a conversation; none if it does.
    #[must_use]
    pub fn passed_over(
        &self,
        from: &Party<'_>,
        to: &Party<'_>,
        protocol: Protocol,
        port: Option<u16>,
    ) -> Option<PassedOver> {
        self.pattern.passed_over(from, to, protocol, port)
    }
}
