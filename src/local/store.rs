//! The store: opening a tree, its marker, and the way to its mailboxes.
//!
//! The marker file in the root names the account, so that an empty mount point or somebody else's tree is never taken
//! for a tree whose mail was deleted.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dir::{Dir, now};
use super::folder::Folder;
use super::scan::{Examined, Scan, ScannedFile};
use super::settle::{self, Boxes};
use super::temporary::TEMPORARY_PREFIX;
use super::trouble::{failed, shown};
use super::{Layout, LocalOptions};
use crate::error::{Error, Kind, Result};
use crate::mail::{AccountId, LocalCheckpoint, MailboxName};

/// An account's tree; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub root: Dir,
    pub layout: Layout,
    /// Held while a keyword table is changed.
    keywords: Mutex<()>,
}

/// What is known of the tree before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing: there is no state yet, or it was lost.
    First,
    /// It is this account's.
    Known(AccountId),
}

/// A tree that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The tree.
    pub store: Store,
    /// Its marker.
    pub marker: Marker,
}

/// The marker of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// There is none: no run has finished with the tree yet.
    Absent,
    /// The tree is this account's.
    Present(AccountId),
}

const MARKER: &str = ".mailtide";
const MARKER_HEAD: &str = "Mailtide tree, version 1";

impl Store {
    /// Opens an account's tree; on the first run it is made where it is missing.
    ///
    /// Fails with [`Kind::LocalTree`], and touches nothing, when the tree is missing though it is known, or is not the
    /// expected account's.
    pub fn open(options: &LocalOptions, expected: Expected) -> Result<Opened> {
        let root = &options.root;
        let dir = match Dir::open_root(root) {
            Ok(dir) => dir,
            Err(e) if e.kind() == io::ErrorKind::NotFound => match expected {
                Expected::First => make_root(root)?,
                Expected::Known(_) => {
                    return Err(Error::new(Kind::LocalTree, "The Maildir tree is missing; nothing was changed")
                        .hint("Mount it or move it back; to fetch everything anew, give the account another `maildir`.")
                        .at(shown(root)));
                }
            },
            Err(e) => return Err(failed("open the Maildir tree", root, e)),
        };
        let marker = read_marker(&dir)?;
        match (expected, marker) {
            (Expected::First, _) => {}
            (Expected::Known(id), Marker::Present(found)) if id == found => {}
            (Expected::Known(_), Marker::Absent) => {
                return Err(Error::new(
                    Kind::LocalTree,
                    format!(
                        "The Maildir tree has no `{MARKER}` file: it is not that of the last run; nothing was changed"
                    ),
                )
                .hint("Is the file system mounted? Look what is there with `ls -la`.")
                .at(shown(root)));
            }
            (Expected::Known(id), Marker::Present(found)) => {
                return Err(Error::new(
                    Kind::LocalTree,
                    format!("The Maildir tree is another account's (`{found}`, not `{id}`); nothing was changed"),
                )
                .hint("Give each account a `maildir` of its own.")
                .at(shown(root)));
            }
        }
        let inner = Inner { root: dir, layout: options.layout, keywords: Mutex::new(()) };
        Ok(Opened { store: Store { inner: Arc::new(inner) }, marker })
    }

    /// Opens a tree as [`Store::open`] does, and makes nothing: `None` where there is no tree and none is expected.
    pub fn open_existing(options: &LocalOptions, expected: Expected) -> Result<Option<Opened>> {
        let missing = matches!(Dir::open_root(&options.root), Err(e) if e.kind() == io::ErrorKind::NotFound);
        if missing && expected == Expected::First { Ok(None) } else { Store::open(options, expected).map(Some) }
    }

    /// Marks the tree as `id`'s, durably. Fails when it is marked as another account's.
    pub fn write_marker(&self, id: AccountId) -> Result<()> {
        let root = &self.inner.root;
        match read_marker(root)? {
            Marker::Present(found) if found == id => return Ok(()),
            Marker::Present(found) => {
                let what = format!("The Maildir tree is already another account's (`{found}`)");
                return Err(Error::new(Kind::LocalTree, what)
                    .hint("Give each account a `maildir` of its own.")
                    .at(shown(root.path())));
            }
            Marker::Absent => {}
        }
        root.sweep(TEMPORARY_PREFIX, now())?;
        let text = format!(
            "{MARKER_HEAD}\naccount = {id}\n\n\
             This file tells Mailtide that the mail of this account is here. Without it nothing is synchronised,\n\
             so that an empty mount point is not taken for a mailbox that was emptied. Leave it where it is.\n"
        );
        root.replace_file(MARKER.as_ref(), text.as_bytes())
    }

    /// Lists a mailbox, or tells that it is as `since` says, which costs two stats.
    pub fn scan(&self, name: &MailboxName, since: Option<&LocalCheckpoint>) -> Result<Scan> {
        let relative = self.inner.layout.directory(name)?;
        if since.is_some_and(|since| settle::is_unchanged(&self.inner.root, &relative, since)) {
            return Ok(Scan::Unchanged);
        }
        Boxes::open(self.inner.root.descend(&relative)?)?.list(now()).map(Scan::Listed)
    }

