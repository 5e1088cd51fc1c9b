//! What an account knows of its maildrop: facts in, records out. Who is the same message is decided elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::{State, fault};
use crate::error::Result;
use crate::mail::{
    AccountId, DeliveredMessage, Digest, FileId, KnownMessage, LocalCopy, MaildropFact, Serial, ServerCopy, UnixSeconds,
};

/// Everything that is known of a maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maildrop {
    /// The messages.
    pub known: BTreeMap<Serial, KnownMessage>,
    /// The serial of the next new one.
    pub next: Serial,
    /// Whether all files that were delivered are among them.
    pub settling: Settling,
}

/// Whether what was delivered is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// All of it.
    Settled,
    /// A run broke off while it delivered: there may be files that nobody knows.
    Delivering,
}

impl State {
    /// What is known of the account's maildrop.
    pub fn maildrop(&self) -> Result<Maildrop> {
        let read = || -> rusqlite::Result<_> {
            let sql = "SELECT next_serial, delivering FROM account";
            let (next, delivering) =
                self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?)))?;
            let sql = "SELECT serial, uidl, size, first_seen, copy, since, digest, header, file FROM message
                ORDER BY serial";
            let mut statement = self.connection.prepare_cached(sql)?;
            let known = statement.query_map([], known)?.collect::<rusqlite::Result<_>>()?;
            let settling = if delivering { Settling::Delivering } else { Settling::Settled };
            Ok(Maildrop { known, next, settling })
        };
        read().map_err(|e| self.fault(e))
    }

    /// The serial of the next new message, and whether all files that were delivered are known; without reading what is.
    pub fn maildrop_outline(&self) -> Result<(Serial, Settling)> {
        let sql = "SELECT next_serial, delivering FROM account";
        let read = self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?)));
        let (next, delivering) = read.map_err(|e| self.fault(e))?;
        Ok((next, if delivering { Settling::Delivering } else { Settling::Settled }))
    }

    /// Records facts about the maildrop: all of them, durably, or none. They may be repeated.
    pub fn record_maildrop(&mut self, facts: &[MaildropFact]) -> Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        let record = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            facts.iter().try_for_each(|fact| apply(&transaction, fact))?;
            fault::commit(transaction)
        };
        record(&mut self.connection).map_err(|e| fault::sqlite(&self.path, e))
    }

    /// The files with this content that the account has in its tree, as far as they are recorded; of an account of either
    /// kind.
    pub fn files_with(&self, digest: &Digest) -> Result<Vec<FileId>> {
        let sql = "SELECT file FROM message WHERE digest = ?1 UNION
            SELECT file FROM link WHERE digest = ?1 AND presence <> 2";
        let read = || -> rusqlite::Result<_> {
            self.connection.prepare_cached(sql)?.query_map([digest], |row| row.get(0))?.collect()
        };
        read().map_err(|e| self.fault(e))
    }

    /// Opens, for looking only, the state in `dir` that belongs to `id`, whatever its account is called; `None` when
    /// there is none. Errors as [`State::open_read_only`] has them, for that state only.
    pub fn find(dir: &Path, id: AccountId) -> Result<Option<State>> {
        let Ok(entries) = std::fs::read_dir(dir) else { return Ok(None) };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_none_or(|extension| extension != "sqlite") {
                continue;
            }
            // Another account's trouble is not ours, unless it turns out to be the one.
            match State::at(&path) {
                Ok(Some(state)) if state.account_id() == id => return Ok(Some(state)),
                Ok(_) => {}
                Err(error) => log::info!("{error}"),
            }
        }
        Ok(None)
    }
}

fn apply(connection: &Connection, fact: &MaildropFact) -> rusqlite::Result<()> {
    let run = |sql: &str, params: &dyn rusqlite::ToSql| connection.prepare_cached(sql)?.execute([params]).map(drop);
    match fact {
        MaildropFact::Delivering => run("UPDATE account SET delivering = ?1", &true),
        MaildropFact::Settled => run("UPDATE account SET delivering = ?1", &false),
        MaildropFact::Forgotten(serial) => run("DELETE FROM message WHERE serial = ?1", serial),
        MaildropFact::Known(serial, known) => put(connection, *serial, known),
    }
}

fn put(connection: &Connection, serial: Serial, known: &KnownMessage) -> rusqlite::Result<()> {
    let KnownMessage { uidl, size, first_seen, local, copy } = known;
    let (copy, since) = match copy {
        ServerCopy::Listed => (0, None),
        ServerCopy::Unknown => (1, None),
        ServerCopy::Absent(since) => (2, Some(*since)),
        ServerCopy::Deleted(since) => (3, Some(*since)),
    };
    let elsewhere = FileId::new("");
    let (digest, header, file) = match local {
        LocalCopy::None => (None, None, None),
        LocalCopy::Elsewhere => (None, None, Some(&elsewhere)),
        LocalCopy::File(DeliveredMessage { digest, header, file }) => (Some(digest), *header, Some(file)),
    };
    let size = size.cast_signed();
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO message (serial, uidl, size, first_seen, copy, since, digest, header, file)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute(params![serial, uidl, size, first_seen, copy, since, digest, header, file])?;
    // A serial is never used twice, also after its message was forgotten.
    let sql = "UPDATE account SET next_serial = max(next_serial, ?1)";
    connection.prepare_cached(sql)?.execute([serial.next()])?;
    Ok(())
}

