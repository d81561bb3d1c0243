//! "Did you mean": the nearest of the words that are known.

/// Longer words are not compared.
const LONGEST: usize = 40;

/// The known word that is nearest to what was written, if one is near.
#[must_use]
pub fn nearest<'w>(written: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let written: Vec<char> = written.chars().take(LONGEST + 1).map(|c| c.to_ascii_lowercase()).collect();
    if written.len() > LONGEST {
        return None;
    }
    let distances = known.into_iter().map(|word| (distance(&written, word), word));
    let (distance, word) = distances.min_by_key(|(distance, _)| *distance)?;
    let length = word.chars().count();
    (distance <= (length / 3).max(usize::from(length > 1))).then_some(word)
}

/// How many characters have to be added, taken away, replaced, or swapped with their neighbour.
fn distance(written: &[char], word: &str) -> usize {
    let width = written.len() + 1;
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..width).collect();
    let mut last = None;
    for (row, character) in word.chars().take(LONGEST).enumerate() {
        let mut line = vec![row + 1; width];
        for column in 1..width {
            let differs = usize::from(written[column - 1] != character);
            line[column] = (above[column] + 1).min(line[column - 1] + 1).min(above[column - 1] + differs);
            let is_swapped = column > 1
                && last == Some(written[column - 1])
                && written[column - 2] == character
                && !before.is_empty();
            if is_swapped {
                line[column] = line[column].min(before[column - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, line);
        last = Some(character);
    }
    above[width - 1]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KNOWN: [&str; 6] = ["from", "to", "ports", "protocol", "severity", "cidr"];

    #[track_caller]
    fn check(written: &str, expected: Option<&str>) {
        assert_eq!(nearest(written, KNOWN), expected, "{written}");
    }

    #[test]
    fn a_slip_finds_its_word() {
        check("form", Some("from"));
        check("port", Some("ports"));
        check("Protocol", Some("protocol"));
        check("protcol", Some("protocol"));
        check("serverity", Some("severity"));
        check("cdir", Some("cidr"));
    }

    #[test]
    fn another_word_finds_none() {
        check("expires", None);
        check("", None);
        check("x", None);
        check(&"from".repeat(100_000), None);
        assert_eq!(nearest("from", []), None);
        assert_eq!(nearest("y", ["x"]), None);
    }
}
