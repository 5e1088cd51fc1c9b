//! The state: what both sides of an account last agreed on, kept in one SQLite file an account.
//!
//! # What it promises
//!
//! * **Facts in, base out.** Nothing changes the base but [`State::record`], and a fact is something that is already
//!   durable where it happened. So the state may lag behind the world, and never runs ahead of it.
//! * **A batch is whole or absent.** One `IMMEDIATE` transaction a batch; when `record` has returned, it survives a power
//!   cut (WAL, `synchronous=FULL`).
//! * **Facts may be repeated.** Recording a batch again ends in the same state.
//! * **It can be lost.** It holds no mail: without it everything is recognised again by names, sizes and digests.
//! * **One run at a time.** Who writes holds the account's [`Lock`]; readers (`status`) need none.
//!
//! # Crash order
//!
//! ```text
//! effect on disk or server, durable → facts of the batch → … → checkpoints, last of all
//! intent → APPEND → reply → Linked + Settled
//! UIDs that arrive → files in place → Linked → checkpoints + Arrived
//! ```
//!
//! A crash between effect and fact leaves something new on both sides, which the next run links by its name or content.
//! Where the server has it no more by then, the UIDs that were to arrive tell it from a file that somebody put there.
//! A crash before a checkpoint makes the next run look again at what it had seen. A crash between APPEND and its reply
//! leaves an intent: the next run looks for the message on the server before it sends it again.
//!
//! Of a POP3 account it holds the records of its maildrop instead of a base (`maildrop`).
//!
//! Times are parameters; nothing here reads a wall clock.

mod arriving;
mod aside;
mod base;
mod columns;
mod facts;
mod failures;
mod fault;
mod generation;
mod intents;
mod kin;
mod lock;
mod maildrop;
mod place;
mod policy;
mod schema;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Kind, Result};
use crate::faults::{self, Step};
use crate::mail::{AccountId, MailboxId, MailboxName};

pub use failures::Unresolved;
pub use kin::Traits;
pub use lock::{Lock, RunRecord, last_run};
pub use maildrop::{Maildrop, Settling};
pub use place::state_dir;

/// How long a statement waits for a reader that is about to end; there is no other writer.
const BUSY: Duration = Duration::from_secs(10);

/// One account's state, open.
#[derive(Debug)]
pub struct State {
    connection: Connection,
    path: PathBuf,
    account: AccountId,
    /// Ids given out by [`State::id_for`] that are not recorded yet.
    promised: RefCell<BTreeMap<MailboxId, MailboxName>>,
}

impl State {
    /// Opens the state of `account` in `dir` for a run; `None` when there is none yet.
    ///
    /// An older schema is migrated. Errors: [`Kind::Damaged`] when the file is not what was written into it,
    /// [`Kind::State`] when it is another program's, written by a newer version, or cannot be read or written.
    pub fn open(dir: &Path, account: &str) -> Result<Option<State>> {
        let path = place::file(dir, account, "sqlite");
        expect_writable(&path)?;
        let Some(mut connection) = connect(&path)? else { return Ok(None) };
        let fault = |e| fault::sqlite(&path, e);
        let Some(version) = schema::identify(&connection, &path)? else { return Ok(None) };
        configure(&connection).map_err(fault)?;
        schema::migrate(&mut connection, version).map_err(fault)?;
        let account = schema::account(&connection).map_err(fault)?;
        Ok(Some(State { connection, path, account, promised: RefCell::default() }))
    }

