//! Lines of a detail, as they are written one under the other.

use crate::snapshot::Look;
use crate::tui::column::Tone;
use crate::tui::line::Line;
use crate::view::style::{cut, width};
use unicode_width::UnicodeWidthChar as _;

/// Columns before what belongs to a heading.
const INDENT: usize = 2;
/// Columns of a label with its gap, where there is room for two columns.
const LABEL: usize = 16;
/// Widths below which a label does not get a column of its own.
const NARROW: usize = 48;

/// Lines that are written one after the other.
#[derive(Debug)]
pub(in crate::tui) struct Paper {
    width: usize,
    lines: Vec<Line>,
}

impl Paper {
    /// An empty one, for a width of at least one column.
    pub(in crate::tui) fn new(width: usize) -> Self {
        Self { width: width.max(1), lines: Vec::new() }
    }

    /// Columns of a line under a heading.
    pub(in crate::tui) fn room(&self) -> usize {
        self.width.saturating_sub(INDENT)
    }

    /// What was written.
    pub(in crate::tui) fn lines(self) -> Vec<Line> {
        self.lines
    }

    /// A heading, parted from what is above it.
    pub(in crate::tui) fn heading(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.text(Tone::Strong, 0, text);
    }

    /// Text, wrapped; what is continued stands under its beginning.
    pub(in crate::tui) fn text(&mut self, tone: Tone, indent: usize, text: &str) {
        self.hanging(tone, Line::of(Tone::Plain, " ".repeat(indent.min(self.width / 2))), text);
    }

    /// A paragraph under a heading.
    pub(in crate::tui) fn says(&mut self, tone: Tone, text: &str) {
        self.text(tone, INDENT, text);
    }

    /// A label and what it has.
    pub(in crate::tui) fn field(&mut self, label: &str, value: &str) {
        self.toned(Tone::Plain, label, value);
    }

    /// A label and what it has, which stands out.
    pub(in crate::tui) fn toned(&mut self, tone: Tone, label: &str, value: &str) {
        let label = cut(label, LABEL - 1);
        if self.width < NARROW {
            let label = if label.is_empty() { label } else { format!("{label}: ") };
            return self.text(tone, INDENT, &format!("{label}{value}"));
        }
        let gap = LABEL - width(&label);
        let before = Line::of(Tone::Faint, format!("{}{label}{}", " ".repeat(INDENT), " ".repeat(gap)));
        self.hanging(tone, before, value);
    }

    /// One line, cut where it does not fit: for tables.
    pub(in crate::tui) fn row(&mut self, tone: Tone, text: &str) {
        let text = cut(text, self.width.saturating_sub(INDENT));
        self.lines.push(Line::of(tone, format!("{}{text}", " ".repeat(INDENT.min(self.width / 2)))));
    }

    /// Commands to look for oneself, each under what it shows. One that is too long is continued as a shell reads it.
    pub(in crate::tui) fn looks(&mut self, looks: &[Look]) {
        if looks.is_empty() {
            return;
        }
        self.heading("Look for yourself");
        for look in looks {
            self.says(Tone::Faint, &format!("# {}", crate::model::SafeText::new(&look.shows)));
            let columns = self.width.saturating_sub(INDENT + 2);
            let parts = wrapped(&look.command, columns);
            let last = parts.len().saturating_sub(1);
            for (place, part) in parts.iter().enumerate() {
                let end = if place < last { " \\" } else { "" };
                self.lines.push(Line::of(Tone::Plain, format!("{}{part}{end}", " ".repeat(INDENT))));
            }
        }
    }

    /// A text behind a beginning, continued under itself.
    fn hanging(&mut self, tone: Tone, before: Line, text: &str) {
        let indent: usize = before.0.iter().map(|(_, piece)| width(piece)).sum();
        let mut parts = wrapped(text, self.width.saturating_sub(indent)).into_iter();
        self.lines.push(before.and(tone, parts.next().unwrap_or_default()));
        let under = parts.map(|part| Line::of(tone, format!("{}{part}", " ".repeat(indent))));
        self.lines.extend(under);
    }
}

/// Text in pieces of at most `columns`, broken at spaces, and within a word that is longer than a line: nothing of it
/// is left out.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let (mut lines, mut line, mut room) = (Vec::new(), String::new(), columns);
    for word in text.split(' ') {
        let needs = width(word) + usize::from(!line.is_empty());
        if needs > room && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            room = columns;
        }
        if !line.is_empty() {
            line.push(' ');
            room -= 1;
        }
        for character in word.chars() {
            let needs = character.width().unwrap_or(0);
            if needs > room {
                lines.push(std::mem::take(&mut line));
                room = columns;
            }
            line.push(character);
            room -= needs;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::{Paper, wrapped};
    use crate::tui::column::Tone;
    use crate::tui::line::Line;
    use crate::view::style::width;
    use proptest::prelude::*;

    fn text(line: &Line) -> String {
        line.0.iter().map(|(_, piece)| piece.as_str()).collect()
    }

    #[test]
    fn nothing_is_left_out_of_a_long_word() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("an unbreakable", 5), ["an", "unbre", "akabl", "e"]);
        assert_eq!(wrapped("日本語", 5), ["日本", "語"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn a_value_is_continued_under_itself() {
        let mut paper = Paper::new(50);
        paper.field("image", "a very long name of an image that takes two lines");
        let lines: Vec<String> = paper.lines().iter().map(text).collect();
        assert_eq!(
            lines,
            ["  image           a very long name of an image", "                  that takes two lines"]
        );
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_paper(
            columns in 4_usize..120,
            words in prop::collection::vec("[a-z日本🐳\u{301}]{0,90}", 0..6),
        ) {
            let mut paper = Paper::new(columns);
            let text = words.join(" ");
            paper.heading(&text);
            paper.field("label", &text);
            paper.says(Tone::Plain, &text);
            paper.row(Tone::Plain, &text);
            for line in paper.lines().iter().map(self::text) {
                prop_assert!(width(&line) <= columns, "{line:?}");
            }
        }
    }
}
