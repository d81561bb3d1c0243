//! Files that people write: read while others wait for it, so opening one must not wait for somebody who writes.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

/// Who opens files for this process, which may not open them itself.
type Opener = Box<dyn Fn(&Path) -> io::Result<File> + Send + Sync>;

static OPENER: OnceLock<Opener> = OnceLock::new();

/// From now on has files opened by somebody else; the first one stays.
pub(crate) fn open_by(opener: impl Fn(&Path) -> io::Result<File> + Send + Sync + 'static) {
    OPENER.get_or_init(|| Box::new(opener));
}

/// Opens a regular file for reading.
///
/// # Errors
/// When it cannot be opened, or is something else: a pipe, a device, a folder.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if let Some(opener) = OPENER.get() {
        return opener(path);
    }
    // NONBLOCK: a pipe without a writer is an error, not a wait. Regular files know no such thing.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::open;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::io::{ErrorKind, Read as _};
    use std::path::Path;

    #[test]
    fn what_is_no_regular_file_is_an_error_and_no_wait() {
        let folder = std::env::temp_dir().join(format!("vw-regular-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let (pipe, file) = (folder.join("pipe"), folder.join("file"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::fs::write(&file, "text").unwrap();
        for other in [&pipe, &folder, Path::new("/dev/zero")] {
            let error = open(other).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file", "{}", other.display());
        }
        let mut text = String::new();
        open(&file).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert_eq!(open(&folder.join("nothing")).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
