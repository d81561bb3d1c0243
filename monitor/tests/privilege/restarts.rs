//! A helper that dies.

use crate::rig::{PATIENCE, agent, end, guard, helper, kill, labelled, plain, vethwatch};
use anyhow::{Result, ensure};
use lab::{Container, Lab, Network, wait_for};
use std::net::SocketAddr;

/// Waits until what was counted at a container's device is what the kernel counted there.
fn wait_for_equal(at: SocketAddr, container: &Container, on: &Network) -> Result<()> {
    let device = container.host_device(on)?;
    let label = format!("name=\"{}\"", container.name);
    wait_for(&format!("the counters of {}", container.name), PATIENCE, || {
        let counted = device.counters()?;
        let figure = |family: &str| labelled(at, &format!("container_network_{family}_total"), &label);
        let ours = [
            figure("receive_packets")?,
            figure("receive_bytes")?,
            figure("transmit_packets")?,
            figure("transmit_bytes")?,
        ];
        let theirs = [counted.tx_packets, counted.tx_bytes, counted.rx_packets, counted.rx_bytes].map(Some);
        Ok((ours == theirs).then_some(()))
    })
}

fn send(from: &Container, to: &str) -> Result<()> {
    from.exec(&["/testbox", "udp-send", &format!("{to}:4001"), "--count", "200", "--rate", "1000"]).map(drop)
}

#[test]
fn a_helper_that_dies_is_started_anew_and_nothing_is_lost() -> Result<()> {
    let lab = Lab::new("privilege")?;
    let network = lab.network("net", &[])?;
    for attach in ["tcx", "clsact"] {
        let (running, at) = agent(&vethwatch(), &["--metrics-cadvisor", "--attach", attach])?;
        let early = lab.container(&format!("early-{attach}")).on(&network).run(&["sleep"])?;
        let address = early.address(&network)?;
        wait_for_equal(at, &early, &network)?;
        for times in 1..=3_u32 {
            let before = helper(&running)?;
            kill(before)?;
            // Before there is another one, and beside its start.
            send(&early, &address)?;
            let late = lab.container(&format!("late-{attach}-{times}")).on(&network).run(&["sleep"])?;
            send(&late, &address)?;
            for container in [&early, &late] {
                wait_for_equal(at, container, &network)?;
            }
            wait_for("the metric", PATIENCE, || {
                let restarts = plain(at, "vethwatch_helper_restarts_total")?;
                Ok((restarts == Some(f64::from(times))).then_some(()))
            })?;
            ensure!(helper(&running)? != before);
            late.remove()?;
        }
        ensure!(plain(at, "vethwatch_interfaces_not_watched")? == Some(0.0));
        end(running)?;
        early.remove()?;
    }
    Ok(())
}

#[test]
fn an_agent_without_a_guard_ends_and_says_so() -> Result<()> {
    let (running, _) = agent(&vethwatch(), &[])?;
    kill(guard(&running)?)?;
    let said = wait_for("its words", PATIENCE, || {
        let said = running.errors();
        Ok(said.contains("the helper is gone").then_some(said))
    })?;
    let (code, _) = running.end()?;
    ensure!(code == Some(3), "{code:?}: {said}");
    Ok(())
}
