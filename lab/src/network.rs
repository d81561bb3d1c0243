//! A Docker network of a lab.

use crate::{LABEL, docker};
use anyhow::{Context, Result};

/// A bridge network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its full id.
    pub id: String,
    /// The name of its bridge device.
    pub bridge: String,
}

impl Network {
    pub(crate) fn create(prefix: &str, name: &str, options: &[&str]) -> Result<Self> {
        let name = format!("{prefix}-{name}");
        let label = format!("{LABEL}={prefix}");
        let id = docker(&[&["network", "create", "--label", &label], options, &[&name]].concat())?;
        let short = id.get(..12).with_context(|| format!("{id:?} is no network id"))?;
        let bridge = format!("br-{short}");
        Ok(Self { name, id, bridge })
    }

    /// The address of its gateway, which is the host's own on this network.
    ///
    /// # Errors
    /// Docker does not know the network (any more).
    pub fn gateway(&self) -> Result<String> {
        docker(&["network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", &self.id])
    }
}
