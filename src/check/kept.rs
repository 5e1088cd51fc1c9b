//! The state and the lock: what is kept of earlier runs.

use std::path::Path;

use super::{Finding, found, local_time};
use crate::error::{Kind, Result};
use crate::mail::AccountId;
use crate::state::{Lock, State, last_run};
use crate::stop::Stop;

/// What is known of the account's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// No run has made one yet.
    Nothing,
    /// It cannot be read.
    Unreadable,
    /// It belongs to this id.
    Account(AccountId),
}

/// Reads the state.
pub(super) fn state(dir: &Path, account: &str, put: &mut dyn FnMut(Finding)) -> Known {
    let read = State::open_read_only(dir, account).and_then(|state| {
        let Some(state) = state else { return Ok(None) };
        Ok(Some((
            state.account_id(),
            state.path().display().to_string(),
            last_run(dir, account),
            state.failures()?.len(),
        )))
    });
    let (id, path, last, failures) = match read {
        Ok(Some(known)) => known,
        Ok(None) => {
            put(Finding::ok("state", format!("None yet; the first run makes it in {}", dir.display())));
            return Known::Nothing;
        }
        Err(error) => {
            put(Finding::error("state", &error));
            return Known::Unreadable;
        }
    };
    let last = match last.and_then(|run| Some((local_time(run.ended)?, run.exit))) {
        Some((when, exit)) => format!("the last run ended {when} with exit code {exit}"),
        None => "no run has ended yet".to_owned(),
    };
    put(match failures {
        0 => Finding::ok("state", format!("{path}: account {id}; {last}")),
        n => Finding::warn(
            "state",
            format!("{path}: account {id}; {last}; {n} unresolved"),
            format!("`mailtide status {account}` shows them."),
        ),
    });
    Known::Account(id)
}

/// Tries the lock, where a run has been.
pub(super) fn lock(dir: &Path, account: &str, known: Known, stop: &Stop, put: &mut dyn FnMut(Finding)) -> Result<()> {
    if known == Known::Nothing {
        return Ok(());
    }
    match Lock::acquire(dir, account, None, stop) {
        Ok(_) => put(Finding::ok("lock", "Free")),
        // That a run goes on is no fault of anything.
        Err(error) if error.kind() == Kind::Locked => put(Finding::note("lock", error.to_string())),
        Err(error) => found("lock", error, put)?,
    }
    Ok(())
}
