//! `doctor`.

use super::ask::ask_docker;
use super::failure::Failure;
use super::host;
use super::output::Output;
use super::{policy, terminal};
use crate::collector::{clock, probe};
use crate::confine::{self, User};
use crate::doctor::{Docker, Finding, Privileges, judge, privileges, works};
use crate::policy::file::Policy;
use crate::settings::Settings;
use crate::view;
use crate::wire::{Clock, DoctorBody, Stream};
use anyhow::{Context as _, anyhow};
use std::time::Duration;

/// How long a reader that stands still may delay the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at kernel and Docker, and says what works and what does not.
pub(super) async fn run(settings: &Settings) -> Result<(), Failure> {
    let policy = match &settings.policy {
        Some(file) => policy::read(settings, file.clone()).await?,
        None => Policy::default(),
    };
    let asked = ask_docker(settings, Docker::has_told_rights);
    let (report, mut docker) = tokio::join!(tokio::task::spawn_blocking(probe::report), asked);
    let report = report.context("look at the kernel")?;
    let mut findings = judge(&report, &mut docker, &policy, settings.collector.attach, clock::wall_now());
    findings.extend(privileges(&Privileges {
        user: User::least().to_string(),
        limits: confine::limits(),
        keeps_bpf: !probe::maps_are_free(),
        agents: confine::agents(),
    }));
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
