//! A segment that macvlan networks are made on, and networks there.

use crate::{Lab, Network, command, finish};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::Duration;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A device for macvlan networks to be made on: one end of a veth, whose other end is nobody's. Gone when dropped.
#[derive(Debug)]
pub struct Segment {
    /// Its name.
    pub parent: String,
    /// The other end, where all comes out that leaves the segment.
    pub other: String,
}

impl Segment {
    /// Makes it; tests of one process give it different names of a few letters.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(name: &str) -> Result<Self> {
        let parent = format!("vw{name}{}", std::process::id() % 1_000_000);
        let segment = Self { other: format!("{parent}o"), parent };
        let Self { parent, other } = &segment;
        ip(&format!("link add {parent} type veth peer name {other}"))?;
        ip(&format!("link set {parent} up"))?;
        ip(&format!("link set {other} up"))?;
        Ok(segment)
    }

    /// Whether the kernel has devices of this kind.
    fn has_macvlan(&self) -> Result<bool> {
        let device = format!("{}m", self.parent);
        let add = format!("link add {device} link {} type macvlan mode bridge", self.parent);
        let added = finish(Command::new("ip").args(add.split(' ')), PATIENCE)?;
        if added.status.success() {
            ip(&format!("link del {device}"))?;
            return Ok(true);
        }
        let said = added.stderr.trim();
        ensure!(said.contains("Unknown device type"), "asking the kernel for macvlan: {said}");
        Ok(false)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("link del {}", self.parent)) {
            eprintln!("{error:#}");
        }
    }
}

impl Lab {
    /// Makes a macvlan network on a segment; `options` are those of `docker network create`. `None`, which it says, where
    /// the kernel itself has no macvlan.
    ///
    /// # Errors
    /// Docker refuses although the kernel has it.
    pub fn macvlan(&self, name: &str, on: &Segment, options: &[&str]) -> Result<Option<Network>> {
        let parent = format!("parent={}", on.parent);
        let made = self.network(name, &[&["--driver", "macvlan", "--opt", &parent], options].concat());
        match made {
            Err(refused) if !on.has_macvlan().context("after Docker refused")? => {
                eprintln!("skipped: this kernel has no macvlan: {refused:#}");
                Ok(None)
            }
            made => made.map(Some),
        }
    }
}

fn ip(words: &str) -> Result<()> {
    command::text(Command::new("ip").args(words.split(' ')), PATIENCE).map(drop)
}
