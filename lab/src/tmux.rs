//! A terminal that nobody sits at: a pane of tmux, on a server of its own.

use crate::{docker_host, finish, text, wait_for};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::Duration;

/// How long tmux may take for one of its commands.
const COMMAND: Duration = Duration::from_secs(10);

/// A pane with a program in it. Dropping it ends the server, and with it the program.
#[derive(Debug)]
pub struct Tmux {
    server: String,
}

impl Tmux {
    /// Starts a program, with its arguments, in a pane of so many columns and lines. It finds a terminal of 256 colours
    /// and a locale of UTF-8.
    ///
    /// # Errors
    /// There is no tmux, or it cannot start the program.
    pub fn start(name: &str, (columns, lines): (u16, u16), program: &[&str]) -> Result<Self> {
        let version = Command::new("tmux").arg("-V").output();
        version.context("this needs tmux, which is not installed (Debian: apt-get install tmux)")?;
        let tmux = Self { server: format!("vw-{name}-{}", std::process::id()) };
        let mut command = tmux.command();
        // The settings of whoever runs this, and of a tmux that this runs in, are not ours.
        command.env_remove("TMUX").env_remove("NO_COLOR").env_remove("COLORTERM").env("LC_ALL", "C.UTF-8");
        command.env("HISTFILE", "/dev/null").envs(docker_host().map(|host| ("DOCKER_HOST", host)));
        command.args(["-f", "/dev/null", "new-session", "-d"]);
        command.args(["-x", &columns.to_string(), "-y", &lines.to_string()]).args(program);
        text(&mut command, COMMAND)?;
        tmux.ask(&["set-option", "-g", "status", "off"])?;
        tmux.resize((columns, lines))?;
        Ok(tmux)
    }

    /// Types a text as it is.
    ///
    /// # Errors
    /// The program has ended.
    pub fn write(&self, text: &str) -> Result<()> {
        self.ask(&["send-keys", "-l", text]).map(drop)
    }

    /// Presses keys, by tmux's names for them: `Enter`, `C-z`, `Down`.
    ///
    /// # Errors
    /// The program has ended.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.ask(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// Gives the pane another size.
    ///
    /// # Errors
    /// The program has ended.
    pub fn resize(&self, (columns, lines): (u16, u16)) -> Result<()> {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &lines.to_string()]).map(drop)
    }

    /// What is on the screen, line by line, without the spaces at the ends of its lines.
    ///
    /// # Errors
    /// The program has ended.
    pub fn screen(&self) -> Result<String> {
        self.capture(&[])
    }

    /// The same with its colours, as escape sequences, and with all spaces.
    ///
    /// # Errors
    /// The program has ended.
    pub fn coloured(&self) -> Result<String> {
        self.capture(&["-e", "-N"])
    }

    /// What one of tmux's formats has to say: `#{cursor_flag}`.
    ///
    /// # Errors
    /// The program has ended.
    pub fn format(&self, format: &str) -> Result<String> {
        self.ask(&["display-message", "-p", format])
    }

    /// Waits until `look` finds something on the screen. `what` completes "waited for …".
    ///
    /// # Errors
    /// The program has ended, or the time is over; then with what is on the screen.
    pub fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let mut last = String::new();
        let found = wait_for(what, within, || {
            last = self.screen()?;
            Ok(look(&last))
        });
        found.with_context(|| format!("on the screen is\n{last}"))
    }

    /// The process that the program in the pane has started last, which has to be there.
    ///
    /// # Errors
    /// There is none.
    pub fn child(&self) -> Result<i32> {
        let shell = self.format("#{pane_pid}")?;
        let file = format!("/proc/{shell}/task/{shell}/children");
        let children = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
        let last = children.split_whitespace().last().context("the program has no child")?;
        let pid = last.parse().context("the number of a process")?;
        ensure!(pid > 1, "process {pid}");
        Ok(pid)
    }

    fn capture(&self, options: &[&str]) -> Result<String> {
        let finished = finish(self.command().args(["capture-pane", "-p"]).args(options), COMMAND)?;
        ensure!(finished.status.success(), "capture-pane: {}", finished.stderr.trim());
        Ok(finished.stdout)
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        text(self.command().args(arguments), COMMAND)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.server]);
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It ends by itself when its program has.
        let _ = self.ask(&["kill-server"]);
    }
}