fn known(row: &Row<'_>) -> rusqlite::Result<(Serial, KnownMessage)> {
    let since: Option<UnixSeconds> = row.get(5)?;
    let copy = match (row.get::<_, u8>(4)?, since) {
        (0, None) => ServerCopy::Listed,
        (1, None) => ServerCopy::Unknown,
        (2, Some(since)) => ServerCopy::Absent(since),
        (3, Some(since)) => ServerCopy::Deleted(since),
        (n, _) => return Err(rusqlite::Error::IntegralValueOutOfRange(4, n.into())),
    };
    let local = match (row.get(6)?, row.get::<_, Option<FileId>>(8)?) {
        (Some(digest), Some(file)) => LocalCopy::File(DeliveredMessage { digest, header: row.get(7)?, file }),
        (None, Some(_)) => LocalCopy::Elsewhere,
        (_, None) => LocalCopy::None,
    };
    let size = row.get::<_, i64>(2)?.cast_unsigned();
    Ok((row.get(0)?, KnownMessage { uidl: row.get(1)?, size, first_seen: row.get(3)?, local, copy }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{HeaderHash, UidlHash};

    fn message(n: u8, copy: ServerCopy) -> KnownMessage {
        KnownMessage {
            uidl: (n > 0).then_some(UidlHash(u64::MAX - u64::from(n))),
            size: u64::from(n),
            first_seen: UnixSeconds(n.into()),
            local: match n {
                0 => LocalCopy::None,
                1 => LocalCopy::Elsewhere,
                _ => LocalCopy::File(DeliveredMessage {
                    digest: Digest([n; 32]),
                    header: (n > 2).then_some(HeaderHash(u64::MAX)),
                    file: FileId::new(format!("{n}")),
                }),
            },
            copy,
        }
    }

    #[test]
    fn what_is_recorded_comes_back_and_may_be_recorded_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = State::create(dir.path(), "home", AccountId(1)).unwrap();
        let empty = Maildrop { known: BTreeMap::new(), next: Serial::FIRST, settling: Settling::Settled };
        assert_eq!(state.maildrop().unwrap(), empty);
        let copies = [
            ServerCopy::Listed,
            ServerCopy::Unknown,
            ServerCopy::Absent(UnixSeconds(-5)),
            ServerCopy::Deleted(UnixSeconds(i64::MAX)),
        ];
        let known: BTreeMap<Serial, KnownMessage> =
            (0u8..).zip(copies).map(|(n, copy)| (Serial(u64::from(n) + 7), message(n, copy))).collect();
        let mut facts: Vec<_> =
            known.iter().map(|(serial, known)| MaildropFact::Known(*serial, known.clone())).collect();
        facts.insert(0, MaildropFact::Delivering);
        for _ in 0..2 {
            state.record_maildrop(&facts).unwrap();
        }
        drop(state);
        let mut state = State::open(dir.path(), "home").unwrap().unwrap();
        let expected = Maildrop { known, next: Serial(11), settling: Settling::Delivering };
        assert_eq!(state.maildrop().unwrap(), expected);
        state.record_maildrop(&[MaildropFact::Forgotten(Serial(10)), MaildropFact::Settled]).unwrap();
        let after = state.maildrop().unwrap();
        assert_eq!((after.known.len(), after.next, after.settling), (3, Serial(11), Settling::Settled));
        assert_eq!(state.maildrop_outline().unwrap(), (Serial(11), Settling::Settled));
    }

    #[test]
    fn another_accounts_state_is_found_by_its_id_and_asked_for_a_digest() {
        let dir = tempfile::tempdir().unwrap();
        State::create(dir.path(), "one", AccountId(1)).unwrap();
        let mut two = State::create(dir.path(), "two", AccountId(2)).unwrap();
        std::fs::write(dir.path().join("broken.sqlite"), "no database").unwrap();
        two.record_maildrop(&[MaildropFact::Known(Serial(1), message(5, ServerCopy::Listed))]).unwrap();
        let found = State::find(dir.path(), AccountId(2)).unwrap().unwrap();
        assert_eq!(found.files_with(&Digest([5; 32])).unwrap(), [FileId::new("5")]);
        assert!(found.files_with(&Digest([6; 32])).unwrap().is_empty());
        assert!(State::find(dir.path(), AccountId(3)).unwrap().is_none());
        assert!(State::find(&dir.path().join("nowhere"), AccountId(1)).unwrap().is_none());
    }
}
