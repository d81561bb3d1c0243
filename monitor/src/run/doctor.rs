//! `doctor`.

use super::failure::Failure;
use super::host;
use super::output::Output;
use super::terminal;
use crate::collector::{clock, probe};
use crate::doctor::{Docker, Finding, judge, works};
use crate::inventory::Inventory;
use crate::model::{Change, DockerState};
use crate::settings::Settings;
use crate::view;
use crate::wire::{Clock, DoctorBody, Stream};
use anyhow::{Context as _, anyhow};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long Docker may take to tell everything.
const DOCKER_PATIENCE: Duration = Duration::from_secs(5);
/// How long a reader that stands still may delay the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Changes that may wait.
const CHANGES: usize = 1_024;

/// Looks at kernel and Docker, and says what works and what does not.
pub(super) async fn run(settings: &Settings) -> Result<(), Failure> {
    let (report, docker) = tokio::join!(tokio::task::spawn_blocking(probe::report), ask_docker(settings));
    let findings = judge(&report.context("look at the kernel")?, &docker, settings.collector.attach);
    let mut output = Output::to(std::io::stdout());
    print(&mut output, &findings, settings.json).await?;
    output.finish(PATIENCE).await?;
    if works(&findings) {
        Ok(())
    } else {
        Err(anyhow!("what is missing keeps vethwatch from its main job").into())
    }
}

async fn print(output: &mut Output, findings: &[Finding], json: bool) -> Result<(), Failure> {
    let bodies = findings.iter().map(DoctorBody::from);
    let lines: Vec<String> = if json {
        let mut stream = Stream::new(host::id()?);
        bodies.map(|body| stream.line(body)).collect()
    } else {
        let frame = terminal::frame(Clock::new(clock::kernel_now(), clock::wall_now()), false);
        let bodies: Vec<DoctorBody> = bodies.collect();
        view::doctor(&bodies, &frame).iter().map(|line| line.draw(&frame)).collect()
    };
    for line in lines {
        if output.line(&line).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Everything Docker tells, until it has told all or is found not to answer.
async fn ask_docker(settings: &Settings) -> Docker {
    let (told, mut changes) = mpsc::channel(CHANGES);
    let inventory = Inventory::start(settings.inventory.clone(), told, clock::kernel_now, clock::wall_now);
    let mut docker = Docker::default();
    let all = async {
        while let Some(change) = changes.recv().await {
            let last = matches!(change, Change::Complete { .. })
                || matches!(change, Change::Docker(DockerState::Down { .. }));
            docker.learn(change);
            if last {
                return;
            }
        }
    };
    // What did not come in time is judged as not told.
    tokio::time::timeout(DOCKER_PATIENCE, all).await.ok();
    inventory.stop().await;
    docker
}

impl From<&Finding> for DoctorBody {
    fn from(finding: &Finding) -> Self {
        Self {
            subject: finding.subject,
            result: finding.verdict.name(),
            found: finding.found.clone(),
            todo: finding.todo.clone(),
        }
    }
}
