//! Months, compressed: containers come and go and connections are opened under an agent that is asked and writes records, and
//! nothing of it grows. Who reads its flows hears of each connection once, and who reads its violations of each guest that
//! went where it may not.
//!
//! Short unless `VW_SOAK_CONTAINERS` and `VW_SOAK_FLOWS` say otherwise, as `cargo xtask soak` does.

mod agent;
mod clients;
mod course;
mod folder;
mod heard;
#[expect(dead_code, reason = "this agent is in another network namespace: its page is fetched from there")]
#[path = "../e2e/metrics/page.rs"]
mod page;
mod traffic;
mod used;
#[path = "../e2e/metrics/within.rs"]
mod within;

use agent::Agent;
use anyhow::{Context, Result, ensure};
use clients::{Asking, Reader};
use course::Course;
use folder::Folder;
use heard::{Findings, Flows};
use traffic::{Traffic, of_guests};

/// How many containers are started, and connections opened, in the short form.
const SHORT: [u64; 2] = [60, 30_000];

/// Connections that the client opens before the first guest comes.
const FIRST: u64 = 100;

/// So many series may be new when all guests are gone: of rules, and of reasons of what there was not at first.
const SERIES: usize = 50;

/// After each of so many rounds the agent is measured.
const ROUNDS: u64 = 20;

/// What the variable says, or what is usual.
fn amount(variable: &str, usual: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable} is {text:?}")),
        Err(_) => Ok(usual),
    }
}

#[test]
fn containers_that_come_and_go_leave_nothing_in_the_agent() -> Result<()> {
    let containers = amount("VW_SOAK_CONTAINERS", SHORT[0])?;
    let connections = amount("VW_SOAK_FLOWS", SHORT[1])?;
    let (traffic, folder) = (Traffic::set_up()?, Folder::new()?);
    let agent = Agent::start(&traffic, &folder)?;
    let flows = Reader::<Flows>::start(&folder.socket())?;
    let findings = Reader::<Findings>::start(&folder.socket())?;
    let asking = Asking::start(folder.socket(), agent.metrics.clone());
    traffic.round(0..0, FIRST)?;
    let first = agent.measure(FIRST)?;
    let before = agent.series()?;
    let mut course = Course::new();
    let (mut started, mut opened) = (0, 0);
    for round in 1..=ROUNDS {
        let until = |all: u64| all * round / ROUNDS;
        traffic.round(started..until(containers), until(connections) - opened)?;
        (started, opened) = (until(containers), until(connections));
        let [strays, of_others] = of_guests(started);
        flows.hears(|heard| heard.has(FIRST + opened, FIRST + opened + of_others))?;
        findings.hears(|heard| heard.has(strays))?;
        let used = agent.measure(FIRST + opened)?;
        course.add([started, opened], used);
        eprintln!("{started} containers, {opened} connections: {used}");
    }
    let [strays, of_others] = of_guests(started);
    let (opened, accepted) = (FIRST + opened, FIRST + opened + of_others);
    let last = agent.forgets_guests(opened, first.interfaces)?;
    let new = &agent.series()? - &before;
    let asked = asking.stop()?;
    let (gaps, losses) = agent.end()?;
    let (flows, findings, kept) = (flows.end()?, findings.end()?, folder.kept()?);
    println!("{course}\nBefore: {first}.\nA minute later: {last}. Losses: {losses}.");
    println!("Flows read: {flows}.\nViolations read: {findings}.");
    println!("Everything was asked for {asked} times.\nRecords: {kept}.");
    flows.must_have(opened, accepted)?;
    findings.must_have(strays)?;
    ensure!(kept.gaps <= gaps, "{} records are missing in the file, of which {gaps} were lost", kept.gaps);
    ensure!(new.len() <= SERIES, "{} series are left when all guests are gone: {new:#?}", new.len());
    course.must_be_flat()
}
