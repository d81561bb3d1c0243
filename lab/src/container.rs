//! A container of a lab.

use crate::{Device, LABEL, Network, docker, image};
use anyhow::{Context, Result};
use std::fs;

/// A container that is not made yet.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    name: String,
    image: Option<String>,
    networks: Vec<String>,
    options: Vec<String>,
}

impl ContainerSpec {
    pub(crate) fn new(prefix: &str, name: &str) -> Self {
        let options = vec!["--label".to_owned(), format!("{LABEL}={prefix}")];
        Self { name: format!("{prefix}-{name}"), image: None, networks: Vec::new(), options }
    }

    /// Another image than the testbox.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        self.image = Some(image.to_owned());
        self
    }

    /// Puts it on a network; may be said several times.
    #[must_use]
    pub fn on(mut self, network: &Network) -> Self {
        self.networks.push(network.name.clone());
        self
    }

    /// More options of `docker create`.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Labels it as Compose does.
    #[must_use]
    pub fn compose(self, project: &str, service: &str) -> Self {
        self.options(&[
            "--label",
            &format!("com.docker.compose.project={project}"),
            "--label",
            &format!("com.docker.compose.service={service}"),
        ])
    }

    /// Makes and starts it with this command, or the image's own when empty.
    ///
    /// # Errors
    /// Docker refuses, or the testbox image cannot be made.
    pub fn run(self, command: &[&str]) -> Result<Container> {
        let container = self.create(command)?;
        container.start()?;
        Ok(container)
    }

    /// Makes it, on all its networks, without starting it.
    ///
    /// # Errors
    /// Docker refuses, or the testbox image cannot be made.
    pub fn create(self, command: &[&str]) -> Result<Container> {
        let image = match &self.image {
            Some(image) => image.clone(),
            None => image::ready(image::TESTBOX)?,
        };
        let mut arguments = vec!["create", "--name", &self.name, "--pull", "never"];
        if let Some(first) = self.networks.first() {
            arguments.extend(["--network", first]);
        }
        arguments.extend(self.options.iter().map(String::as_str));
        arguments.push(&image);
        arguments.extend(command);
        let id = docker(&arguments)?;
        for more in self.networks.iter().skip(1) {
            docker(&["network", "connect", more, &id])?;
        }
        Ok(Container { name: self.name, id })
    }
}

/// A container that was made.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its full id.
    pub id: String,
}

impl Container {
    /// Starts it.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn start(&self) -> Result<()> {
        docker(&["start", &self.id]).map(drop)
    }

    /// Kills it; it still exists afterwards.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self) -> Result<()> {
        docker(&["kill", &self.id]).map(drop)
    }

    /// Removes it, running or not.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn remove(self) -> Result<()> {
        docker(&["rm", "--force", "--volumes", &self.id]).map(drop)
    }

    /// Runs a command in it and returns what it prints.
    ///
    /// # Errors
    /// It does not run, or the command fails.
    pub fn exec(&self, command: &[&str]) -> Result<String> {
        docker(&[&["exec", &self.id], command].concat())
    }

    /// What it has printed so far, standard output and standard error together.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn logs(&self) -> Result<String> {
        let mut command = std::process::Command::new("docker");
        let finished = crate::finish(command.args(["logs", &self.id]), std::time::Duration::from_secs(30))?;
        Ok(finished.stdout + &finished.stderr)
    }

    /// Joins a network.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn connect(&self, network: &Network) -> Result<()> {
        docker(&["network", "connect", &network.name, &self.id]).map(drop)
    }

    /// Leaves a network.
    ///
    /// # Errors
    /// Docker refuses.
    pub fn disconnect(&self, network: &Network) -> Result<()> {
        docker(&["network", "disconnect", &network.name, &self.id]).map(drop)
    }

    /// The number of its first process in the host's eyes.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Result<u32> {
        let pid: u32 = self.inspect("{{.State.Pid}}")?.parse().context("reading State.Pid")?;
        anyhow::ensure!(pid != 0, "{} does not run", self.name);
        Ok(pid)
    }

    /// Its IPv4 address on a network.
    ///
    /// # Errors
    /// It is not on that network, or does not run.
    pub fn address(&self, network: &Network) -> Result<String> {
        self.endpoint(network, "IPAddress")
    }

    /// Its IPv6 address on a network.
    ///
    /// # Errors
    /// It is not on that network, or has no such address.
    pub fn ipv6_address(&self, network: &Network) -> Result<String> {
        self.endpoint(network, "GlobalIPv6Address")
    }

    /// Its Ethernet address on a network.
    ///
    /// # Errors
    /// It is not on that network, or does not run.
    pub fn mac(&self, network: &Network) -> Result<String> {
        self.endpoint(network, "MacAddress")
    }

    /// The port of the host by which a port of its own (`80/tcp`) is published.
    ///
    /// # Errors
    /// Docker says that there is none.
    pub fn published_port(&self, inner: &str) -> Result<u16> {
        let published = docker(&["port", &self.id, inner])?;
        let first = published.lines().next().unwrap_or_default();
        let (_, port) = first.rsplit_once(':').with_context(|| format!("{first:?} names no port"))?;
        port.parse().with_context(|| format!("{port:?} is no port"))
    }

    /// The host's end of its interface on a network.
    ///
    /// Read from the container's own sysfs, which shows its own network namespace: an interface's `iflink` is the
    /// ifindex of the other end.
    ///
    /// # Errors
    /// It does not run, or is not on that network. Needs root.
    pub fn host_device(&self, network: &Network) -> Result<Device> {
        let mac = self.mac(network)?;
        let devices = format!("/proc/{}/root/sys/class/net", self.pid()?);
        for entry in fs::read_dir(&devices).with_context(|| format!("listing {devices}"))? {
            let folder = entry?.path();
            let read = |file: &str| fs::read_to_string(folder.join(file)).map(|text| text.trim().to_owned());
            if read("address").is_ok_and(|address| address == mac) {
                return Device::by_index(read("iflink")?.parse().context("reading iflink")?);
            }
        }
        anyhow::bail!("{} has no interface with the address {mac}", self.name)
    }

    fn endpoint(&self, network: &Network, field: &str) -> Result<String> {
        let value =
            self.inspect(&format!("{{{{(index .NetworkSettings.Networks {:?}).{field}}}}}", network.name))?;
        anyhow::ensure!(!value.is_empty(), "{} has no {field} on {}", self.name, network.name);
        Ok(value)
    }

    fn inspect(&self, format: &str) -> Result<String> {
        docker(&["inspect", "--format", format, &self.id])
    }
}
