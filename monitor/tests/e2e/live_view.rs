//! The live view on a terminal, over two containers that talk: what keys do, and that the terminal is afterwards as it
//! was, however the view ends.
//!
//! The terminal is a pane of tmux with a shell in it.

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Tmux, Vethwatch, wait_for};
use monitor::run::Screen;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
/// A terminal as it often is.
const USUAL: (u16, u16) = (100, 30);
/// The smallest that is drawn on.
const SMALL: (u16, u16) = (20, 5);

/// Two containers, of which one asks the other five times a second.
struct Stage {
    lab: Lab,
    network: Network,
    client: Container,
    server: Container,
    terminal: Terminal,
}

impl Stage {
    fn set_up(name: &str) -> Result<Self> {
        let lab = Lab::new(name)?;
        let network = lab.network("net", &[])?;
        let server = lab.container("server").on(&network).run(&["serve-http", "5000"])?;
        let url = format!("http://{}:5000/", server.address(&network)?);
        let ask = ["get", &url, "--every", "200ms", "--count", "0"];
        let client = lab.container("client").on(&network).run(&ask)?;
        Ok(Self { terminal: Terminal::open(name)?, lab, network, client, server })
    }

    /// Shows the view, and waits until both containers are on it.
    fn view(&self) -> Result<Before> {
        let before = self.terminal.run(&format!("{} top --no-bridges", env!("CARGO_BIN_EXE_vethwatch")))?;
        self.wait_for_both()?;
        Ok(before)
    }

    fn wait_for_both(&self) -> Result<()> {
        self.wait_for("both containers", |screen| {
            [&self.client, &self.server].iter().all(|one| screen.contains(end(&one.name)))
        })
    }

    fn wait_for(&self, what: &str, mut look: impl FnMut(&str) -> bool) -> Result<()> {
        self.terminal.pane.wait_for(what, PATIENCE, |screen| look(screen).then_some(()))
    }

    fn press(&self, keys: &[&str]) -> Result<()> {
        self.terminal.pane.press(keys)
    }
}

/// The end of a container's name, which is shown even where there is no room for all of it.
fn end(name: &str) -> &str {
    name.rfind('-').map_or(name, |at| &name[at..])
}

/// A shell in a terminal.
struct Terminal {
    pane: Tmux,
    settings: PathBuf,
}

/// How the terminal is when a command was typed and not started yet.
struct Before {
    settings: String,
    screen: String,
    modes: String,
}

impl Terminal {
    fn open(name: &str) -> Result<Self> {
        let pane = Tmux::start(name, USUAL, &["bash", "--norc", "--noprofile"])?;
        let settings = std::env::temp_dir().join(format!("vw-{name}-{}.stty", std::process::id()));
        let terminal = Self { pane, settings };
        // The shell says how the last command ended.
        terminal.pane.write("PS1='vw $?> '; clear")?;
        terminal.pane.press(&["Enter"])?;
        terminal.wait_for_prompt(0)?;
        Ok(terminal)
    }

    /// Types a command, notes how the terminal is, and starts it.
    fn run(&self, command: &str) -> Result<Before> {
        let settings = self.settings()?;
        self.pane.write(command)?;
        let screen = self.pane.wait_for("what is typed", PATIENCE, |screen| {
            // The terminal breaks lines.
            let together = |text: &str| text.split_whitespace().collect::<String>();
            together(screen).ends_with(&together(command)).then(|| screen.trim_end().to_owned())
        })?;
        let before = Before { settings, screen, modes: self.modes()? };
        self.pane.press(&["Enter"])?;
        self.wait_for_modes("the other screen", |modes| modes != before.modes)?;
        Ok(before)
    }

    /// Checks that the terminal is as it was, the command having ended with `code`, and returns what is new on the
    /// screen.
    fn check_restored(&self, before: &Before, code: i32) -> Result<String> {
        let screen = self.wait_for_prompt(code)?;
        let new = screen.strip_prefix(&before.screen);
        let new =
            new.with_context(|| format!("the screen was\n{}\nand is\n{screen}", before.screen))?.to_owned();
        self.wait_for_modes("the modes of before", |modes| modes == before.modes)?;
        let settings = self.settings()?;
        ensure!(settings == before.settings, "stty: {}\nbefore: {}", settings, before.settings);
        Ok(new)
    }

    /// What `stty` tells.
    fn settings(&self) -> Result<String> {
        let file = self.settings.display();
        self.pane.write(&format!("stty -a > {file}.new; mv {file}.new {file}; clear"))?;
        self.pane.press(&["Enter"])?;
        let told = wait_for("the settings", PATIENCE, || Ok(std::fs::read_to_string(&self.settings).ok()))?;
        self.wait_for_prompt(0)?;
        std::fs::remove_file(&self.settings).context("removing what stty said")?;
        Ok(told)
    }

