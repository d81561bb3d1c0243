use super::{Header, Recording, SCHEMA, Unreadable, Written, write};
use crate::engine::Tap;
use crate::model::{
    Change, ContainerId, FlowId, KernelTime, Losses, Mac, NetworkDriver, Observation, SafeText, Step,
    WallTime,
};
use std::io::{self, ErrorKind, Write};

fn header() -> Header {
    Header {
        schema: SCHEMA.to_owned(),
        version: SafeText::new("0.1.0"),
        host: SafeText::new("db-07"),
        boot_id: SafeText::new("boot"),
        booted: WallTime(1_795_511_403_004_999_999),
        started: KernelTime(7),
        tick_ns: 1_000_000_000,
        window_ns: 1_000_000_000,
        policy: Some("# none\n".to_owned()),
    }
}

fn first_line() -> String {
    serde_json::to_string(&header()).unwrap() + "\n"
}

/// Reads a recording to its end or first error: steps, whether it is complete, what is wrong.
fn read(text: &[u8]) -> (Vec<Step>, bool, Option<Unreadable>) {
    let mut recording = match Recording::open(text) {
        Ok(recording) => recording,
        Err(error) => return (Vec::new(), false, Some(error)),
    };
    let (mut steps, mut wrong) = (Vec::new(), None);
    for step in recording.by_ref() {
        match step {
            Ok(step) => steps.push(step),
            Err(error) => wrong = Some(error),
        }
    }
    (steps, recording.is_complete(), wrong)
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let (_, is_complete, wrong) = read(text.as_bytes());
    let told = wrong.expect("it is refused").to_string();
    assert!(told.contains(expected) && !is_complete, "{told}");
}

fn steps() -> Vec<Step> {
    let mut losses = Losses::default();
    losses.add("flow_map_full", u64::MAX);
    let gone = Change::ContainerGone { id: ContainerId::new("c0ffee").unwrap(), at: KernelTime(8) };
    vec![
        Step::Snapshot(KernelTime(7)),
        Step::Change(gone),
        Step::Observation { at: KernelTime(9), seen: Observation::Losses(losses) },
        Step::Housekeeping(KernelTime(u64::MAX)),
        Step::Finish(KernelTime(10)),
    ]
}

/// What is written of these steps by an engine's tap.
fn written(steps: Vec<Step>) -> Vec<u8> {
    let (mut tap, tapping) = Tap::new(KernelTime(7));
    steps.into_iter().for_each(|step| tap.note(step));
    drop(tap);
    let mut text = Vec::new();
    write(&header(), tapping, &mut text).unwrap();
    text
}

#[test]
fn what_is_written_is_read_again() {
    let text = written(steps());
    assert!(text.starts_with(br#"{"schema":"vethwatch-recording/1""#));
    let (read, is_complete, wrong) = read(&text);
    assert_eq!((read, is_complete, wrong.is_none()), (steps(), true, true));
}

#[test]
fn a_file_that_was_cut_off_anywhere_gives_its_whole_lines_and_is_not_complete() {
    let text = written(steps());
    for end in first_line().len()..text.len() - 1 {
        let (read, is_complete, wrong) = read(&text[..end]);
        let lines = text[..end].iter().filter(|byte| **byte == b'\n').count();
        assert!(wrong.is_none() && !is_complete, "{end}");
        assert_eq!(read, steps()[..lines - 1], "{end}");
    }
}

#[test]
fn a_recording_that_lost_steps_says_so() {
    let (mut tap, tapping) = Tap::new(KernelTime(7));
    let many = (0..70_000).map(|number| Step::Housekeeping(KernelTime(number)));
    many.for_each(|step| tap.note(step));
    let mut text = Vec::new();
    let told = write(&header(), tapping, &mut text).unwrap();
    assert_eq!(told, Written { steps: 65_536, is_complete: false });
    let (read, is_complete, wrong) = read(&text);
    assert_eq!((read.len(), is_complete, wrong.is_none()), (65_536, false, true));
}

#[test]
fn what_is_no_recording_is_refused() {
    check_refused("", "first line is no header");
    check_refused("{}\n", "first line is no header");
    check_refused("{\"schema\":\"vethwatch/1\",\"type\":\"finding\"}\n", "version vethwatch/1; this");
    check_refused(&first_line().replace("recording/1", "recording/2"), "version vethwatch-recording/2; this");
    check_refused("{\"schema\":\"vethwatch-recording/1\"}\n", "missing field `version`");
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let bad = |line: &str| format!("{}{{\"housekeeping\":1}}\n{line}\n", first_line());
    check_refused(&bad("{\"housekeeping\":-1}"), "line 3: invalid value");
    check_refused(&bad("{\"later\":1}"), "line 3: unknown variant `later`");
    check_refused(&bad(""), "line 3: EOF");
    check_refused(&bad(&"[".repeat(100_000)), "line 3: ");
    check_refused(
        &bad("{\"end\":{\"steps\":2,\"is_complete\":true}}"),
        "line 3: 2 steps were recorded, and 1",
    );
    check_refused(&bad("{\"end\":{\"steps\":1,\"is_complete\":true}}\n "), "line 4: behind the end");
    check_refused(&bad("{\"change\":{\"network_gone\":{\"id\":\"../x\",\"at\":1}}}"), "line 3: not an id");
    let names = "{\"observation\":{\"at\":1,\"seen\":{\"losses\":{\"\\u001b[2J\":1}}}}";
    check_refused(&bad(names), "line 3: not names of losses");
}

/// Endless zeroes.
struct Endless;

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(b'0');
        Ok(buffer.len())
    }
}

#[test]
fn a_line_without_end_is_refused_and_not_kept() {
    let source = io::Read::chain(io::Cursor::new(first_line()), Endless);
    let mut recording = Recording::open(io::BufReader::new(source)).unwrap();
    let wrong = recording.next().unwrap().unwrap_err().to_string();
    assert_eq!((wrong.as_str(), recording.next().is_none()), ("line 2: longer than 67108864 bytes", true));
}

struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_engine_goes_on() {
    let (mut tap, tapping) = Tap::new(KernelTime(7));
    tap.note(Step::Housekeeping(KernelTime(8)));
    assert_eq!(write(&header(), tapping, Full).unwrap_err().kind(), ErrorKind::StorageFull);
    tap.note(Step::Housekeeping(KernelTime(9)));
    assert_eq!(tap.lost(), 1);
}

#[track_caller]
fn check_text<T>(value: &T, expected: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(text, expected);
    assert_eq!(*value, serde_json::from_str(&text).unwrap());
}

#[test]
fn identities_are_text() {
    check_text(&FlowId(u64::MAX), "\"ffffffffffffffff\"");
    check_text(&Mac([2, 0, 0, 0, 0x77, 1]), "\"02:00:00:00:77:01\"");
    check_text(&NetworkDriver::Bridge, "\"bridge\"");
    check_text(&NetworkDriver::Other(SafeText::new("weave")), "\"weave\"");
}

#[test]
fn a_safe_text_stays_as_it_is_and_another_one_is_made_safe() {
    let long = SafeText::new(&"\u{10ffff}".repeat(300));
    let text = serde_json::to_string(&long).unwrap();
    assert_eq!(long, serde_json::from_str(&text).unwrap());
    let raw: SafeText = serde_json::from_str("\"a\\u001b[2J\"").unwrap();
    assert_eq!(raw.as_str(), "a\\u{1b}[2J");
}
