//! What the agent's processes may do, and how often the helper was started anew.

use crate::confine::{Confined, names};
use crate::helper::Helper;
use crate::run::logger;
use crate::wire::{HelperPart, PrivilegesPart};
use rustix::thread::CapabilitySet;
use std::sync::Arc;

/// Main and the helper; neither in a test without them.
#[derive(Clone, Debug, Default)]
pub(super) struct Processes(Option<Arc<Both>>);

#[derive(Debug)]
struct Both {
    main: Confined,
    helper: Helper,
    /// Capabilities of the helper.
    held: Vec<&'static str>,
}

impl Processes {
    pub(super) fn new(main: Confined, helper: Helper, held: CapabilitySet) -> Self {
        Self(Some(Arc::new(Both { main, helper, held: names(held) })))
    }

    /// Says as whom main runs, and what it could not give up.
    pub(super) fn say(&self) {
        let Some(both) = &self.0 else { return };
        let Confined { user, held, not_enforced } = &both.main;
        for line in not_enforced {
            logger::tell(&format!("not given up: {line}"));
        }
        let held = if held.is_empty() { "no capability".to_owned() } else { held.join(", ") };
        logger::tell(&format!("running as {user} with {held}; the helper keeps the rest"));
    }

    /// How often the helper was started anew.
    pub(super) fn restarts(&self) -> u64 {
        self.0.as_ref().map_or(0, |both| both.helper.restarts())
    }

    /// What they hold, for who asks.
    pub(super) fn told(&self) -> Option<PrivilegesPart> {
        let both = self.0.as_ref()?;
        Some(PrivilegesPart {
            user: both.main.user.user,
            group: both.main.user.group,
            capabilities: both.main.held.clone(),
            not_given_up: both.main.not_enforced.clone(),
            helper: HelperPart { capabilities: both.held.clone(), restarts: both.helper.restarts() },
        })
    }
}
