//! `setting`: what is in force, and where it comes from.

use super::Body;
use crate::model::SafeText;
use serde::Serialize;

/// One setting.
#[derive(Serialize)]
pub struct SettingBody {
    /// Its key in a file, from the top: `metrics.listen`.
    pub key: String,
    /// Its value; absent is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<SettingValue>,
    /// `default`, `file`, `environment` or `flag`.
    pub origin: &'static str,
    /// The file and line, the variable, or the flag that says so; absent for a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said_by: Option<SafeText>,
    /// Whether a running agent goes on with the value that it was started with.
    pub needs_restart: bool,
}

impl Body for SettingBody {
    const TYPE: &'static str = "setting";
}

/// A value, as a file has it.
#[derive(Serialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Number(u64),
    /// Anything else.
    Text(SafeText),
    /// Several.
    List(Vec<SafeText>),
}
