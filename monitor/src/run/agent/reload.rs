//! Settings and policy, read again while the agent runs.
//!
//! ```text
//! SIGHUP ─▶ read all, check all ─┬─ wrong: said, and everything stays as it is
//!                                └─ right ─▶ parts, policy; what needs a restart is said
//! ```

use super::notify;
use super::part::Sight;
use super::parts::Parts;
use crate::collector::clock;
use crate::export::Reload;
use crate::helper::message::Request;
use crate::helper::{Helper, Lane};
use crate::model::SafeText;
use crate::policy::file::Policy;
use crate::run::session::Session;
use crate::run::{logger, policy};
use crate::settings::Task;
use crate::settings::sources::{InForce, Loaded, Refused, Sources};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

/// How long a reading may take before it is said that it does.
const LATE: Duration = Duration::from_secs(10);

/// Reads settings and policy again.
#[derive(Debug)]
pub(super) struct Reloads {
    /// Who opens what the settings name; without one this process does.
    helper: Option<Helper>,
    sources: Sources,
    /// What the agent was started with.
    started: InForce,
    /// The text of the policy that is judged by.
    policy: Option<String>,
    /// Whether all that is judged is recorded.
    is_recorded: bool,
    reading: Option<Reading>,
    /// A signal came while everything was read: it may have been too early for that.
    again: bool,
    outcome: watch::Sender<Reload>,
}

/// A reading that goes on.
#[derive(Debug)]
struct Reading {
    task: JoinHandle<Result<Fresh, Vec<SafeText>>>,
    /// When it takes too long; absent once that was said.
    late: Option<Pin<Box<Sleep>>>,
}

/// What was read, and nothing of it is wrong.
#[derive(Debug)]
pub(super) struct Fresh {
    loaded: Loaded,
    policy: Policy,
    text: Option<String>,
}

impl Reloads {
    /// After everything was read once, at the start.
    pub(super) fn new(
        sources: Sources,
        loaded: &Loaded,
        policy: Option<String>,
        helper: Option<Helper>,
    ) -> Self {
        let (outcome, _) = watch::channel(Reload { successful: true, success: clock::wall_now() });
        let is_recorded = loaded.settings.record.is_some();
        let started = loaded.in_force.clone();
        Self { helper, sources, started, policy, is_recorded, reading: None, again: false, outcome }
    }

    /// How the latest reading went.
    pub(super) fn outcome(&self) -> watch::Receiver<Reload> {
        self.outcome.subscribe()
    }

    /// Begins to read everything again, on a thread of its own: a file may take its time. The service manager is told.
    pub(super) fn begin(&mut self) {
        if self.reading.is_some() {
            self.again = true;
            return;
        }
        let now = clock::kernel_now().0 / 1_000;
        notify::tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
        let sources = self.sources.clone();
        let helper = self.helper.clone();
        let task = tokio::task::spawn_blocking(move || {
            // What they name is opened by the helper, which does not take our word for it.
            let read_again = |helper: Helper| helper.done(Lane::Settings, Request::ReadSettings);
            if let Some(Err(error)) = helper.map(read_again) {
                return Err(vec![SafeText::new(&format!("the helper does not read the settings: {error}"))]);
            }
            read(&sources)
        });
        self.reading = Some(Reading { task, late: Some(Box::pin(sleep(LATE))) });
    }

    /// Waits for what is read; for ever if nothing is. A reading that takes long is not successful until it is done.
    ///
    /// # Errors
    /// When anything is wrong: all of it, a line each.
    pub(super) async fn fresh(&mut self) -> Result<Fresh, Vec<SafeText>> {
        let Some(Reading { task, late }) = &mut self.reading else { return std::future::pending().await };
        let read = loop {
            let Some(is_late) = late else { break task.await };
            tokio::select! {
                read = &mut *task => break read,
                () = is_late => {}
            }
            *late = None;
            self.outcome.send_modify(|outcome| outcome.successful = false);
            logger::tell("settings and policy are not read yet: whatever has the files does not answer");
        };
        self.reading = None;
        read.unwrap_or_else(|panicked| Err(vec![SafeText::new(&panicked.to_string())]))
    }

