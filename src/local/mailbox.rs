//! Making and removing mailboxes.
//!
//! Removal is conservative: only empty directories go, and of files only our own bookkeeping, and that only where nothing
//! of another program stands beside it. Whatever arrives meanwhile keeps its mailbox alive.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::dir::{Dir, TEMPORARY_PREFIX, failed, now, shown};
use super::store::{Inner, Store};
use super::{Layout, keywords};
use crate::error::{Error, Kind, Result};
use crate::mail::MailboxName;

/// What came of removing a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is no mailbox any more; files of other programs may keep its directory.
    Gone,
    /// `new` and `cur` hold this many entries; nothing was removed.
    StillHolds(u64),
}

/// Marks a directory as a mailbox below another in Maildir++.
const MAILDIR_FOLDER: &str = "maildirfolder";

impl Store {
    /// Makes a mailbox, durably; one that exists gets what it lacks.
    pub fn create_mailbox(&self, name: &MailboxName) -> Result<()> {
        let Inner { root, layout, .. } = self.inner();
        let relative = layout.directory(name)?;
        let mut dir = root.again()?;
        for part in relative.iter() {
            make_dir(&dir, part)?;
            dir = dir.open(part).map_err(|e| dir.failed("open the directory", part, e))?;
        }
        let missing: Vec<&OsStr> = maildir::MAILDIR_FOLDER_LIST
            .iter()
            .map(OsStr::new)
            .filter(|sub| !matches!(dir.kind_of(sub), Ok(Some(FileType::Directory))))
            .collect();
        let wrong = |e| failed("make the mailbox", dir.path(), e);
        maildir::Maildir::from(dir.path().to_owned()).create_dirs().map_err(wrong)?;
        for sub in missing {
            dir.open(sub).and_then(|made| made.make_private()).map_err(wrong)?;
        }
        if *layout == Layout::MaildirPlusPlus && !name.is_inbox() {
            match dir.create_file(MAILDIR_FOLDER.as_ref()) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(wrong(e)),
            }
        }
        dir.sync()
    }

    /// Removes a mailbox that holds nothing, durably; one that is missing is fine.
    ///
    /// What goes: empty `new`, `cur` and `tmp`, and, where nothing else is left beside them, our own bookkeeping and the
    /// directory. Any file of another program stays where it is.
    pub fn remove_mailbox(&self, name: &MailboxName) -> Result<Removed> {
        let Inner { root, layout, .. } = self.inner();
        if name.is_inbox() {
            return Err(Error::new(Kind::LocalTree, "INBOX cannot be removed").at(shown(root.path())));
        }
        let relative = layout.directory(name)?;
        let dir = match root.descend(&relative) {
            Ok(dir) => dir,
            Err(_) if matches!(root.stamp_of(&relative), Ok(None)) => return Ok(Removed::Gone),
            Err(e) => return Err(e),
        };
        let held = entries_in(&dir, "new")? + entries_in(&dir, "cur")?;
        if held > 0 {
            return Ok(Removed::StillHolds(held));
        }
        // A message that arrives now is not lost: a directory that is not empty does not go.
        for sub in ["new", "cur"] {
            if !remove_if_empty(&dir, sub.as_ref())? {
                make_dir(&dir, "new".as_ref())?;
                return Ok(Removed::StillHolds(entries_in(&dir, "new")? + entries_in(&dir, "cur")?));
            }
        }
        if let Ok(tmp) = dir.open("tmp".as_ref()) {
            tmp.sweep("", now())?;
        }
        remove_if_empty(&dir, "tmp".as_ref())?;
        dir.sync()?;
        dir.sweep(TEMPORARY_PREFIX, now())?;
        remove_bookkeeping(&dir)?;
        self.prune(&relative)?;
        Ok(Removed::Gone)
    }

    /// Removes the directory `relative` and those above it, as far as they are empty.
    fn prune(&self, relative: &Path) -> Result<()> {
        for path in relative.ancestors().filter(|p| !p.as_os_str().is_empty()) {
            let parent = self.inner().root.descend(path.parent().unwrap_or(Path::new("")))?;
            if !remove_if_empty(&parent, path.file_name().unwrap_or_default())? {
                break;
            }
            parent.sync()?;
        }
        Ok(())
    }
}

/// Makes the directory `name` in `dir`, durably, unless it exists.
fn make_dir(dir: &Dir, name: &OsStr) -> Result<()> {
    match dir.make_dir(name) {
        Ok(()) => dir.sync(),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(dir.failed("make the directory", name, e)),
    }
}

/// Removes the directory `name` if it is empty; tells whether it is gone.
fn remove_if_empty(dir: &Dir, name: &OsStr) -> Result<bool> {
    match dir.remove_dir(name) {
        Ok(()) => Ok(true),
        Err(e) => match e.kind() {
            io::ErrorKind::NotFound => Ok(true),
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Ok(false),
            _ => Err(dir.failed("remove the directory", name, e)),
        },
    }
}

/// How many entries of any kind the directory `name` has; none where there is none.
fn entries_in(dir: &Dir, name: &str) -> Result<u64> {
    match dir.open(name.as_ref()) {
        Ok(sub) => Ok(sub.entries()?.len() as u64),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(dir.failed("open the mailbox's directory", name.as_ref(), e)),
    }
}

/// Removes the keyword table and `maildirfolder` where only they, and mailboxes below, are left.
fn remove_bookkeeping(dir: &Dir) -> Result<()> {
    let entries = dir.entries()?;
    let ours = |name: &OsStr| name == keywords::FILE || name == MAILDIR_FOLDER;
    let files = || entries.iter().filter(|(_, kind)| *kind != FileType::Directory).map(|(name, _)| name);
    let tmp_stays = entries.iter().any(|(name, _)| name == "tmp");
    if tmp_stays || !files().all(|name| ours(name)) {
        return Ok(());
    }
    for name in files() {
        dir.remove_file(name).map_err(|e| dir.failed("remove", name, e))?;
    }
    dir.sync()
}