    /// Cursor, mouse, other screen, wrapping, keypad.
    fn modes(&self) -> Result<String> {
        self.pane.format(
            "#{cursor_flag} #{mouse_any_flag} #{alternate_on} #{wrap_flag} #{keypad_flag} #{insert_flag}",
        )
    }

    fn wait_for_modes(&self, what: &str, right: impl Fn(&str) -> bool) -> Result<()> {
        self.pane.wait_for(what, PATIENCE, |_| self.modes().ok().filter(|modes| right(modes)).map(drop))
    }

    /// The screen whose last line is the shell's prompt after an end with `code`.
    fn wait_for_prompt(&self, code: i32) -> Result<String> {
        let prompt = format!("vw {code}>");
        self.pane.wait_for(&prompt, PATIENCE, |screen| {
            screen.trim_end().ends_with(&prompt).then(|| screen.trim_end().to_owned())
        })
    }

    fn signal(&self, signal: i32) -> Result<i32> {
        let pid = self.pane.child()?;
        // SAFETY: plain system call; the process is a child of the shell in the terminal.
        ensure!(unsafe { libc::kill(pid, signal) } == 0, "process {pid} has gone");
        Ok(pid)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is there only if a check has failed.
        let _ = std::fs::remove_file(&self.settings);
    }
}

#[test]
fn keys_show_screens_rows_and_details_and_a_small_terminal_is_no_end() -> Result<()> {
    let stage = Stage::set_up("view")?;
    let terminal = &stage.terminal;
    let before = stage.view()?;
    let (client, server) = (stage.client.name.as_str(), stage.server.name.as_str());
    let has = |name: &str| {
        let name = name.to_owned();
        move |screen: &str| screen.contains(&name)
    };

    // Each screen has a word that no other has.
    for (key, word) in
        [("2", "VERDICT"), ("3", "SUBNET"), ("4", "CLIENT"), ("5", "SEVERITY"), ("6", "WHAT IT MEANS")]
    {
        stage.press(&[key])?;
        stage.wait_for(&format!("screen {key}"), has(word))?;
    }
    stage.press(&["1"])?;
    stage.wait_for_both()?;

    // A filter works while it is typed.
    stage.press(&["/"])?;
    terminal.pane.write(server)?;
    stage.wait_for("the server alone", |screen| {
        screen.contains(end(server)) && !screen.contains(end(client))
    })?;
    stage.press(&["Enter"])?;
    stage.press(&["Enter"])?;
    let address = stage.server.address(&stage.network)?;
    stage.wait_for("the server's details", has(&address))?;
    stage.press(&["Escape"])?;
    stage.wait_for("the list", |screen| !screen.contains(&address))?;
    stage.press(&["/", "C-u", "Enter"])?;
    stage.wait_for_both()?;

    terminal.pane.resize(SMALL)?;
    stage.wait_for("a small picture", |screen| {
        screen.lines().count() <= usize::from(SMALL.1) && !screen.trim().is_empty()
    })?;
    stage.press(&["j"])?;
    terminal.pane.resize(USUAL)?;
    stage.wait_for_both()?;

    // The first key after a change of the size is taken at once, without another one behind it.
    stage.press(&["?"])?;
    stage.wait_for("help", has("this help"))?;
    stage.press(&["Escape"])?;
    stage.wait_for_both()?;
    stage.press(&["q"])?;
    let new = terminal.check_restored(&before, 0)?;
    ensure!(new.trim() == "vw 0>", "{new}");
    stage.lab.close()
}

#[test]
fn the_view_steps_back_to_what_was_and_to_now_again() -> Result<()> {
    let stage = Stage::set_up("view-back")?;
    let before = stage.view()?;
    stage.press(&["["])?;
    stage.wait_for("a time that is over", |screen| {
        // The view's own history begins with its second reading.
        let is_early = screen.contains("nothing is kept");
        let asked = is_early.then(|| stage.press(&["n", "["]));
        let names = [&stage.client, &stage.server].iter().all(|one| screen.contains(end(&one.name)));
        asked.is_none() && screen.contains("LOOKING BACK: ") && names
    })?;
    stage.press(&["4"])?;
    stage.wait_for("who talked then", |screen| {
        screen.contains("CLIENT") && screen.contains(":5000") && screen.contains("answered")
    })?;
    stage.press(&["2"])?;
    stage.wait_for("that flows are not kept", |screen| screen.contains("Single flows are not kept"))?;
    stage.press(&["n"])?;
    stage.wait_for("the flows of now", |screen| {
        !screen.contains("LOOKING BACK") && screen.contains("VERDICT") && screen.contains("5000")
    })?;
    stage.press(&["q"])?;
    stage.terminal.check_restored(&before, 0)?;
    stage.lab.close()
}