    /// Takes over what was read, as far as it can be had, and tells the service manager that it is done.
    pub(super) async fn take(
        &mut self,
        fresh: Result<Fresh, Vec<SafeText>>,
        parts: &mut Parts,
        session: &Session,
        sight: &Sight,
    ) {
        let successful = match fresh {
            Ok(fresh) => self.change(fresh, parts, session, sight).await,
            Err(wrong) => {
                wrong.iter().for_each(|line| logger::tell(line.as_str()));
                logger::tell("there are mistakes; settings and policy stay as they are");
                false
            }
        };
        self.outcome.send_modify(|outcome| {
            outcome.successful = successful;
            if successful {
                outcome.success = clock::wall_now();
            }
        });
        // Who has not been ready yet says so by itself.
        if session.docker_told().is_some() {
            notify::tell("READY=1");
        }
        if std::mem::take(&mut self.again) {
            self.begin();
        }
    }

    /// Says whether everything could be had.
    async fn change(&mut self, fresh: Fresh, parts: &mut Parts, session: &Session, sight: &Sight) -> bool {
        let Fresh { loaded, policy, text } = fresh;
        let mut needs_restart: Vec<String> = loaded
            .in_force
            .differing(&self.started)
            .filter(|entry| entry.needs_restart())
            .map(|entry| entry.path())
            .collect();
        let mut told = Vec::new();
        // The policy first: what it ends is told to those who were told when it began.
        if text != self.policy && self.is_recorded {
            needs_restart.push("policy (a recording has one policy)".to_owned());
        } else if text != self.policy {
            let rules = policy.rules().len();
            session.judge_by(Arc::new(policy)).await;
            self.policy = text;
            told.push(format!("the policy has {rules} rule{}", if rules == 1 { "" } else { "s" }));
        }
        let mut successful = true;
        if let Task::Agent(agent) = &loaded.settings.task {
            let changes = parts.change(agent, sight).await;
            told.extend(changes.changed);
            for (part, failure) in changes.failed {
                logger::tell(&format!("{failure}; the {part} stay as they are"));
                successful = false;
            }
        }
        if !needs_restart.is_empty() {
            logger::tell(&format!("needs a restart: {}", needs_restart.join(", ")));
        }
        let told = if told.is_empty() { "nothing else is to be done".to_owned() } else { told.join("; ") };
        logger::tell(&format!("settings and policy were read again: {told}"));
        successful
    }
}

fn read(sources: &Sources) -> Result<Fresh, Vec<SafeText>> {
    let loaded = sources.read().map_err(|refused| match refused {
        Refused::Wrong(lines) => lines,
        Refused::Usage(error) => vec![SafeText::new(&error.to_string())],
    })?;
    let Some(file) = &loaded.settings.policy else {
        return Ok(Fresh { loaded, policy: Policy::default(), text: None });
    };
    let (policy, text) = policy::load(file).map_err(|unread| unread.lines())?;
    Ok(Fresh { loaded, policy, text: Some(text) })
}

#[cfg(test)]
mod tests {
    use super::{Fresh, Reading, Reloads};
    use crate::model::SafeText;
    use crate::settings::sources::Sources;
    use std::time::Duration;
    use tokio::sync::oneshot;
    use tokio::time::{sleep, timeout};

    #[tokio::test]
    async fn a_reading_that_hangs_is_said_and_counts_as_not_successful() {
        let sources = Sources::new(["vethwatch", "agent"], [], "/nowhere/vethwatch.toml");
        let loaded = sources.read().expect("the defaults are right");
        let mut reloads = Reloads::new(sources, &loaded, None, None);
        let outcome = reloads.outcome();
        let (answers, answer) = oneshot::channel::<Result<Fresh, Vec<SafeText>>>();
        let task = tokio::spawn(async move { answer.await.expect("the disk answers at last") });
        reloads.reading = Some(Reading { task, late: Some(Box::pin(sleep(Duration::ZERO))) });
        // Whoever waits for it does other things in between.
        let mut goes_on = outcome.clone();
        tokio::select! {
            _ = reloads.fresh() => panic!("nothing answers"),
            changed = goes_on.changed() => changed.expect("it is told"),
        }
        assert!(!outcome.borrow().successful);
        // It is still waited for, and another signal is for later.
        reloads.begin();
        assert!(reloads.again);
        answers.send(Err(vec![SafeText::new("a mistake")])).expect("it waits");
        let read = timeout(Duration::from_secs(10), reloads.fresh()).await.expect("in time");
        assert_eq!(read.expect_err("what was answered"), [SafeText::new("a mistake")]);
        assert!(reloads.reading.is_none());
    }
}
