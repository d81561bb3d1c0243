//! `cargo xtask capture`: pictures of the live view for the README, from a real run on the nginx/Flask example.
//!
//! The view runs in a terminal of tmux; what it shows is taken with its colours and drawn as SVG.

mod ansi;
mod scene;
mod svg;

use crate::cargo::{Profile, build, workspace};
use crate::image::make_debian;
use crate::image::make_testbox;
use crate::signals;
use anyhow::{Context, Result, ensure};
use lab::Tmux;
use scene::Scene;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Columns and lines.
const SIZE: (u16, u16) = (120, 36);
/// How long the view may take for what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long there are requests before the first picture: its lines of bars are as wide as they get.
const BEFORE: Duration = Duration::from_secs(65);

/// A picture: the keys that lead to it, a word that is on it when it is there, its file, and its title.
struct Picture {
    keys: &'static [&'static str],
    shows: &'static str,
    file: &'static str,
    title: &'static str,
}

const PICTURES: [Picture; 4] = [
    Picture {
        keys: &["1"],
        shows: "nginx",
        file: "top-containers",
        title: "vethwatch top: each container with its traffic, rates, connections and findings",
    },
    Picture {
        keys: &["2"],
        shows: "nginx",
        file: "top-flows",
        title: "vethwatch top: conversations, both ends named",
    },
    Picture {
        keys: &["5"],
        shows: "cross-network",
        file: "top-findings",
        title: "vethwatch top: what breaks isolation",
    },
    Picture {
        keys: &["Enter"],
        shows: "cross-network",
        file: "top-finding",
        title: "vethwatch top: a finding, how it is known, and how to look for oneself",
    },
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build vethwatch for debugging, which is quicker to compile.
    #[arg(long)]
    dev: bool,
}

/// Makes the scene, runs the view over it, and draws its pictures.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let profile = if arguments.dev { Profile::Dev } else { Profile::Release };
    ensure!(lab::is_root(), "the view runs as root here: use sudo");
    let vethwatch = build(&[("monitor", "vethwatch")], profile)?.pop().context("cargo built nothing")?;
    make_testbox()?;
    make_debian()?;
    signals::watch()?;
    let scene = Scene::set_up(&signals::check)?;
    let pictures = take(&vethwatch, &scene);
    let removed = scene.close().context("removing the containers and networks");
    pictures.and(removed)
}

fn take(vethwatch: &Path, scene: &Scene) -> Result<()> {
    let program = vethwatch.to_string_lossy();
    let view = Tmux::start("capture", SIZE, &[&program, "top", "--theme", "dark"])?;
    view.wait_for("the view", PATIENCE, |screen| screen.contains("nginx").then_some(()))?;
    scene.ask_for(BEFORE, &signals::check)?;
    let folder = workspace().join("docs/images");
    fs::create_dir_all(&folder).context("making docs/images")?;
    for picture in &PICTURES {
        let before = view.screen()?;
        view.press(picture.keys)?;
        view.wait_for(picture.shows, PATIENCE, |screen| {
            (screen.contains(picture.shows) && (screen != before || picture.keys == ["1"])).then_some(())
        })?;
        // Two more readings: what is shown has rates.
        scene.ask_for(Duration::from_secs(2), &signals::check)?;
        let file = folder.join(picture.file).with_extension("svg");
        let lines = ansi::lines(&view.coloured()?);
        fs::write(&file, svg::draw(&lines, usize::from(SIZE.0), picture.title))
            .with_context(|| format!("writing {}", file.display()))?;
        println!("{}", file.display());
    }
    view.press(&["q"])
}
