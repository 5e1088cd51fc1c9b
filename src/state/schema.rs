//! The tables, and how an older file becomes a newer one.
//!
//! `PRAGMA application_id` says that a file is ours, `PRAGMA user_version` how many of [`STEPS`] it has gone through.
//! A step that was released is never edited; a change of the tables is a new step at the end.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::fault;
use crate::error::{Error, Kind, Result};
use crate::mail::AccountId;

/// `MTID`: what `file` and other programs tell us by.
const APPLICATION: u32 = u32::from_be_bytes(*b"MTID");

/// Step `n` leads from version `n` to version `n + 1`.
const STEPS: &[&str] = &[
    r"
CREATE TABLE account (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id INTEGER NOT NULL
) STRICT;

CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    links INTEGER NOT NULL DEFAULT 0,   -- how many rows of `link`: counting a million takes too long
    uid_validity INTEGER,               -- the remote checkpoint, NULL without one
    uid_next INTEGER,
    highest_modseq INTEGER,
    messages INTEGER,
    permanent_flags INTEGER,            -- bits, as in `link`
    permanent_keywords TEXT,
    any_keyword INTEGER,
    object_id TEXT,
    new_mtime INTEGER,                  -- the local checkpoint, NULL without one; nanoseconds since 1970
    cur_mtime INTEGER,
    inode INTEGER
) STRICT;

CREATE TABLE link (
    mailbox INTEGER NOT NULL REFERENCES mailbox,
    uid INTEGER NOT NULL,
    file BLOB NOT NULL,                 -- the unique part of its name
    presence INTEGER NOT NULL,          -- 0 both, 1 local only, 2 remote only
    flags INTEGER NOT NULL,             -- one bit each of D F P R S T, D lowest
    keywords TEXT,                      -- with spaces between them, NULL for none
    size INTEGER NOT NULL,              -- octets on the wire
    digest BLOB NOT NULL,
    message_id INTEGER,
    internal_date INTEGER NOT NULL,     -- seconds since 1970
    email_id TEXT,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX link_digest ON link (digest);

CREATE TABLE intent (
    mailbox INTEGER NOT NULL REFERENCES mailbox,
    file BLOB NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    message_id INTEGER,
    uid_next INTEGER,
    PRIMARY KEY (mailbox, file)
) STRICT, WITHOUT ROWID;

CREATE TABLE failure (
    mailbox TEXT NOT NULL,
    item ANY NOT NULL,                  -- a UID (integer), a file (blob) or 'mailbox'
    what TEXT NOT NULL,
    hint TEXT,
    first_seen INTEGER NOT NULL,        -- seconds since 1970
    PRIMARY KEY (mailbox, item)
) STRICT, WITHOUT ROWID;
",
    r"
-- By it a message that came to a mailbox is found in another; mail comes in this order, so it costs little to keep.
CREATE INDEX link_date ON link (internal_date, size);
-- The flags agreed on as the message arrives, as in `link`.
ALTER TABLE intent ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intent ADD COLUMN keywords TEXT;
",
    r"
ALTER TABLE account ADD COLUMN policy TEXT; -- the settings that the checkpoints were made under, NULL when not known
ALTER TABLE account ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; -- how often a run has changed the account
ALTER TABLE account ADD COLUMN sending_since INTEGER; -- when the last APPENDs were begun, seconds since 1970
",
    r"
ALTER TABLE account ADD COLUMN next_serial INTEGER NOT NULL DEFAULT 1; -- of the next new message of a maildrop
ALTER TABLE account ADD COLUMN delivering INTEGER NOT NULL DEFAULT 0;  -- 1: files may be unknown to `message`
CREATE TABLE message (                  -- what is known of a maildrop
    serial INTEGER PRIMARY KEY,
    uidl INTEGER,                       -- a hash
    size INTEGER NOT NULL,              -- octets, as listed
    first_seen INTEGER NOT NULL,        -- seconds since 1970
    copy INTEGER NOT NULL,              -- the server's: 0 listed, 1 unknown, 2 absent, 3 deleted
    since INTEGER,                      -- absent or deleted since then
    digest BLOB,                        -- NULL: not delivered here
    header INTEGER,                     -- a hash
    file BLOB                           -- the unique part of its name; NULL: only seen; empty: fetched elsewhere
) STRICT;
CREATE INDEX message_digest ON message (digest);
",
    r"
ALTER TABLE account ADD COLUMN server TEXT; -- whose mailboxes these are there, NULL when not known
CREATE TABLE arriving (                 -- what was about to come to the tree; files of it may be there without a link
    mailbox INTEGER PRIMARY KEY,        -- may still be made, so it need not be in `mailbox`
    uids TEXT NOT NULL                  -- a sequence set (RFC 3501)
) STRICT;
",
];

/// The version that this program writes.
pub(super) const NEWEST: u32 = STEPS.len() as u32;

