//! Lines of toned text, and what they are drawn on.

use crate::wire::Clock;
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a screen is drawn on.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Columns.
    pub width: usize,
    /// Rows, when the screen must fit; without it, everything is drawn.
    pub height: Option<usize>,
    /// Whether tones are shown.
    pub colour: bool,
    /// For times of day.
    pub clock: Clock,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As all else.
    Plain,
    /// A heading or a name.
    Strong,
    /// What can be passed over.
    Faint,
    /// What must not be passed over.
    Warning,
}

impl Tone {
    const fn escape(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Warning => "\x1b[1;33m",
        }
    }
}

/// One line of a screen: pieces of text, each with a tone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<(Tone, String)>,
}

impl Line {
    /// A line of one piece.
    pub(super) fn of(tone: Tone, text: impl Into<String>) -> Self {
        let mut line = Self::default();
        line.push(tone, text);
        line
    }

    /// Adds a piece at the end.
    pub(super) fn push(&mut self, tone: Tone, text: impl Into<String>) {
        self.pieces.push((tone, text.into()));
    }

    /// Adds all pieces of another line at the end.
    pub(super) fn extend(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
    }

    /// Columns it takes.
    pub(super) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| width(text)).sum()
    }

    /// The line as a terminal takes it, without a line feed; what does not fit the frame's width is cut.
    #[must_use]
    pub fn draw(&self, frame: &Frame) -> String {
        let mut drawn = String::new();
        let mut room = frame.width;
        let mut pieces = self.pieces.iter().peekable();
        while let Some((tone, text)) = pieces.next() {
            let more = pieces.peek().is_some();
            let fits = width(text) < room || (width(text) == room && !more);
            let text = if fits { text.clone() } else { cut(text, room) };
            room -= width(&text).min(room);
            if frame.colour && *tone != Tone::Plain {
                write!(drawn, "{}{text}\x1b[0m", tone.escape()).expect("writing to a String cannot fail");
            } else {
                drawn.push_str(&text);
            }
            if !fits {
                break;
            }
        }
        drawn.truncate(drawn.trim_end_matches(' ').len());
        drawn
    }
}

/// Columns a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text cut to a number of columns, with `…` for what is missing.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut room = columns.saturating_sub(1);
    for character in text.chars() {
        let needs = character.width().unwrap_or(0);
        if needs > room {
            break;
        }
        room -= needs;
        kept.push(character);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A name cut to a number of columns in its middle: names that begin alike (`project-service-1`) differ at the end.
pub(crate) fn cut_name(name: &str, columns: usize) -> String {
    if width(name) <= columns || columns < 5 {
        return cut(name, columns);
    }
    let tail = (columns - 1) / 2;
    let mut kept = String::new();
    for character in name.chars().rev() {
        if width(&kept) + character.width().unwrap_or(0) > tail {
            break;
        }
        kept.insert(0, character);
    }
    format!("{}{kept}", cut(name, columns - width(&kept)))
}

/// Text in pieces of at most `columns`, broken at spaces where there are any.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let word = cut(word, columns.max(1));
        if !line.is_empty() && width(&line) + 1 + width(&word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::{cut, cut_name, width, wrap};

    fn check_cut(text: &str, columns: usize, expected: &str) {
        let short = cut(text, columns);
        assert_eq!(short, expected);
        assert!(width(&short) <= columns, "{short} is wider than {columns}");
    }

    #[test]
    fn a_text_is_cut_by_columns_not_by_characters() {
        check_cut("shop-nginx-1", 12, "shop-nginx-1");
        check_cut("shop-nginx-1", 8, "shop-ng…");
        check_cut("日本語", 6, "日本語");
        check_cut("日本語", 5, "日本…");
        check_cut("日本語", 4, "日…");
        check_cut("abc", 0, "");
        check_cut("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…");
    }

    #[test]
    fn a_name_is_cut_in_its_middle() {
        for (name, columns, expected) in [
            ("shop-flask_app-1", 16, "shop-flask_app-1"),
            ("shop-flask_app-1", 11, "shop-…app-1"),
            ("shop-flask_app-1", 4, "sho…"),
            ("日本語コンテナ", 9, "日本…テナ"),
        ] {
            let short = cut_name(name, columns);
            assert_eq!(short, expected);
            assert!(width(&short) <= columns);
        }
    }

    #[test]
    fn text_is_wrapped_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 5), ["unbr…"]);
    }
}
