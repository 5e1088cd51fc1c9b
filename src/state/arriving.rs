//! What may have come to the tree: messages that were about to be brought there and whose links are not recorded.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::State;
use crate::error::Result;
use crate::mail::{MailboxId, UidSet};

impl State {
    /// The messages that were to come to each mailbox of the tree when a run broke off, or left something undone there.
    pub fn arriving(&self) -> Result<BTreeMap<MailboxId, UidSet>> {
        let read = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare_cached("SELECT mailbox, uids FROM arriving")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        read().map_err(|e| self.fault(e))
    }
}

/// Writes down that messages are about to come, besides those that are on record.
pub(super) fn expect(connection: &Connection, mailbox: MailboxId, uids: &UidSet) -> rusqlite::Result<()> {
    let mut recorded = connection.prepare_cached("SELECT uids FROM arriving WHERE mailbox = ?1")?;
    let recorded: Option<UidSet> = recorded.query_row([mailbox], |row| row.get(0)).optional()?;
    let all = UidSet::union(recorded.iter().chain([uids]));
    // The empty set has no text.
    if !all.is_empty() {
        let mut write = connection.prepare_cached("INSERT OR REPLACE INTO arriving (mailbox, uids) VALUES (?1, ?2)")?;
        write.execute(params![mailbox, all])?;
    }
    Ok(())
}

/// Drops what was to come to a mailbox.
pub(super) fn drop(connection: &Connection, mailbox: MailboxId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM arriving WHERE mailbox = ?1")?.execute([mailbox])?;
    Ok(())
}
