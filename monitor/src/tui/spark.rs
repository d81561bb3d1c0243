//! Lines of bars.

/// Bars of a height from 0 to 8.
pub(super) const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars in a number of columns, drawn against the greatest; each is the sum of as many values as are needed.
pub(super) fn spark(values: &[u64], columns: usize) -> String {
    if columns == 0 || values.is_empty() {
        return String::new();
    }
    let each = values.len().div_ceil(columns);
    let sums: Vec<u64> = values
        .rchunks(each)
        .rev()
        .map(|part| part.iter().fold(0, |sum: u64, value| sum.saturating_add(*value)))
        .collect();
    let most = sums.iter().copied().max().unwrap_or_default().max(1);
    let height = |sum: u64| match sum {
        0 => 0,
        // Something is never drawn as nothing.
        sum => 1 + usize::try_from(u128::from(sum) * 7 / u128::from(most)).unwrap_or(7),
    };
    sums.into_iter().map(|sum| BARS[height(sum).min(8)]).collect()
}

#[cfg(test)]
mod tests {
    use super::spark;

    fn check(bars: &[u64], columns: usize, expected: &str) {
        assert_eq!(spark(bars, columns), expected, "{bars:?} in {columns}");
    }

    #[test]
    fn bars_are_against_the_greatest_and_something_is_never_nothing() {
        check(&[0, 1, 500, 1_000], 4, " ▁▄█");
        check(&[0, 0, 0, 0], 4, "    ");
        check(&[u64::MAX, u64::MAX, 0, 1], 2, "█▁");
        check(&[1, 1, 1, 1, 2, 2], 4, "▄▄█");
        check(&[], 4, "");
        check(&[1], 0, "");
    }
}
