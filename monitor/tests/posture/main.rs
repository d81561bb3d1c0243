//! What stands: containers and networks of real Docker, no traffic, and exactly the findings that must come of them.
//!
//! Needs root, Docker and the testbox image.

mod watched;

use anyhow::{Context, Result, ensure};
use lab::{Container, Lab, Network, Segment};
use watched::{Watched, vethwatch};

/// The Docker socket, mounted in a way that looks harmless.
const SOCKET: [&str; 2] = ["--volume", "/var/run/docker.sock:/run/other.sock:ro"];
/// What is told of it.
const MOUNT: &str = "/var/run/docker.sock:/run/other.sock";

fn on(lab: &Lab, network: &Network, name: &str, options: &[&str]) -> Result<Container> {
    lab.container(name).on(network).options(options).run(&["sleep"])
}

fn in_mode(lab: &Lab, mode: &str, name: &str, options: &[&str]) -> Result<Container> {
    lab.container(name).options(&["--network", mode]).options(options).run(&["sleep"])
}

#[test]
fn what_is_risky_is_told_and_what_is_next_to_it_is_not() -> Result<()> {
    let lab = Lab::new("posture")?;
    let nets = [lab.network("a", &[])?, lab.network("alone", &[])?];
    let web = on(&lab, &nets[0], "web", &["--publish", "127.0.0.1::80"])?;
    on(&lab, &nets[0], "front", &["--publish", "0.0.0.0::80", "--publish", "127.0.0.1::81"])?;
    on(&lab, &nets[0], "vpn", &["--cap-add", "NET_ADMIN"])?;
    on(&lab, &nets[1], "lonely", &["--cap-add", "NET_ADMIN"])?;
    let ui = on(&lab, &nets[0], "ui", &SOCKET)?;
    in_mode(&lab, &format!("container:{}", web.id), "sidecar", &[])?;
    let agent = in_mode(&lab, "host", "agent", &["--cap-add", "SYS_ADMIN"])?;
    lab.container("made").options(&["--network", "host"]).create(&["sleep"])?;
    let mut watched = Watched::over(&lab, &[])?;
    let rest = [
        ("docker-socket", "ui", "critical", &[MOUNT][..]),
        ("strong-rights", "vpn", "warning", &["NET_ADMIN"]),
        ("published-everywhere", "front", "info", &["0.0.0.0:PORT->80/tcp"]),
        ("shared-namespace", "sidecar", "info", &["web"]),
    ];
    let of_agent: [watched::Stands<'_>; 2] =
        [("strong-rights", "agent", "critical", &["SYS_ADMIN"]), ("host-mode", "agent", "warning", &[])];
    let found = watched.must_tell(&[&rest[..], &of_agent].concat())?;
    ensure!(found[0]["container"]["id"] == *ui.id, "{}", found[0]);
    ensure!(found.iter().all(|line| line["since"].is_string()), "{found:?}");
    agent.kill()?;
    // Each is told over in a line of its own.
    for (rule, name, ..) in of_agent {
        watched.wait_for(rule, name, "closed")?;
    }
    watched.must_tell(&rest).map(drop)
}

#[test]
fn ipv6_networks_with_containers_are_not_kept_apart_here() -> Result<()> {
    let lab = Lab::new("posture6")?;
    let six = |name, subnet| lab.network(name, &["--ipv6", "--subnet", subnet]);
    let nets = [six("six", "fd00:77:1::/64")?, six("seven", "fd00:77:2::/64")?];
    let _empty = six("empty", "fd00:77:3::/64")?;
    on(&lab, &nets[0], "a", &[])?;
    on(&lab, &nets[1], "b", &[])?;
    let version = lab::docker(&["version", "--format", "{{.Server.Version}}"])?;
    let major: u32 = version.split('.').next().context("a version")?.parse()?;
    ensure!(major < 27, "this engine ({version}) keeps IPv6 networks apart: the test is for those before 27");
    let experimental = lab::docker(&["info", "--format", "{{.ExperimentalBuild}}"])? == "true";
    let begins = format!("Docker {} keep network ", if experimental { "may fail to" } else { "does not" });
    let watched = Watched::over(&lab, &[])?;
    // Other tests may have such networks at the same time: only ours among those named are compared.
    let found = watched.must_tell_networks(&["six", "seven"])?;
    for line in found {
        let text = line["explanation"].as_str().context("an explanation")?;
        ensure!(text.starts_with(&begins) && line["severity"] == "warning", "{line}");
        ensure!(!line["what"].to_string().contains("empty"), "{line}");
    }
    Ok(())
}

#[test]
fn a_macvlan_network_has_no_host_end() -> Result<()> {
    let segment = Segment::new("t")?;
    let lab = Lab::new("posturelan")?;
    let Some(lan) = lab.macvlan("lan", &segment, &["--subnet", "198.18.77.0/24"])? else { return Ok(()) };
    on(&lab, &lan, "camera", &[])?;
    let mut watched = Watched::over(&lab, &[])?;
    watched.must_tell(&[("no-host-end", "camera", "info", &["lan"])]).map(drop)
}

#[test]
fn what_a_policy_file_accepts_is_not_told() -> Result<()> {
    let lab = Lab::new("postureok")?;
    let net = lab.network("a", &[])?;
    on(&lab, &net, "ui", &SOCKET)?;
    on(&lab, &net, "panel", &SOCKET)?;
    let prefix = lab.prefix();
    let file = std::env::temp_dir().join(format!("{prefix}.toml"));
    let accept = |name: &str, until: &str| {
        format!(
            "[[accept]]\nrule = 'docker-socket'\nfrom = {{ container = '{prefix}-{name}' }}\nuntil = {until}\n"
        )
    };
    std::fs::write(&file, accept("ui", "2099-01-01") + &accept("panel", "2020-01-01"))?;
    let watched = Watched::over(&lab, &["--policy", &file.to_string_lossy()]);
    std::fs::remove_file(&file)?;
    watched?.must_tell(&[("docker-socket", "panel", "critical", &[MOUNT])]).map(drop)
}

#[test]
fn check_doctor_and_top_show_what_stands() -> Result<()> {
    let lab = Lab::new("postureall")?;
    let net = lab.network("a", &[])?;
    let ui = on(&lab, &net, "ui", &SOCKET)?;
    let check = |arguments: &[&str]| vethwatch().finish(&[&["check", "--for", "2s"], arguments].concat());
    let counted = check(&["--kind", "posture"])?;
    ensure!(counted.status.code() == Some(1), "{counted:?}");
    // Whether it held beside that depends on what else this machine does.
    let listed = check(&["--kind", "violation"])?;
    for text in [&counted.stdout, &listed.stdout] {
        let posture = text.split_once("\n## Posture\n").context("a heading of its own")?.1;
        let row = format!("| critical | docker-socket | {} has the Docker socket ({MOUNT}): ", ui.name);
        ensure!(posture.contains(&row), "{text}");
    }
    ensure!(listed.stdout.contains("does not count") && !counted.stdout.contains("does not count"));
    let doctor = vethwatch().json(&["doctor", "--json"])?;
    let told = doctor.iter().find(|line| line["subject"] == "docker-socket").context("a line of doctor")?;
    ensure!(told["result"] == "posture" && told["found"].to_string().contains(&ui.name), "{told}");
    let top = vethwatch().finish(&["top", "--once"])?;
    ensure!(top.stdout.contains("posture: ") && top.stdout.contains(" docker-socket: "), "{}", top.stdout);
    Ok(())
}
