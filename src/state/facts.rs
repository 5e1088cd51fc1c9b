//! Facts in: one transaction a batch, applied in their order.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{State, arriving, columns, fault, intents};
use crate::error::Result;
use crate::mail::{Fact, Link, LocalCheckpoint, MailboxId, RemoteCheckpoint};

impl State {
    /// Records facts: all of them, durably, or none.
    ///
    /// Facts about messages without a link change nothing. A [`Fact::Linked`], an [`Fact::Intended`] or a checkpoint
    /// for a mailbox that is not known is an error, as is anything that SQLite reports (kind
    /// [`crate::error::Kind::State`]).
    pub fn record(&mut self, facts: &[Fact]) -> Result<()> {
        if facts.is_empty() { Ok(()) } else { self.record_and(facts, |_| Ok(())) }
    }

    /// Records facts and does what `then` does, in one transaction.
    pub(super) fn record_and(
        &mut self,
        facts: &[Fact],
        then: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<()> {
        let record = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut batch = Batch { connection: &transaction, growth: BTreeMap::new(), has_nameless: false };
            facts.iter().try_for_each(|fact| batch.apply(fact))?;
            batch.forget_nameless()?;
            batch.count()?;
            then(&transaction)?;
            fault::commit(transaction)
        };
        record(&mut self.connection).map_err(|e| fault::sqlite(&self.path, e))
    }
}

/// A batch that is being applied.
struct Batch<'a> {
    connection: &'a Connection,
    /// By how much the number of a mailbox's links has changed, and `mailbox.links` has not yet.
    growth: BTreeMap<MailboxId, i64>,
    /// Whether the name of a mailbox was given to another.
    has_nameless: bool,
}

