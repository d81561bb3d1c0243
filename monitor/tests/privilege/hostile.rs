//! A helper, and somebody who has taken over the process that asks it.

use anyhow::{Context as _, Result, bail, ensure};
use lab::BpfFs;
use monitor::collector::{Answer as OfKernel, Collector, Pin, Request as Kernel, Settings, remove_pins};
use monitor::helper::channel::{self, LONGEST, Received};
use monitor::helper::message::{AboutRecords, AboutSocket, Answer, Name, Request};
use monitor::helper::{Office, serve_lane};
use monitor::settings::sources::Sources;
use rustix::fd::OwnedFd;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// A helper at work, with a folder of its own.
struct Stage {
    folder: PathBuf,
    lane: OwnedFd,
    number: u64,
    helper: Option<JoinHandle<std::io::Result<()>>>,
}

impl Stage {
    fn new(name: &str) -> Result<Self> {
        Self::with(name, None)
    }

    fn with(name: &str, pin: Option<Pin>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("vw-hostile-{name}-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        fs::write(folder.join("policy.toml"), "# ours\n")?;
        let (socket, records, policy) = (path("s"), path("records.jsonl"), path("policy.toml"));
        let docker = format!("unix://{}", path("docker.sock"));
        let words =
            ["vethwatch", "agent", "--socket", &socket, "--socket-group", "0", "--records-file", &records];
        let more = ["--policy", &policy, "--docker-host", &docker, "--metrics-listen", "127.0.0.1:0"];
        let sources = Sources::new(words.into_iter().chain(more), [], "/nowhere/vethwatch.toml");
        let loaded = sources.read().map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        let state_dir = folder.join("state");
        let (prepared, rights) = Collector::prepare(Settings { state_dir, pin, ..Settings::default() })?;
        drop(prepared);
        let office = Office::new(rights, sources, &loaded);
        let (lane, theirs) = channel::pair()?;
        let helper = std::thread::spawn(move || serve_lane(&office, &theirs));
        Ok(Self { folder, lane, number: 0, helper: Some(helper) })
    }

    fn path(&self, name: &str) -> Name {
        Name::from(self.folder.join(name).as_path())
    }

    fn asks(&mut self, request: Request) -> Result<(Answer, Vec<OwnedFd>)> {
        self.number += 1;
        channel::send(&self.lane, &(self.number, request), &[])?;
        let (number, answer, beside) = self.hears()?;
        ensure!(number == self.number);
        Ok((answer, beside))
    }

    fn hears(&self) -> Result<(u64, Answer, Vec<OwnedFd>)> {
        match channel::receive::<(u64, Answer)>(&self.lane, true)? {
            Received::Message((number, answer), beside) => Ok((number, answer, beside)),
            other => bail!("{other:?}"),
        }
    }

    /// It is refused, and nothing comes with the answer.
    fn refuses(&mut self, request: Request) -> Result<()> {
        let shown = format!("{request:?}");
        let (answer, beside) = self.asks(request)?;
        let is_refused = matches!(
            answer,
            Answer::Refused { .. } | Answer::Kernel(OfKernel::Refused { .. }) | Answer::Is(false)
        );
        ensure!(is_refused && beside.is_empty(), "{shown}: {answer:?}");
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Its lane is at its end then, and so is the helper.
        self.lane = channel::pair().map_or_else(|error| panic!("{error}"), |(lane, _)| lane);
        let ended = self.helper.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(Ok(())))), "{ended:?}");
        fs::remove_dir_all(&self.folder).ok();
    }
}

