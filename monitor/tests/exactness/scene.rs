//! Two containers on a network of their own, and a collector that flips its generations every 100 ms.

use crate::account::{Account, Difference, InFlight, Watched};
use anyhow::{Context, Result, bail, ensure};
use lab::{Container, Device, Lab, Network, image, wait_for};
use monitor::collector::{Collector, Settings};
use monitor::model::{AttachMode, KernelTime};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Generations that have to be flipped under load.
const FLIPS: u64 = 100;
/// How often a load is run at most until they were.
const LOADS: usize = 4;

/// The kernel would ask for routers at times of its own, and a device has to be quiet while it is attached.
const ASKS_NO_ROUTER: [&str; 2] = ["--sysctl", "net.ipv6.conf.eth0.router_solicitations=0"];

/// How a scene is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How the programs are attached.
    pub(crate) attach: AttachMode,
    /// Bits of `monitor_common::settings::feature`.
    pub(crate) features: u32,
    /// Whether the network has IPv6.
    pub ipv6: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { attach: AttachMode::Tcx, features: Settings::default().features, ipv6: false }
    }
}

/// Two containers, `a` and `b`, watched.
pub(crate) struct Scene {
    /// The first one.
    pub(crate) a: Container,
    /// The second one; iperf3 serves there.
    pub(crate) b: Container,
    /// Host ends of both.
    pub(crate) devices: [Device; 2],
    /// Their network.
    pub(crate) network: Network,
    account: Arc<Mutex<Account>>,
    collector: Option<Collector>,
    reader: Option<std::thread::JoinHandle<()>>,
    // Dropped last: the containers go after the collector.
    lab: Lab,
}

impl Scene {
    /// Makes the containers, lets them fall silent, and starts the collector.
    pub(crate) fn new(name: &str, plan: Plan) -> Result<Self> {
        let lab = Lab::new(name)?;
        let options: &[&str] = if plan.ipv6 { &["--ipv6", "--subnet", "fd76:7700:1::/64"] } else { &[] };
        let network = lab.network("net", options)?;
        let debian = image::ready(image::DEBIAN)?;
        let start = |name: &str, command: &[&str]| {
            lab.container(name).image(&debian).on(&network).options(&ASKS_NO_ROUTER).run(command)
        };
        let b = start("b", &["iperf3", "-s"])?;
        let a = start("a", &["sleep", "infinity"])?;
        let devices = [a.host_device(&network)?, b.host_device(&network)?];
        wait_until_quiet(&devices)?;

        let settings = Settings {
            attach: Some(plan.attach),
            features: plan.features,
            tick: Duration::from_millis(100),
            ..Settings::default()
        };
        let (out, mut observations) = tokio::sync::mpsc::channel(4_096);
        let collector = Collector::start(settings, out).context("starting the collector")?;
        let account = Arc::new(Mutex::new(Account::of(devices.iter().map(|device| device.name.clone()))));
        let reader = std::thread::spawn({
            let account = Arc::clone(&account);
            move || {
                while let Some(observation) = observations.blocking_recv() {
                    account.lock().unwrap_or_else(PoisonError::into_inner).book(observation);
                }
            }
        });
        let scene =
            Self { a, b, devices, network, account, collector: Some(collector), reader: Some(reader), lab };
        wait_for("both interfaces to be attached", PATIENCE, || {
            let account = scene.account();
            Ok(scene.devices.iter().all(|device| account.interface(&device.name).is_some()).then_some(()))
        })?;
        Ok(scene)
    }

    /// What was booked so far.
    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every reading must lie in the bracket, but for what can be in flight.
    pub(crate) fn check_every_reading(&self) {
        let cpus = u64::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap_or(1);
        let backlog = std::fs::read_to_string("/proc/sys/net/core/netdev_max_backlog")
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
            .unwrap_or(1_000);
        self.account().in_flight = Some(InFlight { sent: cpus * backlog, received: cpus });
    }

    /// Runs a command in `a`.
    pub(crate) fn in_a(&self, command: &[&str]) -> Result<String> {
        self.a.exec(command)
    }

    /// Sends hand-made frames from the interface of `a`.
    pub(crate) fn send_frames(&self, name: &str, words: &[&str]) -> Result<()> {
        let namespace = format!("container:{}", self.a.id);
        let command = [&["send-frames"], words].concat();
        let sender = self.lab.container(name).options(&["--network", &namespace]).run(&command)?;
        wait_for("the frames to be sent", PATIENCE, || Ok(sender.logs()?.contains("sent ").then_some(())))?;
        // Its name is free again.
        sender.remove()
    }