    /// Reads a file through that a scan listed; `None` when it is gone meanwhile.
    pub fn examine(&self, name: &MailboxName, file: &ScannedFile) -> Result<Option<Examined>> {
        let relative = self.inner.layout.directory(name)?;
        Boxes::open(self.inner.root.descend(&relative)?)?.examine(file, now())
    }

    /// Opens a mailbox to act in. Makes a missing `tmp`, and removes what crashes left there.
    pub fn folder(&self, name: &MailboxName) -> Result<Folder> {
        let relative = self.inner.layout.directory(name)?;
        Folder::open(self.clone(), self.inner.root.descend(&relative)?)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Waits for the turn to change a keyword table.
    pub(super) fn keywords_turn(&self) -> MutexGuard<'_, ()> {
        self.inner.keywords.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_root(root: &Path) -> Result<Dir> {
    let make = || -> io::Result<Dir> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Dir::open_root(root)
    };
    let dir = make().map_err(|e| failed("make the Maildir tree", root, e))?;
    let parent = root.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(parent) = Dir::open_root(parent) {
        parent.sync()?;
    }
    Ok(dir)
}

fn read_marker(root: &Dir) -> Result<Marker> {
    const LIMIT: u64 = 4096;
    let Some(bytes) = root.read_file(MARKER.as_ref(), LIMIT)? else { return Ok(Marker::Absent) };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let head = lines.next().is_some_and(|l| l == MARKER_HEAD);
    let id = lines.find_map(|l| AccountId::parse(l.strip_prefix("account = ")?.trim_end())).filter(|_| head);
    id.map(Marker::Present).ok_or_else(|| {
        Error::new(Kind::LocalTree, "The tree's marker file is damaged or of a newer version")
            .hint("Update Mailtide, or put the file back from a backup.")
            .at(shown(&root.path().join(MARKER)))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::local) const ID: AccountId = AccountId(0x0a1b_2c3d);

    pub(in crate::local) fn options(root: &Path, layout: Layout) -> LocalOptions {
        LocalOptions { root: root.to_owned(), layout }
    }

    /// A tree in a directory of its own.
    pub(in crate::local) fn tree(layout: Layout) -> (tempfile::TempDir, Store) {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&options(&temp.path().join("Mail"), layout), Expected::First).unwrap().store;
        (temp, store)
    }

    pub(in crate::local) fn mailbox(path: &str) -> MailboxName {
        MailboxName::parse(path).unwrap()
    }

    /// A tree with the mailbox `box` in it, open, and the path of its directory.
    pub(in crate::local) fn folder() -> (tempfile::TempDir, Folder, std::path::PathBuf) {
        let (temp, store) = tree(Layout::Nested);
        store.create_mailbox(&mailbox("box")).unwrap();
        let path = temp.path().join("Mail/box");
        (temp, store.folder(&mailbox("box")).unwrap(), path)
    }

    #[test]
    fn threads_can_share_everything() {
        fn shared<T: Send + Sync>() {}
        shared::<(Store, Folder, super::super::Incoming, super::super::Received, super::super::Outgoing)>();
    }

    #[test]
    fn the_first_run_makes_a_private_tree_and_marks_it() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/Mail");
        let opened = Store::open(&options(&root, Layout::Nested), Expected::First).unwrap();
        assert_eq!(opened.marker, Marker::Absent);
        assert_eq!(std::fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
        opened.store.write_marker(ID).unwrap();
        opened.store.write_marker(ID).unwrap();
        for expected in [Expected::First, Expected::Known(ID)] {
            let again = Store::open(&options(&root, Layout::Nested), expected).unwrap();
            assert_eq!(again.marker, Marker::Present(ID));
        }
        assert!(opened.store.write_marker(AccountId(1)).is_err());
    }

    #[test]
    fn a_missing_empty_or_foreign_tree_is_an_error_and_stays_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("Mail");
        let open = |expected| Store::open(&options(&root, Layout::Nested), expected);
        let refused = |words: &str| {
            let e = open(Expected::Known(ID)).unwrap_err();
            assert_eq!(e.kind(), Kind::LocalTree);
            assert!(e.to_string().contains(words) && e.hint_text().is_some(), "{e}");
        };
        refused("is missing; nothing was changed");
        assert!(!root.exists());
        std::fs::create_dir(&root).unwrap();
        refused("has no `.mailtide` file");
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
        open(Expected::First).unwrap().store.write_marker(AccountId(7)).unwrap();
        refused("another account's (`00000007`, not `0a1b2c3d`)");
        std::fs::write(root.join(MARKER), "Mailtide tree, version 2\naccount = 0a1b2c3d\n").unwrap();
        refused("damaged or of a newer version");
        assert!(open(Expected::First).is_err());
        std::fs::remove_dir_all(&root).unwrap();
        std::fs::write(&root, "a file").unwrap();
        refused("Could not open the Maildir tree");
    }
}
