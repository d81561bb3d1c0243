//! Agents one after the other, with a folder for pins of their own.

use anyhow::{Context as _, Result, ensure};
use lab::{BpfFs, Container, Network, Running, Vethwatch, wait_for};
use serde_json::Value;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Agents with one folder; what they leave in it is removed at the end.
pub(crate) struct Agents {
    pub(crate) vethwatch: Vethwatch,
    pub(crate) pins: PathBuf,
    options: Vec<String>,
    /// What was told as a record, by all of them.
    told: Vec<Value>,
    /// Flows that were told and are not kept: their generation, number, and place.
    seen: HashSet<[u64; 3]>,
    _bpf_fs: BpfFs,
}

/// One of them.
pub(crate) struct Agent {
    pub(crate) running: Running,
    pub(crate) at: SocketAddr,
}

impl Agents {
    pub(crate) fn new(name: &str, options: &[&str]) -> Result<Self> {
        let bpf_fs = BpfFs::new(name)?;
        let pins = bpf_fs.path().join("pins");
        let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Ok(Self { vethwatch, pins, options, told: Vec::new(), seen: HashSet::new(), _bpf_fs: bpf_fs })
    }

    /// Starts one, which watches then.
    pub(crate) fn start(&self, more: &[&str]) -> Result<Agent> {
        let mut running = self.launch(more)?;
        let at = running.metrics()?;
        wait_for("the agent", PATIENCE, || {
            Ok(running.errors().contains("vethwatch: watching").then_some(()))
        })?;
        Ok(Agent { running, at })
    }

    fn launch(&self, more: &[&str]) -> Result<Running> {
        let pins = self.pins.to_string_lossy();
        let mut words = vec!["agent", "--metrics-listen", "127.0.0.1:0", "--metrics-cadvisor"];
        words.extend(["--records-file", "-", "--pin-dir", &*pins]);
        words.extend(self.options.iter().map(String::as_str));
        words.extend(more);
        self.vethwatch.start(&words)
    }

    /// Starts one with other maps, and kills it so long after it began to take totals over. Whether it was not done then.
    pub(crate) fn cut_takeover(&mut self, more: &[&str], after: Duration) -> Result<bool> {
        let old = self.pins.join("old");
        let running = self.launch(more)?;
        // Without a pause: all of it takes some milliseconds.
        while !old.exists() && !running.errors().contains("vethwatch: watching") {}
        // This is how far it comes, and nothing is waited for.
        std::thread::sleep(after);
        running.signal(libc::SIGKILL)?;
        self.told.extend(running.end()?.1);
        Ok(old.exists())
    }

    /// Kills one, and keeps what it has told.
    pub(crate) fn kill(&mut self, agent: Agent) -> Result<()> {
        agent.running.signal(libc::SIGKILL)?;
        let (code, lines) = agent.running.end()?;
        ensure!(code.is_none(), "it had ended already: {code:?}");
        self.told.extend(lines);
        Ok(())
    }

    /// Ends one, and keeps what it has told.
    pub(crate) fn stop(&mut self, agent: Agent) -> Result<()> {
        agent.running.signal(libc::SIGTERM)?;
        let (code, lines) = agent.running.end()?;
        ensure!(code == Some(0), "{code:?}");
        self.told.extend(lines);
        Ok(())
    }

    /// Flows at devices that were told and are kept, if none was twice. What others beside do in host mode is at none.
    pub(crate) fn flows(&mut self) -> Result<Vec<&Value>> {
        self.told.retain(is_flow);
        for flow in &self.told {
            let number = |value: &Value| value.as_u64().with_context(|| format!("no number in {flow}"));
            let place = number(&flow["observed_at"]["ifindex"])?;
            let own = [number(&flow["epoch"])?, identity(&flow["flow_id"]), place];
            ensure!(self.seen.insert(own), "told twice: {flow}");
        }
        Ok(self.told.iter().collect())
    }

    /// How many flows were told, if none was twice; none of them is kept.
    pub(crate) fn count_flows(&mut self) -> Result<usize> {
        self.flows()?;
        self.told.clear();
        Ok(self.seen.len())
    }
}

/// Whether a line is of a flow at a device, and not its sum at the end.
fn is_flow(line: &Value) -> bool {
    line["type"] == "flow" && line["final"] != true && line["observed_at"]["kind"] != "cgroup"
}

/// A flow's number, however it is written.
fn identity(flow_id: &Value) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(flow_id.to_string())
}

impl Drop for Agents {
    fn drop(&mut self) {
        let pins = self.pins.to_string_lossy();
        if let Err(error) = self.vethwatch.finish(&["detach", "--pin-dir", &pins]) {
            eprintln!("{pins} is left: {error:#}");
        }
    }
}

impl Agent {
    /// Flows at devices that it has told so far.
    pub(crate) fn flows(&self) -> Vec<Value> {
        let mut flows = self.running.lines("flow");
        flows.retain(is_flow);
        flows
    }

    /// The value of the first series of this name that has this label, and maybe others.
    pub(crate) fn figure(&self, name: &str, label: &str) -> Result<Option<u64>> {
        let page = page(self.at)?;
        let of_name = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let mut series = of_name.filter(|series| series.contains(label));
        Ok(series.next().and_then(|series| series.rsplit_once(' ')?.1.parse().ok()))
    }

    /// A loss.
    pub(crate) fn lost(&self, name: &str) -> Result<u64> {
        let label = format!("reason=\"{name}\"");
        Ok(self.figure("vethwatch_lost_events_total", &label)?.unwrap_or_default())
    }

    /// Waits until it tells a loss of at least so many.
    pub(crate) fn wait_for_loss(&self, name: &str, least: u64) -> Result<()> {
        wait_for(name, PATIENCE, || Ok((self.lost(name)? >= least).then_some(())))
            .with_context(|| format!("the agent says: {}", self.running.errors()))
    }

    /// Waits until what was counted at a quiet container's device is what the kernel counted there.
    pub(crate) fn wait_for_equal(&self, container: &Container, on: &Network) -> Result<()> {
        let device = container.host_device(on)?;
        let label = format!("name=\"{}\"", container.name);
        let mut latest = None;
        wait_for(&format!("the counters of {}", container.name), PATIENCE, || {
            let counted = device.counters()?;
            let figure = |family: &str| self.figure(&format!("container_network_{family}_total"), &label);
            let ours = [
                figure("receive_packets")?,
                figure("receive_bytes")?,
                figure("transmit_packets")?,
                figure("transmit_bytes")?,
            ];
            let theirs =
                [counted.tx_packets, counted.tx_bytes, counted.rx_packets, counted.rx_bytes].map(Some);
            latest = Some((ours, theirs));
            Ok((ours == theirs).then_some(()))
        })
        .with_context(|| format!("{latest:?}"))
    }

    /// Our totals and the device's own counters differ by nothing that is not known.
    pub(crate) fn must_be_exact(&self, container: &Container) -> Result<()> {
        let label = format!("container=\"{}\"", container.name);
        let differs = wait_for(&format!("a reading of {}", container.name), PATIENCE, || {
            self.figure("vethwatch_container_unaccounted_bytes", &label)
        })?;
        ensure!(differs == 0, "{}: {differs} bytes are unaccounted for", container.name);
        Ok(())
    }
}

fn page(at: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: vethwatch\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
