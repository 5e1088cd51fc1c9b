//! The ground a run stands on: the tree and the state, and that they belong together.
//!
//! The tree's marker carries the account's id and is written before the state is made; so a crash in between looks like
//! a lost state, which costs nothing, and never like a foreign tree.
//!
//! Both also count the runs that changed something, the tree first. When the tree is behind, an older copy of it was put
//! back; when it is ahead by more than the one step that a crash leaves, an older state was. In either case what is
//! missing in the tree was not deleted by anybody. A run over either counts two steps: where a lost state was made anew, the
//! one of the last run, which is only one behind, shows when it is put back after all.

use super::{Job, Mode};
use crate::config::ImapAccount;
use crate::error::Result;
use crate::local::{Expected, Marker, Opened, Store};
use crate::mail::{AccountId, Generation};
use crate::reconcile::view::TreeAge;
use crate::state::State;

/// Tree and state of an account.
pub struct Ground {
    /// The account's id.
    pub id: AccountId,
    /// The tree; `None` when a dry run finds none.
    pub store: Option<Store>,
    /// The state; `None` when a dry run finds none.
    pub state: Option<State>,
    /// Whether the tree is the one that the last run left.
    pub age: TreeAge,
}

/// Compares what tree and state count; a tree that does not count yet is as it was left.
fn age(store: Option<&Store>, state: Option<&State>) -> Result<TreeAge> {
    let (Some(store), Some(state)) = (store, state) else { return Ok(TreeAge::AsLeft) };
    let (Some(Generation(tree)), Generation(known)) = (store.generation()?, state.generation()?) else {
        return Ok(TreeAge::AsLeft);
    };
    let as_left = tree == known || tree == known.saturating_add(1);
    Ok(if as_left { TreeAge::AsLeft } else { TreeAge::Older })
}

impl Ground {
    /// Opens both; makes what a first run lacks, unless it is a dry run. Before it makes a tree it `knocks` at the server:
    /// where the login is refused, nothing stays behind.
    pub fn enter(job: &Job<'_, ImapAccount>, knock: &dyn Fn() -> Result<()>) -> Result<Ground> {
        match job.mode {
            Mode::Sync => Ground::make(job, knock),
            Mode::DryRun => Ground::look(job),
        }
    }

    fn make(job: &Job<'_, ImapAccount>, knock: &dyn Fn() -> Result<()>) -> Result<Ground> {
        let name = &job.account.name;
        let known = State::open(&job.state_dir, name)?;
        let expected = known.as_ref().map_or(Expected::First, |state| Expected::Known(state.account_id()));
        if expected == Expected::First
            && Store::open_existing(&job.account.local, expected)?.is_none_or(|o| o.marker == Marker::Absent)
        {
            knock()?;
        }
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
        let age = age(Some(&store), Some(&state))?;
        Ok(Ground { id, store: Some(store), state: Some(state), age })
    }

    /// Counts a run that changed something.
    pub fn count(&mut self) -> Result<()> {
        let (Some(store), Some(state)) = (&self.store, &mut self.state) else { return Ok(()) };
        let last = state.generation()?.max(store.generation()?.unwrap_or_default());
        let next = if self.age == TreeAge::Older { last.next().next() } else { last.next() };
        store.mark(self.id, next)?;
        state.set_generation(next)
    }

    /// Opens what there is, and makes nothing.
    pub fn look(job: &Job<'_, ImapAccount>) -> Result<Ground> {
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
        let store = opened.map(|o| o.store);
        let age = age(store.as_ref(), state.as_ref())?;
        Ok(Ground { id, store, state, age })
    }
}
