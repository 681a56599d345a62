//! What clients write down, and what the checker says to it.

use std::path::Path;

use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::{PlayArgs, args::Checking};
use crate::{
    check::{self, Ledger, Settings},
    scenario::Scenario,
};

/// With more deliveries there are journals only if they are asked for: they take 30 bytes each, and time to check.
const DELIVERIES: f64 = 5e6;

/// The folder of the journals; it goes when this is dropped.
pub(super) struct Journals(TempDir);

impl Journals {
    /// If there are to be any.
    pub(super) fn wanted(args: &PlayArgs, scenario: &Scenario) -> anyhow::Result<Option<Self>> {
        let repeated = scenario.phases.iter().any(|phase| phase.repeat.is_some());
        let wanted = match args.check {
            Checking::Yes => true,
            Checking::No => false,
            Checking::Auto => !repeated && scenario.deliveries() <= DELIVERIES,
        };
        let folder = || tempfile::Builder::new().prefix("hubbub-journals-").tempdir();
        Ok(wanted.then(folder).transpose()?.map(Self))
    }

    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Holds them against one another, and against the store if one is given.
    pub(super) async fn check(self, store: Option<&str>) -> anyhow::Result<check::Report> {
        let ledger = match store {
            Some(url) => Some(Box::pin(Ledger::read(url)).await?),
            None => None,
        };
        spawn_blocking(move || check::folder(self.folder(), ledger.as_ref(), &Settings::default())).await?
    }
}
