//! What a terminal can show, and how each tone looks on it.

use super::column::Tone;
use super::spark::BARS;
use ratatui::style::{Color, Modifier, Style};

/// What stands for bars where there is nothing but ASCII.
const BARS_OF_LETTERS: [char; 9] = [' ', '_', '.', ':', '-', '=', '+', '*', '#'];

/// Colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// None: bold, dim and reversed alone (`NO_COLOR`).
    None,
    /// The sixteen that the terminal names itself.
    #[default]
    Sixteen,
    /// Any, on a dark ground.
    Dark,
    /// Any, on a light ground.
    Light,
}

/// How the view looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Its colours.
    pub colours: Colours,
    /// Whether bars, lines and arrows are drawn with ASCII alone.
    pub ascii: bool,
}

impl Look {
    /// The style of a tone. Blue and orange, which all eyes tell apart; a severity is a word or a sign as well.
    pub(super) fn tone(self, tone: Tone) -> Style {
        let plain = Style::new();
        let coloured = |sixteen: Style, dark: (u8, u8, u8), light: (u8, u8, u8)| match self.colours {
            Colours::None => plain,
            Colours::Sixteen => sixteen,
            Colours::Dark => plain.fg(Color::Rgb(dark.0, dark.1, dark.2)),
            Colours::Light => plain.fg(Color::Rgb(light.0, light.1, light.2)),
        };
        match tone {
            Tone::Plain => plain,
            Tone::Strong => plain.add_modifier(Modifier::BOLD),
            Tone::Faint => match self.colours {
                Colours::None | Colours::Sixteen => plain.add_modifier(Modifier::DIM),
                Colours::Dark => plain.fg(Color::Rgb(142, 146, 158)),
                Colours::Light => plain.fg(Color::Rgb(98, 102, 112)),
            },
            Tone::Good => coloured(plain.fg(Color::Cyan), (86, 180, 233), (0, 92, 150)),
            Tone::Warning => {
                coloured(plain.fg(Color::Yellow), (240, 170, 40), (150, 84, 0)).add_modifier(Modifier::BOLD)
            }
            Tone::Critical => coloured(plain.fg(Color::LightRed), (255, 120, 70), (176, 48, 0))
                .add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        }
    }

    /// The style of the row that is selected, over those of its cells.
    pub(super) fn selected(self) -> Style {
        match self.colours {
            Colours::None | Colours::Sixteen => Style::new().add_modifier(Modifier::REVERSED),
            Colours::Dark => Style::new().bg(Color::Rgb(38, 62, 96)).add_modifier(Modifier::BOLD),
            Colours::Light => Style::new().bg(Color::Rgb(202, 222, 246)).add_modifier(Modifier::BOLD),
        }
    }

    /// The style of what frames the data: the screen that is shown, the keys in the hint line.
    pub(super) fn accent(self) -> Style {
        match self.colours {
            Colours::None => Style::new().add_modifier(Modifier::REVERSED),
            Colours::Sixteen => Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
            Colours::Dark => Style::new().fg(Color::Rgb(120, 190, 255)).add_modifier(Modifier::BOLD),
            Colours::Light => Style::new().fg(Color::Rgb(0, 84, 158)).add_modifier(Modifier::BOLD),
        }
    }

    /// What stands for a text that was cut.
    pub(super) fn cut(self) -> char {
        if self.ascii { '~' } else { '…' }
    }

    /// A sign of the order that a column is in.
    pub(super) fn order(self, descending: bool) -> char {
        match (self.ascii, descending) {
            (true, true) => 'v',
            (true, false) => '^',
            (false, true) => '▼',
            (false, false) => '▲',
        }
    }

    /// The text with nothing but ASCII, where the terminal has no more: every other character is a `?`.
    pub(super) fn letters(self, text: &str) -> std::borrow::Cow<'_, str> {
        if !self.ascii || text.is_ascii() {
            return text.into();
        }
        let plain = |character: char| match character {
            'µ' => 'u',
            '→' => '>',
            '←' => '<',
            '↔' => '-',
            '…' => '~',
            '·' => '.',
            character if character.is_ascii() => character,
            character => {
                let height = BARS.iter().position(|bar| *bar == character);
                height.map_or('?', |height| BARS_OF_LETTERS[height])
            }
        };
        text.chars().map(plain).collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::{Colours, Look};
    use crate::tui::column::Tone;
    use ratatui::style::{Color, Modifier, Style};

    #[test]
    fn without_colours_no_style_has_one() {
        let look = Look { colours: Colours::None, ascii: false };
        let tones = [Tone::Plain, Tone::Strong, Tone::Faint, Tone::Good, Tone::Warning, Tone::Critical];
        let styles = tones.map(|tone| look.tone(tone)).into_iter().chain([look.selected(), look.accent()]);
        for style in styles {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }

    #[test]
    fn what_must_not_be_passed_over_differs_from_the_rest_without_any_colour() {
        let bare = |style: Style| style.add_modifier & (Modifier::BOLD | Modifier::UNDERLINED);
        for colours in [Colours::None, Colours::Sixteen, Colours::Dark, Colours::Light] {
            let look = Look { colours, ascii: false };
            assert_ne!(bare(look.tone(Tone::Warning)), bare(look.tone(Tone::Plain)));
            assert_ne!(bare(look.tone(Tone::Critical)), bare(look.tone(Tone::Warning)));
        }
    }

    #[test]
    fn no_tone_is_green() {
        let green = |color: Option<Color>| match color {
            Some(Color::Rgb(red, green, blue)) => green > red && green > blue,
            Some(Color::Green | Color::LightGreen) => true,
            _ => false,
        };
        for colours in [Colours::Sixteen, Colours::Dark, Colours::Light] {
            for tone in [Tone::Faint, Tone::Good, Tone::Warning, Tone::Critical] {
                assert!(!green(Look { colours, ascii: false }.tone(tone).fg), "{colours:?} {tone:?}");
            }
        }
    }
}
