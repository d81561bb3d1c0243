//! `doctor` and `detached`: what the commands that do not watch tell.

use super::Body;
use crate::model::SafeText;
use serde::Serialize;

/// One thing `doctor` looked at.
#[derive(Serialize)]
pub struct DoctorBody {
    /// What was looked at, a fixed name.
    pub subject: &'static str,
    /// `ok`, `posture` (the configuration bears on isolation), `limited` (something cannot be seen) or `missing` (the main
    /// job cannot be done).
    pub result: &'static str,
    /// What was found.
    pub found: SafeText,
    /// What to do about it, unless it is fine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<SafeText>,
}

impl Body for DoctorBody {
    const TYPE: &'static str = "doctor";
}

/// One thing that `detach` removed.
#[derive(Serialize)]
pub struct DetachedBody {
    /// The device it was on, unless it is of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<SafeText>,
    /// What it was.
    pub what: SafeText,
}

impl Body for DetachedBody {
    const TYPE: &'static str = "detached";
}

/// How a check ended.
#[derive(Serialize)]
pub struct CheckBody<'a> {
    result: &'static str,
    findings: usize,
    failing: usize,
    posture: usize,
    not_seen: &'a [String],
}

impl Body for CheckBody<'_> {
    const TYPE: &'static str = "check";
}

impl<'a> CheckBody<'a> {
    /// `result` is `held`, `findings` or `blind`. `findings` are those of the kinds that count, `failing` those of them
    /// that are bad enough, `posture` all standing ones; `not_seen` says why something may have been missed.
    #[must_use]
    pub const fn new(
        result: &'static str,
        findings: usize,
        failing: usize,
        posture: usize,
        not_seen: &'a [String],
    ) -> Self {
        Self { result, findings, failing, posture, not_seen }
    }
}