impl Batch<'_> {
    fn apply(&mut self, fact: &Fact) -> rusqlite::Result<()> {
        match fact {
            Fact::MailboxKnown { id, name } => {
                self.run("INSERT INTO mailbox (id, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![id, name])?;
            }
            Fact::MailboxRenamed(id, name) => {
                // Two that swap their names have the same one in between.
                let aside = "UPDATE mailbox SET name = char(1) || id WHERE name = ?2 AND id <> ?1";
                self.has_nameless |= self.run(aside, params![id, name])? > 0;
                must_exist(self.run("UPDATE mailbox SET name = ?2 WHERE id = ?1", params![id, name])?)?;
            }
            Fact::MailboxForgotten(id) => {
                self.empty(*id)?;
                self.run("DELETE FROM mailbox WHERE id = ?1", [id])?;
            }
            Fact::MailboxReset(id) => {
                self.empty(*id)?;
                self.run(
                    "UPDATE mailbox SET links = 0, uid_validity = NULL, uid_next = NULL, highest_modseq = NULL,
                        messages = NULL, permanent_flags = NULL, permanent_keywords = NULL, any_keyword = NULL,
                        object_id = NULL, new_mtime = NULL, cur_mtime = NULL, inode = NULL
                     WHERE id = ?1",
                    [id],
                )?;
            }
            Fact::Linked(id, link) => self.link(*id, link)?,
            Fact::Renamed(id, uid, file) => {
                self.run("UPDATE link SET file = ?3 WHERE mailbox = ?1 AND uid = ?2", params![id, uid, file])?;
            }
            Fact::FlagsAgreed(id, uid, flags) => {
                self.run(
                    "UPDATE link SET flags = ?3, keywords = ?4 WHERE mailbox = ?1 AND uid = ?2",
                    params![id, uid, flags.system, columns::keywords(flags)],
                )?;
            }
            Fact::PresenceChanged(id, uid, presence, flags) => {
                self.run(
                    "UPDATE link SET presence = ?3, flags = ?4, keywords = ?5 WHERE mailbox = ?1 AND uid = ?2",
                    params![id, uid, presence, flags.system, columns::keywords(flags)],
                )?;
            }
            Fact::Unlinked(id, uids) => {
                for (first, last) in uids.ranges() {
                    let gone = self.run(
                        "DELETE FROM link WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3",
                        params![id, first, last],
                    )?;
                    *self.growth.entry(*id).or_default() -= gone;
                }
            }
            Fact::RemoteChecked(id, checkpoint) => self.remote_checked(*id, checkpoint)?,
            Fact::LocalChecked(id, checkpoint) => self.local_checked(*id, *checkpoint)?,
            Fact::Intended(intent) => intents::intend(self.connection, intent)?,
            Fact::Settled(id, file) => intents::settle(self.connection, *id, file)?,
            Fact::Arriving(id, uids) => arriving::expect(self.connection, *id, uids)?,
            Fact::Arrived(id) => arriving::drop(self.connection, *id)?,
        }
        Ok(())
    }

    /// Forgets mailboxes whose name another one has got, and which have got none: what is in them is matched anew.
    fn forget_nameless(&mut self) -> rusqlite::Result<()> {
        if !self.has_nameless {
            return Ok(());
        }
        let mut nameless = self.connection.prepare_cached("SELECT id FROM mailbox WHERE name = char(1) || id")?;
        let ids: Vec<MailboxId> = nameless.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        ids.into_iter().try_for_each(|id| self.apply(&Fact::MailboxForgotten(id)))
    }

    /// Runs a statement and tells how many rows it changed.
    fn run(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<i64> {
        let rows = self.connection.prepare_cached(sql)?.execute(params)?;
        Ok(rows.try_into().unwrap_or(i64::MAX))
    }

    /// Puts a link in, or in the place of one with the same UID.
    fn link(&mut self, id: MailboxId, link: &Link) -> rusqlite::Result<()> {
        let keywords = columns::keywords(&link.flags);
        let row = params![
            id,
            link.uid,
            link.file,
            link.presence,
            link.flags.system,
            keywords,
            link.size.cast_signed(),
            link.digest,
            link.message_id,
            link.internal_date,
            link.email_id,
        ];
        // Inserted or not: what is counted depends on it, and nearly all are new.
        let new = self.run(
            "INSERT INTO link (mailbox, uid, file, presence, flags, keywords, size, digest, message_id, internal_date,
                email_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
            row,
        )?;
        *self.growth.entry(id).or_default() += new;
        if new == 0 {
            self.run(
                "UPDATE link SET file = ?3, presence = ?4, flags = ?5, keywords = ?6, size = ?7, digest = ?8,
                    message_id = ?9, internal_date = ?10, email_id = ?11
                 WHERE mailbox = ?1 AND uid = ?2",
                row,
            )?;
        }
        Ok(())
    }

    fn remote_checked(&self, id: MailboxId, checkpoint: &RemoteCheckpoint) -> rusqlite::Result<()> {
        let RemoteCheckpoint { uid_validity, uid_next, highest_modseq, messages, permanent, object_id } = checkpoint;
        let rows = self.run(
            "UPDATE mailbox SET uid_validity = ?2, uid_next = ?3, highest_modseq = ?4, messages = ?5,
                permanent_flags = ?6, permanent_keywords = ?7, any_keyword = ?8, object_id = ?9
             WHERE id = ?1",
            params![
                id,
                uid_validity,
                uid_next,
                highest_modseq,
                messages,
                permanent.named.system,
                columns::keywords(&permanent.named),
                permanent.any_keyword,
                object_id,
            ],
        )?;
        must_exist(rows)
    }

    fn local_checked(&self, id: MailboxId, checkpoint: LocalCheckpoint) -> rusqlite::Result<()> {
        let LocalCheckpoint { new_time, cur_time, inode } = checkpoint;
        let rows = self.run(
            "UPDATE mailbox SET new_mtime = ?2, cur_mtime = ?3, inode = ?4 WHERE id = ?1",
            params![id, new_time, cur_time, inode.cast_signed()],
        )?;
        must_exist(rows)
    }

    /// Drops what depends on the mailbox's UIDs.
    fn empty(&mut self, id: MailboxId) -> rusqlite::Result<()> {
        self.growth.remove(&id);
        self.run("DELETE FROM link WHERE mailbox = ?1", [id])?;
        self.run("DELETE FROM intent WHERE mailbox = ?1", [id])?;
        arriving::drop(self.connection, id)
    }

    /// Brings the counters up to date.
    fn count(&self) -> rusqlite::Result<()> {
        for (id, growth) in self.growth.iter().filter(|(_, growth)| **growth != 0) {
            self.run("UPDATE mailbox SET links = links + ?2 WHERE id = ?1", params![id, growth])?;
        }
        Ok(())
    }
}

fn must_exist(rows: i64) -> rusqlite::Result<()> {
    if rows == 0 { Err(rusqlite::Error::StatementChangedRows(0)) } else { Ok(()) }
}
