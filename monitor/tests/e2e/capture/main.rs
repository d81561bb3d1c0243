//! `vethwatch capture`: a file has what tcpdump shows, named, and what it has not is counted in it.

mod file;

use anyhow::{Context, Result, ensure};
use file::{Folder, Statistics, describes, fields, frames, statistics};
use lab::{Container, Lab, Network, Running, Vethwatch, wait_for};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody else uses it.
const PORT: u16 = 4_243;
const DATAGRAMS: usize = 200;

/// Two containers that talk.
struct Scene {
    lab: Lab,
    network: Network,
    web: Container,
    db: Container,
    folder: Folder,
}

impl Scene {
    fn new(name: &str) -> Result<Self> {
        let lab = Lab::new(name)?;
        let network = lab.network("net", &[])?;
        let web = lab.container("web").on(&network).compose("shop", "front").run(&["sleep"])?;
        let db = lab.container("db").on(&network).run(&["sleep"])?;
        Ok(Self { lab, network, web, db, folder: Folder::new(name)? })
    }

    /// A capture into a file that has begun at `web`.
    fn capture(&self, arguments: &[&str], file: &str) -> Result<Running> {
        let running = vethwatch().start(&[&["capture", "-w", file], arguments].concat())?;
        wait_for("the capture at web", PATIENCE, || {
            Ok(describes(file, &self.interface(&self.web)).then_some(()))
        })?;
        Ok(running)
    }

    /// What a container's interface is called in a file.
    fn interface(&self, container: &Container) -> String {
        format!("{}@{}", container.name, self.network.name)
    }

    /// Has one container send datagrams to another.
    fn send(&self, from: &Container, to: &Container, count: usize, rate: usize) -> Result<()> {
        let address = format!("{}:{PORT}", to.address(&self.network)?);
        let (count, rate) = (count.to_string(), rate.to_string());
        from.exec(&["/testbox", "udp-send", &address, "--count", &count, "--rate", &rate]).map(drop)
    }
}

fn vethwatch() -> Vethwatch {
    Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"))
}

/// tcpdump that listens already, and ends after so many packets of the port.
fn tcpdump(device: &str, file: &str, count: usize) -> Result<Child> {
    let count = count.to_string();
    let filter = format!("udp port {PORT}");
    let mut tcpdump = Command::new("tcpdump")
        .args(["-i", device, "-Z", "root", "-c", &count, "-w", file, &filter])
        .stderr(Stdio::piped())
        .spawn()
        .context("starting tcpdump")?;
    let mut line = String::new();
    BufReader::new(tcpdump.stderr.as_mut().context("a pipe")?).read_line(&mut line)?;
    ensure!(line.contains("listening"), "tcpdump: {line}");
    Ok(tcpdump)
}

#[test]
fn a_file_has_what_tcpdump_shows_and_names_it() -> Result<()> {
    let scene = Scene::new("capfile")?;
    let (file, theirs) = (scene.folder.file("ours.pcapng"), scene.folder.file("theirs.pcap"));
    let running = scene.capture(&["svc:front", "udp"], &file)?;
    let device = scene.web.host_device(&scene.network)?.name;
    let mut tcpdump = tcpdump(&device, &theirs, 2 * DATAGRAMS)?;
    scene.send(&scene.web, &scene.db, DATAGRAMS, 500)?;
    scene.send(&scene.db, &scene.web, DATAGRAMS, 500)?;
    wait_for("tcpdump", PATIENCE, || Ok(tcpdump.try_wait()?))?;
    // In the middle of more.
    let more = scene.lab.container("more").on(&scene.network);
    let to = format!("{}:{PORT}", scene.web.address(&scene.network)?);
    more.run(&["udp-send", &to, "--count", "100000", "--rate", "2000"])?;
    let from_more = format!("{}-more:", scene.lab.prefix());
    wait_for("more", PATIENCE, || Ok(describes(&file, &from_more).then_some(())))?;
    running.signal(libc::SIGINT)?;
    ensure!(running.end()?.0 == Some(0), "it ended with an error");

    let between = |one: &Container, other: &Container| -> Result<String> {
        let [one, other] = [one.address(&scene.network)?, other.address(&scene.network)?];
        Ok(format!("udp.port=={PORT} && ip.addr=={one} && ip.addr=={other}"))
    };
    let ours = frames(&file, &between(&scene.web, &scene.db)?)?;
    let theirs = frames(&theirs, "udp")?;
    ensure!((ours.len(), theirs.len()) == (2 * DATAGRAMS, 2 * DATAGRAMS), "{} {}", ours.len(), theirs.len());
    for (at, ((our_time, ours), (their_time, theirs))) in ours.iter().zip(&theirs).enumerate() {
        ensure!(ours == theirs, "packet {at} is not what tcpdump shows");
        ensure!(our_time.abs_diff(*their_time) < 50_000_000, "packet {at}: {our_time}, not {their_time}");
    }
    let columns = ["ip.src", "frame.packet_flags_direction", "frame.interface_name", "frame.comment"];
    let rows = fields(&file, &between(&scene.web, &scene.db)?, &columns)?;
    let web = scene.web.address(&scene.network)?;
    let (web_name, db_name) = (&scene.web.name, &scene.db.name);
    for row in &rows {
        let [source, direction, interface, comment] = &row[..] else { anyhow::bail!("{row:?}") };
        ensure!(*interface == scene.interface(&scene.web), "{interface}");
        let (way, talk, verb) = if *source == web {
            ("2", format!("→ {db_name}:{PORT} udp"), format!("; sent by {web_name}; "))
        } else {
            ("1", format!("→ {web_name}:{PORT} udp"), format!("; received by {web_name}; "))
        };
        ensure!(direction.ends_with(way), "{row:?}");
        ensure!(comment.contains(&talk) && comment.contains(&verb), "{comment}");
        ensure!(comment.contains("; allow by "), "no verdict: {comment}");
    }
    let told = statistics(&file)?;
    let [Statistics { received, dropped: 0, delivered }] = told[..] else { anyhow::bail!("{told:?}") };
    let packets = fields(&file, "frame", &["frame.number"])?.len() as u64;
    ensure!(delivered == packets && received >= delivered, "{told:?}: {packets} packets");
    scene.lab.close()
}

