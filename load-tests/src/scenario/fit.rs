//! Making a scenario larger, smaller, longer or shorter.

use super::Scenario;

/// What is to be other than the scenario says.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The most connections.
    pub connections: Option<u32>,
    /// The highest rate of what is written, a second.
    pub messages_per_second: Option<f64>,
    /// How long all phases take together, in seconds.
    pub seconds: Option<f64>,
}

impl Scenario {
    /// Brings the scenario to another size; what is given decides, all else keeps its proportion to it. Messages keep
    /// their number when only connections change.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded, and a count"
    )]
    pub fn fitted(mut self, fit: Fit) -> Self {
        let most = self.most_connections();
        if let (Some(wanted), true) = (fit.connections, most > 0) {
            let factor = f64::from(wanted) / f64::from(most);
            for connections in self
                .phases
                .iter_mut()
                .filter_map(|phase| phase.connections.as_mut())
            {
                *connections = (f64::from(*connections) * factor).round() as u32;
            }
        }
        let rates = self.phases.iter().map(|phase| phase.messages_per_second);
        let highest = rates.map(|rate| rate.from.max(rate.to)).fold(0.0, f64::max);
        if let (Some(wanted), true) = (fit.messages_per_second, highest > 0.0) {
            for phase in &mut self.phases {
                phase.messages_per_second = phase.messages_per_second.times(wanted / highest);
            }
        }
        if let Some(wanted) = fit.seconds {
            let factor = wanted / self.seconds();
            for phase in &mut self.phases {
                phase.seconds *= factor;
            }
        }
        self
    }
}