#[test]
fn what_is_no_request_is_refused_and_the_helper_serves_on() -> Result<()> {
    let mut stage = Stage::new("garbage")?;
    let long = vec![b'x'; LONGEST + 1];
    let deep = "[".repeat(10_000);
    for garbage in [&b"\0"[..], b"{}", b"[1]", b"[1,\"Unknown\"]", deep.as_bytes(), &long] {
        rustix::net::send(&stage.lane, garbage, rustix::net::SendFlags::empty())?;
        let (number, answer, _) = stage.hears()?;
        ensure!(number == 0 && matches!(answer, Answer::Refused { .. }), "{answer:?}");
    }
    let (answer, _) = stage.asks(Request::ReadSettings)?;
    ensure!(answer == Answer::Done);
    Ok(())
}

#[test]
fn what_the_settings_do_not_name_is_refused() -> Result<()> {
    let mut stage = Stage::new("named")?;
    let shadow = Name::from(Path::new("/etc/shadow"));
    let around = stage.path("../../etc/shadow");
    for path in [shadow.clone(), around.clone(), stage.path("other"), Name::from(Path::new(""))] {
        stage.refuses(Request::Open(path.clone()))?;
        stage.refuses(Request::MakeSocket(path.clone(), "0".to_owned()))?;
        stage.refuses(Request::Socket(path.clone(), (0, 0), AboutSocket::Remove))?;
        for about in [AboutRecords::Open, AboutRecords::There, AboutRecords::End { now: 0, keep: 0 }] {
            stage.refuses(Request::Records(path.clone(), about))?;
        }
    }
    stage.refuses(Request::Bind { at: "127.0.0.1:22".parse()?, beside: false })?;
    stage.refuses(Request::Bind { at: "0.0.0.0:0".parse()?, beside: true })?;
    let socket = stage.path("s");
    stage.refuses(Request::MakeSocket(socket.clone(), "65534".to_owned()))?;
    // A file that it did not make is not removed, nor given away.
    let file = stage.folder.join("s");
    fs::write(&file, "")?;
    let about = std::os::unix::fs::MetadataExt::ino;
    let identity = (std::os::unix::fs::MetadataExt::dev(&fs::metadata(&file)?), about(&fs::metadata(&file)?));
    for about in [AboutSocket::Remove, AboutSocket::GiveTo("0".to_owned())] {
        stage.refuses(Request::Socket(socket.clone(), identity, about))?;
    }
    ensure!(file.exists());
    fs::remove_file(&file)?;
    // What they do name is had.
    for named in [
        Request::Open(stage.path("policy.toml")),
        Request::Records(stage.path("records.jsonl"), AboutRecords::Open),
    ] {
        let (answer, beside) = stage.asks(named)?;
        ensure!(answer == Answer::Done && beside.len() == 1, "{answer:?}");
    }
    Ok(())
}

#[test]
fn what_makes_no_sense_to_the_kernel_is_refused() -> Result<()> {
    let mut stage = Stage::new("kernel")?;
    for ifindex in [0, 0x7fff_fff0, u32::MAX] {
        for by_tcx in [true, false] {
            stage.refuses(Request::Kernel(Kernel::Attach { ifindex, by_tcx }))?;
        }
    }
    stage.refuses(Request::Kernel(Kernel::Translations { list: 200, sequence: 1 }))?;
    for sandbox in [
        "/etc/shadow",
        "/proc/self/ns/net",
        "/proc/self/ns/mnt",
        "../../proc/1/ns/net",
        "/var/run/docker/netns/../../../../dev/zero",
        "/no/such/file",
        "",
        "/proc/self/ns/net\0",
    ] {
        let (answer, beside) =
            stage.asks(Request::Kernel(Kernel::Namespace { sandbox: sandbox.to_owned() }))?;
        let is_refused = matches!(answer, Answer::Kernel(OfKernel::Refused { .. }));
        ensure!(is_refused && beside.is_empty(), "{sandbox}: {answer:?}");
    }
    Ok(())
}

