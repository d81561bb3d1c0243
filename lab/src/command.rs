//! Running other programs, never longer than stated.

use crate::Deadline;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a running program is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to standard output; invalid UTF-8 replaced.
    pub stdout: String,
    /// What it wrote to standard error; invalid UTF-8 replaced.
    pub stderr: String,
}

/// Whether this process is root.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// A command that runs as root: as it is when already root, through sudo otherwise.
#[must_use]
pub fn privileged(program: impl AsRef<OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("--").arg(program);
    command
}

/// Runs a command to its end and collects what it says, whatever its exit status. It runs in a process group of
/// its own, so that Ctrl-C at the terminal does not cut it off in the middle.
///
/// # Errors
/// The program cannot be started, or has not ended `within` that time (it is killed then).
pub fn finish(command: &mut Command, within: Duration) -> Result<Finished> {
    let name = describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let deadline = Deadline::after(within);
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("waiting for {name}"))? {
            break status;
        }
        if deadline.passed() {
            kill_group(&mut child);
            bail!("{name} has not ended within {within:?}");
        }
        std::thread::sleep(PAUSE);
    };
    Ok(Finished { status, stdout: joined(stdout), stderr: joined(stderr) })
}

/// What a command writes to standard output, without the white space around it.
///
/// # Errors
/// As [`finish`]; also an exit status other than 0.
pub fn text(command: &mut Command, within: Duration) -> Result<String> {
    let finished = finish(command, within)?;
    if !finished.status.success() {
        bail!("{}: {}: {}", describe(command), finished.status, finished.stderr.trim());
    }
    Ok(finished.stdout.trim().to_owned())
}

fn describe(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    let mut line = words.join(" ");
    if let Some((cut, _)) = line.char_indices().nth(300) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn joined(reader: JoinHandle<String>) -> String {
    reader.join().unwrap_or_default()
}

fn kill_group(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // SAFETY: plain system call; the group is the child's own, made by `process_group(0)`, and the child has
        // not been waited for, so its number cannot have been reused.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    // Reaps it; there is nothing to do about an error.
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::{finish, text};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn output_and_status_are_collected() {
        let finished = finish(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            Duration::from_secs(10),
        );
        let finished = finished.unwrap();
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(finished.status.code(), Some(3));
    }

    #[test]
    fn a_failure_carries_what_the_program_said() {
        let error = text(Command::new("sh").args(["-c", "echo why >&2; exit 1"]), Duration::from_secs(10))
            .unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let error = finish(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("sleep 60 has not ended"), "{error}");
    }
}
