//! Files in a folder of the test's own.

use super::{Place, Rotation, Store, Unusable};
use crate::model::{KernelTime, WallTime};
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// 2026-11-29T18:15:00Z.
const NOW: WallTime = WallTime(1_795_976_100_000_000_000);
const SECOND: u64 = 1_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn in_free_file(file: &Path, rotation: Rotation) -> Result<Store, Unusable> {
    Store::in_free_file(Box::new(Place::new(file)?), file, rotation)
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vw-store-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("records.jsonl")
    }

    /// Ended files, by name.
    fn ended(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("records.jsonl."))
            .collect();
        names.sort();
        names
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn store(&self, size: u64, keep: usize) -> Store {
        in_free_file(&self.file(), Rotation { size, age: DAY, keep }).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn write(store: &mut Store, lines: &str) {
    store.write(lines.as_bytes(), KernelTime(0), NOW);
}

fn later(seconds: i64) -> WallTime {
    WallTime(NOW.0 + seconds * 1_000_000_000)
}

#[track_caller]
fn refused(path: &Path, expected: &str) {
    match in_free_file(path, Rotation { size: 100, age: DAY, keep: 1 }) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(unusable) => assert_eq!(unusable.to_string(), expected),
    }
}

#[test]
fn a_file_is_ended_before_a_line_would_make_it_too_large() {
    let folder = Folder::new("size");
    let mut store = folder.store(10, 9);
    write(&mut store, "1234\n5678\n");
    assert_eq!(folder.ended(), [""; 0]);
    write(&mut store, "9\nabc\n");
    assert_eq!(folder.ended(), ["records.jsonl.20261129T181500.000Z"]);
    // One that is too large for any file has a file of its own.
    write(&mut store, "a line too long\nx\n");
    let ended = folder.ended();
    let texts: Vec<String> = ended.iter().map(|name| folder.text(name)).collect();
    assert_eq!(texts, ["1234\n5678\n", "9\nabc\n", "a line too long\n"]);
    assert_eq!((folder.text("records.jsonl").as_str(), store.lost()), ("x\n", 0));
    assert_eq!(fs::metadata(folder.file()).unwrap().mode() & 0o7777 & !0o640, 0);
}

#[test]
fn a_file_is_ended_by_the_first_line_after_its_age() {
    let folder = Folder::new("age");
    let mut store = folder.store(1_000, 9);
    let day = i64::try_from(DAY.as_secs()).unwrap();
    store.write(b"first\n", KernelTime(0), later(0));
    store.write(b"second\n", KernelTime(0), later(day - 1));
    assert_eq!(folder.ended(), [""; 0]);
    store.write(b"third\n", KernelTime(0), later(day));
    assert_eq!(folder.ended(), ["records.jsonl.20261130T181500.000Z"]);
    // The new one is young, and a clock that was set back ends nothing.
    store.write(b"fourth\n", KernelTime(0), later(day + 1));
    store.write(b"fifth\n", KernelTime(0), later(-day));
    assert_eq!(folder.text("records.jsonl"), "third\nfourth\nfifth\n");
}

#[test]
fn the_oldest_go_and_nothing_else_does() {
    let folder = Folder::new("keep");
    let name = |rest: &str| folder.0.join(format!("records.jsonl.{rest}"));
    let others = ["1", "20200101T000000Z", "20200101T000000.000Z.gz", "old"];
    others.iter().for_each(|rest| fs::write(name(rest), "theirs").unwrap());
    fs::create_dir(name("20200101T000000.001Z")).unwrap();
    symlink("/nowhere", name("20200101T000000.002Z")).unwrap();
    fs::write(name("20200101T000000.003Z"), "ours").unwrap();
    let before = folder.ended().len();

    let mut store = folder.store(4, 2);
    (0..5).for_each(|number| write(&mut store, &format!("{number}\n{number}\n")));
    // The one that was there, and the two oldest of four, are gone.
    assert_eq!(folder.ended().len(), before - 1 + 2);
    let ours: Vec<_> = folder.ended().into_iter().filter(|name| name.contains(".2026")).collect();
    assert_eq!(ours, ["records.jsonl.20261129T181500.002Z", "records.jsonl.20261129T181500.003Z"]);
    assert_eq!((folder.text(&ours[0]).as_str(), folder.text(&ours[1]).as_str()), ("2\n2\n", "3\n3\n"));

    let mut store = {
        drop(store);
        folder.store(4, 0)
    };
    write(&mut store, "5\n5\n");
    assert_eq!(folder.ended().len(), before - 1);
}

#[test]
fn a_clock_that_was_set_back_makes_no_name_that_sorts_too_early() {
    let folder = Folder::new("back");
    let mut store = folder.store(2, 9);
    store.write(b"1\n", KernelTime(0), NOW);
    store.write(b"2\n", KernelTime(0), NOW);
    store.write(b"3\n", KernelTime(0), later(-3_600));
    let expected = ["records.jsonl.20261129T181500.000Z", "records.jsonl.20261129T181500.001Z"];
    assert_eq!(folder.ended(), expected);
    assert_eq!(folder.text(expected[1]), "2\n");
}

