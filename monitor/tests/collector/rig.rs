//! A host of its own for each test: a fresh network namespace with a bridge, and containers that are namespaces
//! joined to it by veth pairs. Nothing outside is touched; dropping it removes everything.

use monitor::collector::{Collector, Settings, clock};
use monitor::model::{
    AttachMode, Counts, InterfaceNumber, KernelTime, Observation, Reading, Resources, Traffic,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel, error::TryRecvError};

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a command, which must succeed, and returns what it printed.
pub fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A namespace that stands for the host. The calling thread is in it from then on.
pub struct Host {
    id: String,
    containers: Vec<String>,
    pub state_dir: PathBuf,
}

impl Host {
    /// Makes one with a bridge `br0`.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!("vw-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // SAFETY: only the network namespace changes, of this thread alone, and no descriptor depends on it.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        run("ip link set lo up");
        run("ip link add br0 type bridge");
        run("ip addr add 10.99.0.1/16 dev br0");
        run("ip link set br0 up");
        let state_dir = std::env::temp_dir().join(&id);
        Self { id, containers: Vec::new(), state_dir }
    }

    /// A veth pair `v<n>` / `p<n>` with the host's end on the bridge, both still down.
    pub fn veth(&self, n: usize) -> String {
        run(&format!("ip link add v{n} type veth peer name p{n}"));
        run(&format!("ip link set v{n} master br0"));
        format!("v{n}")
    }

    /// Makes a namespace and moves the other end of `v<n>` there as `eth0`, with the address `10.99.1.<n>`.
    pub fn container(&mut self, n: usize) -> String {
        let name = format!("{}-{n}", self.id);
        run(&format!("ip netns add {name}"));
        self.containers.push(name.clone());
        run(&format!("ip link set p{n} netns {name} name eth0"));
        run(&format!("ip -n {name} addr add 10.99.1.{n}/16 dev eth0"));
        run(&format!("ip -n {name} link set lo up"));
        run(&format!("ip -n {name} link set eth0 up"));
        run(&format!("ip link set v{n} up"));
        name
    }

    /// Settings for this host.
    pub fn settings(&self, attach: AttachMode) -> Settings {
        Settings {
            attach: Some(attach),
            tick: Duration::from_millis(100),
            state_dir: self.state_dir.clone(),
            ..Settings::default()
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for name in &self.containers {
            run(&format!("ip netns del {name}"));
        }
        let _ = std::fs::remove_dir_all(&self.state_dir);
    }
}

/// Runs something inside a container's namespace.
pub fn inside<T: Send>(container: &str, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{container}")).unwrap();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        worker.join().unwrap()
    })
}

/// A running collector, and all it has told so far.
pub struct Watch {
    collector: Option<Collector>,
    observations: Receiver<Observation>,
    pub seen: Vec<Observation>,
}

impl Watch {
    /// Starts one.
    pub fn start(settings: Settings) -> Self {
        let (out, observations) = channel(1_024);
        let collector = Collector::start(settings, out).unwrap();
        Self { collector: Some(collector), observations, seen: Vec::new() }
    }

    /// The collector.
    pub fn collector(&self) -> &Collector {
        self.collector.as_ref().unwrap()
    }

    /// Waits until `found` finds something in what was told from now on or before.
    pub fn wait<T>(&mut self, what: &str, mut found: impl FnMut(&Observation) -> Option<T>) -> T {
        if let Some(found) = self.seen.iter().find_map(&mut found) {
            return found;
        }
        let deadline = clock::kernel_now().plus(PATIENCE);
        loop {
            match self.observations.try_recv() {
                Ok(observation) => {
                    let result = found(&observation);
                    self.seen.push(observation);
                    if let Some(result) = result {
                        return result;
                    }
                }
                Err(TryRecvError::Empty) if clock::kernel_now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("never came: {what} ({error})"),
            }
        }
    }

    /// As `wait`, but looks only at what comes from now on.
    pub fn wait_new<T>(&mut self, what: &str, mut found: impl FnMut(&Observation) -> Option<T>) -> T {
        let now = clock::kernel_now();
        self.wait(what, |observation| match observation {
            Observation::Totals(readings) if readings.iter().any(|reading| reading.at > now) => {
                found(observation)
            }
            Observation::Totals(_) => None,
            other => found(other),
        })
    }

    /// Waits until a device is watched, and returns its number and when that was.
    pub fn attached(&mut self, name: &str) -> (InterfaceNumber, KernelTime) {
        self.wait(&format!("{name} attached"), |observation| match observation {
            Observation::Attached { interface, at, .. } if interface.name.as_str() == name => {
                Some((interface.number, *at))
            }
            Observation::NotWatched(not) if not.name.as_str() == name => panic!("{not:?}"),
            _ => None,
        })
    }

    /// Waits for a reading of an interface during which the device counted nothing.
    pub fn quiet_reading(&mut self, number: InterfaceNumber) -> Reading {
        self.wait_new("a quiet reading", |observation| match observation {
            Observation::Totals(readings) => readings
                .iter()
                .find(|reading| {
                    let counted = [reading.device_before, reading.device_after]
                        .map(|device| device.map(|d| (d.sent_skbs, d.received_skbs)));
                    reading.number == number && counted[0].is_some() && counted[0] == counted[1]
                })
                .copied(),
            _ => None,
        })
    }

    /// Stops it while receiving the rest. How long that took.
    pub fn stop(&mut self) -> Duration {
        let collector = self.collector.take().unwrap();
        let began = clock::kernel_now();
        let stopping = std::thread::spawn(move || {
            collector.stop();
            clock::kernel_now()
        });
        while let Some(observation) = self.observations.blocking_recv() {
            self.seen.push(observation);
        }
        stopping.join().unwrap().since(began)
    }

    /// The last reading of an interface that was detached.
    pub fn last_reading(&self, number: InterfaceNumber) -> Reading {
        let last = self.seen.iter().find_map(|observation| match observation {
            Observation::Detached { number: of, last, .. } if *of == number => Some(*last),
            _ => None,
        });
        last.expect("detached")
    }

    /// All flows told so far, summed by interface.
    pub fn flows(&self) -> HashMap<InterfaceNumber, Traffic> {
        let mut sums: HashMap<_, Traffic> = HashMap::new();
        for observation in &self.seen {
            if let Observation::Flows(batch) = observation {
                for flow in &batch.flows {
                    *sums.entry(flow.key.interface).or_default() +=
                        Traffic { sent: flow.sent, received: flow.received };
                }
            }
        }
        sums
    }

    /// All resources told so far.
    pub fn resources(&self) -> impl Iterator<Item = &Resources> {
        self.seen.iter().filter_map(|observation| match observation {
            Observation::Resources(resources) => Some(resources),
            _ => None,
        })
    }

    /// The losses told last.
    pub fn losses(&self) -> Vec<(&'static str, u64)> {
        let losses = self.seen.iter().rev().find_map(|observation| match observation {
            Observation::Losses(losses) => Some(losses.iter().collect()),
            _ => None,
        });
        losses.unwrap_or_default()
    }
}

/// skbs and their bytes.
pub fn device_like(counts: Counts) -> (u64, u64) {
    (counts.skbs, counts.skb_bytes)
}