#[test]
fn what_is_pinned_is_removed_and_nothing_else_nor_more_than_once() -> Result<()> {
    let bpf_fs = BpfFs::new("hostile")?;
    let [dir, neighbour] = ["pins", "neighbour"].map(|name| bpf_fs.path().join(name));
    fs::create_dir(&neighbour)?;
    let mut stage = Stage::with("pins", Some(Pin { dir: dir.clone(), keep: false }))?;
    let links = dir.join("links");
    for ifindex in [0, 0x7fff_fff0, u32::MAX] {
        for by_tcx in [true, false] {
            stage.refuses(Request::Kernel(Kernel::Attach { ifindex, by_tcx }))?;
        }
        stage.asks(Request::Kernel(Kernel::Detach { ifindex }))?;
        ensure!(fs::read_dir(&links)?.next().is_none(), "{ifindex} has left a pin");
    }
    // Files that it is not asked about stay, whatever their names.
    fs::create_dir(links.join("1-inside"))?;
    stage.asks(Request::Kernel(Kernel::Detach { ifindex: 1 }))?;
    ensure!(links.join("1-inside").exists());
    for _ in 0..2 {
        let (answer, beside) = stage.asks(Request::Kernel(Kernel::Unpin))?;
        ensure!(answer == Answer::Kernel(OfKernel::Done) && beside.is_empty(), "{answer:?}");
        ensure!(!dir.exists() && neighbour.exists());
    }
    // What cannot be pinned is not attached either.
    stage.refuses(Request::Kernel(Kernel::Attach { ifindex: 1, by_tcx: true }))?;
    drop(stage);
    ensure!(remove_pins(&dir)?.is_none());
    Ok(fs::remove_dir(&neighbour)?)
}

/// A Docker that keeps what it was told, of one connection.
fn docker(at: &Path) -> Result<JoinHandle<std::io::Result<String>>> {
    let listener = UnixListener::bind(at)?;
    Ok(std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let (mut said, mut part) = (String::new(), [0; 4_096]);
        while let Ok(length) = stream.read(&mut part) {
            if length == 0 {
                break;
            }
            said += &String::from_utf8_lossy(&part[..length]);
            if said.ends_with("\r\n\r\n") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            }
        }
        Ok(said)
    }))
}

#[test]
fn docker_is_asked_nothing_but_what_the_inventory_asks() -> Result<()> {
    let mut stage = Stage::new("docker")?;
    let at = stage.folder.join("docker.sock");
    let others = [
        "POST /containers/create HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "DELETE /containers/0123 HTTP/1.1\r\n\r\n",
        "GET /containers/0123/archive?path=/etc HTTP/1.1\r\n\r\n",
        "GET /images/json HTTP/1.1\r\n\r\n",
        "GET /info\nPOST /x HTTP/1.1\r\n\r\n",
    ];
    for said in others {
        let told = docker(&at)?;
        let (_, mut beside) = stage.asks(Request::Docker)?;
        let mut connection = UnixStream::from(beside.pop().context("a connection")?);
        connection.write_all(said.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 403 "), "{said}: {answer}");
        let told = told.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
        ensure!(told.is_empty(), "{said}: {told}");
        fs::remove_file(&at)?;
    }
    // Of two requests, and what else is in them, one path.
    let told = docker(&at)?;
    let (_, mut beside) = stage.asks(Request::Docker)?;
    let mut connection = UnixStream::from(beside.pop().context("a connection")?);
    let first = "GET /version HTTP/1.1\r\nHost: x\r\nX-Registry-Auth: y\r\nContent-Length: 40\r\n\r\n";
    connection.write_all(format!("{first}POST /containers/create HTTP/1.1\r\n\r\n").as_bytes())?;
    let mut answer = [0; 4_096];
    let length = connection.read(&mut answer)?;
    ensure!(String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 200 OK"));
    connection.write_all(b"POST /containers/create HTTP/1.1\r\n\r\n")?;
    // All that was said is read before its end: what is not passed on by then never is.
    drop(connection);
    let told = told.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
    ensure!(told == "GET /version HTTP/1.1\r\nHost: docker\r\nAccept: */*\r\n\r\n", "{told}");
    Ok(())
}
