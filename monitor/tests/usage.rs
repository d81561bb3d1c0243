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
    for command in ["top", "containers", "flows", "doctor", "detach"] {
        check(&[command, "--help"], 0);
    }
    check(&["--version"], 0);
}

#[test]
fn wrong_usage_and_settings_without_sense_end_with_2() {
    check(&[], 2);
    check(&["agent"], 2);
    check(&["flows", "--for", "10"], 2);
    check(&["flows", "--sample", "0"], 2);
    check(&["top", "--tick", "1ms"], 2);
    check(&["top", "--tick", "5s", "--window", "1s"], 2);
    check(&["doctor", "--docker-host", "ssh://host"], 2);
}
