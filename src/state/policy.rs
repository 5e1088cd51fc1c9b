//! Under which settings the checkpoints were made. What one policy leaves alone, another has to see; so with other
//! settings no mailbox counts as unchanged.

use super::State;
use crate::error::Result;
use crate::mail::{BaseMailbox, Fact};

impl State {
    /// Whether the checkpoints were made under `policy`, whose words mean nothing here.
    pub fn was_checked_under(&self, policy: &str) -> Result<bool> {
        let kept = "SELECT policy FROM account";
        let kept: rusqlite::Result<Option<String>> = self.connection.query_row(kept, [], |row| row.get(0));
        Ok(kept.map_err(|e| self.fault(e))?.as_deref() == Some(policy))
    }

    /// Has checkpoints made under `policy` from now on; those made under another one are dropped.
    pub fn check_under(&mut self, policy: &str) -> Result<()> {
        if self.was_checked_under(policy)? {
            return Ok(());
        }
        let again = |mut mailbox: BaseMailbox| {
            mailbox.look_again();
            let BaseMailbox { id, remote, local, .. } = mailbox;
            [remote.map(|c| Fact::RemoteChecked(id, c)), local.map(|c| Fact::LocalChecked(id, c))]
        };
        let facts: Vec<Fact> = self.base(&|_| true)?.into_values().flat_map(again).flatten().collect();
        self.record_and(&facts, |connection| connection.execute("UPDATE account SET policy = ?1", [policy]).map(|_| ()))
    }
}
