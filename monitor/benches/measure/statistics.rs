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
    /// The geometric mean of the pairs' ratios.
    pub(crate) mean: f64,
    /// Lower end of the interval.
    pub(crate) low: f64,
    /// Upper end of the interval.
    pub(crate) high: f64,
}

/// The ratio `with / without` of paired measurements, by Student's t on the logarithms of the pairs' ratios.
pub(crate) fn ratio(without: &Sample, with: &Sample) -> Ratio {
    let logs: Vec<f64> = without.0.iter().zip(&with.0).map(|(a, b)| (b / a).ln()).collect();
    #[expect(clippy::cast_precision_loss, reason = "samples are small")]
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let half = student_t(logs.len().saturating_sub(1)) * (variance / count).sqrt();
    Ratio { mean: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() }
}

/// Two-sided 95 % quantile of Student's t distribution, by degrees of freedom (table values; the next lower row is
/// taken, which widens the interval).
fn student_t(freedom: usize) -> f64 {
    const ROWS: [(usize, f64); 12] = [
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (4, 2.776),
        (5, 2.571),
        (7, 2.365),
        (9, 2.262),
        (14, 2.145),
        (19, 2.093),
        (29, 2.045),
        (59, 2.001),
        (119, 1.980),
    ];
    ROWS.iter().rev().find(|(rows, _)| *rows <= freedom).map_or(f64::INFINITY, |(_, t)| *t)
}
