//! What other accounts delivered into the same mailbox (`dedup`): octet for octet the same is one message, and each file
//! is one of ours only once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::Result;
use crate::local::Folder;
use crate::mail::{AccountId, Digest, FileId};
use crate::maildrop::Known;
use crate::state::State;

/// What other accounts have delivered into the same mailbox.
pub(super) struct Others<'a> {
    dir: &'a Path,
    own: AccountId,
    /// The accounts whose files are there now.
    here: BTreeSet<AccountId>,
    /// Files that messages of this account are already.
    used: BTreeSet<FileId>,
    /// Their states, as far as they were needed; `None` where there is none.
    states: BTreeMap<AccountId, Option<State>>,
}

impl<'a> Others<'a> {
    /// The other accounts' states are in `dir`; `known` are the messages of our own account.
    pub(super) fn new(dir: &'a Path, own: AccountId, known: &Known) -> Self {
        let used = known.values().filter_map(|message| Some(message.local.file()?.file.clone())).collect();
        Others { dir, own, here: BTreeSet::new(), used, states: BTreeMap::new() }
    }

    /// Looks who has files in the mailbox.
    pub(super) fn look(&mut self, folder: &Folder) -> Result<()> {
        self.here = folder.accounts()?;
        self.here.remove(&self.own);
        Ok(())
    }

    /// A file with this content that another account delivered, that is there, and that no message of ours is yet: N in,
    /// N out.
    pub(super) fn file_with(&mut self, folder: &Folder, digest: &Digest) -> Result<Option<FileId>> {
        for account in &self.here {
            if !self.states.contains_key(account) {
                self.states.insert(*account, State::find(self.dir, *account)?);
            }
            let Some(Some(state)) = self.states.get(account) else { continue };
            let mut files = state.files_with(digest)?;
            files.retain(|file| !self.used.contains(file));
            let there = folder.still_there(&files)?;
            if let Some(file) = there.into_iter().next() {
                self.used.insert(file.clone());
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// A file is one of ours now.
    pub(super) fn take(&mut self, file: &FileId) {
        self.used.insert(file.clone());
    }
}
