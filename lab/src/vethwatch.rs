//! The vethwatch program as a test sees it: arguments in, JSON lines and an exit code out.

use crate::{Finished, Lab, Network, docker_host, finish, wait_for};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it may take to end after it was asked to, or to print one picture.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whatever agent there is on this host, a test is about its own.
const NO_SOCKET: [&str; 2] = ["VETHWATCH_SOCKET", "off"];
/// And what it leaves when it is killed is nobody's to go on with.
const NO_PINS: [&str; 2] = ["VETHWATCH_PIN_DIR", "off"];
/// Where it finds Docker.
const DOCKER: &str = "DOCKER_HOST";

/// Where the program is, and how it is to be run.
#[derive(Clone, Debug)]
pub struct Vethwatch {
    program: PathBuf,
    environment: Vec<(String, String)>,
    namespace: Option<String>,
    /// A user and a group, by their numbers.
    user: Option<[u32; 2]>,
}

impl Vethwatch {
    /// The program at this path; a test of its package says `env!("CARGO_BIN_EXE_vethwatch")`. It neither asks an agent
    /// of this host nor is one that others ask, unless it is told a socket, and pins nothing, unless it is told where. What it asks Docker is looked at
    /// ([`docker_host`]), unless it is told another Docker, or is another user, who may reach none.
    #[must_use]
    pub fn at(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            environment: [NO_SOCKET, NO_PINS].map(|variable| variable.map(str::to_owned).into()).into(),
            namespace: None,
            user: None,
        }
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same in a network namespace, below `/run/netns`.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The same as another user of one group and no other, by their numbers; who runs it has to be root.
    #[must_use]
    pub fn by(mut self, user: u32, group: u32) -> Self {
        self.user = Some([user, group]);
        self
    }

    /// A command that would run it, for a test that wants something else around it.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut around = Vec::new();
        if let Some(namespace) = &self.namespace {
            around.extend(["nsenter".to_owned(), format!("--net=/run/netns/{namespace}")]);
        }
        if let Some([user, group]) = self.user {
            around.extend(["setpriv".to_owned(), format!("--reuid={user}"), format!("--regid={group}")]);
            around.push("--clear-groups".to_owned());
        }
        let mut command = match around.split_first() {
            None => Command::new(&self.program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
        };
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let is_told = self.environment.iter().any(|(name, _)| name == DOCKER);
        if !is_told && self.user.is_none() {
            command.envs(docker_host().map(|host| (DOCKER, host)));
        }
        command
    }

    /// Runs it to its end, whatever its exit code.
    ///
    /// # Errors
    /// It cannot be started, or does not end within a minute.
    pub fn finish(&self, arguments: &[&str]) -> Result<Finished> {
        finish(&mut self.command(arguments), PATIENCE)
    }

    /// Runs it to its end and reads what it prints as JSON lines.
    ///
    /// # Errors
    /// As [`Vethwatch::finish`]; also an exit code other than 0, or a line that is not JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let finished = self.finish(arguments)?;
        ensure!(finished.status.success(), "{arguments:?}: {}: {}", finished.status, finished.stderr.trim());
        finished.stdout.lines().map(parse).collect()
    }

    /// Starts it in the background; what it prints is collected as JSON lines.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stdout = child.stdout.take().context("a pipe")?;
        let stderr = child.stderr.take().context("a pipe")?;
        let readers = vec![read_lines(stdout, Arc::clone(&seen)), read_errors(stderr, Arc::clone(&seen))];
        Ok(Running { child, seen, readers })
    }
}

/// What a running program has printed so far.
#[derive(Debug, Default)]
struct Seen {
    lines: Vec<Value>,
    errors: String,
    not_json: Option<String>,
}