/// Tells whose file it is: our version; `None` for an empty one (made, and the power went); an error for all others.
pub(super) fn identify(connection: &Connection, path: &Path) -> Result<Option<u32>> {
    let read = || {
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let tables = connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?;
        Ok((number("application_id")?, number("user_version")?, tables))
    };
    match read().map_err(|e| super::fault::sqlite(path, e))? {
        (0, 0, false) => Ok(None),
        // It is made in one transaction: there are tables and a version, or neither.
        (APPLICATION, 0, _) | (APPLICATION, _, false) => Err(super::fault::damaged(path)),
        (APPLICATION, version, true) => known(version, path).map(Some),
        _ if has_our_tables(connection) => Err(super::fault::damaged(path)),
        _ => Err(Error::new(Kind::State, "The file is another program's SQLite database")
            .at(path.display())
            .hint("Move it away and run `sync` again: no mail is lost.")),
    }
}

/// Whether it is a state but for the number that says so.
fn has_our_tables(connection: &Connection) -> bool {
    let ours =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('account', 'mailbox', 'link', 'intent')";
    connection.query_row(ours, [], |row| row.get::<_, u8>(0)).is_ok_and(|tables| tables == 4)
}

fn known(version: u32, path: &Path) -> Result<u32> {
    if version <= NEWEST {
        return Ok(version);
    }
    let what = format!("The state has schema {version}, and this Mailtide knows {NEWEST} at most");
    Err(Error::new(Kind::State, what)
        .at(path.display())
        .hint("A newer Mailtide wrote it: use that one, or move the file away and run `sync` again: no mail is lost."))
}

/// An error when the file has to be migrated first, which only a run may do.
pub(super) fn expect_newest(version: u32, path: &Path) -> Result<()> {
    if version == NEWEST {
        return Ok(());
    }
    Err(Error::new(Kind::State, "An older Mailtide wrote the state")
        .at(path.display())
        .hint("Run `mailtide sync` once: it brings the state up to date."))
}

/// Makes all tables in an empty file, in one transaction.
pub(super) fn create(connection: &mut Connection, id: AccountId) -> rusqlite::Result<()> {
    advance(connection, 0, STEPS, |transaction| {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.execute("INSERT INTO account (one, id) VALUES (1, ?1)", [id])?;
        Ok(())
    })
}

/// Brings a file of `version` to the newest one, in one transaction; nothing when it is there.
pub(super) fn migrate(connection: &mut Connection, version: u32) -> rusqlite::Result<()> {
    if version < NEWEST { advance(connection, version, STEPS, |_| Ok(())) } else { Ok(()) }
}

fn advance(
    connection: &mut Connection,
    version: u32,
    steps: &[&str],
    then: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    steps.iter().skip(version as usize).try_for_each(|step| transaction.execute_batch(step))?;
    transaction.pragma_update(None, "user_version", steps.len() as u32)?;
    then(&transaction)?;
    fault::commit(transaction)
}

/// Reads whose state it is.
pub(super) fn account(connection: &Connection) -> rusqlite::Result<AccountId> {
    connection.query_row("SELECT id FROM account", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> u32 {
        identify(connection, Path::new("x")).unwrap().unwrap()
    }

    #[test]
    fn a_file_of_the_first_version_becomes_one_of_the_newest() {
        let mut connection = Connection::open_in_memory().unwrap();
        let first = STEPS.get(..1).unwrap();
        advance(&mut connection, 0, first, |c| {
            c.pragma_update(None, "application_id", APPLICATION)?;
            c.execute("INSERT INTO account (one, id) VALUES (1, 5)", []).map(|_| ())
        })
        .unwrap();
        assert_eq!(version(&connection), 1);
        migrate(&mut connection, 1).unwrap();
        assert_eq!((version(&connection), account(&connection).unwrap()), (NEWEST, AccountId(5)));
        let policy = connection.query_row("SELECT policy FROM account", [], |row| row.get::<_, Option<String>>(0));
        assert_eq!(policy.unwrap(), None);
    }

    #[test]
    fn steps_are_taken_once_and_all_or_none() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(identify(&connection, Path::new("x")).unwrap(), None);
        create(&mut connection, AccountId(5)).unwrap();
        assert_eq!(version(&connection), NEWEST);
        migrate(&mut connection, NEWEST).unwrap();

        let mut steps = STEPS.to_vec();
        steps.push("ALTER TABLE account ADD COLUMN extra INTEGER; UPDATE account SET extra = 7;");
        steps.push("ALTER TABLE nothing ADD COLUMN extra INTEGER;");
        advance(&mut connection, NEWEST, &steps, |_| Ok(())).unwrap_err();
        assert_eq!(version(&connection), NEWEST);
        assert!(connection.prepare("SELECT extra FROM account").is_err());

        steps.pop();
        advance(&mut connection, NEWEST, &steps, |_| Ok(())).unwrap();
        assert_eq!(connection.query_row("SELECT extra FROM account", [], |row| row.get::<_, u8>(0)).unwrap(), 7);
        assert_eq!(account(&connection).unwrap(), AccountId(5));

        let error = identify(&connection, Path::new("x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("x: The state has schema {}, and this Mailtide knows {NEWEST} at most", NEWEST + 1)
        );
        assert!(error.hint_text().unwrap().contains("no mail is lost"));
        assert!(expect_newest(NEWEST, Path::new("x")).is_ok());
        assert!(expect_newest(NEWEST - 1, Path::new("x")).unwrap_err().hint_text().unwrap().contains("mailtide sync"));
    }
}
