//! Whose threads work for those who ask.

use crate::rig::Rig;
use anyhow::{Context, Result, ensure};
use std::fs;

/// Requests: enough to be seen beside what the agent does meanwhile.
const REQUESTS: usize = 2_000;

/// Nanoseconds that threads of a process with this name have run.
fn ran(process: u32, name: &str) -> Result<u64> {
    let mut ran = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?.path();
        if fs::read_to_string(thread.join("comm"))?.trim() == name {
            let times = fs::read_to_string(thread.join("schedstat"))?;
            ran += times.split(' ').next().context("a time")?.parse::<u64>()?;
        }
    }
    Ok(ran)
}

#[test]
fn what_clients_ask_for_is_not_done_on_the_threads_of_the_engine() -> Result<()> {
    let rig = Rig::new("threads")?;
    let agent = rig.agent(&[])?;
    let both =
        || -> Result<[u64; 2]> { Ok([ran(agent.pid(), "vw-clients")?, ran(agent.pid(), "vw-async")?]) };
    let [clients_before, engine_before] = both()?;
    for _ in 0..REQUESTS {
        rig.get("/v1/snapshot")?;
    }
    let [clients, engine] = both()?;
    let (clients, engine) = (clients - clients_before, engine - engine_before);
    ensure!(clients > 2 * engine, "{clients} ns on the clients' threads, {engine} ns on the engine's");
    Ok(())
}
