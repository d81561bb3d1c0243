//! Whole lines of a text.

use std::io::{self, ErrorKind, Write};

/// How many lines a text has.
pub(super) fn count(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// How many of the first bytes are whole lines.
pub(super) fn length(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}

/// The length of the whole lines that fit into so many bytes; of the first line, if not even that does and it must.
pub(super) fn fitting(text: &[u8], room: u64, must: bool) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(text.len());
    match length(&text[..room]) {
        0 if must => text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |first| first + 1),
        fitting => fitting,
    }
}

/// Writes all of a text, or says how many bytes of it were written before an error.
pub(super) fn write_all(to: &mut impl Write, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < text.len() {
        match to.write(&text[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(length) => written += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::{count, fitting, length, write_all};

    #[test]
    fn only_whole_lines_count() {
        assert_eq!((count(b""), length(b"")), (0, 0));
        assert_eq!((count(b"half"), length(b"half")), (0, 0));
        assert_eq!((count(b"one\ntwo\nha"), length(b"one\ntwo\nha")), (2, 8));
    }

    #[test]
    fn as_many_lines_are_taken_as_fit_and_one_where_one_must() {
        let text = b"one\nthree\n";
        for (room, expected) in [(0, 0), (3, 0), (4, 4), (9, 4), (10, 10), (u64::MAX, 10)] {
            assert_eq!(fitting(text, room, false), expected, "{room}");
        }
        assert_eq!(fitting(text, 0, true), 4);
        assert_eq!(fitting(text, 10, true), 10);
    }

    #[test]
    fn what_was_written_before_an_error_is_told() {
        let mut room = [0; 5];
        let (written, result) = write_all(&mut &mut room[..], b"one\ntwo\n");
        assert_eq!((written, &room), (5, b"one\nt"));
        assert!(result.is_err());
    }
}
