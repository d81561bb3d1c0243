//! What reaches Docker while an agent watches: `GET`, and nothing else.

use crate::rig::{PATIENCE, agent, end, labelled, vethwatch};
use anyhow::{Result, ensure};
use lab::{Lab, wait_for};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Passes on to Docker, and keeps the first line of each request.
struct Proxy {
    path: PathBuf,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("vw-proxy-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path)?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || pass(client, &kept));
            }
        });
        Ok(Self { path, lines })
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

fn pass(mut client: UnixStream, kept: &Mutex<Vec<String>>) -> io::Result<()> {
    let docker = UnixStream::connect("/var/run/docker.sock")?;
    let (mut answers, mut back) = (docker.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        io::copy(&mut answers, &mut back).ok();
        back.shutdown(std::net::Shutdown::Both).ok();
    });
    let (mut docker, mut part) = (docker, vec![0; 64 << 10]);
    loop {
        let length = client.read(&mut part)?;
        if length == 0 {
            return docker.shutdown(std::net::Shutdown::Both);
        }
        let said = String::from_utf8_lossy(&part[..length]);
        let line = said.lines().next().unwrap_or_default().to_owned();
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        docker.write_all(&part[..length])?;
    }
}

#[test]
fn docker_hears_nothing_but_get() -> Result<()> {
    let proxy = Proxy::new()?;
    let host = format!("unix://{}", proxy.path.display());
    let lab = Lab::new("privilege-docker")?;
    let network = lab.network("net", &[])?;
    let (running, at) = agent(&vethwatch(), &["--docker-host", &host])?;
    let one = lab.container("one").on(&network).run(&["sleep"])?;
    let label = format!("container=\"{}\"", one.name);
    let is_known = || labelled(at, "vethwatch_container_watched", &label);
    wait_for("its name", PATIENCE, || Ok((is_known()? == Some(1)).then_some(())))?;
    one.remove()?;
    wait_for("its end", PATIENCE, || Ok((is_known()? != Some(1)).then_some(())))?;
    end(running)?;
    let lines = proxy.lines();
    ensure!(lines.iter().any(|line| line.contains("/events")), "{lines:?}");
    let other = lines.iter().find(|line| !line.starts_with("GET /") || !line.ends_with(" HTTP/1.1"));
    ensure!(other.is_none(), "{other:?}");
    Ok(())
}