    /// Makes the state of `account` in `dir`, which is made too (mode 0700, the file 0600).
    ///
    /// Errors as [`State::open`] has them, and when there is a state already.
    pub fn create(dir: &Path, account: &str, id: AccountId) -> Result<State> {
        place::make_private(dir)?;
        let path = place::file(dir, account, "sqlite");
        // SQLite would make it readable for all; its companions `-wal` and `-shm` take the mode of the file.
        let make = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match faults::disk(Step::Create).and_then(|()| make()) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(fault::io("make the state file", &path, e));
            }
            _ => {}
        }
        let gone = || fault::io("open the state file", &path, io::ErrorKind::NotFound.into());
        let mut connection = connect(&path)?.ok_or_else(gone)?;
        if schema::identify(&connection, &path)?.is_some() {
            return Err(Error::new(Kind::State, "There is a state already")
                .at(path.display())
                .hint("Run the same command again: it will be used."));
        }
        configure(&connection)
            .and_then(|()| schema::create(&mut connection, id))
            .map_err(|e| fault::sqlite(&path, e))?;
        place::sync(dir)?;
        Ok(State { connection, path, account: id, promised: RefCell::default() })
    }

    /// Opens the state of `account` in `dir` for looking only (`status`); `None` when there is none yet.
    ///
    /// Makes nothing and needs no lock; a run may go on at the same time. Errors as [`State::open`] has them, and an
    /// older schema.
    pub fn open_read_only(dir: &Path, account: &str) -> Result<Option<State>> {
        State::at(&place::file(dir, account, "sqlite"))
    }

    /// Opens the state file at `path` for looking only.
    fn at(path: &Path) -> Result<Option<State>> {
        let Some(connection) = connect(path)? else { return Ok(None) };
        let fault = |e| fault::sqlite(path, e);
        let Some(version) = schema::identify(&connection, path)? else { return Ok(None) };
        connection.pragma_update(None, "query_only", true).map_err(fault)?;
        schema::expect_newest(version, path)?;
        let account = schema::account(&connection).map_err(fault)?;
        Ok(Some(State { connection, path: path.to_owned(), account, promised: RefCell::default() }))
    }

    /// A state that knows nothing and is kept nowhere: what the dry run of a first run plans with.
    pub fn in_memory(id: AccountId) -> Result<State> {
        let path = PathBuf::from("memory");
        let open = || {
            let mut connection = Connection::open_in_memory()?;
            configure(&connection)?;
            schema::create(&mut connection, id)?;
            Ok(connection)
        };
        let connection = open().map_err(|e| fault::sqlite(&path, e))?;
        Ok(State { connection, path, account: id, promised: RefCell::default() })
    }

    /// When the file was made; `None` where the file system does not tell.
    pub fn made(&self) -> Option<std::time::SystemTime> {
        std::fs::metadata(&self.path).ok()?.created().ok()
    }

    /// The file it is kept in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The account's id, which the tree's marker file and the names of downloaded files carry too.
    pub fn account_id(&self) -> AccountId {
        self.account
    }

    fn fault(&self, error: rusqlite::Error) -> Error {
        fault::sqlite(&self.path, error)
    }
}

/// Fails where a file is there that may not be written. SQLite would open it, let the run do what it cannot record, and
/// leave companions of the file's mode, which nobody may write either once the file itself is mended: a look leaves such,
/// and they get its mode.
fn expect_writable(path: &Path) -> Result<()> {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(e) if matches!(e.kind(), PermissionDenied | ReadOnlyFilesystem) => {
            return Err(fault::io("write the state file", path, e));
        }
        Err(_) => return Ok(()),
        Ok(_) => {}
    }
    for suffix in ["-wal", "-shm"] {
        let mut companion = path.as_os_str().to_owned();
        companion.push(suffix);
        // Where this fails, SQLite tells.
        let is_closed = std::fs::metadata(&companion).is_ok_and(|found| found.permissions().readonly());
        let _ = is_closed.then(|| std::fs::set_permissions(&companion, Permissions::from_mode(0o600)));
    }
    Ok(())
}

/// Opens an existing file and changes nothing in it; `None` when there is no file.
fn connect(path: &Path) -> Result<Option<Connection>> {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fault::io("look at the state file", path, e)),
        // An unreadable file would be "unable to open" to SQLite, without the reason.
        Ok(_) => std::fs::File::open(path).map_err(|e| fault::io("read the state file", path, e))?,
    };
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    };
    open().map(Some).map_err(|e| fault::sqlite(path, e))
}

/// Makes a returned commit durable: a write-ahead log that is flushed with each of them. The page cache is a quarter of
/// the usual: rows are written in the order of their keys, and memory is counted.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "foreign_keys", true)
}

#[cfg(test)]
mod tests;
