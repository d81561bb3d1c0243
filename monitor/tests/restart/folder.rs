//! Whose the folder is, and what becomes of it.

use crate::rig::{Agent, Agents, PATIENCE};
use anyhow::{Result, ensure};
use lab::{Container, Device, Lab, Network, wait_for};

/// An agent, and then a container: nothing of its crosses before the watch.
fn stage(agents: Agents, name: &str, more: &[&str]) -> Result<(Agents, Agent, Lab, Network, Container)> {
    let lab = Lab::new(name)?;
    let network = lab.network("net", &[])?;
    let agent = agents.start(more)?;
    let a = lab.container("a").on(&network).run(&["sleep"])?;
    Ok((agents, agent, lab, network, a))
}

/// Waits until a device has no programs: the kernel frees them some time after their last pin is removed.
fn wait_until_free(device: &Device) -> Result<()> {
    wait_for("the programs to be gone", PATIENCE, || Ok(device.programs()?.is_empty().then_some(())))
}

#[test]
fn others_leave_what_a_killed_agent_pinned_and_detach_removes_it() -> Result<()> {
    for attach in ["tcx", "clsact"] {
        let agents = Agents::new("restart-others", &["--attach", attach])?;
        let (mut agents, agent, lab, network, a) = stage(agents, "restart-others", &[])?;
        let device = a.host_device(&network)?;
        agent.must_be_exact(&a)?;
        agents.kill(agent)?;
        let left = wait_for("the helper's end", PATIENCE, || {
            let programs = device.programs()?;
            Ok((programs.len() == 2).then_some(programs))
        })?;
        let finished = agents.vethwatch.finish(&["top", "--once", "--attach", attach])?;
        ensure!(finished.status.success(), "{}", finished.stderr);
        ensure!(device.programs()? == left, "{attach}: {left:?} became {:?}", device.programs()?);
        let agent = agents.start(&[])?;
        agent.wait_for_loss("gaps_without_agent", 1)?;
        ensure!(agent.lost("interfaces_not_adopted")? == 0);
        agent.wait_for_equal(&a, &network)?;
        agents.kill(agent)?;
        let pins = agents.pins.to_string_lossy().into_owned();
        let finished = agents.vethwatch.finish(&["detach", "--pin-dir", &pins])?;
        ensure!(finished.status.success(), "{}", finished.stderr);
        ensure!(finished.stdout.contains("pinned maps"), "{}", finished.stdout);
        ensure!(!agents.pins.exists(), "the folder is left");
        wait_until_free(&device)?;
        lab.close()?;
    }
    Ok(())
}

#[test]
fn a_clean_stop_leaves_nothing_unless_it_is_to_keep() -> Result<()> {
    for attach in ["tcx", "clsact"] {
        let agents = Agents::new("restart-keep", &["--attach", attach])?;
        let (mut agents, agent, lab, network, a) = stage(agents, "restart-keep", &["--keep"])?;
        let device = a.host_device(&network)?;
        agent.must_be_exact(&a)?;
        agents.stop(agent)?;
        ensure!(device.programs()?.len() == 2, "{:?}", device.programs()?);
        a.exec(&["/testbox", "udp-send", &format!("{}:9", network.gateway()?), "--count", "50"])?;
        let agent = agents.start(&[])?;
        agent.wait_for_loss("gaps_without_agent", 1)?;
        ensure!(agent.lost("flows_unsure_at_kill")? == 0);
        agent.wait_for_equal(&a, &network)?;
        agents.stop(agent)?;
        ensure!(!agents.pins.exists(), "the folder is left");
        wait_until_free(&device)?;
        drop(agents);
        lab.close()?;
    }
    Ok(())
}

#[test]
fn of_two_agents_the_second_does_without_and_says_so() -> Result<()> {
    let agents = Agents::new("restart-two", &[])?;
    let (mut agents, first, lab, network, a) = stage(agents, "restart-two", &[])?;
    first.must_be_exact(&a)?;
    let second = agents.start(&[])?;
    ensure!(second.running.errors().contains("another agent has"), "{}", second.running.errors());
    second.must_be_exact(&a)?;
    agents.stop(second)?;
    ensure!(agents.pins.exists(), "the second one removed what is the first one's");
    first.wait_for_equal(&a, &network)?;
    agents.stop(first)?;
    ensure!(!agents.pins.exists());
    drop(agents);
    lab.close()
}

#[test]
fn elsewhere_than_in_a_bpf_file_system_nothing_is_pinned_and_that_is_said() -> Result<()> {
    let mut agents = Agents::new("restart-elsewhere", &[])?;
    agents.pins = std::env::temp_dir().join("vw-restart-elsewhere");
    let (mut agents, agent, lab, network, a) = stage(agents, "restart-elsewhere", &[])?;
    ensure!(agent.running.errors().contains("is not in a BPF file system"), "{}", agent.running.errors());
    agent.wait_for_equal(&a, &network)?;
    agents.stop(agent)?;
    drop(agents);
    lab.close()
}

/// The helper of an agent: the guard's child.
fn helper(agent: &Agent) -> Result<u32> {
    let child = |of: u32| -> Result<Option<u32>> {
        let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children"))?;
        Ok(children.split_whitespace().next().and_then(|child| child.parse().ok()))
    };
    wait_for("the helper", PATIENCE, || match child(agent.running.pid())? {
        Some(guard) => child(guard),
        None => Ok(None),
    })
}

#[test]
fn what_another_helper_attached_is_pinned_too() -> Result<()> {
    let agents = Agents::new("restart-helper", &["--attach", "tcx"])?;
    let (mut agents, agent, lab, network, a) = stage(agents, "restart-helper", &[])?;
    agent.must_be_exact(&a)?;
    let first = helper(&agent)?;
    // SAFETY: plain system call; the process is one that this test's agent has forked.
    ensure!(unsafe { libc::kill(i32::try_from(first)?, libc::SIGKILL) } == 0);
    let late = lab.container("late").on(&network).run(&["sleep"])?;
    agent.must_be_exact(&late)?;
    ensure!(helper(&agent)? != first);
    agents.kill(agent)?;
    let agent = agents.start(&[])?;
    agent.wait_for_loss("gaps_without_agent", 1)?;
    for name in ["interfaces_not_adopted", "interfaces_came_without_agent"] {
        ensure!(agent.lost(name)? == 0, "{name}");
    }
    for container in [&a, &late] {
        agent.wait_for_equal(container, &network)?;
    }
    agents.stop(agent)?;
    drop(agents);
    lab.close()
}
