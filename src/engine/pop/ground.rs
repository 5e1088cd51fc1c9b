//! The ground a run stands on: the tree with the account's marker in it, and the state.
//!
//! As with an IMAP account both count the runs that changed something; but here the tree may be another account's, so
//! the marker is the account's own, and names its login: whoever lost the state is known by it.

use crate::config::Pop3Account;
use crate::engine::{Job, Mode};
use crate::error::Result;
use crate::local::{Expected, Marker, Opened, Store};
use crate::mail::{AccountId, Generation};
use crate::reconcile::view::TreeAge;
use crate::state::State;

/// Tree and state of an account.
pub(super) struct Ground {
    /// The account's id.
    pub id: AccountId,
    /// The tree; `None` when a dry run finds none.
    pub store: Option<Store>,
    /// The state; `None` when a dry run finds none.
    pub state: Option<State>,
    /// Whether the tree is the one that the last run left.
    pub age: TreeAge,
    /// Whether the state was there.
    pub memory: Memory,
    login: String,
}

/// Whether there was a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// There was.
    Kept,
    /// There was none, and there is a marker: it was lost.
    Lost,
    /// Neither: the account is new.
    New,
}

impl Ground {
    /// Opens both; makes what a first run lacks, unless it is a dry run.
    pub(super) fn enter(job: &Job<'_, Pop3Account>) -> Result<Ground> {
        match job.mode {
            Mode::Sync => Ground::make(job),
            Mode::DryRun => Ground::look(job),
        }
    }

    fn make(job: &Job<'_, Pop3Account>) -> Result<Ground> {
        let account = job.account;
        let login = account.login();
        let known = State::open(&job.state_dir, &account.name)?;
        let expected = known.as_ref().map_or(Expected::First, |state| Expected::Known(state.account_id()));
        let Opened { store, marker } = Store::open_for_maildrop(&account.local, &login, expected)?;
        let memory = memory(known.as_ref(), marker);
        let (id, state) = match (known, marker) {
            (Some(state), _) => (state.account_id(), state),
            (None, Marker::Present(id)) => (id, State::create(&job.state_dir, &account.name, id)?),
            (None, Marker::Absent) => {
                let id = AccountId(fastrand::u32(..));
                store.mark_maildrop(id, &login, Generation::default())?;
                (id, State::create(&job.state_dir, &account.name, id)?)
            }
        };
        if !store.mailboxes()?.contains_key(&account.mailbox) {
            store.create_mailbox(&account.mailbox)?;
        }
        let age = age(id, Some(&store), Some(&state), memory)?;
        Ok(Ground { id, store: Some(store), state: Some(state), age, memory, login })
    }

    fn look(job: &Job<'_, Pop3Account>) -> Result<Ground> {
        let account = job.account;
        let login = account.login();
        let state = State::open_read_only(&job.state_dir, &account.name)?;
        let expected = state.as_ref().map_or(Expected::First, |state| Expected::Known(state.account_id()));
        let opened = Store::look_for_maildrop(&account.local, &login, expected)?;
        let marker = opened.as_ref().map_or(Marker::Absent, |o| o.marker);
        let memory = memory(state.as_ref(), marker);
        let id = match (&state, marker) {
            (Some(state), _) => state.account_id(),
            (None, Marker::Present(id)) => id,
            (None, Marker::Absent) => AccountId(0),
        };
        let store = opened.map(|o| o.store);
        let age = age(id, store.as_ref(), state.as_ref(), memory)?;
        Ok(Ground { id, store, state, age, memory, login })
    }

    /// Counts a run that changed something.
    pub(super) fn count(&mut self) -> Result<()> {
        let (Some(store), Some(state)) = (&self.store, &mut self.state) else { return Ok(()) };
        let next = state.generation()?.after(store.maildrop_generation(self.id)?.unwrap_or_default());
        store.mark_maildrop(self.id, &self.login, next)?;
        state.set_generation(next)
    }
}

fn memory(state: Option<&State>, marker: Marker) -> Memory {
    match (state, marker) {
        (Some(_), _) => Memory::Kept,
        (None, Marker::Present(_)) => Memory::Lost,
        (None, Marker::Absent) => Memory::New,
    }
}

/// Compares what tree and state count.
fn age(id: AccountId, store: Option<&Store>, state: Option<&State>, memory: Memory) -> Result<TreeAge> {
    let (Some(store), Some(state), Memory::Kept) = (store, state, memory) else { return Ok(TreeAge::AsLeft) };
    let (Some(Generation(tree)), Generation(known)) = (store.maildrop_generation(id)?, state.generation()?) else {
        return Ok(TreeAge::AsLeft);
    };
    let as_left = tree == known || tree == known.saturating_add(1);
    Ok(if as_left { TreeAge::AsLeft } else { TreeAge::Older })
}
