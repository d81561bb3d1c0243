//! The nginx/Flask example as its Compose file makes it, somebody who asks it, and a stranger from another network who
//! tries to go round nginx.

use crate::cargo::workspace;
use anyhow::{Context, Result};
use lab::{Lab, docker, image, text, wait_for};
use std::process::Command;
use std::time::Duration;

/// The Compose project.
const PROJECT: &str = "vw-shop";
/// How long Docker may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests a second.
const A_SECOND: u32 = 10;

/// The scene; dropping it removes everything.
pub(super) struct Scene {
    compose: Compose,
    lab: Lab,
    url: String,
}

impl Scene {
    /// Makes everything and waits until requests are answered; `check` is asked in between whether to go on.
    pub(super) fn set_up(check: &dyn Fn() -> Result<()>) -> Result<Self> {
        let compose = Compose::up()?;
        check()?;
        let url = format!("http://{}/", compose.port()?);
        let lab = Lab::new("shop")?;
        let flask = docker(&[
            "inspect",
            "--format",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            &compose.container("flask_app")?,
        ])?;
        let other = lab.network("office", &[])?;
        check()?;
        let round = format!("http://{flask}:5000/");
        lab.container("stranger").on(&other).compose("office", "stranger").run(&[
            "get",
            &round,
            "--every",
            "1s",
            "--timeout",
            "1s",
            "--count",
            "0",
        ])?;
        let scene = Self { compose, lab, url };
        wait_for("the first answer", PATIENCE, || {
            check()?;
            Ok(scene.ask().ok())
        })?;
        Ok(scene)
    }

    /// Asks for so long.
    pub(super) fn ask_for(&self, time: Duration, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let pause = Duration::from_secs(1) / A_SECOND;
        for _ in 0..time.as_millis() / pause.as_millis() {
            check()?;
            self.ask()?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Removes everything and tells what could not be removed.
    pub(super) fn close(mut self) -> Result<()> {
        let removed = self.lab.close();
        removed.and(self.compose.down())
    }

    fn ask(&self) -> Result<()> {
        text(Command::new("curl").args(["-sSf", "--max-time", "5", &self.url]), PATIENCE).map(drop)
    }
}

/// The example's own file, with images of which every machine has the makings.
struct Compose {
    up: bool,
}

impl Compose {
    fn up() -> Result<Self> {
        let compose = Self { up: true };
        compose.run(&["up", "--detach", "--no-build"]).context("starting the example")?;
        Ok(compose)
    }

    fn down(&mut self) -> Result<()> {
        self.up = false;
        self.run(&["down", "--timeout", "1"]).map(drop)
    }

    fn container(&self, service: &str) -> Result<String> {
        self.run(&["ps", "--quiet", service])
    }

    /// Where nginx is published.
    fn port(&self) -> Result<String> {
        self.run(&["port", "nginx", "80"])
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("docker-compose");
        command.current_dir(workspace().join("examples/nginx-flask"));
        command
            .env("NGINX_IMAGE", image::DEBIAN)
            .env("FLASK_IMAGE", image::DEBIAN)
            .env("PUBLISH", "127.0.0.1:");
        text(command.args(["--project-name", PROJECT]).args(arguments), PATIENCE)
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        if self.up
            && let Err(error) = self.down()
        {
            eprintln!("capture: {error:#}");
        }
    }
}
