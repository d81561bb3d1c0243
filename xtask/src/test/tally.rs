//! Counting test results.

use std::fmt;

/// How many tests passed and failed, and which did not pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
}

impl Tally {
    /// Whether something passed and nothing failed.
    pub(crate) fn is_fine(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Adds another tally to this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }

    /// Counts one thing.
    pub(crate) fn record(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(name.to_owned());
        }
    }

    /// Counts what the test runner printed. A run that did not end well without a failed test (it did not compile,
    /// was aborted or stopped) counts as one failure, and so does a run of no test at all.
    pub(crate) fn count(&mut self, target: &str, lines: &[String], ended_well: bool) {
        let (mut passed, mut failed) = (0, 0);
        for line in lines {
            if let Some(result) = line.strip_prefix("test result: ") {
                passed += number_before(result, " passed");
                failed += number_before(result, " failed");
            } else if let Some(name) =
                line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
            {
                self.failures.push(format!("{target}: {name}"));
            }
        }
        if failed == 0 && !ended_well {
            failed = 1;
            self.failures.push(format!("{target}: did not run to its end"));
        } else if passed + failed == 0 {
            failed = 1;
            self.failures.push(format!("{target}: ran no test"));
        }
        self.passed += passed;
        self.failed += failed;
    }
}

/// What stands before the name of what failed.
const FAILED: &str = "FAILED ";

impl Tally {
    /// What another run of this program counted and printed, as [`Tally`] is displayed. One that printed no count counts as one
    /// failure, and so does one that did not end well without a failure.
    pub(crate) fn of_another_run(name: &str, lines: &[String], ended_well: bool) -> Self {
        let count = lines.iter().rev().find_map(|line| {
            let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
            Some((passed.parse().ok()?, failed.parse().ok()?))
        });
        let (passed, failed) = count.unwrap_or_default();
        let failures = lines.iter().filter_map(|line| line.strip_prefix(FAILED)).map(str::to_owned);
        let mut tally = Self { passed, failed, failures: failures.collect() };
        if failed == 0 && !(ended_well && count.is_some()) {
            tally.record(&format!("{name}: did not run to its end"), false);
        }
        tally
    }
}

impl fmt::Display for Tally {
    /// What failed, then the closing line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(formatter, "{FAILED}{failure}")?;
        }
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The number in front of a word: `3` in `ok. 12 passed; 3 failed` before ` failed`.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn check(lines: &[&str], ended_well: bool, expected: &str) {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let mut tally = Tally::default();
        tally.count("kernel", &lines, ended_well);
        assert_eq!(tally.to_string(), expected);
    }

    #[test]
    fn results_of_several_runs_are_added() {
        let one =
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        let other =
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        check(&[one, "noise", other], true, "15 passed, 0 failed");
    }

    #[test]
    fn failures_are_named() {
        let result = "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        check(&["test a::b ... FAILED", result], false, "FAILED kernel: a::b\n1 passed, 1 failed");
    }

    #[test]
    fn a_run_that_broke_off_is_a_failure() {
        check(&["test a ... ok"], false, "FAILED kernel: did not run to its end\n0 passed, 1 failed");
    }

    #[test]
    fn a_run_of_no_test_is_a_failure() {
        check(&[], true, "FAILED kernel: ran no test\n0 passed, 1 failed");
    }

    fn check_other(printed: &str, ended_well: bool, expected: &str) {
        let lines: Vec<String> = printed.lines().map(str::to_owned).collect();
        assert_eq!(Tally::of_another_run("other", &lines, ended_well).to_string(), expected);
    }

    #[test]
    fn what_another_run_printed_is_counted() {
        check_other("noise\n12 passed, 0 failed", true, "12 passed, 0 failed");
        let failed = "FAILED kernel: a::b\n11 passed, 1 failed";
        check_other(failed, false, failed);
        check_other(
            "12 passed, 0 failed",
            false,
            "FAILED other: did not run to its end\n12 passed, 1 failed",
        );
        check_other("error: no Docker", false, "FAILED other: did not run to its end\n0 passed, 1 failed");
        check_other("", true, "FAILED other: did not run to its end\n0 passed, 1 failed");
    }

    #[test]
    fn nothing_passed_is_not_fine() {
        assert!(!Tally::default().is_fine());
        let mut tally = Tally::default();
        tally.record("a", true);
        assert!(tally.is_fine());
        tally.record("b", false);
        assert!(!tally.is_fine());
    }
}
