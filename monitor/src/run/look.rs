//! What the terminal can show, by what was asked for and what the environment tells.

use crate::cli::Theme;
use crate::tui::{Colours, Look};

/// The look of the view; `variable` asks the environment.
pub(super) fn look(theme: Theme, ascii: bool, variable: impl Fn(&str) -> Option<String>) -> Look {
    // An empty one counts as none, as for a locale and for NO_COLOR.
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let colours = match theme {
        Theme::Auto => guess(&variable),
        Theme::Dark => Colours::Dark,
        Theme::Light => Colours::Light,
        Theme::Sixteen => Colours::Sixteen,
        Theme::None => Colours::None,
    };
    Look { colours, ascii: ascii || !is_utf8(&variable) }
}

/// More than the sixteen only where both is known: that there are more, and what ground they are on.
fn guess(variable: &impl Fn(&str) -> Option<String>) -> Colours {
    let term = variable("TERM").unwrap_or_default();
    if variable("NO_COLOR").is_some() || is_monochrome(&term) {
        return Colours::None;
    }
    let many = variable("COLORTERM").is_some_and(|value| ["truecolor", "24bit"].contains(&value.as_str()))
        || ["256color", "direct"].iter().any(|name| term.contains(name));
    match variable("COLORFGBG").filter(|_| many).and_then(|value| is_dark(&value)) {
        Some(true) => Colours::Dark,
        Some(false) => Colours::Light,
        None => Colours::Sixteen,
    }
}

/// Terminals without colours, by their names.
fn is_monochrome(term: &str) -> bool {
    term.starts_with("vt1") || term.starts_with("vt2") || term.ends_with("-m") || term.ends_with("-mono")
}

/// `COLORFGBG` is the numbers of two of the sixteen colours: `15;0`, in places with a word between.
fn is_dark(value: &str) -> Option<bool> {
    let ground: u8 = value.rsplit(';').next()?.parse().ok()?;
    Some(matches!(ground, 0..=6 | 8))
}

/// The first that is set tells which characters there are.
fn is_utf8(variable: &impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name)).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::look;
    use crate::cli::Theme;
    use crate::tui::{Colours, Look};

    fn check(theme: Theme, ascii: bool, environment: &[(&str, &str)], expected: (Colours, bool)) {
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let (colours, ascii_alone) = expected;
        assert_eq!(
            look(theme, ascii, variable),
            Look { colours, ascii: ascii_alone },
            "{theme:?} {ascii} {environment:?}"
        );
    }

    #[test]
    fn colours_are_what_was_asked_for_or_what_the_terminal_tells() {
        let many = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")];
        let with = |more: &[(&'static str, &'static str)]| [&many[..], more].concat();
        for (environment, colours) in [
            (with(&[]), Colours::Sixteen),
            (with(&[("COLORFGBG", "15;0")]), Colours::Dark),
            (with(&[("COLORFGBG", "0;default;15")]), Colours::Light),
            (with(&[("COLORFGBG", "default;default")]), Colours::Sixteen),
            (with(&[("COLORFGBG", "15;0"), ("NO_COLOR", "1")]), Colours::None),
            (with(&[("COLORFGBG", "15;0"), ("NO_COLOR", "")]), Colours::Dark),
        ] {
            check(Theme::Auto, false, &environment, (colours, false));
        }
        let few = |term| [("TERM", term), ("COLORFGBG", "15;0"), ("LANG", "C.UTF-8")];
        check(Theme::Auto, false, &few("linux"), (Colours::Sixteen, false));
        check(Theme::Auto, false, &few("vt220"), (Colours::None, false));
        check(Theme::Auto, false, &few("xterm-mono"), (Colours::None, false));
        let direct =
            [("TERM", "foot"), ("COLORTERM", "truecolor"), ("COLORFGBG", "0;15"), ("LANG", "C.UTF-8")];
        check(Theme::Auto, false, &direct, (Colours::Light, false));
    }

    #[test]
    fn a_theme_that_was_asked_for_counts_more_than_the_environment() {
        let environment = [("NO_COLOR", "1"), ("LC_ALL", "de_DE.UTF-8")];
        check(Theme::Dark, false, &environment, (Colours::Dark, false));
        check(Theme::Light, false, &environment, (Colours::Light, false));
        check(Theme::Sixteen, false, &environment, (Colours::Sixteen, false));
        check(Theme::None, true, &[("LANG", "en_GB.utf8")], (Colours::None, true));
    }

    #[test]
    fn the_first_locale_that_is_set_says_whether_there_is_more_than_ascii() {
        let none = Colours::Sixteen;
        check(Theme::Auto, false, &[], (none, true));
        check(Theme::Auto, false, &[("LANG", "C")], (none, true));
        check(Theme::Auto, false, &[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")], (none, false));
        check(Theme::Auto, false, &[("LC_ALL", "POSIX"), ("LANG", "C.UTF-8")], (none, true));
        check(Theme::Auto, true, &[("LANG", "C.UTF-8")], (none, true));
    }
}