    /// Runs an iperf3 client in `a` against `b`, once the server is done with the one before.
    pub(crate) fn iperf3(&self, address: &str, options: &[&str]) -> Result<String> {
        let words = [&["iperf3", "-c", address, "--connect-timeout", "3000"], options].concat();
        wait_for("the server to be free", PATIENCE, || match self.in_a(&words) {
            Err(error) if format!("{error:#}").contains("the server is busy") => Ok(None),
            ended => ended.map(Some),
        })
    }

    /// Waits until the device of a container is quiet and `accept` is content with the difference, at a reading that
    /// was taken after this was called: an earlier one can be content while there is more to come.
    pub(crate) fn settled(&self, device: usize, accept: impl Fn(&Difference) -> bool) -> Result<Difference> {
        let called = kernel_now();
        let mut last = None;
        let waited = wait_for("the figures to settle", PATIENCE, || {
            let account = self.account();
            let watched = account.interface(&self.devices[device].name);
            let watched = watched.filter(|watched| watched.read_at().is_some_and(|at| at > called));
            last = watched.and_then(Watched::difference);
            Ok(last.filter(&accept))
        });
        match (waited, last) {
            (Ok(difference), _) => Ok(difference),
            (Err(_), Some(last)) => bail!("{}: {last}", self.devices[device].name),
            (Err(error), None) => Err(error),
        }
    }

    /// Both devices must settle at a difference of nothing at all, and no reading may have been outside the bracket.
    pub(crate) fn must_be_exact(&self) -> Result<()> {
        for device in 0..self.devices.len() {
            self.settled(device, Difference::is_zero)?;
        }
        let account = self.account();
        for device in &self.devices {
            let watched = account.interface(&device.name).context("it was attached")?;
            ensure!(watched.outside.is_empty(), "{}: {:?}", device.name, watched.outside);
            println!(
                "{}: {:?}; {} readings, {} of them outside the bare bracket",
                device.name,
                watched.totals().traffic(),
                watched.readings.0,
                watched.readings.1
            );
        }
        Ok(())
    }

    /// Runs a load until enough generations were flipped: again where once is too little, for ticks that a busy machine
    /// misses are not caught up.
    pub(crate) fn flip_under(&self, load: impl Fn() -> Result<()>) -> Result<()> {
        let mut flipped = Ok(());
        for _ in 0..LOADS {
            let before = self.account().resources.flips;
            load()?;
            let flips = self.account().resources.flips - before;
            ensure!(flips >= FLIPS / 3, "only {flips} flips in one load");
            flipped = self.must_have_flipped();
            if flipped.is_ok() {
                break;
            }
        }
        flipped
    }

    /// Enough generations were flipped, with packets in both maps.
    fn must_have_flipped(&self) -> Result<()> {
        let account = self.account();
        let flips = account.resources.flips;
        ensure!(flips >= FLIPS, "only {flips} flips");
        let [even, odd] = account.generations;
        ensure!(even.min(odd) >= FLIPS / 3, "generations with packets: {even} and {odd}");
        println!("{flips} flips; generations with packets: {even} and {odd}");
        Ok(())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(collector) = self.collector.take() {
            collector.stop();
        }
        if let Some(reader) = self.reader.take() {
            // A panic there has already failed the test.
            let _ = reader.join();
        }
    }
}

/// Waits until the devices' counters stand still for a second: what the kernel sends on a new device is over.
fn wait_until_quiet(devices: &[Device]) -> Result<()> {
    let read = || devices.iter().map(Device::counters).collect::<Result<Vec<_>>>();
    let mut last = read()?;
    let mut still = 0;
    wait_for("the devices to fall silent", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(100));
        let now = read()?;
        still = if now == last { still + 1 } else { 0 };
        last = now;
        Ok((still >= 10).then_some(()))
    })
}

/// Now, on the clock of the readings.
fn kernel_now() -> KernelTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let nanoseconds = now.tv_sec * 1_000_000_000 + now.tv_nsec;
    KernelTime(u64::try_from(nanoseconds).expect("a clock that began at zero"))
}

/// Runs a program of the host with these words.
pub(crate) fn host(words: &str) -> Result<String> {
    let mut parts = words.split_whitespace();
    let mut command = Command::new(parts.next().context("a program")?);
    lab::text(command.args(parts), PATIENCE)
}