#[test]
fn limits_end_it_and_a_pair_is_seen_at_both_of_its_ends() -> Result<()> {
    let scene = Scene::new("caplimit")?;
    let file = scene.folder.file("ours.pcapng");
    let port = format!("port:{PORT}");
    let arguments = ["capture", &scene.web.name, &scene.db.name, &port, "-c", "20", "-s", "60", "-w", "-"];
    let mut capture = vethwatch().command(&arguments);
    let mut capture = capture.stdout(File::create(&file)?).stderr(Stdio::null()).spawn()?;
    wait_for("the capture at both", PATIENCE, || {
        let both = [&scene.web, &scene.db];
        Ok(both.iter().all(|end| describes(&file, &scene.interface(end))).then_some(()))
    })?;
    scene.send(&scene.web, &scene.db, 40, 0)?;
    let status = wait_for("the capture to end", PATIENCE, || Ok(capture.try_wait()?))?;
    ensure!(status.success(), "{status}");
    let rows = fields(&file, "udp", &["frame.interface_name", "frame.cap_len", "frame.len"])?;
    ensure!(rows.len() == 20, "{rows:?}");
    // 14 + 20 + 8 bytes of headers and 64 of payload.
    ensure!(rows.iter().all(|row| row[1..] == ["60", "106"]), "{rows:?}");
    for end in [&scene.web, &scene.db] {
        ensure!(rows.iter().any(|row| row[0] == scene.interface(end)), "nothing at {}: {rows:?}", end.name);
    }
    let delivered: u64 = statistics(&file)?.iter().map(|statistics| statistics.delivered).sum();
    ensure!(delivered == 20);

    let timed = vethwatch().finish(&["capture", &scene.web.name, "--for", "300ms", "-w", &file])?;
    ensure!(timed.status.success() && statistics(&file)?.len() <= 1, "{}", timed.stderr);
    let forbidden = vethwatch().by(65_534, 65_534).finish(&["capture"])?;
    ensure!(forbidden.status.code() == Some(3), "{}", forbidden.stderr);
    scene.lab.close()
}