#[test]
fn what_another_run_left_is_appended_to_and_its_half_line_ended() {
    let folder = Folder::new("half");
    fs::write(folder.file(), "whole\nha").unwrap();
    let mut store = folder.store(1_000, 1);
    write(&mut store, "next\n");
    assert_eq!(folder.text("records.jsonl"), "whole\nha\nnext\n");
    // The line feed counts.
    drop(store);
    fs::write(folder.file(), "12345").unwrap();
    let mut store = folder.store(9, 1);
    write(&mut store, "789\n");
    assert_eq!((folder.text("records.jsonl").as_str(), folder.ended().len()), ("789\n", 1));
}

#[test]
fn a_file_that_was_moved_removed_or_cut_is_begun_anew() {
    let folder = Folder::new("moved");
    let mut store = folder.store(1_000, 1);
    write(&mut store, "1\n");
    fs::rename(folder.file(), folder.0.join("moved")).unwrap();
    write(&mut store, "2\n");
    assert_eq!((folder.text("moved").as_str(), folder.text("records.jsonl").as_str()), ("1\n", "2\n"));
    fs::remove_file(folder.file()).unwrap();
    write(&mut store, "3\n");
    assert_eq!(folder.text("records.jsonl"), "3\n");
    // As logrotate's copytruncate does.
    File::options().write(true).open(folder.file()).unwrap().set_len(0).unwrap();
    write(&mut store, "4\n");
    assert_eq!(folder.text("records.jsonl"), "4\n");
    // As its create does.
    fs::rename(folder.file(), folder.0.join("moved")).unwrap();
    File::create(folder.file()).unwrap();
    write(&mut store, "5\n");
    assert_eq!((folder.text("records.jsonl").as_str(), store.lost()), ("5\n", 0));
}

#[test]
fn a_folder_that_went_is_a_counted_loss_until_it_is_back() {
    let folder = Folder::new("went");
    let inner = folder.0.join("inner");
    fs::create_dir(&inner).unwrap();
    let file = inner.join("records.jsonl");
    let mut store = in_free_file(&file, Rotation { size: 100, age: DAY, keep: 1 }).unwrap();
    write(&mut store, "1\n");
    fs::remove_dir_all(&inner).unwrap();
    write(&mut store, "2\n3\n");
    assert_eq!((store.lost(), store.takes(KernelTime(SECOND - 1))), (2, false));
    store.lose(5);
    assert!(store.takes(KernelTime(SECOND)));
    store.write(b"4\n", KernelTime(SECOND), NOW);
    assert_eq!((store.lost(), store.takes(KernelTime(2 * SECOND - 1))), (8, false));
    fs::create_dir(&inner).unwrap();
    store.write(b"5\n", KernelTime(2 * SECOND), NOW);
    assert_eq!((store.lost(), store.takes(KernelTime(2 * SECOND))), (8, true));
    assert_eq!(fs::read_to_string(&file).unwrap(), "5\n");
}

#[test]
fn a_full_device_is_a_counted_loss() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut store = Store::in_pipe(full);
    write(&mut store, "1\n2\n");
    assert_eq!((store.lost(), store.takes(KernelTime(0))), (2, false));
}

#[test]
fn what_could_lead_elsewhere_is_refused() {
    let folder = Folder::new("hostile");
    let file = folder.file();
    symlink("/nowhere/at/all", &file).unwrap();
    refused(&file, "it is a symbolic link; name the file that it leads to");
    fs::remove_file(&file).unwrap();
    let no_file = "it is no regular file; `-` writes to standard output, whatever that is";
    fs::create_dir(&file).unwrap();
    refused(&file, no_file);
    fs::remove_dir(&file).unwrap();
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    );
    made.unwrap();
    assert!(fs::metadata(&file).unwrap().file_type().is_fifo());
    refused(&file, no_file);
    fs::remove_file(&file).unwrap();
    fs::write(folder.0.join("other"), "theirs").unwrap();
    fs::hard_link(folder.0.join("other"), &file).unwrap();
    refused(&file, "it has other names too (hard links)");
    fs::remove_file(&file).unwrap();
    refused(Path::new("/"), "it names no file");
    refused(&folder.0.join("a/.."), "it names no file");

    let rights = |mode| fs::set_permissions(&folder.0, fs::Permissions::from_mode(mode)).unwrap();
    rights(0o777);
    refused(&file, "everybody can write to its folder");
    rights(0o1777);
    let store = folder.store(100, 1);
    refused(&file, "another process writes to it");
    drop(store);
    assert_eq!(folder.text("other"), "theirs");
    rights(0o700);
}

#[test]
fn only_a_disk_can_get_well_by_itself() {
    use std::io::{Error, ErrorKind};
    let of = |error: Error| Unusable::from(error).may_pass();
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem] {
        assert!(of(kind.into()), "{kind}");
    }
    assert!(of(Error::from_raw_os_error(libc::EIO)));
    assert!(!of(ErrorKind::NotFound.into()) && !of(ErrorKind::PermissionDenied.into()));
    assert!(!Unusable::Link.may_pass());
}
