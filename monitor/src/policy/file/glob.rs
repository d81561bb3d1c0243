//! Names with `*` and `?`.

use std::str::Chars;

/// A pattern for whole texts: `*` stands for any characters, also none, `?` for one, all others for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// What a text begins with; all of it, if there is no more.
    prefix: Box<str>,
    more: Option<More>,
}

/// A pattern from its first `*` or `?` on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct More {
    /// Up to the last `*` or `?`.
    middle: Box<[Part]>,
    /// What a text ends with.
    suffix: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    One,
    Any,
}

impl Glob {
    /// Compiles a pattern.
    pub(super) fn new(text: &str) -> Self {
        let Some((first, last)) = text.find(['*', '?']).zip(text.rfind(['*', '?'])) else {
            return Self { prefix: text.into(), more: None };
        };
        let part = |character| match character {
            '*' => Part::Any,
            '?' => Part::One,
            other => Part::Literal(other),
        };
        let mut middle: Vec<Part> = text[first..=last].chars().map(part).collect();
        middle.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        let more = More { middle: middle.into(), suffix: text[last + 1..].into() };
        Self { prefix: text[..first].into(), more: Some(more) }
    }

    /// Whether all of `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(More { middle, suffix }) = &self.more else { return text == &*self.prefix };
        let middle_of_text = text.strip_prefix(&*self.prefix).and_then(|text| text.strip_suffix(&**suffix));
        middle_of_text.is_some_and(|text| matches(middle, text))
    }
}

/// Whether all of `text` matches. Only the last `*` is ever tried anew, so that the steps are at most those of a
/// search for each piece between two stars.
fn matches(parts: &[Part], text: &str) -> bool {
    let mut rest = text.chars();
    let mut part = 0;
    let mut star: Option<(usize, Chars<'_>)> = None;
    loop {
        let here = rest.clone();
        match (parts.get(part), rest.next()) {
            (Some(Part::Any), _) if part + 1 == parts.len() => return true,
            (Some(Part::Any), _) => {
                part += 1;
                star = Some((part, here.clone()));
                rest = here;
            }
            (None, None) => return true,
            (Some(Part::One), Some(_)) => part += 1,
            (Some(Part::Literal(wanted)), Some(found)) if *wanted == found => part += 1,
            // The text is at its end: a longer share for the star cannot help.
            (Some(_), None) => return false,
            (_, Some(_)) => {
                let Some((after, from)) = &mut star else { return false };
                from.next();
                (part, rest) = (*after, from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} and {text}");
    }

    #[test]
    fn a_pattern_without_stars_is_the_whole_text() {
        check("web", "web", true);
        check("web", "web-1", false);
        check("web", "a-web", false);
        check("", "", true);
        check("", "x", false);
        check("web", "", false);
        check("Web", "web", false);
    }

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        check("*", "", true);
        check("*", "anything", true);
        check("shop-*", "shop-", true);
        check("shop-*", "shop-web-1", true);
        check("*-web-*", "shop-web-1", true);
        check("*-web-*", "shop-web", false);
        check("***a**", "xxa", true);
        check("web-?", "web-1", true);
        check("web-?", "web-", false);
        check("web-?", "web-12", false);
        check("*?", "", false);
        check("a*b*c", "abcbc", true);
        check("a*b*c", "abcb", false);
        check("?*??", "日本", false);
        check("??", "é", false);
        check("*é?", "caféé", true);
        check("aba*ba", "aba", false);
        check("a*a", "a", false);
        check("é*é", "éé", true);
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = Glob::new(&format!("{}b", "*a".repeat(128)));
        let text = "a".repeat(256);
        // With a retry of every star this would not end in a lifetime.
        for _ in 0..1_000 {
            assert!(!pattern.matches(&text));
        }
    }

    /// The definition, slow and plain.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| plainly(rest, &text[skipped..])),
            Some((one, rest)) => {
                text.split_first().is_some_and(|(c, left)| (*one == '?' || one == c) && plainly(rest, left))
            }
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_the_definition_says(pattern in "[ab?*é]{0,8}", text in "[abé]{0,10}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = plainly(&characters(&pattern), &characters(&text));
            prop_assert_eq!(Glob::new(&pattern).matches(&text), expected);
        }
    }
}
