//! What may have happened: messages that were about to be brought to the server and whose outcome is not recorded.

use rusqlite::{Connection, params};

use super::{State, columns, fault};
use crate::error::Result;
use crate::mail::{Content, FileId, Intent, MailboxId, UnixSeconds};

impl State {
    /// When the last APPENDs were begun; `None` before the first.
    pub fn sending_since(&self) -> Result<Option<UnixSeconds>> {
        let read = self.connection.query_row("SELECT sending_since FROM account", [], |row| row.get(0));
        read.map_err(|e| self.fault(e))
    }

    /// Writes down, durably, that APPENDs begin now.
    pub fn begin_sending(&mut self, now: UnixSeconds) -> Result<()> {
        let write = || self.connection.execute("UPDATE account SET sending_since = ?1", [now]);
        fault::point().and_then(|()| write()).map(drop).map_err(|e| self.fault(e))
    }

    /// The unsettled intents of a mailbox, by file.
    pub fn intents(&self, mailbox: MailboxId) -> Result<Vec<Intent>> {
        let read = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare_cached(
                "SELECT file, digest, size, message_id, uid_next, flags, keywords FROM intent WHERE mailbox = ?1 ORDER BY file",
            )?;
            let rows = statement.query_map([mailbox], |row| {
                let content = Content {
                    digest: row.get(1)?,
                    wire_size: row.get::<_, i64>(2)?.cast_unsigned(),
                    message_id: row.get(3)?,
                };
                let flags = columns::flags(row.get(5)?, row.get_ref(6)?.as_str_or_null()?);
                Ok(Intent { mailbox, file: row.get(0)?, content, uid_next: row.get(4)?, flags })
            })?;
            rows.collect()
        };
        read().map_err(|e| self.fault(e))
    }
}

/// Writes an intent, or puts it in the place of the file's older one: who sends again has looked for the message before.
pub(super) fn intend(connection: &Connection, intent: &Intent) -> rusqlite::Result<()> {
    let Intent { mailbox, file, content, uid_next, flags } = intent;
    let mut statement = connection.prepare_cached(
        "INSERT INTO intent (mailbox, file, digest, size, message_id, uid_next, flags, keywords)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET digest = excluded.digest, size = excluded.size, message_id = excluded.message_id,
            uid_next = excluded.uid_next, flags = excluded.flags, keywords = excluded.keywords",
    )?;
    let size = content.wire_size.cast_signed();
    let keywords = columns::keywords(flags);
    statement.execute(params![
        mailbox,
        file,
        content.digest,
        size,
        content.message_id,
        uid_next,
        flags.system,
        keywords
    ])?;
    Ok(())
}

/// Drops an intent.
pub(super) fn settle(connection: &Connection, mailbox: MailboxId, file: &FileId) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM intent WHERE mailbox = ?1 AND file = ?2")?;
    statement.execute(params![mailbox, file])?;
    Ok(())
}
