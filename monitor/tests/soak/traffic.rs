//! Guests that come, open some connections and go, beside a client that opens many, on an engine of their own: an engine
//! that starts and removes so many at once may lose count of a network's endpoints, and then keeps the network for ever.

use anyhow::{Result, ensure};
use lab::{Engine, image};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Guests that are started at a time.
const WORKERS: usize = 4;

/// Connections of each guest that keeps to its network.
const OF_GUEST: u64 = 20;

/// One guest in so many opens none, but sends to another network, where it may not go.
const STRAYS: u64 = 10;

/// Connections that the client opens with one command.
const AT_ONCE: u64 = 20_000;

/// Connections that it opens a second: what readers of all of them keep up with, also those of a build for debugging.
const RATE: &str = "2000";

/// A network that is small, so that guests have the addresses of others before them.
const SUBNET: &str = "10.213.8.0/27";

/// Where the server answers.
pub(crate) const PORT: u16 = 80;

/// The server's name.
pub(crate) const SERVER: &str = "vw-server";

/// The client's name.
pub(crate) const CLIENT: &str = "vw-client";

/// What the name of every guest begins with.
pub(crate) const GUEST: &str = "vw-guest-";

/// Source ports that the client has. Whoever uses one again a moment later may do so within one tick of the agent, which knows of
/// one connection then.
const PORTS: u64 = 64_512;

/// Who is asked, and who asks all the time.
pub(crate) struct Traffic {
    engine: Engine,
    /// Connections that the client has opened.
    opened: AtomicU64,
    to: String,
    /// Where nobody of the network may go.
    astray: String,
}

/// How many of these guests go astray, and how many connections the others open.
pub(crate) const fn of_guests(guests: u64) -> [u64; 2] {
    let strays = guests / STRAYS;
    [strays, (guests - strays) * OF_GUEST]
}

const fn is_stray(guest: u64) -> bool {
    guest % STRAYS == STRAYS - 1
}

impl Traffic {
    pub(crate) fn set_up() -> Result<Self> {
        let image = image::ready(image::TESTBOX)?;
        let engine = Engine::start("{}", &image)?;
        engine.docker(&["network", "create", "--subnet", SUBNET, "vw-net"])?;
        engine.docker(&["network", "create", "vw-other"])?;
        let run = |name: &str, network: &str, words: &[&str]| {
            let usual = ["run", "--detach", "--pull", "never", "--network", network, "--name", name, &image];
            engine.docker(&[&usual, words].concat())?;
            let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
            engine.docker(&["inspect", "--format", &format, name])
        };
        let server = run(SERVER, "vw-net", &["sink", &PORT.to_string()])?;
        let other = run("vw-server-of-others", "vw-other", &["sleep"])?;
        run(CLIENT, "vw-net", &["sleep"])?;
        Ok(Self {
            engine,
            opened: AtomicU64::new(0),
            to: format!("{server}:{PORT}"),
            astray: format!("{other}:{PORT}"),
        })
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Has these guests come and go, while the client opens so many connections.
    pub(crate) fn round(&self, guests: Range<u64>, connections: u64) -> Result<()> {
        let next = AtomicU64::new(guests.start);
        let work = || -> Result<()> {
            loop {
                let guest = next.fetch_add(1, Ordering::Relaxed);
                if guest >= guests.end {
                    return Ok(());
                }
                self.guest(guest)?;
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
            let opened = self.open(connections);
            let worked = workers.into_iter().try_for_each(|worker| worker.join().expect("no thread panics"));
            opened.and(worked)
        })
    }

    /// One that is gone, with all that Docker has of it, when this returns.
    fn guest(&self, number: u64) -> Result<()> {
        let name = format!("{GUEST}{number}");
        let usual = ["run", "--rm", "--pull", "never", "--network", "vw-net", "--name", &name];
        let count = OF_GUEST.to_string();
        let [what, to] =
            if is_stray(number) { ["udp-send", &self.astray] } else { ["connect-storm", &self.to] };
        self.engine.docker(&[&usual[..], &[image::TESTBOX, what, to, "--count", &count]].concat()).map(drop)
    }

    fn open(&self, mut connections: u64) -> Result<()> {
        while connections > 0 {
            let part = connections.min(AT_ONCE);
            let skip = self.opened.fetch_add(part, Ordering::Relaxed) % PORTS;
            let (count, skip) = (part.to_string(), skip.to_string());
            let storm = ["exec", CLIENT, "/testbox", "connect-storm", &self.to, "--count", &count];
            let said = self.engine.docker(&[&storm[..], &["--rate", RATE, "--skip", &skip]].concat())?;
            ensure!(said.contains(&format!("{count} of {count} connections")), "{said}");
            connections -= part;
        }
        Ok(())
    }
}
