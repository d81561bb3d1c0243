//! Packets that are held for a time, by a queue of the firewall: this kernel has no netem.

use anyhow::{Context, Result, anyhow};
use nfq::{Queue, Verdict};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(5);

/// Lets each packet of a queue pass after a time, one after the other.
pub(crate) struct Delay {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Delay {
    /// Holds packets of a queue for each of these times in turn; of another process' network namespace, if one is named.
    pub(crate) fn start(queue: u16, namespace_of: Option<u32>, times: Vec<Duration>) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (told, bound) = mpsc::channel();
        let thread = std::thread::spawn({
            let over = Arc::clone(&over);
            move || match bind(queue, namespace_of) {
                Ok(mut queue) => {
                    drop(told.send(Ok(())));
                    hold(&mut queue, &times, &over);
                }
                Err(error) => drop(told.send(Err(error))),
            }
        });
        bound.recv().map_err(|_| anyhow!("the thread ended"))??;
        Ok(Self { over, thread: Some(thread) })
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn bind(number: u16, namespace_of: Option<u32>) -> Result<Queue> {
    if let Some(pid) = namespace_of {
        let namespace = File::open(format!("/proc/{pid}/ns/net")).context("opening a namespace")?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .context("entering a namespace")?;
    }
    let mut queue = Queue::open().context("opening a queue")?;
    queue.bind(number).context("binding a queue")?;
    queue.set_nonblocking(true);
    Ok(queue)
}

fn hold(queue: &mut Queue, times: &[Duration], over: &AtomicBool) {
    let mut times = times.iter().cycle();
    while !over.load(Ordering::Relaxed) {
        let Ok(mut packet) = queue.recv() else {
            std::thread::sleep(LOOK);
            continue;
        };
        std::thread::sleep(times.next().copied().unwrap_or_default());
        packet.set_verdict(Verdict::Accept);
        if let Err(error) = queue.verdict(packet) {
            eprintln!("letting a packet pass: {error}");
        }
    }
}
