//! What went wrong with the state's files, in words: what, where, and what to do next.

use std::io;
use std::path::Path;

use rusqlite::{ErrorCode, Transaction};

use crate::error::{Error, Kind};
use crate::faults::{self, Step};

const MOVE_AWAY: &str = "Move it away and run `sync` again: no mail is lost.";
const MADE_ANEW: &str = "`mailtide sync` keeps it aside and makes a new one: no mail is lost.";
const RECORDED: &str = "What was recorded before stays; make room on the disk, then run the same command again.";
const ACCESS: &str =
    "Check the owner and the permissions of the file and of its directory, and that it is mounted for writing.";

/// Turns what SQLite says about the file at `path` into an error of kind [`Kind::State`] or [`Kind::Damaged`].
pub(super) fn sqlite(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::Error as E;
    let (what, hint) = match &error {
        E::SqliteFailure(failure, _) if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ => {
            return damaged(path).because(error.to_string());
        }
        E::SqliteFailure(failure, _) if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            return unknown_mailbox(path);
        }
        E::StatementChangedRows(0) => return unknown_mailbox(path),
        E::SqliteFailure(failure, _) => match failure.code {
            // The last: a table or a column that is not there, or not what it was.
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown => {
                return damaged(path).because(error.to_string());
            }
            ErrorCode::DiskFull => ("The state cannot be written", RECORDED),
            ErrorCode::ReadOnly => ("The state file or its directory is read-only", ACCESS),
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => ("The state file cannot be opened", ACCESS),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => (
                "Another program keeps the state file busy",
                "Close it (an SQLite browser, a backup), then run the same command again.",
            ),
            ErrorCode::SystemIoFailure => (
                "The state file cannot be read or written",
                "Check the disk and the file system, that there is room, and `ulimit -f`; what was recorded before stays.",
            ),
            _ => ("The state failed", MOVE_AWAY),
        },
        // A value that we did not write: wrong type, out of range, no row where one must be.
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::InvalidColumnType(..)
        | E::Utf8Error(..)
        | E::QueryReturnedNoRows
        | E::SqlInputError { .. } => return damaged(path).because(error.to_string()),
        _ => ("The state failed", MOVE_AWAY),
    };
    // As text: its cause says the same once more.
    Error::new(Kind::State, what).at(path.display()).because(error.to_string()).hint(hint)
}

/// Commits; the fault point before it is in here.
pub(super) fn commit(transaction: Transaction<'_>) -> rusqlite::Result<()> {
    point()?;
    transaction.commit()
}

/// A fault point before a commit: what fails there fails as SQLite would tell it.
pub(super) fn point() -> rusqlite::Result<()> {
    use rusqlite::ffi;
    faults::disk(Step::Commit).map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::StorageFull => ffi::SQLITE_FULL,
            io::ErrorKind::ReadOnlyFilesystem => ffi::SQLITE_READONLY,
            io::ErrorKind::PermissionDenied => ffi::SQLITE_PERM,
            _ => ffi::SQLITE_IOERR_WRITE,
        };
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    })
}

/// The file is not what was written into it.
pub(super) fn damaged(path: &Path) -> Error {
    Error::new(Kind::Damaged, "The state file is damaged").at(path.display()).hint(MADE_ANEW)
}

/// Turns a failed system call into an error of kind [`Kind::State`]; `doing` goes on "Mailtide cannot …".
pub(super) fn io(doing: &str, path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => RECORDED,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "Check the path; the environment variable `XDG_STATE_HOME` decides where the state is kept."
        }
        _ => ACCESS,
    };
    Error::new(Kind::State, format!("Mailtide cannot {doing}")).at(path.display()).because(error).hint(hint)
}

/// A fact about a mailbox that [`crate::mail::Fact::MailboxKnown`] never named: it would be lost silently.
fn unknown_mailbox(path: &Path) -> Error {
    Error::new(Kind::State, "A fact names a mailbox that the state does not know")
        .at(path.display())
        .hint("This is a defect of Mailtide, please report it; nothing was recorded and no mail is lost.")
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn every_failure_says_what_where_and_what_to_do() {
        for (code, what, hint) in [
            (ffi::SQLITE_FULL, "The state cannot be written", RECORDED),
            (ffi::SQLITE_READONLY_DIRECTORY, "The state file or its directory is read-only", ACCESS),
            (ffi::SQLITE_CANTOPEN, "The state file cannot be opened", ACCESS),
            (ffi::SQLITE_BUSY, "Another program keeps the state file busy", "Close it"),
            (ffi::SQLITE_IOERR_WRITE, "The state file cannot be read or written", "Check the disk"),
            (ffi::SQLITE_CONSTRAINT_FOREIGNKEY, "A fact names a mailbox", "report it"),
            (ffi::SQLITE_MISUSE, "The state failed", MOVE_AWAY),
        ] {
            let error = sqlite(Path::new("/s/a.sqlite"), rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!((error.kind(), error.place()), (Kind::State, Some("/s/a.sqlite")));
            assert!(error.what().starts_with(what), "{error}");
            assert!(error.hint_text().unwrap().contains(hint), "{error:?}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_ERROR, ffi::SQLITE_IOERR_SHORT_READ] {
            let error = sqlite(Path::new("/s/a.sqlite"), rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!((error.kind(), error.what()), (Kind::Damaged, "The state file is damaged"));
            assert_eq!(error.hint_text(), Some(MADE_ANEW));
        }
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), Some("the disk is full".into()));
        assert_eq!(sqlite(Path::new("/s"), full).to_string(), "/s: The state cannot be written: the disk is full");
        for (kind, hint) in [
            (io::ErrorKind::PermissionDenied, ACCESS),
            (io::ErrorKind::ReadOnlyFilesystem, ACCESS),
            (io::ErrorKind::StorageFull, RECORDED),
            (io::ErrorKind::NotADirectory, "XDG_STATE_HOME"),
        ] {
            let error = super::io("make the state file", Path::new("/s/a.sqlite"), kind.into());
            assert!(error.to_string().starts_with("/s/a.sqlite: Mailtide cannot make the state file: "), "{error}");
            assert!(error.hint_text().unwrap().contains(hint), "{error:?}");
        }
    }
}
