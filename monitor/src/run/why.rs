//! `why`.

use super::ask::docker_that_answers;
use super::ends::{Found, find, is_local};
use super::failure::Failure;
use super::logger;
use super::picture::{self, READY_PATIENCE};
use super::watch::{Ended, Watch};
use crate::cli::{Wanted, Who};
use crate::model::{Losses, SafeText};
use crate::settings::Settings;
use crate::snapshot::{Answer, Asked, AskedEnd, Snapshot};
use crate::view;
use crate::wire::WhyBody;
use crate::wire::losses::BLINDING;
use anyhow::anyhow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// Ticks that what was sent last may take to be decided.
const TO_DECIDE: u32 = 5;
/// From the start of a watch: of what begins then it cannot be told who opened it, if it has no handshake.
const UNCLEAR: Duration = Duration::from_millis(1_500);

/// Watches two ends for a while, and says what is expected, what was seen, and where it stopped.
pub(super) async fn run(
    settings: &Settings,
    watch_for: Duration,
    from: &Who,
    to: &Wanted,
) -> Result<(), Failure> {
    let docker = docker_that_answers(settings, [from, &to.who]).await?;
    let [from, asked_of] = &find([from, &to.who], &docker, is_local).map_err(Failure::wrong)?;
    let ends = [from, asked_of];
    let asked = asked(ends, to).map_err(Failure::wrong)?;
    let notes: Vec<SafeText> =
        ends.iter().flat_map(|end| &end.notes).map(|note| SafeText::new(note)).collect();
    let mut watch = Watch::start_own(settings, None).await?;
    let shown = show(&mut watch, settings, watch_for, asked, &notes).await;
    watch.finish(shown.as_ref().map_or(Ended::Done, |ended| *ended)).await?;
    shown.map(|_| ())
}

/// What is to be asked.
///
/// # Errors
/// When nothing between these ends could be seen.
fn asked([from, to]: [&Found<'_>; 2], wanted: &Wanted) -> anyhow::Result<Asked> {
    let asked =
        Asked { from: from.subject(), to: to.subject(), protocol: wanted.protocol, port: wanted.port };
    let notes: Vec<&str> = from.notes.iter().chain(&to.notes).map(String::as_str).collect();
    let also = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    match (asked.from.container(), asked.to.container()) {
        (None, None) => {
            Err(anyhow!("neither end is a container of this node, so nothing between them is seen{also}"))
        }
        _ if [from, to].iter().all(|end| end.on_host.is_some()) => Err(anyhow!(
            "both ends are in host mode: what they send each other goes from one socket of the host to another{also}"
        )),
        (Some(from), Some(to)) if from == to => Err(anyhow!(
            "both ends are in one container's network: what they send each other never leaves it{also}"
        )),
        _ => Ok(asked),
    }
}

async fn show(
    watch: &mut Watch,
    settings: &Settings,
    watch_for: Duration,
    asked: Asked,
    notes: &[SafeText],
) -> Result<Ended, Failure> {
    let tick = settings.collector.tick;
    wait_until_ready(watch, &asked).await?;
    tokio::time::sleep_until(watch.started + UNCLEAR).await;
    let mut answers = watch.session.inquire(asked);
    logger::tell(&format!(
        "watching for {}: make the traffic now (Ctrl-C ends it earlier)",
        view::duration(watch_for)
    ));
    let mut ended = tokio::select! {
        () = tokio::time::sleep(watch_for) => Ended::Done,
        () = watch.signals.next() => Ended::Signal,
        () = watch.output.closed() => return Ok(Ended::Closed),
    };
    tokio::select! {
        () = decided(&mut answers, tick * TO_DECIDE) => {}
        () = watch.signals.next() => ended = Ended::Signal,
        () = watch.output.closed() => return Ok(Ended::Closed),
    }
    // What is lost is asked before the programs go.
    let snapshot = watch.session.snapshot();
    watch.session.stop_collecting().await?;
    while answers.changed().await.is_ok() {}
    let answer = answers.borrow().clone();
    let answer = answer.ok_or_else(|| anyhow!("the engine ended unexpectedly"))?;
    let clock = watch.clock();
    let notes: Vec<SafeText> = notes.iter().cloned().chain(not_watched(&answer, &snapshot)).collect();
    let body = WhyBody::new(&answer, &snapshot.losses, &notes, &clock);
    let printed = if watch.json {
        watch.record(body).await
    } else {
        let frame = watch.frame(false);
        watch.print(&view::why(&answer, &blinding(&snapshot.losses), &notes, &frame), &frame).await
    };
    Ok(printed.map_or(Ended::Closed, |()| ended))
}

/// Which of the two ends could not be seen, and why.
fn not_watched(answer: &Answer, snapshot: &Snapshot) -> impl Iterator<Item = SafeText> {
    let ends = [&answer.asked.from, &answer.asked.to].map(AskedEnd::container);
    let rows = snapshot.containers.iter().filter(move |row| ends.contains(&Some(&row.container.id)));
    rows.filter(|row| !row.watched).map(|row| {
        let why = row.unwatched_reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        SafeText::new(&format!("{} is not watched{why}", row.container.name))
    })
}

/// Of the losses those after which something may have been missed between two ends.
fn blinding(losses: &Losses) -> Losses {
    let mut blinding = Losses::default();
    for name in BLINDING {
        blinding.add(name, losses.get(name));
    }
    blinding
}

/// Waits until the engine can know who is who, and both ends are watched: traffic that is asked for before would not be
/// seen. What is missing after that long is missing in the answer.
async fn wait_until_ready(watch: &mut Watch, asked: &Asked) -> Result<(), Failure> {
    let ends = [&asked.from, &asked.to].map(AskedEnd::container);
    let ready = async {
        loop {
            let snapshot = watch.session.snapshot();
            let told = watch.session.docker_told().is_some_and(|told| told < snapshot.taken_at);
            let mut rows = snapshot.containers.iter().filter(|row| ends.contains(&Some(&row.container.id)));
            if told && rows.all(picture::is_watched) {
                break;
            }
            watch.session.changed().await?;
        }
        Ok(())
    };
    tokio::time::timeout(READY_PATIENCE, ready).await.unwrap_or(Ok(()))
}

/// Waits until all that was sent before is decided, at most for `patience`: for the tick in which it was sent, and for
/// those in which a loss would be told.
async fn decided(answers: &mut Receiver<Option<Arc<Answer>>>, patience: Duration) {
    let all = async {
        answers.mark_unchanged();
        // The first answer may be about a tick that was over before.
        let mut is_about_all = false;
        while answers.changed().await.is_ok() {
            let answer = answers.borrow_and_update();
            if is_about_all && answer.as_ref().is_some_and(|answer| !answer.is_undecided()) {
                return;
            }
            is_about_all = true;
        }
    };
    // What is not decided in time is told as such.
    tokio::time::timeout(patience, all).await.ok();
}

#[cfg(test)]
mod tests {
    use super::{asked, find};
    use crate::cli::Wanted;
    use crate::doctor::Docker;

    #[test]
    fn two_ends_of_which_none_is_a_container_of_this_node_are_refused() {
        let (docker, to) = (Docker::default(), "outside:80".parse::<Wanted>().unwrap());
        let [from, of_to] = find([&"host".parse().unwrap(), &to.who], &docker, |_| false).unwrap();
        let refused = asked([&from, &of_to], &to).unwrap_err().to_string();
        assert_eq!(refused, "neither end is a container of this node, so nothing between them is seen");
    }
}
