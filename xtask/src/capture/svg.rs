//! A picture of a terminal as an SVG.

use super::ansi::{Colour, Piece, Style};
use std::fmt::Write as _;

/// A cell's width and height, in tenths of a pixel, so that sums are exact.
const CELL: (usize, usize) = (84, 180);
/// Around the whole.
const MARGIN: usize = 120;
/// From a line's upper edge to where its letters stand.
const BASE: usize = 138;
/// The colours of a terminal that has a dark ground.
const TEXT: &str = "#d6dbe5";
const GROUND: &str = "#12161e";
/// The sixteen that have names.
const NAMED: [&str; 16] = [
    "#2b303b", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf", "#5c6370",
    "#ff8b92", "#b5e890", "#ffd68a", "#82c4ff", "#dd9bf0", "#76d5e0", "#ffffff",
];

/// Draws lines of so many columns; `title` is what somebody who cannot see it is told.
pub(super) fn draw(lines: &[Vec<Piece>], columns: usize, title: &str) -> String {
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, lines.len() * CELL.1 + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n\
         <title>{2}</title>\n\
         <style>text{{font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre;fill:{TEXT}}}\
         .b{{font-weight:bold}}.d{{opacity:.65}}.u{{text-decoration:underline}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n",
        tenths(width),
        tenths(height),
        safe(title)
    );
    for (number, line) in lines.iter().enumerate() {
        line.iter().for_each(|piece| draw_piece(&mut svg, piece, MARGIN + number * CELL.1));
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_piece(svg: &mut String, piece: &Piece, top: usize) {
    let Style { reversed, bold, dim, underlined, .. } = piece.style;
    let (text, ground) = colours(piece.style);
    let (left, width) = (MARGIN + piece.column * CELL.0, piece.columns * CELL.0);
    // Writing to a string does not fail.
    if let Some(ground) = ground {
        let (x, y, width, height) = (tenths(left), tenths(top), tenths(width), tenths(CELL.1));
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>"
        );
    }
    // Not every reader draws the spaces at the ends of a text, or more than one of those that stand together.
    let text_alone = if underlined { &piece.text } else { piece.text.trim_matches(' ') };
    if text_alone.is_empty() {
        return;
    }
    let before = if underlined { 0 } else { piece.text.len() - piece.text.trim_start_matches(' ').len() };
    let (left, width) = (left + before * CELL.0, width - (piece.text.len() - text_alone.len()) * CELL.0);
    let classes: String = [(bold, "b "), (dim && !reversed, "d "), (underlined, "u ")]
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| *name)
        .collect();
    let class = if classes.is_empty() { String::new() } else { format!(" class=\"{}\"", classes.trim()) };
    let fill = text.map_or_else(String::new, |text| format!(" style=\"fill:{text}\""));
    let (x, y, length) = (tenths(left), tenths(top + BASE), tenths(width));
    // The length holds columns in line whatever the reader's letters are.
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\"{class}{fill}>{}</text>",
        safe(text_alone).replace(' ', "\u{a0}")
    );
}

/// Colours of the text and of what is behind it, where they are not the usual ones.
fn colours(style: Style) -> (Option<String>, Option<String>) {
    let (text, ground) = (colour(style.text), colour(style.ground));
    if style.reversed {
        return (
            Some(ground.unwrap_or_else(|| GROUND.to_owned())),
            Some(text.unwrap_or_else(|| TEXT.to_owned())),
        );
    }
    (text, ground)
}

fn colour(colour: Colour) -> Option<String> {
    let exact = |red: u8, green: u8, blue: u8| format!("#{red:02x}{green:02x}{blue:02x}");
    Some(match colour {
        Colour::Usual => return None,
        Colour::Exact(red, green, blue) => exact(red, green, blue),
        Colour::Number(number @ 0..=15) => NAMED[usize::from(number)].to_owned(),
        // A cube of six steps each way, then 24 greys.
        Colour::Number(number @ 16..=231) => {
            let step = |part: u8| if part == 0 { 0 } else { 55 + part * 40 };
            let number = number - 16;
            exact(step(number / 36), step(number / 6 % 6), step(number % 6))
        }
        Colour::Number(number) => {
            let grey = 8 + (number - 232) * 10;
            exact(grey, grey, grey)
        }
    })
}

/// A number of tenths, as SVG writes it.
fn tenths(number: usize) -> String {
    if number.is_multiple_of(10) {
        (number / 10).to_string()
    } else {
        format!("{}.{}", number / 10, number % 10)
    }
}

fn safe(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::ansi::lines;
    use super::draw;

    fn drawn(captured: &str) -> String {
        let svg = draw(&lines(captured), 10, "a <title>");
        svg.lines().skip(4).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_piece_stands_at_its_column_in_its_colours() {
        assert_eq!(
            drawn("a\x1b[1;38;2;1;2;3mb&\n\x1b[0;7m x"),
            "<text x=\"12\" y=\"25.8\" textLength=\"8.4\" lengthAdjust=\"spacingAndGlyphs\">a</text>\n\
             <text x=\"20.4\" y=\"25.8\" textLength=\"16.8\" lengthAdjust=\"spacingAndGlyphs\" class=\"b\" \
             style=\"fill:#010203\">b&amp;</text>\n\
             <rect x=\"12\" y=\"30\" width=\"16.8\" height=\"18\" fill=\"#d6dbe5\"/>\n\
             <text x=\"20.4\" y=\"43.8\" textLength=\"8.4\" lengthAdjust=\"spacingAndGlyphs\" \
             style=\"fill:#12161e\">x</text>\n</svg>"
        );
    }

    #[test]
    fn numbered_colours_are_those_of_terminals() {
        for (number, expected) in [(1, "#e06c75"), (16, "#000000"), (196, "#ff0000"), (244, "#808080")] {
            let svg = drawn(&format!("\x1b[48;5;{number}m "));
            assert!(svg.contains(&format!("fill=\"{expected}\"")), "{number}: {svg}");
        }
    }

    #[test]
    fn what_is_empty_is_not_drawn() {
        assert_eq!(drawn("   \n"), "</svg>");
        assert!(draw(&[], 1, "<&>").contains("<title>&lt;&amp;&gt;</title>"));
    }
}
