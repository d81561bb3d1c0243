//! What a terminal shows, as tmux tells it: text with escape sequences for its colours.

use unicode_width::UnicodeWidthChar as _;

/// A colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Colour {
    /// The terminal's own.
    #[default]
    Usual,
    /// One of 256 by its number.
    Number(u8),
    /// Red, green, blue.
    Exact(u8, u8, u8),
}

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) text: Colour,
    pub(super) ground: Colour,
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) underlined: bool,
    pub(super) reversed: bool,
}

/// A piece of a line that looks the same all over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The column it begins at.
    pub(super) column: usize,
    /// How many it takes.
    pub(super) columns: usize,
    pub(super) style: Style,
    pub(super) text: String,
}

/// The lines of a picture.
pub(super) fn lines(captured: &str) -> Vec<Vec<Piece>> {
    // What a line ends with is what the next begins with.
    let mut style = Style::default();
    captured.lines().map(|line| pieces(line, &mut style)).collect()
}

fn pieces(line: &str, style: &mut Style) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut column, mut rest) = (0, line);
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter == '\x1b' {
            rest = sequence(rest, style);
            continue;
        }
        let columns = letter.width().unwrap_or(0);
        match pieces.last_mut() {
            // An accent belongs to the letter before it, whatever its style.
            Some(last) if last.style == *style || columns == 0 => {
                last.text.push(letter);
                last.columns += columns;
            }
            _ => pieces.push(Piece { column, columns, style: *style, text: letter.into() }),
        }
        column += columns;
    }
    pieces
}

/// Takes in what is behind an escape; returns what comes after the sequence.
fn sequence<'a>(rest: &'a str, style: &mut Style) -> &'a str {
    let Some(inside) = rest.strip_prefix('[') else {
        // Which set of letters is meant: two more characters.
        return rest.get(2..).unwrap_or_default();
    };
    let Some(end) = inside.find(|letter: char| ('@'..='~').contains(&letter)) else { return "" };
    if inside[end..].starts_with('m') {
        let numbers: Vec<u8> =
            inside[..end].split([';', ':']).map(|word| word.parse().unwrap_or(0)).collect();
        apply(&numbers, style);
    }
    &inside[end + 1..]
}

fn apply(mut numbers: &[u8], style: &mut Style) {
    while let Some((first, rest)) = numbers.split_first() {
        numbers = rest;
        match first {
            0 => *style = Style::default(),
            1 => style.bold = true,
            2 => style.dim = true,
            4 => style.underlined = true,
            7 => style.reversed = true,
            22 => (style.bold, style.dim) = (false, false),
            24 => style.underlined = false,
            27 => style.reversed = false,
            30..=37 => style.text = Colour::Number(first - 30),
            90..=97 => style.text = Colour::Number(first - 90 + 8),
            40..=47 => style.ground = Colour::Number(first - 40),
            100..=107 => style.ground = Colour::Number(first - 100 + 8),
            39 => style.text = Colour::Usual,
            49 => style.ground = Colour::Usual,
            38 | 48 => {
                let (colour, taken) = match *rest {
                    [5, number, ..] => (Colour::Number(number), 2),
                    [2, red, green, blue, ..] => (Colour::Exact(red, green, blue), 4),
                    _ => return,
                };
                *(if *first == 38 { &mut style.text } else { &mut style.ground }) = colour;
                numbers = &rest[taken..];
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, Piece, Style, lines};

    fn piece(column: usize, columns: usize, text: &str, style: Style) -> Piece {
        Piece { column, columns, style, text: text.to_owned() }
    }

    #[test]
    fn colours_last_until_they_change_even_over_lines() {
        let red = Style { text: Colour::Number(1), ..Style::default() };
        let exact = Style { text: Colour::Exact(1, 2, 3), ground: Colour::Number(200), bold: true, ..red };
        assert_eq!(
            lines("a\x1b[31mb\nc\x1b[1;38;2;1;2;3;48;5;200md\x1b[0me"),
            [
                vec![piece(0, 1, "a", Style::default()), piece(1, 1, "b", red)],
                vec![piece(0, 1, "c", red), piece(1, 1, "d", exact), piece(2, 1, "e", Style::default())],
            ]
        );
    }

    #[test]
    fn wide_letters_take_two_columns_and_accents_none() {
        let told = lines("网e\u{301}\x1b[7mx");
        let reversed = Style { reversed: true, ..Style::default() };
        assert_eq!(told, [vec![piece(0, 3, "网e\u{301}", Style::default()), piece(3, 1, "x", reversed)]]);
    }

    #[test]
    fn what_is_no_colour_is_passed_over() {
        let plain = Style::default();
        assert_eq!(lines("\x1b(Bx\x1b[3Kx\x1b[38;9mx\x1b["), [vec![piece(0, 3, "xxx", plain)]]);
    }
}
