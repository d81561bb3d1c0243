//! What the demo shows: a front and a back network, a proxy on both, an application behind it, a client that asks
//! through the proxy, and a stranger that tries to go round it.

use anyhow::{Context, Result};
use lab::{Container, Lab, wait_for};
use std::time::Duration;

/// Compose project of the demo's containers.
const PROJECT: &str = "vw-demo";

/// How long the first answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The scene; dropping it removes everything.
pub(crate) struct Scene {
    lab: Lab,
}

impl Scene {
    /// Makes everything and waits until requests are answered; `check` is asked in between whether to go on.
    pub(crate) fn set_up(check: &dyn Fn() -> Result<()>) -> Result<Self> {
        let lab = Lab::new("demo")?;
        let front = lab.network("front", &[]).context("making the front network")?;
        let back = lab.network("back", &[]).context("making the back network")?;
        check()?;
        let service =
            |name: &str| lab.container(name).compose(PROJECT, name).options(&["--network-alias", name]);
        let app =
            service("app").on(&back).run(&["serve-http", "5000"]).context("starting the application")?;
        check()?;
        service("proxy")
            .on(&front)
            .on(&back)
            .run(&["proxy", "80", "app:5000"])
            .context("starting the proxy")?;
        check()?;
        let target = format!("{}:5000", app.address(&back)?);
        let round = format!("http://{target}/");
        service("stranger")
            .on(&front)
            .run(&["get", &round, "--every", "1s", "--timeout", "1s", "--count", "0"])
            .context("starting the stranger")?;
        check()?;
        let client = service("client")
            .on(&front)
            .run(&["get", "http://proxy/", "--every", "200ms", "--count", "0"])
            .context("starting the client")?;
        wait_for_answer(&client, check)?;
        eprintln!(
            "demo: client → proxy → app answers; stranger tries to reach {target} from the other network"
        );
        Ok(Self { lab })
    }

    /// Removes everything and tells what could not be removed.
    pub(crate) fn close(self) -> Result<()> {
        self.lab.close()
    }
}

fn wait_for_answer(client: &Container, check: &dyn Fn() -> Result<()>) -> Result<()> {
    wait_for("the client's first answer", PATIENCE, || {
        check()?;
        Ok(client.logs()?.contains("200 OK").then_some(()))
    })
}
