//! Sampled packets: their bytes are those of a capture, their number is one in N, and each follows a flow.

use anyhow::{Context, Result, ensure};
use lab::{Lab, Vethwatch, wait_for};
use serde_json::Value;
use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// Frames that are sent, and one in how many is sampled.
const FRAMES: usize = 4_000;
const ONE_IN: usize = 10;
/// Nobody else uses it.
const PORT: u16 = 4_242;

/// The frames of a capture file (its classic format: 24 bytes of header, and 16 before each frame).
fn frames(file: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let mut rest = file.get(24..).unwrap_or_default();
    while let Some((header, behind)) = rest.split_first_chunk::<16>() {
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let Some((frame, behind)) = behind.split_at_checked(length) else { break };
        frames.push(frame);
        rest = behind;
    }
    frames
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn samples_are_what_a_capture_shows_and_one_in_n() -> Result<()> {
    let lab = Lab::new("sampling")?;
    let network = lab.network("net", &[])?;
    let receiver = lab.container("receiver").on(&network).run(&["sleep"])?;
    let sender = lab.container("sender").on(&network).run(&["sleep"])?;
    let (to, mac) = (receiver.address(&network)?, receiver.mac(&network)?);
    let one_in = ONE_IN.to_string();
    let vethwatch = Vethwatch::at(env!("CARGO_BIN_EXE_vethwatch"));
    let mut running = vethwatch.start(&["flows", "--json", "--sample", &one_in])?;
    running.wait_until_watching(&lab, &network, &to)?;

    let device = receiver.host_device(&network)?.name;
    let count = FRAMES.to_string();
    let filter = format!("udp port {PORT}");
    let mut capture = Command::new("tcpdump")
        .args(["-i", &device, "-s", "128", "-U", "-c", &count, "-w", "-", &filter])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting tcpdump")?;
    let mut said = std::io::BufReader::new(capture.stderr.take().context("a pipe")?);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line)?;
    ensure!(line.contains("listening"), "tcpdump: {line}");
    let from = sender.address(&network)?;
    let (port, rate) = (PORT.to_string(), "1000");
    let mut send = vec!["/testbox", "send-frames", "--to", &to, "--from", &from, "--destination-mac", &mac];
    send.extend(["--count", &count, "--rate", rate, "--port", &port, "--size", "200"]);
    sender.exec(&send)?;
    let captured = capture.wait_with_output()?.stdout;
    let captured: HashSet<String> = frames(&captured).into_iter().map(hexadecimal).collect();
    ensure!(captured.len() == 1, "{} different frames captured", captured.len());

    // All frames are in flows at both interfaces; the samples of their tick come with them.
    running.wait_for("all frames at both interfaces", PATIENCE, |lines| {
        let sum = |direction: &str| -> u64 {
            let ours = lines.iter().filter(|line| {
                line["type"] == "flow" && (line["remote"]["port"] == PORT || line["local"]["port"] == PORT)
            });
            ours.filter_map(|line| line[direction]["packets"].as_u64()).sum()
        };
        (sum("sent") >= FRAMES as u64 && sum("received") >= FRAMES as u64).then_some(())
    })?;
    let frame = captured.iter().next().context("one")?;
    // 14 + 20 + 8 bytes of headers and 200 of payload; what else crosses here is shorter.
    let of_ours = |line: &Value| line["length"] == 242;
    let samples: Vec<Value> = wait_for("samples", PATIENCE, || {
        let samples: Vec<Value> = running.lines("sample").into_iter().filter(of_ours).collect();
        Ok((!samples.is_empty()).then_some(samples))
    })?;
    let flows: HashSet<String> =
        running.lines("flow").iter().map(|flow| flow["flow_id"].to_string()).collect();
    for sample in &samples {
        ensure!(sample["bytes"] == *frame, "not what the capture shows: {sample}");
        ensure!(flows.contains(&sample["flow_id"].to_string()), "it follows no flow: {sample}");
    }
    // Gaps between samples are even from 1 to 2 N − 1, so the number of samples deviates by 0.55 times its root: 11 of
    // 400. Six of that are never seen.
    for direction in ["sent", "received"] {
        let count = samples.iter().filter(|sample| sample["direction"] == direction).count();
        ensure!((334..=466).contains(&count), "{count} of {FRAMES} {direction} frames sampled");
    }
    running.signal(libc::SIGINT)?;
    ensure!(running.end()?.0 == Some(0), "it ended with an error");
    lab.close()
}
