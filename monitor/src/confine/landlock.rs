//! What a process may still open, connect to and signal, whatever its user may: Landlock, as far as this kernel has it.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};
use std::path::Path;

/// The newest version whose rights are asked for.
const NEWEST: ABI = ABI::V10;

/// Restricts this thread and all that it starts. Gives back what is not restrained.
pub(super) fn enforce(readable: &[&Path]) -> Option<String> {
    match restrict(readable) {
        Ok(status) => lacking(&status),
        Err(error) => Some(format!("Landlock restrains nothing: {error}")),
    }
}

/// What this kernel's Landlock does not restrain, if anything; tried by a thread that ends with it.
pub(super) fn limits() -> Option<String> {
    let tried = std::thread::spawn(|| enforce(&[])).join();
    tried.unwrap_or_else(|_| Some("what Landlock restrains here is not known".to_owned()))
}

fn restrict(readable: &[&Path]) -> Result<LandlockStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    // A file that is not there need not be opened.
    for file in readable.iter().filter_map(|file| PathFd::new(file).ok()) {
        rules = rules.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
    }
    Ok(rules.restrict_self()?.landlock)
}

fn lacking(status: &LandlockStatus) -> Option<String> {
    let LandlockStatus::Available { effective_abi, .. } = *status else {
        return Some("there is no Landlock: not in this kernel, not enabled (lsm=), or refused by an engine's filter of system calls".to_owned());
    };
    let lacking = match effective_abi {
        ABI::V1 | ABI::V2 | ABI::V3 => "TCP, abstract sockets and signals",
        ABI::V4 | ABI::V5 => "abstract sockets and signals",
        _ => return None,
    };
    Some(format!("version {} of Landlock restrains files, but not {lacking}", effective_abi as i32))
}
