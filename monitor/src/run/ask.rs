//! What Docker tells once, for commands that do not watch.

use super::ends;
use super::failure::Failure;
use crate::cli::Who;
use crate::collector::clock;
use crate::doctor::Docker;
use crate::inventory::Inventory;
use crate::model::DockerState;
use crate::settings::Settings;
use anyhow::anyhow;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long Docker may take to tell everything.
pub(super) const DOCKER_PATIENCE: Duration = Duration::from_secs(10);
/// Changes that may wait.
const CHANGES: usize = 1_024;

/// Everything Docker tells, of one that has to say who the ends of a conversation are. Who is in the swarm is waited for where
/// one of them may be that.
///
/// # Errors
/// When it does not answer.
pub(super) async fn docker_that_answers(settings: &Settings, ends: [&Who; 2]) -> Result<Docker, Failure> {
    let docker = ask_docker(settings, |docker| {
        let is_found = |who: &Who| !ends::may_be_in_swarm(who, docker, ends::is_local);
        docker.has_told_all() && (docker.swarm_untold().is_empty() || ends.into_iter().all(is_found))
    })
    .await;
    match docker.state() {
        DockerState::Up { .. } => Ok(docker),
        DockerState::Down { reason, .. } => {
            Err(anyhow!("Docker cannot say who the ends are: {reason}").into())
        }
        DockerState::Connecting => Err(anyhow!("Docker does not answer in time").into()),
    }
}

/// What Docker tells, until that is `enough`.
pub(super) async fn ask_docker(settings: &Settings, enough: impl Fn(&Docker) -> bool) -> Docker {
    let (told, mut changes) = mpsc::channel(CHANGES);
    let inventory = Inventory::start(settings.inventory.clone(), told, clock::kernel_now, clock::wall_now);
    let mut docker = Docker::default();
    let all = async {
        while let Some(change) = changes.recv().await {
            docker.learn(&change);
            if enough(&docker) {
                return;
            }
        }
    };
    // What did not come in time is judged as not told.
    tokio::time::timeout(DOCKER_PATIENCE, all).await.ok();
    inventory.stop().await;
    docker
}
