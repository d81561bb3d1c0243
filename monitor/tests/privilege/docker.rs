//! What reaches Docker while an agent watches: `GET`, and nothing else. The lab looks at each request, in all tests.

use crate::rig::{PATIENCE, agent, end, labelled, vethwatch};
use anyhow::{Result, ensure};
use lab::{Lab, asked_of_docker, wait_for};

#[test]
fn docker_hears_nothing_but_get() -> Result<()> {
    let lab = Lab::new("privilege-docker")?;
    let network = lab.network("net", &[])?;
    let (running, at) = agent(&vethwatch(), &[])?;
    let one = lab.container("one").on(&network).run(&["sleep"])?;
    let label = format!("container=\"{}\"", one.name);
    let is_known = || labelled(at, "vethwatch_container_watched", &label);
    wait_for("its name", PATIENCE, || Ok((is_known()? == Some(1)).then_some(())))?;
    let id = one.id.clone();
    one.remove()?;
    wait_for("its end", PATIENCE, || Ok((is_known()? != Some(1)).then_some(())))?;
    end(running)?;
    let asked = asked_of_docker();
    for what in ["/events?".to_owned(), format!("/containers/{id}/json")] {
        ensure!(asked.iter().any(|line| line.contains(&what)), "{what} is not in {asked:?}");
    }
    let other = asked.iter().find(|line| !line.starts_with("GET /"));
    ensure!(other.is_none(), "{other:?}");
    lab.close()
}
