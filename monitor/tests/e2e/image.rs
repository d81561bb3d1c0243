//! The image of vethwatch, run as `packaging/compose.yaml` says and with the rights that it names: what it counts of
//! another container is what the kernel counts.

#[path = "metrics/page.rs"]
mod page;

use anyhow::{Context as _, Result, ensure};
use lab::{Lab, docker, image, text, wait_for};
use page::Page;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// How many datagrams are sent.
const DATAGRAMS: u64 = 500;
/// The Compose file that users have.
const COMPOSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/compose.yaml");

/// The image and what Compose made of it; gone when dropped.
struct Composed {
    name: String,
    folder: PathBuf,
}

impl Composed {
    fn up(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        // Others on this machine may have the usual port, the socket, and settings.
        let command = r#"["agent", "--metrics-listen", "127.0.0.1:0", "--socket", "off"]"#;
        let settings = format!("{}:/etc/vethwatch:ro", folder.display());
        let changed = format!("services: {{vethwatch: {{command: {command}, volumes: [{settings:?}]}}}}");
        fs::write(folder.join("test.yaml"), changed)?;
        let composed = Self { name: name.to_owned(), folder };
        let program = Path::new(env!("CARGO_BIN_EXE_vethwatch"));
        image::make_vethwatch(&composed.image(), program, &composed.folder)?;
        composed.compose(&["up", "--detach"])?;
        Ok(composed)
    }

    fn image(&self) -> String {
        format!("{}:latest", self.name)
    }

    fn compose(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", &self.name, "--file", COMPOSE, "--file"]);
        command.arg(self.folder.join("test.yaml")).args(arguments).env("VETHWATCH_IMAGE", self.image());
        text(&mut command, PATIENCE)
    }

    fn down(&self) -> Result<()> {
        self.compose(&["down", "--timeout", "5"])?;
        if image::exists(&self.image())? {
            docker(&["rmi", &self.image()])?;
        }
        fs::remove_dir_all(&self.folder).context("removing the folder")
    }

    /// What it writes to standard error.
    fn logs(&self) -> Result<String> {
        self.compose(&["logs", "--no-color"])
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        // The test has failed, which is told already.
        if self.folder.exists()
            && let Err(error) = self.down()
        {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}

#[test]
fn with_the_documented_rights_alone_it_counts_what_the_kernel_counts() -> Result<()> {
    let lab = Lab::new("image")?;
    let network = lab.network("net", &[])?;
    let server = lab.container("server").on(&network).run(&["sleep"])?;
    let composed = Composed::up(lab.prefix())?;
    let address = wait_for("the address of the metrics", PATIENCE, || {
        let said = composed.logs()?;
        let address = said.split_once("http://").and_then(|(_, behind)| behind.split_once('/'));
        address.map(|(address, _)| Ok(address.parse::<SocketAddr>()?)).transpose()
    })?;
    let id = composed.compose(&["ps", "--quiet"])?;
    // Docker tells them in the order of the alphabet.
    let rights = docker(&[
        "inspect",
        "--format",
        "{{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}}",
        &id,
    ])?;
    ensure!(rights == "false [ALL] [NET_ADMIN SETGID SETPCAP SETUID SYS_ADMIN]", "{rights}");

    // One that comes later: its interface is watched before its first packet.
    let client = lab.container("client").on(&network).run(&["sleep"])?;
    let to = format!("{}:4001", server.address(&network)?);
    client.exec(&["/testbox", "udp-send", &to, "--count", &DATAGRAMS.to_string(), "--rate", "1000"])?;
    let device = client.host_device(&network)?;
    let labels = [("container", &*client.name)];
    wait_for("the counters of the client", PATIENCE, || {
        let page = Page::of(address)?;
        let figure = |family: &str| page.value(&format!("vethwatch_container_{family}_total"), &labels);
        let ours = ["receive_packets", "receive_bytes", "transmit_packets", "transmit_bytes"].map(figure);
        let counted = device.counters()?;
        let theirs = [counted.tx_packets, counted.tx_bytes, counted.rx_packets, counted.rx_bytes].map(Some);
        Ok((ours == theirs && counted.rx_packets >= DATAGRAMS).then_some(()))
    })?;
    // The rights are enough for everything that this kernel has.
    let page = Page::of(address)?;
    for feature in ["drops", "translations"] {
        let missing = page.value("vethwatch_feature_missing", &[("feature", feature)]);
        ensure!(missing.is_none(), "{feature} are missing: {}", composed.logs()?);
    }
    let differs = wait_for("its check", PATIENCE, || {
        Ok(Page::of(address)?.value("vethwatch_container_unaccounted_bytes", &labels))
    })?;
    ensure!(differs == 0, "{differs} bytes unaccounted");
    composed.down()?;
    lab.close()
}