#[test]
fn an_expression_takes_what_tcpdump_takes_by_it_and_a_wrong_one_is_told() -> Result<()> {
    let scene = Scene::new("cappcap")?;
    let (file, theirs) = (scene.folder.file("ours.pcapng"), scene.folder.file("theirs.pcap"));
    let web = scene.web.address(&scene.network)?;
    let expression = format!("udp port {PORT} and (src host {web} or udp[8:2] = 0)");
    let running = scene.capture(&[&scene.web.name, "--pcap", &expression], &file)?;
    let device = scene.web.host_device(&scene.network)?.name;
    let mut all = tcpdump(&device, &theirs, 2 * DATAGRAMS)?;
    scene.send(&scene.web, &scene.db, DATAGRAMS, 500)?;
    scene.send(&scene.db, &scene.web, DATAGRAMS, 500)?;
    wait_for("tcpdump", PATIENCE, || Ok(all.try_wait()?))?;
    running.signal(libc::SIGINT)?;
    ensure!(running.end()?.0 == Some(0), "it ended with an error");
    let wanted = scene.folder.file("wanted.pcap");
    let mut apart = Command::new("tcpdump");
    lab::text(apart.args(["-r", &theirs, "-Z", "root", "-w", &wanted, &expression]), PATIENCE)?;
    let content = |file: &str| -> Result<Vec<_>> {
        Ok(frames(file, "frame")?.into_iter().map(|(_, frame)| frame).collect())
    };
    let (ours, wanted) = (content(&file)?, content(&wanted)?);
    ensure!(ours == wanted && ours.len() >= DATAGRAMS, "{} packets, not {}", ours.len(), wanted.len());
    let [Statistics { received, dropped: 0, .. }] = statistics(&file)?[..] else { anyhow::bail!("losses") };
    ensure!(received >= 2 * DATAGRAMS as u64, "what is refused is counted: {received}");

    let wrong = vethwatch().finish(&["capture", "--pcap", "udp prt 53"])?;
    ensure!(wrong.status.code() != Some(0) && wrong.stderr.contains("--pcap: tcpdump: "), "{}", wrong.stderr);
    scene.lab.close()
}

#[test]
fn under_load_every_packet_is_in_the_file_or_counted() -> Result<()> {
    let scene = Scene::new("capload")?;
    let file = scene.folder.file("ours.pcapng");
    let start = |name: &str, command: &[&str]| {
        scene.lab.container(name).image("vw-lab:latest").on(&scene.network).run(command)
    };
    let running = scene.capture(&["-s", "100"], &file)?;
    // They come while it captures, so that it sees all of their packets but those that crossed while it began.
    let server = start("server", &["iperf3", "-s", "--forceflush"])?;
    let client = start("client", &["sleep", "300"])?;
    let device = client.host_device(&scene.network)?;
    wait_for("the capture at the client", PATIENCE, || {
        Ok(describes(&file, &scene.interface(&client)).then_some(()))
    })?;
    let begun = device.counters()?;
    let address = server.address(&scene.network)?;
    // It says so before each run; until then it is busy.
    for (run, load) in [(1, &["-t", "4", "-P", "2"][..]), (2, &["-t", "1", "-u", "-b", "0", "-l", "100"])] {
        wait_for("the server", PATIENCE, || {
            Ok((server.logs()?.matches("Server listening").count() == run).then_some(()))
        })?;
        client.exec(&[&["iperf3", "-c", &address], load].concat())?;
    }
    let before = device.counters()?;
    running.signal(libc::SIGTERM)?;
    let status = running.end()?.0;
    let after = device.counters()?;
    ensure!(status == Some(0), "it ended with an error");

    let id = fields(&file, "frame", &["frame.interface_name", "frame.interface_id"])?
        .into_iter()
        .find(|row| row[0] == scene.interface(&client))
        .context("no packet of the client")?;
    let told = *statistics(&file)?.get(id[1].parse::<usize>()?).context("no statistics of the client")?;
    ensure!(told.received == told.delivered + told.dropped, "{told:?}");
    let [begun, before, after] = [begun, before, after].map(|it| it.rx_packets + it.tx_packets);
    ensure!(
        (before - begun..=after).contains(&told.received),
        "{told:?}: the device had {before} to {after}, of them {begun} before it was captured"
    );
    let packets = fields(&file, &format!("frame.interface_id=={}", id[1]), &["frame.number"])?.len() as u64;
    ensure!(told.delivered == packets, "{told:?}: {packets} in the file");
    println!("{told:?}");
    scene.lab.close()
}

#[test]
fn a_full_disk_is_an_error_and_the_file_ends_with_a_block() -> Result<()> {
    let scene = Scene::new("capfull")?;
    let disk = Folder::small("disk", "256k")?;
    let file = disk.file("ours.pcapng");
    let running = scene.capture(&[&scene.web.name], &file)?;
    let (web, db) = (&scene.web, &scene.db);
    scene.send(web, db, 3_000, 0)?;
    let said = wait_for("the error", PATIENCE, || {
        let said = running.errors();
        Ok(said.contains("No space left on device").then_some(said))
    })?;
    ensure!(said.contains(&format!("write to {file}: ")), "{said}");
    ensure!(running.end()?.0 == Some(3), "{said}");
    statistics(&file)?;
    ensure!(!fields(&file, "udp", &["frame.number"])?.is_empty(), "nothing was written before");
    scene.lab.close()
}
