//! Medians, quantiles, and the confidence interval of a ratio.

/// A sample of measurements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Adds a measurement.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which `share` (0 to 1) of the measurements lie, by linear interpolation.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        #[expect(clippy::cast_precision_loss, reason = "samples are small")]
        let place = share * last as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "place is within the sample"
        )]
        let below = place.floor() as usize;
        let above = (below + 1).min(last);
        sorted[below] + (sorted[above] - sorted[below]) * place.fract()
    }

    /// The median.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The largest measurement.
    pub(crate) fn worst(&self) -> f64 {
        self.quantile(1.0)
    }
}

/// A ratio with its 95 % confidence interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    /// The median of the pairs' ratios.
    pub(crate) median: f64,
    /// Lower end of the interval.
    pub(crate) low: f64,
    /// Upper end of the interval.
    pub(crate) high: f64,
}

/// The ratio `with / without` of paired measurements. The median and its interval by ranks, which assume nothing of how
/// the ratios are spread: on a shared machine some pairs are far off, and a mean follows them.
pub(crate) fn ratio(without: &Sample, with: &Sample) -> Ratio {
    let mut ratios: Vec<f64> = without.0.iter().zip(&with.0).map(|(a, b)| b / a).collect();
    ratios.sort_by(f64::total_cmp);
    let rank = rank(ratios.len());
    let [low, high] = match rank.checked_sub(1) {
        Some(at) => [ratios[at], ratios[ratios.len() - rank]],
        // Too few for an interval.
        None => [f64::NAN; 2],
    };
    Ratio { median: Sample(ratios).median(), low, high }
}

/// The largest rank k such that the k-th smallest and the k-th largest of `count` values enclose the median with a
/// probability of at least 95 %: fewer than k values lie on one side of it with a probability of at most 2.5 %, by the
/// binomial distribution.
fn rank(count: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "samples are small")]
    let mut probability = 0.5_f64.powi(count as i32);
    let mut below = 0.0;
    let mut rank = 0;
    while rank < count / 2 && below + probability <= 0.025 {
        below += probability;
        #[expect(clippy::cast_precision_loss, reason = "samples are small")]
        let (more, given) = ((count - rank) as f64, (rank + 1) as f64);
        probability *= more / given;
        rank += 1;
    }
    rank
}
