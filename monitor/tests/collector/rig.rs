//! A host of its own for each test: a fresh network namespace with a bridge, and containers that are namespaces
//! joined to it by veth pairs. Nothing outside is touched; dropping it removes everything.

use monitor::collector::{Collector, Settings, clock, probe};
use monitor::model::{
    AttachMode, Counts, InterfaceNumber, KernelTime, Observation, Reading, Resources, Traffic,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel, error::TryRecvError};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command, which must succeed, and returns what it printed.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A namespace that stands for the host. The calling thread is in it from then on.
pub(crate) struct Host {
    id: String,
    containers: Vec<String>,
    bpffs: Option<PathBuf>,
    pub(crate) state_dir: PathBuf,
}

impl Host {
    /// Makes one with a bridge `br0`.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!("vw-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // SAFETY: only the network namespace changes, of this thread alone, and no descriptor depends on it.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        run("ip link set lo up");
        run("ip link add br0 type bridge");
        run("ip addr add 10.99.0.1/16 dev br0");
        run("ip link set br0 up");
        let state_dir = std::env::temp_dir().join(&id);
        Self { id, containers: Vec::new(), bpffs: None, state_dir }
    }

    /// A veth pair `v<n>` / `p<n>` with the host's end on the bridge, both still down.
    pub(crate) fn veth(&self, n: usize) -> String {
        run(&format!("ip link add v{n} type veth peer name p{n}"));
        run(&format!("ip link set v{n} master br0"));
        format!("v{n}")
    }

    /// Makes a namespace and moves the other end of `v<n>` there as `eth0`, with the address `10.99.1.<n>`.
    pub(crate) fn container(&mut self, n: usize) -> String {
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

    /// A directory where programs can be pinned.
    pub(crate) fn bpffs(&mut self) -> PathBuf {
        let path = self.state_dir.join("bpf");
        std::fs::create_dir_all(&path).unwrap();
        run(&format!("mount -t bpf none {}", path.display()));
        self.bpffs = Some(path.clone());
        path
    }

    /// Settings for this host.
    pub(crate) fn settings(&self, attach: AttachMode) -> Settings {
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
        if let Some(path) = &self.bpffs {
            run(&format!("umount {}", path.display()));
        }
        let _ = std::fs::remove_dir_all(&self.state_dir);
    }
}

/// The ways to attach that this kernel has.
pub(crate) fn modes() -> Vec<AttachMode> {
    let tcx = probe::has_tcx().then_some(AttachMode::Tcx);
    tcx.into_iter().chain([AttachMode::Clsact]).collect()
}

/// Waits for a condition.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = clock::kernel_now().plus(PATIENCE);
    while !condition() {
        assert!(clock::kernel_now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Two containers on a bridge, watched from before they could send.
pub(crate) fn two_containers(host: &mut Host, watch: &mut Watch) -> ([String; 2], [InterfaceNumber; 2]) {
    let numbers = [1, 2].map(|n| {
        let veth = host.veth(n);
        watch.attached(&veth).0
    });
    ([host.container(1), host.container(2)], numbers)
}

/// Pings, large and small, and a TCP transfer both ways.
pub(crate) fn traffic(containers: &[String; 2]) {
    run(&format!("ip netns exec {} ping -q -c 50 -i 0.002 10.99.1.2", containers[0]));
    run(&format!("ip netns exec {} ping -q -c 5 -i 0.01 -s 8000 10.99.1.2", containers[0]));
    let listener = inside(&containers[1], || TcpListener::bind("10.99.1.2:5000").unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&received).unwrap();
    });
    let mut stream = inside(&containers[0], || TcpStream::connect("10.99.1.2:5000").unwrap());
    stream.write_all(&vec![7; 8 << 20]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), 8 << 20);
    server.join().unwrap();
}

/// Runs something inside a container's namespace.
pub(crate) fn inside<T: Send>(container: &str, work: impl FnOnce() -> T + Send) -> T {
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
pub(crate) struct Watch {
    collector: Option<Collector>,
    observations: Receiver<Observation>,
    pub(crate) seen: Vec<Observation>,
}

impl Watch {
    /// Starts one.
    pub(crate) fn start(settings: Settings) -> Self {
        Self::start_with_room(settings, 1_024)
    }

    /// Starts one that finds room for so many observations until they are waited for.
    pub(crate) fn start_with_room(settings: Settings, room: usize) -> Self {
        let (out, observations) = channel(room);
        let collector = Collector::start(settings, out).unwrap();
        Self { collector: Some(collector), observations, seen: Vec::new() }
    }

    /// The collector.
    pub(crate) fn collector(&self) -> &Collector {
        self.collector.as_ref().unwrap()
    }

    /// Waits until `found` finds something in what was told from now on or before.
    pub(crate) fn wait<T>(&mut self, what: &str, mut found: impl FnMut(&Observation) -> Option<T>) -> T {
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
    pub(crate) fn wait_new<T>(&mut self, what: &str, mut found: impl FnMut(&Observation) -> Option<T>) -> T {
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
    pub(crate) fn attached(&mut self, name: &str) -> (InterfaceNumber, KernelTime) {
        self.wait(&format!("{name} attached"), |observation| match observation {
            Observation::Attached { interface, at, .. } if interface.name.as_str() == name => {
                Some((interface.number, *at))
            }
            Observation::NotWatched(not) if not.name.as_str() == name => panic!("{not:?}"),
            _ => None,
        })
    }

    /// Waits for a reading of an interface during which the device counted nothing.
    pub(crate) fn quiet_reading(&mut self, number: InterfaceNumber) -> Reading {
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
    pub(crate) fn stop(&mut self) -> Duration {
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

    /// The last reading of an interface that is watched no longer.
    pub(crate) fn last_reading(&self, number: InterfaceNumber) -> Reading {
        let last = self.seen.iter().rev().find_map(|observation| match observation {
            Observation::Detached { number: of, last, .. } if *of == number => Some(**last),
            Observation::Totals(readings) => readings.iter().find(|it| it.number == number).copied(),
            _ => None,
        });
        last.expect("a reading")
    }

    /// All flows told so far, summed by interface.
    pub(crate) fn flows(&self) -> HashMap<InterfaceNumber, Traffic> {
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
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resources> {
        self.seen.iter().filter_map(|observation| match observation {
            Observation::Resources(resources) => Some(resources),
            _ => None,
        })
    }

    /// The losses told last.
    pub(crate) fn losses(&self) -> Vec<(String, u64)> {
        let losses = self.seen.iter().rev().find_map(|observation| match observation {
            Observation::Losses(losses) => {
                Some(losses.iter().map(|(name, count)| (name.to_owned(), count)).collect())
            }
            _ => None,
        });
        losses.unwrap_or_default()
    }
}

/// ifindex of a device.
pub(crate) fn ifindex_of(device: &str) -> u32 {
    let shown = run(&format!("ip -o link show {device}"));
    shown.split(':').next().unwrap().parse().unwrap()
}

/// skbs and their bytes.
pub(crate) fn device_like(counts: Counts) -> (u64, u64) {
    (counts.skbs, counts.skb_bytes)
}
