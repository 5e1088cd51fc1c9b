//! The ground a run stands on: the tree and the state, and that they belong together.
//!
//! The tree's marker carries the account's id and is written before the state is made; so a crash in between looks like
//! a lost state, which costs nothing, and never like a foreign tree.

use super::{Job, Mode};
use crate::config::ImapAccount;
use crate::error::Result;
use crate::local::{Expected, Marker, Opened, Store};
use crate::mail::AccountId;
use crate::state::State;

/// Tree and state of an account.
pub struct Ground {
    /// The account's id.
    pub id: AccountId,
    /// The tree; `None` when a dry run finds none.
    pub store: Option<Store>,
    /// The state; `None` when a dry run finds none.
    pub state: Option<State>,
}

impl Ground {
    /// Opens both; makes what a first run lacks, unless it is a dry run.
    pub fn enter(job: &Job<'_, ImapAccount>) -> Result<Ground> {
        match job.mode {
            Mode::Sync => Ground::make(job),
            Mode::DryRun => Ground::look(job),
        }
    }

    fn make(job: &Job<'_, ImapAccount>) -> Result<Ground> {
        let name = &job.account.name;
        let known = State::open(&job.state_dir, name)?;
        let expected = known.as_ref().map_or(Expected::First, |state| Expected::Known(state.account_id()));
        let Opened { store, marker } = Store::open(&job.account.local, expected)?;
        store.take()?;
        let id = match (&known, marker) {
            (Some(state), _) => state.account_id(),
            (None, Marker::Present(id)) => id,
            (None, Marker::Absent) => {
                let id = AccountId(fastrand::u32(..));
                store.write_marker(id)?;
                id
            }
        };
        let state = match known {
            Some(state) => state,
            None => State::create(&job.state_dir, name, id)?,
        };
        Ok(Ground { id, store: Some(store), state: Some(state) })
    }

    fn look(job: &Job<'_, ImapAccount>) -> Result<Ground> {
        let state = State::open_read_only(&job.state_dir, &job.account.name)?;
        let expected = match &state {
            Some(state) => Expected::Known(state.account_id()),
            None => Expected::First,
        };
        let opened = Store::open_existing(&job.account.local, expected)?;
        let marked = opened.as_ref().and_then(|o| match o.marker {
            Marker::Present(id) => Some(id),
            Marker::Absent => None,
        });
        let id = state.as_ref().map(State::account_id).or(marked).unwrap_or(AccountId(0));
        Ok(Ground { id, store: opened.map(|o| o.store), state })
    }
}
