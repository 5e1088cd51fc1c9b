//! Under which settings the base came about.
//!
//! * What one policy leaves alone, another has to see; so with other settings no mailbox counts as unchanged.
//! * At another server, or as another user there, nothing that is known means anything: neither UIDs, nor that a mailbox is
//!   not there.
//! * While the configuration leaves a mailbox out, nobody keeps its two sides the same: what is missing on one of them when
//!   it takes part again was not deleted.

use super::State;
use crate::error::Result;
use crate::mail::{BaseMailbox, Fact, LocalCheckpoint, MailboxName};

impl State {
    /// Whether the checkpoints were made under `policy`, whose words mean nothing here.
    pub fn was_checked_under(&self, policy: &str) -> Result<bool> {
        Ok(self.setting("SELECT policy FROM account")?.as_deref() == Some(policy))
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
        self.record_and(&facts, |connection| connection.execute("UPDATE account SET policy = ?1", [policy]).map(drop))
    }

    /// Whether what is known is about another `server`, the words of which mean nothing here.
    pub fn is_of_another(&self, server: &str) -> Result<bool> {
        Ok(self.setting("SELECT server FROM account")?.is_some_and(|known| known != server))
    }

    /// Has everything be about `server` from now on; what was known of another one is dropped.
    pub fn turn_to(&mut self, server: &str) -> Result<()> {
        let known = self.setting("SELECT server FROM account")?;
        if known.as_deref() == Some(server) {
            return Ok(());
        }
        let reset = |mailbox: BaseMailbox| Fact::MailboxReset(mailbox.id);
        let facts = match known {
            Some(_) => self.base(&|_| true)?.into_values().map(reset).collect(),
            None => Vec::new(),
        };
        self.record_and(&facts, |connection| connection.execute("UPDATE account SET server = ?1", [server]).map(drop))
    }

    /// Marks mailboxes that the configuration leaves out, unless they are marked.
    pub fn leave_out(&mut self, is_left_out: &dyn Fn(&MailboxName) -> bool) -> Result<()> {
        let unmarked = |mailbox: &BaseMailbox| !mailbox.was_left_out() && !mailbox.is_older();
        let left_out =
            self.base(is_left_out)?.into_values().filter(|mailbox| unmarked(mailbox) && mailbox.messages() > 0);
        let facts: Vec<Fact> =
            left_out.map(|mailbox| Fact::LocalChecked(mailbox.id, LocalCheckpoint::LEFT_OUT)).collect();
        if facts.is_empty() { Ok(()) } else { self.record(&facts) }
    }

    fn setting(&self, query: &str) -> Result<Option<String>> {
        self.connection.query_row(query, [], |row| row.get(0)).map_err(|e| self.fault(e))
    }
}
