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

/// Removes a network, with endpoints of containers that are gone already: an engine that is busy leaves some.
pub(crate) fn remove(id: &str) -> Result<()> {
    let removed = docker(&["network", "rm", id]);
    let Err(refused) = removed else { return Ok(()) };
    let names = "{{range .Containers}}{{println .Name}}{{end}}";
    let left = docker(&["network", "inspect", "--format", names, id])?;
    for name in left.lines().filter(|name| !name.is_empty()) {
        docker(&["network", "disconnect", "--force", id, name])?;
    }
    docker(&["network", "rm", id]).map(drop).with_context(|| format!("{refused:#}; endpoints: {left:?}"))
}
