//! Files that were ended: what they are called, and which of them go.

use super::Unusable;
use super::place::is_ours;
use crate::model::WallTime;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustix::fs::{AtFlags, Dir, FileType, RenameFlags, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// `records.jsonl.20261129T181500.123Z`: when it was ended, in UTC. So names sort by time.
const FORMAT: &str = "%Y%m%dT%H%M%S.%3fZ";

/// The moments, in milliseconds, of the ended files of a name, oldest first. What only looks like one is none: folders,
/// links, files of others.
pub(super) fn list(folder: &OwnedFd, name: &OsStr) -> Result<Vec<i64>, Unusable> {
    let mut ended = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let stamp = entry.file_name().to_bytes().strip_prefix(name.as_bytes());
        let stamp = stamp.and_then(|rest| rest.strip_prefix(b".")).and_then(millisecond);
        let Some(stamp) = stamp else { continue };
        if is_file_of_ours(folder, &ended_name(name, stamp)?) {
            ended.push(stamp);
        }
    }
    ended.sort_unstable();
    Ok(ended)
}

fn is_file_of_ours(folder: &OwnedFd, name: &OsStr) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|about| {
        FileType::from_raw_mode(about.st_mode) == FileType::RegularFile && is_ours(about.st_uid)
    })
}

/// Ends a file: gives it a name that nobody has and that sorts behind all others; the moment that is in it.
pub(super) fn end(
    folder: &OwnedFd,
    name: &OsStr,
    latest: Option<i64>,
    now: WallTime,
) -> Result<i64, Unusable> {
    // The wall clock may have been set back; then the order of the names counts, not the time in them.
    let now = now.0.div_euclid(1_000_000);
    let mut stamp = latest.map_or(now, |latest| now.max(latest.saturating_add(1)));
    loop {
        match rename(folder, name, &ended_name(name, stamp)?) {
            Ok(()) => return Ok(stamp),
            // A folder or a link that is called so.
            Err(Errno::EXIST) => stamp += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Renames, and replaces nothing.
fn rename(folder: &OwnedFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // This file system does not know how, as NFS.
        Err(Errno::INVAL | Errno::NOSYS) => match statat(folder, to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => renameat(folder, from, folder, to),
            Ok(_) => Err(Errno::EXIST),
            Err(error) => Err(error),
        },
        renamed => renamed,
    }
}

/// Removes the oldest, so that so many stay.
pub(super) fn prune(folder: &OwnedFd, name: &OsStr, ended: &[i64], keep: usize) -> Result<(), Unusable> {
    let too_many = ended.len().saturating_sub(keep);
    for stamp in &ended[..too_many] {
        match unlinkat(folder, ended_name(name, *stamp)?, AtFlags::empty()) {
            // Somebody else was faster.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn ended_name(name: &OsStr, stamp: i64) -> io::Result<OsString> {
    let stamp = Timestamp::from_millisecond(stamp).map_err(io::Error::other)?;
    let stamp = stamp.strftime(FORMAT).to_string();
    Ok(OsString::from_vec([name.as_bytes(), b".", stamp.as_bytes()].concat()))
}

/// Reads a moment, written exactly as it is here.
fn millisecond(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let read = DateTime::strptime("%Y%m%dT%H%M%S%.fZ", text).ok()?;
    let moment = TimeZone::UTC.to_timestamp(read).ok()?;
    (moment.strftime(FORMAT).to_string() == text).then(|| moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::{ended_name, millisecond};
    use std::ffi::OsStr;

    const STAMP: i64 = 1_795_976_100_123;

    #[test]
    fn a_moment_is_read_as_it_is_written_and_not_otherwise() {
        let name = ended_name(OsStr::new("records.jsonl"), STAMP).unwrap();
        assert_eq!(name, "records.jsonl.20261129T181500.123Z");
        assert_eq!(millisecond(b"20261129T181500.123Z"), Some(STAMP));
        for other in [
            "",
            "1",
            "20261129T181500Z",
            "20261129T181500.12Z",
            "20261129T181500.1230Z",
            "20261129T181500.123Z.gz",
            "20261129T181500.123",
            "20261129t181500.123Z",
            "20261129T181500,123Z",
            "20261329T181500.123Z",
            "2026-11-29T18:15:00.123Z",
            " 20261129T181500.123Z",
        ] {
            assert_eq!(millisecond(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn names_sort_by_time() {
        let name = |stamp| ended_name(OsStr::new("x"), stamp).unwrap();
        let names = [0, 1, 999, 1_000, STAMP - 1, STAMP, STAMP + 1, STAMP * 2].map(name);
        assert!(names.is_sorted());
        assert!(ended_name(OsStr::new("x"), i64::MAX).is_err());
    }
}