/// A vethwatch in the background; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    seen: Arc<Mutex<Seen>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines printed so far whose `type` is this.
    #[must_use]
    pub fn lines(&self, kind: &str) -> Vec<Value> {
        self.seen().lines.iter().filter(|line| line["type"] == kind).cloned().collect()
    }

    /// What it has written to standard error so far.
    #[must_use]
    pub fn errors(&self) -> String {
        self.seen().errors.clone()
    }

    /// Where an agent answers Prometheus, once it has said so.
    ///
    /// # Errors
    /// It ended before, or says nothing within a minute.
    pub fn metrics(&mut self) -> Result<SocketAddr> {
        wait_for("the address of the metrics", PATIENCE, || {
            if let Some(status) = self.child.try_wait().context("waiting for vethwatch")? {
                self.join_readers();
                bail!("vethwatch ended: {status}: {}", self.errors().trim());
            }
            let said = self.errors();
            let address = said.split_once("metrics are at ").and_then(|(_, behind)| behind.split('/').nth(2));
            address.map(|address| address.parse().context("reading the address of the metrics")).transpose()
        })
    }

    /// Waits until `look` finds something in the lines printed so far. `what` completes "waited for …".
    ///
    /// # Errors
    /// It ended before, printed something that is not JSON, or the time is over.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&[Value]) -> Option<T>,
    ) -> Result<T> {
        wait_for(what, within, || {
            // Asked before the lines are looked at: what it printed last counts.
            let ended = self.child.try_wait().context("waiting for vethwatch")?;
            if ended.is_some() {
                self.join_readers();
            }
            let seen = lock(&self.seen);
            if let Some(line) = &seen.not_json {
                bail!("not JSON: {line}");
            }
            if let Some(found) = look(&seen.lines) {
                return Ok(Some(found));
            }
            match ended {
                Some(status) => bail!("vethwatch ended before {what}: {status}: {}", seen.errors.trim()),
                None => Ok(None),
            }
        })
    }

    /// Waits until it counts: until flows of a container that is started for this are printed. For a vethwatch that
    /// was started to print flows; `towards` is an address of the same network.
    ///
    /// # Errors
    /// Docker refuses, or no flow is printed within a minute.
    pub fn wait_until_watching(&mut self, lab: &Lab, network: &Network, towards: &str) -> Result<()> {
        let to = format!("{towards}:7");
        let probe =
            lab.container("probe").on(network).run(&["udp-send", &to, "--count", "600", "--rate", "10"])?;
        self.wait_for("flows of the probe", PATIENCE, |lines| {
            lines.iter().find(|line| line["local"]["container"]["id"] == *probe.id).map(drop)
        })?;
        probe.remove()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended already.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        // SAFETY: plain system call; the child is waited for only by `end` and `drop`, which own it.
        ensure!(unsafe { libc::kill(pid, signal) } == 0, "vethwatch has ended already");
        Ok(())
    }

    /// Waits for its end and returns its exit code, which a signal does not leave, and all lines.
    ///
    /// # Errors
    /// It does not end within two minutes.
    pub fn end(mut self) -> Result<(Option<i32>, Vec<Value>)> {
        let status = wait_for("vethwatch to end", 2 * PATIENCE, || Ok(self.child.try_wait()?))?;
        self.join_readers();
        let lines = std::mem::take(&mut self.seen().lines);
        Ok((status.code(), lines))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader does not panic.
            let _ = reader.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(pipe: impl Read + Send + 'static, seen: Arc<Mutex<Seen>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let parsed = parse(&line);
            let mut seen = lock(&seen);
            match parsed {
                Ok(value) => seen.lines.push(value),
                Err(_) => seen.not_json = Some(line),
            }
        }
    })
}

fn read_errors(pipe: impl Read + Send + 'static, seen: Arc<Mutex<Seen>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut seen = lock(&seen);
            seen.errors.push_str(&line);
            seen.errors.push('\n');
        }
    })
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse(line: &str) -> Result<Value> {
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}

#[cfg(test)]
mod tests {
    use super::Vethwatch;
    use std::time::Duration;

    fn shell(script: &str) -> super::Running {
        Vethwatch::at("sh").start(&["-c", script]).unwrap()
    }

    #[test]
    fn lines_are_collected_while_it_runs() {
        let mut running = shell(r#"echo '{"type":"a","n":1}'; echo '{"type":"b"}'; exec sleep 60"#);
        let found = running.wait_for("b", Duration::from_secs(10), |lines| {
            lines.iter().find(|line| line["type"] == "b").cloned()
        });
        assert!(found.is_ok());
        assert_eq!(running.lines("a").len(), 1);
        running.signal(libc::SIGTERM).unwrap();
        assert_eq!(running.end().unwrap().0, None);
    }

    #[test]
    fn an_early_end_tells_what_was_said() {
        let mut running = shell("echo why >&2; exit 3");
        let error = running.wait_for("a line", Duration::from_secs(10), |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains("exit status: 3: why"), "{error}");
    }

    #[test]
    fn a_line_that_is_not_json_is_an_error() {
        let mut running = shell("echo hello; exec sleep 60");
        let error = running.wait_for("a line", Duration::from_secs(10), |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains("not JSON: hello"), "{error}");
        assert!(Vethwatch::at("echo").json(&["hello"]).is_err());
    }
}
