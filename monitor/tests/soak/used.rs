//! What an agent uses at one moment.

use crate::page::Page;
use anyhow::{Context, Result};
use std::fmt;
use std::fs;

/// Kibibytes, numbers and seconds of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) resident_kilobytes: u64,
    /// Open descriptors, but for those of links to interfaces.
    pub(crate) descriptors: u64,
    /// Interfaces that are watched.
    pub(crate) interfaces: u64,
    /// Links to those that are watched by tcx, two for each.
    pub(crate) links: u64,
    /// What the kernel holds for its maps.
    pub(crate) map_kilobytes: u64,
    pub(crate) series: u64,
    pub(crate) cpu_seconds: u64,
}

impl Used {
    /// Of a process and what it exports, once it has told what it takes itself: its first page may come before that.
    pub(crate) fn of(pid: u32, page: &Page) -> Result<Option<Self>> {
        let Some(cpu_seconds) = seconds_behind(&page.text, "vethwatch_agent_cpu_seconds_total ") else {
            return Ok(None);
        };
        let attached =
            ["tcx", "clsact"].map(|mode| page.value("vethwatch_interfaces_attached", &[("mode", mode)]));
        let interfaces = attached.into_iter().flatten().sum();
        let mut used =
            Self { interfaces, resident_kilobytes: resident(pid)?, cpu_seconds, ..Self::default() };
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("listing descriptors")? {
            // One that was closed since it was listed is none.
            let Ok(told) = fs::read_to_string(entry?.path()) else { continue };
            let is_link = told.contains("link_type:\ttcx");
            (used.links, used.descriptors) =
                (used.links + u64::from(is_link), used.descriptors + u64::from(!is_link));
            if told.contains("map_type:") {
                used.map_kilobytes += number_behind(&told, "memlock:").context("a map has memory")? / 1_024;
            }
        }
        used.series = number_behind(&page.text, "vethwatch_series ").context("series")?;
        Ok(Some(used))
    }
}

impl fmt::Display for Used {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kilobytes, descriptors, interfaces, links, map_kilobytes, series, cpu_seconds } =
            self;
        write!(
            formatter,
            "{resident_kilobytes} KiB resident, {descriptors} descriptors, {interfaces} interfaces, {links} links, {map_kilobytes} KiB of \
             maps, {series} series, {cpu_seconds} s of processor time"
        )
    }
}

fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading its status")?;
    number_behind(&status, "VmRSS:").context("no VmRSS")
}

/// The first number of the line that begins so.
fn number_behind(text: &str, begins: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(begins))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The same, of a number with a fraction, which is left out.
fn seconds_behind(text: &str, begins: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(begins))?;
    line.split(['.', ' ']).next()?.parse().ok()
}
