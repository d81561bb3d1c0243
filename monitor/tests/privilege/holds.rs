//! What the kernel says that the processes hold.

use crate::rig::{PATIENCE, agent, end, guard, helper, lives, statuses, vethwatch};
use anyhow::{Result, ensure};
use lab::wait_for;

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
const NONE: &str = "0000000000000000";

/// Bits of capabilities: of CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, NET_BIND_SERVICE, NET_ADMIN, SYS_PTRACE, SYS_ADMIN,
/// and of PERFMON and BPF.
const OF_HELPER: u64 =
    1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 10 | 1 << 12 | 1 << 19 | 1 << 21 | 1 << 38 | 1 << 39;

#[test]
fn no_thread_of_main_holds_anything_and_the_others_hold_what_they_need() -> Result<()> {
    let (running, _) = agent(&vethwatch(), &[])?;
    let fields = [&SETS[..], &["NoNewPrivs", "Uid", "Gid", "Groups"]].concat();
    let threads = statuses(running.pid(), &fields)?;
    ensure!(threads.len() > 5, "only {} threads", threads.len());
    for thread in threads {
        ensure!(thread[..5].iter().all(|set| set == NONE), "{thread:?}");
        ensure!(thread[5] == "1", "{thread:?}");
        let is_other = |ids: &str| ids.split_whitespace().all(|id| id != "0");
        ensure!(is_other(&thread[6]) && is_other(&thread[7]) && is_other(&thread[8]), "{thread:?}");
    }
    for other in [guard(&running)?, helper(&running)?] {
        for thread in statuses(other, &fields)? {
            ensure!(thread[0] == NONE && thread[4] == NONE && thread[5] == "1", "{thread:?}");
            for set in &thread[1..4] {
                let beyond = u64::from_str_radix(set, 16)? & !OF_HELPER;
                ensure!(beyond == 0, "{set} has {beyond:x} beyond what is said");
            }
        }
    }
    ensure!(running.errors().contains("with no capability"), "{}", running.errors());
    end(running)
}

#[test]
fn guard_and_helper_end_with_main_however_it_ends() -> Result<()> {
    for is_killed in [false, true] {
        let (running, _) = agent(&vethwatch(), &[])?;
        let others = [guard(&running)?, helper(&running)?];
        if is_killed {
            drop(running);
        } else {
            end(running)?;
        }
        wait_for("their end", PATIENCE, || Ok((!others.into_iter().any(lives)).then_some(())))?;
    }
    Ok(())
}
