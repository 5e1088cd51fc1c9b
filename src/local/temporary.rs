//! Files on their way to their place: their names, which nobody else uses, and how they go when they get nowhere.
//!
//! A crash leaves them behind. What is swept is only what has such a name and was not touched for 36 hours, so that no
//! other process loses what it is writing.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::FileType;

use super::dir::{Dir, Stamp, now};
use super::trouble::{failed, shown};
use crate::error::{Error, Result};
use crate::mail::UnixSeconds;

/// What begins the names of temporary files outside `tmp`.
pub(super) const TEMPORARY_PREFIX: &str = ".mailtide-";
const TEMPORARY_SUFFIX: &[u8] = b".mailtide-tmp";

/// A name that no other process and no other thread uses, and that is recognised as ours.
pub(super) fn temporary_name() -> OsString {
    format!("{}.mailtide-tmp", fresh_name()).into()
}

/// What no other process and no other thread begins a name with: the seconds since 1970, a point, and what is unique.
pub(super) fn fresh_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let (secs, pid) = (now() / 1_000_000_000, std::process::id());
    format!("{secs}.P{pid}Q{count}R{:016x}", fastrand::u64(..))
}

/// When a file of ours was made, in seconds since 1970, as its name says; `None` for a file of others.
fn made_at(name: &[u8]) -> Option<i64> {
    let rest = name.strip_suffix(TEMPORARY_SUFFIX)?;
    let (secs, unique) = rest.split_at_checked(rest.iter().position(|b| *b == b'.')?)?;
    let known = |b: &u8| b.is_ascii_hexdigit() || b"PQR".contains(b);
    // A number may be parsed with a sign, and none of ours has one.
    let fits = secs.iter().all(u8::is_ascii_digit) && unique.starts_with(b".P") && unique.get(1..)?.iter().all(known);
    std::str::from_utf8(secs).ok().filter(|_| fits)?.parse().ok()
}

impl Dir {
    /// Removes temporary files of ours, with `prefix`, whose inode nobody has touched for 36 hours.
    ///
    /// The mtime tells nothing (a message gets its INTERNALDATE while it is still in `tmp`); the ctime cannot be set.
    pub(super) fn sweep(&self, prefix: &str, now: i64) -> Result<()> {
        const STALE: i64 = 36 * 3600 * 1_000_000_000;
        for (name, kind) in self.entries()? {
            let made = name.as_bytes().strip_prefix(prefix.as_bytes()).and_then(made_at);
            let Some(made) = made.filter(|_| kind == FileType::RegularFile) else { continue };
            // Those on their way now are many, and need no look.
            if now.saturating_sub(made.saturating_mul(1_000_000_000)) <= STALE {
                continue;
            }
            let stamp = self.open_file(&name).and_then(|f| Stamp::of_file(&f));
            if stamp.is_ok_and(|s| now.saturating_sub(s.ctime) > STALE) {
                log::debug!("removing a stale temporary file: {}", shown(&self.path().join(&name)));
                // Somebody else may sweep too; what stays is swept next time.
                let _ = self.remove_file(&name);
            }
        }
        Ok(())
    }
}

/// A file in `tmp` that is removed unless it is placed.
#[derive(Debug)]
pub(super) struct Temporary {
    dir: Arc<Dir>,
    /// `None` once placed.
    name: Option<OsString>,
}

impl Temporary {
    /// Makes one, empty, for its owner alone.
    pub(super) fn create(dir: &Arc<Dir>) -> Result<(Temporary, File)> {
        let name = temporary_name();
        // The directory's fault, not that of a name which nobody will see.
        let file = dir.create_file(&name).map_err(|e| failed("write a message", dir.path(), e))?;
        Ok((Temporary { dir: Arc::clone(dir), name: Some(name) }, file))
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn name(&self) -> &OsStr {
        self.name.as_deref().unwrap_or_default()
    }

    /// Gives it this mtime.
    pub(super) fn date(&self, modified: UnixSeconds) -> io::Result<()> {
        self.dir.set_modified(self.name(), modified.0)
    }

    /// Opens it once more, to be flushed.
    pub(super) fn reopen(&self) -> io::Result<File> {
        self.dir.open_file_for_update(self.name())
    }

    /// Moves it to `name` in `to`; fails with `AlreadyExists` rather than replace anything, and may be tried again.
    pub(super) fn place(&mut self, to: &Dir, name: &OsStr) -> io::Result<()> {
        self.dir.rename_new(self.name(), to, name)?;
        self.name = None;
        Ok(())
    }

    /// The error for `e` met while writing it.
    pub(super) fn failed(&self, e: io::Error) -> Error {
        self.dir.failed("write the message", self.name(), e)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // What cannot be removed now is swept when it is old.
            let _ = self.dir.remove_file(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_are_ours_and_nobody_elses() {
        let (a, b) = (temporary_name(), temporary_name());
        assert_ne!(a, b);
        assert!(made_at(a.as_bytes()).is_some_and(|made| (now() / 1_000_000_000 - made).abs() < 60));
        for other in ["1700000000.M1P2.host", "1700000000.00000001-00000002-3-4.mailtide,S=1", "x", ".mailtide-tmp"] {
            assert_eq!(made_at(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn only_stale_files_of_ours_are_swept_whatever_their_mtime() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(temp.path()).unwrap();
        let ours = temporary_name();
        let file = dir.create_file(&ours).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        std::fs::write(temp.path().join("foreign.mailtide-tmp"), "x").unwrap();
        dir.sweep("", now()).unwrap();
        assert_eq!(dir.entries().unwrap().len(), 2, "an old mtime is not old age");
        dir.sweep("", now() + 37 * 3600 * 1_000_000_000).unwrap();
        assert_eq!(dir.entries().unwrap().len(), 1);
        assert!(temp.path().join("foreign.mailtide-tmp").exists());
    }
}
