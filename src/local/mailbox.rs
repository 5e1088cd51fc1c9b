//! Making and removing mailboxes.
//!
//! Removal is conservative: only empty directories go, and of files only our own bookkeeping, and that only where
//! nothing of another program stands beside it. Whatever arrives meanwhile keeps its mailbox alive.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::dir::{Dir, now};
use super::store::{Inner, Store};
use super::temporary::TEMPORARY_PREFIX;
use super::trouble::{failed, shown};
use super::{Layout, keywords, together};
use crate::error::{Error, Kind, Result};
use crate::faults::{self, Step};
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
        self.create_mailboxes(&[name]).pop().unwrap_or(Ok(()))
    }

    /// Makes mailboxes; outcomes come in the order of `names`, once all is durable. They are made before any is flushed,
    /// since a file system that keeps a journal then writes it once.
    pub fn create_mailboxes(&self, names: &[&MailboxName]) -> Vec<Result<()>> {
        // Each holds a few file descriptors until it is flushed.
        const AT_ONCE: usize = 50;
        let make = |name: &&MailboxName| {
            let mut touched = Vec::new();
            (self.make(name, &mut touched), touched)
        };
        let make_some = |some: &[&MailboxName]| {
            let made: Vec<(Result<()>, Vec<Dir>)> = some.iter().map(make).collect();
            // Also of one that failed halfway: others may stand in what was made for it.
            let dirs = || made.iter().flat_map(|(_, touched)| touched);
            let on_disk = together::is_worth(dirs().count()) && together::flush(dirs());
            let flush = |touched: &[Dir]| if on_disk { Ok(()) } else { touched.iter().try_for_each(Dir::sync) };
            made.into_iter().map(|(made, touched)| flush(&touched).and(made)).collect::<Vec<_>>()
        };
        names.chunks(AT_ONCE).flat_map(make_some).collect()
    }

    /// Makes a mailbox; `touched` gets the directories that have to be flushed.
    fn make(&self, name: &MailboxName, touched: &mut Vec<Dir>) -> Result<()> {
        let Inner { root, layout, .. } = self.inner();
        let relative = layout.directory(name)?;
        let mut dir = root.again()?;
        for part in relative.iter() {
            match dir.make_dir(part) {
                Ok(()) => touched.push(dir.again()?),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(dir.failed("make the directory", part, e)),
            }
            dir = dir.open(part).map_err(|e| dir.failed("open the directory", part, e))?;
        }
        let missing: Vec<&OsStr> = maildir::MAILDIR_FOLDER_LIST
            .iter()
            .map(OsStr::new)
            .filter(|sub| !matches!(dir.kind_of(sub), Ok(Some(FileType::Directory))))
            .collect();
        let wrong = |e| failed("make the mailbox", dir.path(), e);
        faults::disk(Step::MakeDirectory)
            .and_then(|()| maildir::Maildir::from(dir.path().to_owned()).create_dirs())
            .map_err(wrong)?;
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
        touched.push(dir);
        Ok(())
    }

    /// Removes a mailbox that holds nothing, durably; one that is missing is fine.
    ///
    /// What goes: empty `new`, `cur` and `tmp`, and, where nothing else is left beside them, our own bookkeeping and
    /// the directory. Any file of another program stays where it is.
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

    /// Removes what a crash has left of a mailbox that was being removed; nothing where there is a `new` or a `cur`.
    pub fn clear_away(&self, name: &MailboxName) -> Result<()> {
        let Inner { root, layout, .. } = self.inner();
        let Ok(dir) = root.descend(&layout.directory(name)?) else { return Ok(()) };
        let lacks = |sub: &str| matches!(dir.kind_of(sub.as_ref()), Ok(None));
        if !name.is_inbox() && lacks("new") && lacks("cur") { self.remove_mailbox(name).map(drop) } else { Ok(()) }
    }

    /// Removes the directory `relative` and those above it, as far as they are empty.
    pub(super) fn prune(&self, relative: &Path) -> Result<()> {
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
pub(super) fn make_dir(dir: &Dir, name: &OsStr) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::store::tests::{mailbox, tree};
    use super::*;

    #[test]
    fn makes_all_that_a_mailbox_needs_for_its_owner_alone() {
        for (layout, path, extra) in
            [(Layout::Nested, "Mail/A/B c", false), (Layout::MaildirPlusPlus, "Mail/.A.B c", true)]
        {
            let (temp, store) = tree(layout);
            for _ in 0..2 {
                store.create_mailbox(&mailbox("A/B c")).unwrap();
            }
            let path = temp.path().join(path);
            for sub in ["cur", "new", "tmp", ""] {
                assert_eq!(std::fs::metadata(path.join(sub)).unwrap().permissions().mode() & 0o777, 0o700);
            }
            assert_eq!(path.join(MAILDIR_FOLDER).exists(), extra);
            assert_eq!(store.mailboxes().unwrap().into_keys().collect::<Vec<_>>(), [mailbox("A/B c")]);
        }
        let (temp, store) = tree(Layout::MaildirPlusPlus);
        store.create_mailbox(&mailbox("INBOX")).unwrap();
        assert!(temp.path().join("Mail/cur").is_dir() && !temp.path().join("Mail/maildirfolder").exists());
    }

    #[test]
    fn an_existing_mailbox_gets_what_it_lacks_and_keeps_its_modes() {
        let (temp, store) = tree(Layout::Nested);
        let path = temp.path().join("Mail/A");
        std::fs::create_dir_all(path.join("cur")).unwrap();
        std::fs::set_permissions(path.join("cur"), PermissionsExt::from_mode(0o750)).unwrap();
        store.create_mailbox(&mailbox("A")).unwrap();
        let mode = |sub| std::fs::metadata(path.join(sub)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("cur"), mode("new")), (0o750, 0o700));
    }

    #[test]
    fn nothing_is_made_through_a_link() {
        let (temp, store) = tree(Layout::Nested);
        std::fs::create_dir(temp.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("../outside", temp.path().join("Mail/A")).unwrap();
        let e = store.create_mailbox(&mailbox("A/B")).unwrap_err();
        assert!(e.to_string().contains("symbolic link"), "{e}");
        assert_eq!(std::fs::read_dir(temp.path().join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn an_empty_mailbox_goes_with_its_bookkeeping_and_its_empty_parents() {
        for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
            let (temp, store) = tree(layout);
            store.create_mailbox(&mailbox("A/B")).unwrap();
            let path = temp.path().join("Mail").join(layout.directory(&mailbox("A/B")).unwrap());
            std::fs::write(path.join(keywords::FILE), "0 Work\n").unwrap();
            assert_eq!(store.remove_mailbox(&mailbox("A/B")).unwrap(), Removed::Gone);
            assert_eq!(std::fs::read_dir(temp.path().join("Mail")).unwrap().count(), 0);
            assert_eq!(store.remove_mailbox(&mailbox("A/B")).unwrap(), Removed::Gone);
        }
    }

    #[test]
    fn whatever_is_in_new_or_cur_keeps_the_mailbox_whole() {
        for held in ["new/m", "cur/m:2,S", "cur/.hidden"] {
            let (temp, store) = tree(Layout::Nested);
            store.create_mailbox(&mailbox("A")).unwrap();
            let path = temp.path().join("Mail/A");
            std::fs::write(path.join(held), "x").unwrap();
            assert_eq!(store.remove_mailbox(&mailbox("A")).unwrap(), Removed::StillHolds(1));
            assert!(["cur", "new", "tmp"].iter().all(|sub| path.join(sub).is_dir()) && path.join(held).exists());
        }
    }

    #[test]
    fn what_a_crash_left_of_a_removal_is_cleared_away() {
        let (temp, store) = tree(Layout::Nested);
        for name in ["A", "B"] {
            store.create_mailbox(&mailbox(name)).unwrap();
        }
        let root = temp.path().join("Mail");
        std::fs::write(root.join("A").join(keywords::FILE), "0 Work\n").unwrap();
        for sub in ["A/new", "A/cur", "B/new"] {
            std::fs::remove_dir(root.join(sub)).unwrap();
        }
        ["A", "B", "C"].iter().for_each(|name| store.clear_away(&mailbox(name)).unwrap());
        assert!(!root.join("A").exists() && root.join("B/cur").is_dir());
    }

    #[test]
    fn files_of_others_and_mailboxes_below_stay() {
        let (temp, store) = tree(Layout::Nested);
        for name in ["A", "A/B", "C", "D"] {
            store.create_mailbox(&mailbox(name)).unwrap();
        }
        let root = temp.path().join("Mail");
        for file in ["A/dovecot-keywords", "C/notes.txt", "C/dovecot-keywords", "D/tmp/theirs"] {
            std::fs::write(root.join(file), "x").unwrap();
        }
        for name in ["A", "C", "D"] {
            assert_eq!(store.remove_mailbox(&mailbox(name)).unwrap(), Removed::Gone);
        }
        assert!(root.join("A/B/cur").is_dir() && !root.join("A/dovecot-keywords").exists());
        assert!(root.join("C/notes.txt").exists() && root.join("C/dovecot-keywords").exists());
        assert!(root.join("D/tmp/theirs").exists());
        assert_eq!(store.mailboxes().unwrap().into_keys().collect::<Vec<_>>(), [mailbox("A/B")]);
    }

    #[test]
    fn inbox_is_never_removed() {
        for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
            let (_temp, store) = tree(layout);
            store.create_mailbox(&mailbox("INBOX")).unwrap();
            assert!(store.remove_mailbox(&mailbox("INBOX")).is_err());
        }
    }
}
