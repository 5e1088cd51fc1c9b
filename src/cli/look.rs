//! What `status`, `mailboxes` and `check` share: they look and print, and change nothing.

use super::Global;
use super::target::{Chosen, Target};
use crate::error::Result;
use crate::report::{Format, Output, Run};
use crate::stop::Stop;

/// The arguments of a command that looks.
#[derive(Debug, clap::Args)]
pub(super) struct Look {
    #[command(flatten)]
    target: Target,

    /// Print NDJSON, one object a line, for programs
    #[arg(long)]
    json: bool,
}

/// What a command that looks starts from.
pub(super) struct Looking {
    /// The accounts.
    pub(super) chosen: Chosen,
    /// What ends it early.
    pub(super) stop: Stop,
    /// For whom it prints.
    pub(super) format: Format,
}

impl Look {
    /// Finds the accounts and takes the signals.
    ///
    /// # Errors
    /// Whatever choosing the accounts gives.
    pub(super) fn begin(&self, global: &Global) -> Result<Looking> {
        let chosen = self.target.choose(global)?;
        Ok(Looking { chosen, stop: super::signal::stop(None)?, format: super::format(self.json) })
    }
}

impl Looking {
    /// How a plan that is only looked at is reported.
    pub(super) fn output(&self, global: &Global) -> Output {
        Output { format: self.format, verbosity: global.verbosity(), run: Run::Dry, again: self.chosen.again.clone() }
    }
}