#[test]
fn every_end_gives_the_terminal_back_as_it_was() -> Result<()> {
    let stage = Stage::set_up("view-ends")?;
    let terminal = &stage.terminal;
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let before = stage.view()?;
        terminal.signal(signal)?;
        let new = terminal.check_restored(&before, 0).with_context(|| format!("signal {signal}"))?;
        ensure!(new.trim() == "vw 0>", "signal {signal}: {new}");
    }
    for key in ["q", "C-c"] {
        let before = stage.view()?;
        stage.press(&[key])?;
        let new = terminal.check_restored(&before, 0).with_context(|| format!("key {key}"))?;
        ensure!(new.trim() == "vw 0>", "key {key}: {new}");
    }
    stage.lab.close()
}

#[test]
fn a_stopped_view_gives_the_terminal_to_the_shell_and_goes_on_where_it_was() -> Result<()> {
    let stage = Stage::set_up("view-stop")?;
    let terminal = &stage.terminal;
    let before = stage.view()?;
    for stop in [None, Some(libc::SIGTSTP)] {
        match stop {
            None => stage.press(&["C-z"])?,
            Some(signal) => terminal.signal(signal).map(drop)?,
        }
        let screen = terminal.wait_for_prompt(128 + libc::SIGTSTP)?;
        ensure!(screen.contains("Stopped"), "{screen}");
        terminal.wait_for_modes("the modes of before", |modes| modes == before.modes)?;
        ensure!(terminal.settings()? == before.settings, "stty says something else while it is stopped");
        terminal.pane.write("fg")?;
        stage.press(&["Enter"])?;
        stage.wait_for_both()?;
    }
    // Without a word before: the shell has the terminal's settings changed, and the view takes it again.
    let pid = terminal.signal(libc::SIGSTOP)?;
    terminal.wait_for_prompt(128 + libc::SIGSTOP)?;
    ensure!(terminal.pane.child()? == pid, "another process was stopped");
    terminal.pane.write("stty sane; fg")?;
    stage.press(&["Enter"])?;
    stage.wait_for_both()?;
    stage.press(&["q"])?;
    terminal.wait_for_prompt(0)?;
    stage.lab.close()
}

#[test]
fn a_panic_in_whatever_thread_finds_the_usual_screen() -> Result<()> {
    let terminal = Terminal::open("view-panic")?;
    let program = std::env::current_exe().context("this test")?;
    let test = "--ignored --exact a_screen_and_a_panic --nocapture";
    let before = terminal.run(&format!("RUST_BACKTRACE=0 {} {test}", program.display()))?;
    terminal.pane.press(&["x"])?;
    let told = terminal.check_restored(&before, 101)?;
    ensure!(told.contains("panicked at") && told.contains("on purpose"), "{told}");
    ensure!(told.contains("afterwards"), "{told}");
    Ok(())
}

/// No test by itself: what the one above runs in a terminal.
#[test]
#[ignore = "takes the terminal"]
fn a_screen_and_a_panic() {
    let screen = Screen::take(true).expect("a terminal");
    std::io::stdin().read_exact(&mut [0]).expect("a key");
    let other = std::thread::spawn(|| panic!("on purpose"));
    let ended = other.join();
    println!("afterwards");
    drop(screen);
    ended.expect("it has panicked");
}

#[test]
fn a_terminal_that_goes_away_ends_the_view_and_takes_the_programs_off() -> Result<()> {
    let stage = Stage::set_up("view-gone")?;
    stage.view()?;
    let device = stage.client.host_device(&stage.network)?;
    ensure!(!device.programs()?.is_empty(), "nothing is attached");
    let pid = stage.terminal.pane.child()?;
    let Stage { terminal, lab, .. } = stage;
    drop(terminal);
    wait_for("its end", PATIENCE, || Ok((!Path::new(&format!("/proc/{pid}")).exists()).then_some(())))?;
    ensure!(device.programs()?.is_empty(), "programs are still attached");
    lab.close()
}

#[test]
fn without_a_terminal_one_picture_is_printed_and_said_to_be_one() -> Result<()> {
    let finished = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch")).finish(&["top"])?;
    ensure!(finished.status.success() && !finished.stdout.contains('\x1b'), "{finished:?}");
    ensure!(finished.stderr.contains("as with --once"), "{}", finished.stderr);
    Ok(())
}
