//! Expressions of tcpdump are compiled by tcpdump itself, so that they mean here what they mean there.

use super::super::failure::Failure;
use crate::capture::Program;
use anyhow::{Context, anyhow};
use std::process::Command;

/// Has tcpdump compile an expression for Ethernet.
///
/// # Errors
/// There is no tcpdump here, or it does not understand the expression.
pub(super) fn compile(expression: &str) -> Result<Program, Failure> {
    let output = Command::new("tcpdump")
        .args(["-ddd", "-y", "EN10MB", "--", expression])
        .output()
        .context("--pcap wants tcpdump, which cannot be started")?;
    if !output.status.success() {
        let said = crate::model::SafeText::new(String::from_utf8_lossy(&output.stderr).trim());
        return Err(anyhow!("--pcap: {said}").into());
    }
    let program = Program::parse(&String::from_utf8_lossy(&output.stdout));
    Ok(program.context("--pcap: what tcpdump made of it cannot be used")?)
}
