//! How what an agent uses goes on over time, and whether it is flat.

use crate::used::Used;
use anyhow::{Result, ensure};
use std::fmt;

/// By how much the last quarter may be above the second one: what an allocator may take or leave.
const KILOBYTES: u64 = 4_096;
/// Or by this share, where that is more.
const PER_CENT: u64 = 5;
/// Descriptors of what is under way.
const DESCRIPTORS: u64 = 4;

/// A figure of all moments.
type Figure = (&'static str, fn(&Used) -> u64, u64);

/// What must not grow: its name, where it is, and by how much it may be more.
const FIGURES: [Figure; 3] = [
    ("KiB resident", |used| used.resident_kilobytes, KILOBYTES),
    ("descriptors", |used| used.descriptors, DESCRIPTORS),
    ("KiB of maps", |used| used.map_kilobytes, KILOBYTES),
];

/// All moments, with how many containers and connections there were until then.
pub(crate) struct Course(Vec<([u64; 2], Used)>);

impl Course {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, so_far: [u64; 2], used: Used) {
        self.0.push((so_far, used));
    }

    /// The median of a figure in a quarter, the first of which is 0.
    fn median(&self, quarter: usize, figure: fn(&Used) -> u64) -> u64 {
        let count = self.0.len();
        let of_quarter = &self.0[count * quarter / 4..count * (quarter + 1) / 4];
        let mut figures: Vec<u64> = of_quarter.iter().map(|(_, used)| figure(used)).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or(0)
    }

    /// The last quarter is as the second one: what the agent keeps for good it has met in the first.
    ///
    /// # Errors
    /// Something has grown.
    pub(crate) fn must_be_flat(&self) -> Result<()> {
        for (name, figure, more) in FIGURES {
            let (second, last) = (self.median(1, figure), self.median(3, figure));
            let most = second + more.max(if more == KILOBYTES { second * PER_CENT / 100 } else { 0 });
            ensure!(
                last <= most,
                "{name} grew from {second} in the second quarter to {last} in the last\n{self}"
            );
        }
        Ok(())
    }
}

impl fmt::Display for Course {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "| containers | connections | KiB resident | descriptors | interfaces | links | KiB of maps | series | processor s |"
        )?;
        writeln!(formatter, "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for ([containers, connections], used) in &self.0 {
            let Used {
                resident_kilobytes,
                descriptors,
                interfaces,
                links,
                map_kilobytes,
                series,
                cpu_seconds,
            } = used;
            writeln!(
                formatter,
                "| {containers} | {connections} | {resident_kilobytes} | {descriptors} | {interfaces} | {links} | {map_kilobytes} | {series} | \
                 {cpu_seconds} |"
            )?;
        }
        for (name, figure, _) in FIGURES {
            let (second, last) = (self.median(1, figure), self.median(3, figure));
            writeln!(formatter, "\n{name}: {second} in the second quarter, {last} in the last.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Course;
    use crate::used::Used;

    fn check(resident: [u64; 8], descriptors: [u64; 8], is_flat: bool) {
        let mut course = Course::new();
        for (resident_kilobytes, descriptors) in resident.into_iter().zip(descriptors) {
            course.add([1, 1], Used { resident_kilobytes, descriptors, ..Used::default() });
        }
        assert_eq!(course.must_be_flat().is_ok(), is_flat, "{course}");
    }

    #[test]
    fn what_grows_in_the_first_quarter_alone_is_flat() {
        check([1_000, 60_000, 90_000, 90_000, 91_000, 90_000, 92_000, 90_500], [50; 8], true);
    }

    #[test]
    fn what_grows_on_is_not_flat() {
        check([10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 70_000, 80_000], [50; 8], false);
        check([90_000; 8], [50, 52, 54, 56, 58, 60, 62, 64], false);
    }
}
