//! What only the agent's socket tells: where it answers, how it is, and what went wrong with a request or a stream.

use super::Body;
use crate::model::SafeText;
use serde::Serialize;

/// Something that can be asked.
#[derive(Serialize)]
pub struct EndpointBody {
    /// Its path.
    pub path: &'static str,
    /// What is answered.
    pub tells: &'static str,
}

impl Body for EndpointBody {
    const TYPE: &'static str = "endpoint";
}

/// Whether the agent counts.
#[derive(Serialize)]
pub struct HealthBody {
    /// Whether it has counted lately.
    pub well: bool,
    /// The agent's version.
    pub version: &'static str,
    /// What its processes may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileges: Option<PrivilegesPart>,
}

/// What the agent's main process may do, and what its helper.
#[derive(Serialize)]
pub struct PrivilegesPart {
    /// The number of the user as whom the main process runs.
    pub user: u32,
    /// The number of its group.
    pub group: u32,
    /// Capabilities that it has.
    pub capabilities: Vec<&'static str>,
    /// What it could not give up, or this kernel cannot enforce: a line each.
    pub not_given_up: Vec<String>,
    /// The helper.
    pub helper: HelperPart,
}

/// What the helper may do.
#[derive(Serialize)]
pub struct HelperPart {
    /// Capabilities that it has.
    pub capabilities: Vec<&'static str>,
    /// How often it was started anew.
    pub restarts: u64,
}

impl Body for HealthBody {
    const TYPE: &'static str = "health";
}

/// Why a request is not answered.
#[derive(Serialize)]
pub struct ErrorBody {
    /// Why.
    pub error: SafeText,
    /// The agent's version.
    pub version: &'static str,
}

impl Body for ErrorBody {
    const TYPE: &'static str = "error";
}

/// Records that a stream does not have, because they were not read fast enough.
#[derive(Serialize)]
pub struct LostBody {
    /// How many since the stream began, of all that there were, whether they were asked for or not.
    pub records: u64,
}

impl Body for LostBody {
    const TYPE: &'static str = "lost";
}
