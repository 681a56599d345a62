//! From values to places in a picture.

/// One axis: values from one end to the other, places in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    values: (f64, f64),
    places: (f64, f64),
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Linear,
    /// By powers of ten.
    Log,
}

impl Scale {
    /// From 0 to a round value at or above `most`, or exactly to `most`.
    pub(super) fn linear(most: f64, places: (f64, f64), round: bool) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let end = if round {
            (most / step(most)).ceil() * step(most)
        } else {
            most
        };
        Self {
            values: (0.0, end),
            places,
            kind: Kind::Linear,
        }
    }

    /// From the power of ten at or below `least` to the one at or above `most`; both above 0.
    pub(super) fn log(least: f64, most: f64, places: (f64, f64)) -> Self {
        let low = least.max(1e-6).log10().floor();
        let high = most.max(1e-6).log10().ceil().max(low + 1.0);
        Self {
            values: (10_f64.powf(low), 10_f64.powf(high)),
            places,
            kind: Kind::Log,
        }
    }

    /// Where a value is. What lies outside is put to the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let (from, to) = self.values;
        let part = match self.kind {
            Kind::Linear => (value - from) / (to - from),
            Kind::Log => (value.max(f64::MIN_POSITIVE) / from).ln() / (to / from).ln(),
        };
        self.places.0 + part.clamp(0.0, 1.0) * (self.places.1 - self.places.0)
    }

    /// Values to be written at the axis.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let (from, to) = self.values;
        match self.kind {
            Kind::Linear => {
                let step = step(to);
                let mut ticks = vec![from];
                while ticks.last().is_some_and(|last| last + step <= to * 1.000_001) {
                    ticks.push(step * f64::from(u16::try_from(ticks.len()).unwrap_or(u16::MAX)));
                }
                ticks
            }
            Kind::Log => {
                let mut ticks = vec![from];
                while let Some(last) = ticks.last().filter(|last| **last * 10.0 <= to * 1.000_001) {
                    ticks.push(last * 10.0);
                }
                ticks
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten: between three and six of them are `most`.
fn step(most: f64) -> f64 {
    let rough = most / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let fits = steps.into_iter().find(|step| step * power >= rough * 0.999_999);
    fits.unwrap_or(10.0) * power
}

/// Times to be written below a chart, in seconds, about as many as asked for.
pub(super) fn times(seconds: f64, wanted: f64) -> Vec<f64> {
    const STEPS: [f64; 14] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
    ];
    let rough = seconds / wanted;
    let step = STEPS.into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or_else(|| (rough / 7200.0).ceil() * 7200.0);
    let mut times = vec![0.0];
    while times.last().is_some_and(|last| last + step <= seconds) {
        times.push(times.last().copied().unwrap_or_default() + step);
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_end_at_round_values() {
        let scale = Scale::linear(4321.0, (100.0, 0.0), true);
        assert_eq!(scale.ticks(), [0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0]);
        assert!((scale.place(2500.0) - 50.0).abs() < 1e-9);
        assert!((scale.place(9e9) - 0.0).abs() < 1e-9);
        assert_eq!(Scale::linear(0.0, (0.0, 1.0), true).ticks().last(), Some(&1.0));
    }

    #[test]
    fn log_axes_go_by_powers_of_ten() {
        let scale = Scale::log(0.3, 20.0, (0.0, 300.0));
        let ticks = scale.ticks();
        assert_eq!(ticks.len(), 4, "{ticks:?}");
        for (tick, place) in ticks.iter().zip([0.0, 100.0, 200.0, 300.0]) {
            assert!((scale.place(*tick) - place).abs() < 1e-6, "{tick}");
        }
        assert_eq!(Scale::log(1.0, 1.0, (0.0, 1.0)).ticks().len(), 2);
    }

    #[test]
    fn times_are_whole_steps() {
        assert_eq!(times(300.0, 6.0), [0.0, 60.0, 120.0, 180.0, 240.0, 300.0]);
        assert_eq!(times(0.0, 6.0), [0.0]);
        assert_eq!(times(7.5, 6.0), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(times(60_000.0, 6.0).len(), 5);
    }
}
