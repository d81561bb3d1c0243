//! The program's exit codes for what is typed, without root and without Docker.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vethwatch")).args(arguments).output().expect("the program starts")
}

fn check(arguments: &[&str], code: i32) {
    let output = run(arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told = if code == 0 { &output.stdout } else { &output.stderr };
    assert!(!told.is_empty(), "{arguments:?} says nothing");
}

#[test]
fn every_command_explains_itself() {
    for command in [
        "top",
        "containers",
        "networks",
        "pairs",
        "dns",
        "flows",
        "why",
        "agent",
        "doctor",
        "detach",
        "policy",
        "replay",
    ] {
        check(&[command, "--help"], 0);
    }
    check(&["--version"], 0);
}

#[test]
fn wrong_usage_and_settings_without_sense_end_with_2() {
    check(&[], 2);
    check(&["agent", "--metrics-listen", "0.0.0.0:9797"], 2);
    check(&["agent", "--config", "/nowhere/vethwatch.toml"], 2);
    check(&["agent", "--config", NO_POLICY, "--print-config"], 2);
    check(&["flows", "--for", "10"], 2);
    check(&["flows", "--sample", "0"], 2);
    check(&["top", "--tick", "1ms"], 2);
    check(&["top", "--tick", "5s", "--window", "1s"], 2);
    check(&["doctor", "--docker-host", "ssh://host"], 2);
    check(&["why", "web"], 2);
    check(&["why", "web:80", "db"], 2);
    check(&["why", "web", "db:http"], 2);
    check(&["policy"], 2);
    check(&["policy", "explain", EXAMPLE, "--from", "web", "--to", "db"], 2);
}

#[test]
fn what_is_in_force_is_printed_without_root_and_without_docker() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/vethwatch.toml");
    check(&["agent", "--config", example, "--print-config"], 0);
    check(&["agent", "--config", example, "--print-config", "--json"], 0);
}

/// The policy file that comes with the program.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policy.toml");
/// A file that is no policy.
const NO_POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

#[test]
fn a_policy_file_is_checked_without_root_and_without_docker() {
    check(&["policy", "check", EXAMPLE, "--docker-host", "unix:///nowhere"], 0);
    check(&["policy", "check", EXAMPLE, "--json"], 0);
    check(&["policy", "check", NO_POLICY], 2);
    check(&["policy", "check", "/nowhere/policy.toml"], 2);
    check(&["policy", "check", env!("CARGO_MANIFEST_DIR")], 2);
}

#[test]
fn the_mistakes_of_a_policy_file_are_told_with_their_places() {
    let told = String::from_utf8(run(&["policy", "check", NO_POLICY]).stderr).unwrap();
    assert!(
        told.contains("Cargo.toml:1:2: unknown key `package` in the file; expected `rule` or `accept`\n")
    );
    let lines = String::from_utf8(run(&["policy", "check", NO_POLICY, "--json"]).stdout).unwrap();
    let first = lines.lines().next().unwrap();
    for part in ["\"type\":\"policy_error\"", "\"line\":1,\"column\":2", "\"message\":", "\"expected\":"] {
        assert!(first.contains(part), "{first}");
    }
}

#[test]
fn without_docker_nobody_can_say_who_the_ends_are() {
    check(&["why", "web", "db:5432", "--docker-host", "unix:///nowhere"], 3);
    let explain = ["policy", "explain", EXAMPLE, "--from", "web", "--to", "db:5432/tcp"];
    check(&[&explain[..], &["--docker-host", "unix:///nowhere"]].concat(), 3);
    check(&["policy", "explain", NO_POLICY, "--from", "web", "--to", "db:5432/tcp"], 2);
}

/// A recording that is kept as a test.
const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replay/scenarios/apart.jsonl");

#[test]
fn a_recording_is_replayed_without_root_and_without_docker() {
    let told = String::from_utf8(run(&["replay", RECORDING, "--json"]).stdout).unwrap();
    assert_eq!(told, std::fs::read_to_string(RECORDING.replace(".jsonl", ".findings.jsonl")).unwrap());
    let text = run(&["replay", RECORDING]);
    assert!(String::from_utf8(text.stdout).unwrap().contains("violation  cross-network: blocked"));
    assert_eq!(text.stderr, b"");
    // The rules of another policy come first.
    check(&["replay", RECORDING, "--policy", EXAMPLE], 0);
    let none = run(&["replay", RECORDING, "--kind", "broken"]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(0), 0));
    assert_eq!(none.stderr, b"vethwatch: nothing was found\n");
}

#[test]
fn what_is_no_recording_ends_with_2_and_says_what_is_wrong() {
    check(&["replay"], 2);
    // A file that is there is not written over, whoever asks.
    check(&["top", "--once", "--record", NO_POLICY], 2);
    assert!(std::fs::metadata(NO_POLICY).unwrap().len() > 0);
    check(&["replay", "/nowhere"], 2);
    check(&["replay", NO_POLICY], 2);
    let told = String::from_utf8(run(&["replay", EXAMPLE]).stderr).unwrap();
    assert!(told.contains("not a recording: the first line is no header of vethwatch-recording/1"), "{told}");
    check(&["replay", RECORDING, "--policy", NO_POLICY], 2);
}
