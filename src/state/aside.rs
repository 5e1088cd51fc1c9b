//! A damaged state is kept aside, under another name, and a new one takes its place: it holds no mail, and everything is
//! recognised again by names, sizes and digests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{State, connect, expect_writable, fault, place};
use crate::error::{Error, Kind, Result};

/// What stands beside the file while SQLite works, and belongs to it.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

impl State {
    /// Whether `error` is about the state of `account` in `dir`, and no other, and that is damaged: the error says so, or
    /// SQLite's own check does.
    pub fn is_damaged(error: &Error, dir: &Path, account: &str) -> bool {
        let path = place::file(dir, account, "sqlite");
        let is_ours = error.place().is_some_and(|place| place == path.display().to_string());
        is_ours
            && match error.kind() {
                Kind::Damaged => true,
                Kind::State => fails_check(&path),
                _ => false,
            }
    }

    /// Gives the state of `account` in `dir` another name, which is told; what it was is still in it.
    ///
    /// Whoever calls holds the lock and has closed the state.
    pub fn set_aside(dir: &Path, account: &str) -> Result<PathBuf> {
        let path = place::file(dir, account, "sqlite");
        let with = |path: &Path, ending: &str| PathBuf::from(format!("{}{ending}", path.display()));
        let free = |path: &PathBuf| matches!(fs::symlink_metadata(path), Err(e) if e.kind() == io::ErrorKind::NotFound);
        let mut names = (1..u32::MAX).map(|n| with(&path, &format!(".damaged-{n}")));
        let aside = names.find(|name| free(name)).unwrap_or_else(|| with(&path, ".damaged"));
        // The file first: SQLite drops a log that it finds beside an empty file.
        let kept = |e| fault::io("keep the damaged state file aside", &path, e);
        fs::rename(&path, &aside).map_err(kept)?;
        for ending in COMPANIONS {
            match fs::rename(with(&path, ending), with(&aside, ending)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(kept(e)),
                _ => {}
            }
        }
        place::sync(dir)?;
        Ok(aside)
    }
}

/// Whether the pages and indexes of a state contradict each other; what cannot be read or written for another reason
/// does not.
fn fails_check(path: &Path) -> bool {
    let Ok(Some(connection)) = expect_writable(path).and_then(|()| connect(path)) else { return false };
    match connection.pragma_query_value(None, "integrity_check", |row| row.get::<_, String>(0)) {
        Ok(found) => found != "ok",
        Err(error) => fault::sqlite(path, error).kind() == Kind::Damaged,
    }
}
