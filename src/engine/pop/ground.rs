//! The ground a run stands on: the tree with the account's marker in it, and the state.
//!
//! As with an IMAP account both count the runs that changed something, the tree first; but here the tree may be another
//! account's, so the marker is the account's own, and names its login: whoever lost the state is known by it. A run is
//! counted before it changes anything and when it has: so a copy of the tree, or of the state, that was made meanwhile
//! is noticed as well.

use crate::config::Pop3Account;
use crate::engine::{Job, Mode};
use crate::error::Result;
use crate::local::{Directory, Expected, Marker, Opened, Store};
use crate::mail::{AccountId, Generation, Serial};
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
    /// What the state is worth.
    pub memory: Memory,
    login: String,
}

/// Whether there was a state, and what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// It counts as many runs as the tree.
    Kept,
    /// It counts otherwise than the tree: one of them is an older copy, or a run broke off between the two counts.
    Other,
    /// There was none, and there is a marker: it was lost.
    Lost,
    /// Neither: the account is new.
    New,
}

impl Ground {
    /// Opens both; makes what a first run lacks, unless it is a dry run. Before it makes that it `knocks` at the server:
    /// where the login is refused, nothing stays behind.
    pub(super) fn enter(job: &Job<'_, Pop3Account>, knock: &mut dyn FnMut() -> Result<()>) -> Result<Ground> {
        match job.mode {
            Mode::Sync => Ground::make(job, knock),
            Mode::DryRun => Ground::look(job),
        }
    }

    fn make(job: &Job<'_, Pop3Account>, knock: &mut dyn FnMut() -> Result<()>) -> Result<Ground> {
        let account = job.account;
        let login = account.login();
        let known = State::open(&job.state_dir, &account.name)?;
        let expected = known.as_ref().map_or(Expected::First, |state| Expected::Known(state.account_id()));
        if expected == Expected::First
            && Store::look_for_maildrop(&account.local, &login, expected)?.is_none_or(|o| o.marker == Marker::Absent)
        {
            knock()?;
        }
        let Opened { store, marker } = Store::open_for_maildrop(&account.local, &login, expected)?;
        let is_kept = known.is_some();
        let (id, state) = match (known, marker) {
            (Some(state), _) => (state.account_id(), state),
            (None, Marker::Present(id)) => (id, State::create(&job.state_dir, &account.name, id)?),
            (None, Marker::Absent) => {
                let id = AccountId(fastrand::u32(..));
                store.mark_maildrop(id, &login, Generation::default())?;
                (id, State::create(&job.state_dir, &account.name, id)?)
            }
        };
        let is_wanted = match store.mailboxes()?.get(&account.mailbox) {
            None => true,
            // Another account makes it right now, or a kill came while it was made; nothing of ours is in it.
            Some(Directory::Incomplete(_)) => state.maildrop_outline()?.0 == Serial::FIRST,
            Some(Directory::Usable | Directory::Unusable(_)) => false,
        };
        if is_wanted {
            store.create_mailbox(&account.mailbox)?;
        }
        let (age, memory) = match is_kept {
            true => compare(id, Some(&store), &state)?,
            false => (TreeAge::AsLeft, without_state(marker)),
        };
        Ok(Ground { id, store: Some(store), state: Some(state), age, memory, login })
    }

    /// Opens what there is, and makes nothing.
    pub(super) fn look(job: &Job<'_, Pop3Account>) -> Result<Ground> {
        let account = job.account;
        let login = account.login();
        let state = State::open_read_only(&job.state_dir, &account.name)?;
        let expected = state.as_ref().map_or(Expected::First, |state| Expected::Known(state.account_id()));
        let opened = Store::look_for_maildrop(&account.local, &login, expected)?;
        let marker = opened.as_ref().map_or(Marker::Absent, |o| o.marker);
        let id = match (&state, marker) {
            (Some(state), _) => state.account_id(),
            (None, Marker::Present(id)) => id,
            (None, Marker::Absent) => AccountId(0),
        };
        let store = opened.map(|o| o.store);
        let (age, memory) = match &state {
            Some(state) => compare(id, store.as_ref(), state)?,
            None => (TreeAge::AsLeft, without_state(marker)),
        };
        Ok(Ground { id, store, state, age, memory, login })
    }

    /// Counts a run; then both are what they are to each other.
    pub(super) fn count(&mut self) -> Result<()> {
        let (Some(store), Some(state)) = (&self.store, &mut self.state) else { return Ok(()) };
        let next = state.generation()?.max(store.maildrop_generation(self.id)?.unwrap_or_default()).next();
        store.mark_maildrop(self.id, &self.login, next)?;
        state.set_generation(next)?;
        (self.age, self.memory) = (TreeAge::AsLeft, Memory::Kept);
        Ok(())
    }
}

fn without_state(marker: Marker) -> Memory {
    match marker {
        Marker::Present(_) => Memory::Lost,
        Marker::Absent => Memory::New,
    }
}

/// Compares what tree and state count; a tree that does not count yet is as it was left.
fn compare(id: AccountId, store: Option<&Store>, state: &State) -> Result<(TreeAge, Memory)> {
    let counted = store.map(|store| store.maildrop_generation(id)).transpose()?.flatten();
    let (Some(Generation(tree)), Generation(known)) = (counted, state.generation()?) else {
        return Ok((TreeAge::AsLeft, Memory::Kept));
    };
    let memory = if tree == known { Memory::Kept } else { Memory::Other };
    // A run that breaks off leaves the tree ahead by one.
    let as_left = tree == known || tree == known.saturating_add(1);
    Ok((if as_left { TreeAge::AsLeft } else { TreeAge::Older }, memory))
}
