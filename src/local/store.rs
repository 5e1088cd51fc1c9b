//! The store: opening a tree, its marker, and the way to its mailboxes.
//!
//! The marker file in the root names the account and the layout, so that an empty mount point, somebody else's tree, or
//! our own read in another layout is never taken for a tree whose mail was deleted.

use std::fs::{DirBuilder, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dir::{Dir, now};
use super::folder::Folder;
use super::scan::{Examined, Roll, Scan, ScannedFile};
use super::settle::{self, Boxes};
use super::temporary::TEMPORARY_PREFIX;
use super::trouble::{failed, shown};
use super::{Layout, LocalOptions};
use crate::error::{Error, Kind, Result};
use crate::faults::{self, Step};
use crate::mail::{AccountId, Generation, LocalCheckpoint, MailboxName};

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

pub(super) const MARKER: &str = ".mailtide";
const MARKER_HEAD: &str = "Mailtide tree, version 1";
/// How to go on without the tree that the state belongs to.
pub(super) const ANEW: &str = "To begin anew with a tree that is empty or not there, remove the account's state first; \
                    `mailtide check` names its file.";

impl Store {
    /// Opens an account's tree; on the first run it is made where it is missing.
    ///
    /// Fails with [`Kind::LocalTree`], and touches nothing, when the tree is missing though it is known, is not the
    /// expected account's, or was made in another layout.
    pub fn open(options: &LocalOptions, expected: Expected) -> Result<Opened> {
        let root = &options.root;
        let store = Store::open_any(options, expected)?;
        let marker = read_marker(&store.inner.root)?.marker;
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
                .hint(format!("Is the file system mounted? Look what is there with `ls -la`. {ANEW}"))
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
        Ok(Opened { store, marker })
    }

    /// Opens a tree whosever it is; makes a missing one when none is expected. It is in no other tree, and laid out as the
    /// options say.
    pub(super) fn open_any(options: &LocalOptions, expected: Expected) -> Result<Store> {
        let root = &options.root;
        if expected == Expected::First {
            stands_alone(root)?;
        }
        let dir = match Dir::open_root(root) {
            Ok(dir) => dir,
            Err(e) if e.kind() == io::ErrorKind::NotFound => match expected {
                Expected::First => make_root(root)?,
                Expected::Known(_) => {
                    return Err(Error::new(Kind::LocalTree, "The Maildir tree is missing; nothing was changed")
                        .hint(format!("Mount it or move it back. {ANEW}"))
                        .at(shown(root)));
                }
            },
            Err(e) => return Err(failed("open the Maildir tree", root, e)),
        };
        if let Some(made) = read_marker(&dir)?.layout.filter(|made| *made != options.layout) {
            let (made, asked) = (made.word(), options.layout.word());
            let what = format!("The tree was made in the layout \"{made}\", not \"{asked}\"; nothing was changed");
            return Err(Error::new(Kind::LocalTree, what)
                .hint(format!(
                    "Set `layout = \"{made}\"`, with a URL `--layout {made}`. For another layout, move the tree away; the \
                     mail is fetched into a new one then. {ANEW}"
                ))
                .at(shown(root)));
        }
        let inner = Inner { root: dir, layout: options.layout, keywords: Mutex::new(()) };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Takes the tree for one run, as long as the store or a folder of it lives. The account's lock does not keep out a run
    /// that reaches the same tree under another name, as with a URL.
    ///
    /// Fails with [`Kind::Locked`] when another run has it. Where the file system has no locks it is taken unseen.
    pub fn take(&self) -> Result<()> {
        match self.inner.root.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(Kind::Locked, "Another run works in the Maildir tree, under another account's name")
                    .hint("Try again when it has ended; reach a tree under one name only.")
                    .at(shown(self.inner.root.path())))
            }
            Err(TryLockError::Error(e)) => {
                log::debug!("{}: no lock: {e}", shown(self.inner.root.path()));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Opens a tree as [`Store::open`] does, and makes nothing: `None` where there is no tree and none is expected.
    pub fn open_existing(options: &LocalOptions, expected: Expected) -> Result<Option<Opened>> {
        if Store::is_to_be_made(options, expected)? { Ok(None) } else { Store::open(options, expected).map(Some) }
    }

    /// Whether there is no tree and none is expected; an error where a run may make none.
    pub(super) fn is_to_be_made(options: &LocalOptions, expected: Expected) -> Result<bool> {
        let missing = matches!(Dir::open_root(&options.root), Err(e) if e.kind() == io::ErrorKind::NotFound);
        let is_to_be_made = missing && expected == Expected::First;
        if is_to_be_made {
            stands_alone(&options.root)?;
        }
        Ok(is_to_be_made)
    }

    /// Marks the tree as `id`'s, durably. Fails when it is marked as another account's.
    pub fn write_marker(&self, id: AccountId) -> Result<()> {
        let root = &self.inner.root;
        match read_marker(root)?.marker {
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
        self.mark(id, Generation::default())
    }

    /// How often the tree has been changed, as its marker says; `None` when it says nothing.
    pub fn generation(&self) -> Result<Option<Generation>> {
        Ok(read_marker(&self.inner.root)?.generation)
    }

    /// Writes the marker of `id`'s tree anew, durably.
    pub fn mark(&self, id: AccountId, generation: Generation) -> Result<()> {
        let root = &self.inner.root;
        let text = format!(
            "{MARKER_HEAD}\naccount = {id}\nlayout = {}\ngeneration = {generation}\n\n\
             This file tells Mailtide that the mail of this account is here. Without it nothing is synchronised,\n\
             so that an empty mount point is not taken for a mailbox that was emptied. Leave it where it is.\n",
            self.inner.layout.word()
        );
        root.replace_file(MARKER.as_ref(), text.as_bytes())
    }

    /// Lists a mailbox, or tells that it is as `since` says, which costs two stats.
    pub fn scan(&self, name: &MailboxName, since: Option<&LocalCheckpoint>) -> Result<Scan> {
        Ok(self.roll(name, since)?.map_or(Scan::Unchanged, |roll| Scan::Listed(roll.listing())))
    }

    /// Reads the names of a mailbox's files; `None` when it is as `since` says.
    pub fn roll(&self, name: &MailboxName, since: Option<&LocalCheckpoint>) -> Result<Option<Roll>> {
        let relative = self.inner.layout.directory(name)?;
        if since.is_some_and(|since| settle::is_unchanged(&self.inner.root, &relative, since)) {
            return Ok(None);
        }
        self.boxes(name)?.roll(now()).map(Some)
    }

    /// Reads a file through that a scan listed; `None` when it is gone meanwhile.
    pub fn examine(&self, name: &MailboxName, file: &ScannedFile) -> Result<Option<Examined>> {
        self.boxes(name)?.examine(file, now())
    }

    /// The directories of a mailbox.
    pub(super) fn boxes(&self, name: &MailboxName) -> Result<Boxes> {
        Boxes::open(self.inner.root.descend(&self.inner.layout.directory(name)?)?)
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
    let absolute = std::path::absolute(root).map_err(|e| failed("look at the Maildir tree", root, e))?;
    // The names of all that is made stand in the directories above.
    let above: Vec<&Path> = absolute.ancestors().take_while(|dir| !dir.exists()).filter_map(Path::parent).collect();
    let make = || -> io::Result<Dir> {
        faults::disk(Step::MakeDirectory)?;
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Dir::open_root(root)
    };
    let dir = make().map_err(|e| failed("make the Maildir tree", root, e))?;
    for parent in above {
        // One that may not be read may still be entered.
        if let Ok(parent) = Dir::open_root(parent) {
            parent.sync()?;
        }
    }
    Ok(dir)
}

/// Refuses a tree that would be inside another: each account would take the other's mail for its own.
fn stands_alone(root: &Path) -> Result<()> {
    let absolute = std::path::absolute(root).map_err(|e| failed("look at the Maildir tree", root, e))?;
    // The tree itself may not be there yet.
    let real = absolute.ancestors().skip(1).find_map(|above| above.canonicalize().ok());
    match real.iter().flat_map(|real| real.ancestors()).find(|above| above.join(MARKER).is_file()) {
        None => Ok(()),
        Some(other) => {
            let what = format!("This directory is inside another Maildir tree, {}", shown(other));
            Err(Error::new(Kind::LocalTree, what)
                .hint("Give each account a `maildir` of its own, neither inside the other.")
                .at(shown(root)))
        }
    }
}

/// What the marker file says.
struct Marked {
    marker: Marker,
    layout: Option<Layout>,
    generation: Option<Generation>,
}

fn read_marker(root: &Dir) -> Result<Marked> {
    const LIMIT: u64 = 4096;
    let Some(bytes) = root.read_file(MARKER.as_ref(), LIMIT)? else {
        return Ok(Marked { marker: Marker::Absent, layout: None, generation: None });
    };
    let damaged = || {
        Error::new(Kind::LocalTree, "The tree's marker file is damaged or of a newer version")
            .hint(
                "Update Mailtide, or put the file back from a backup. Where there is none, move it and the account's state \
                 away, whose file `mailtide check` names: the mail is recognised again.",
            )
            .at(shown(&root.path().join(MARKER)))
    };
    let text = String::from_utf8_lossy(&bytes);
    let value = |key| text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(" = ")).map(str::trim_end);
    let head = text.lines().next().is_some_and(|l| l == MARKER_HEAD);
    let id = value("account").and_then(AccountId::parse).filter(|_| head).ok_or_else(damaged)?;
    let known = |word| [Layout::Nested, Layout::MaildirPlusPlus].into_iter().find(|layout| layout.word() == word);
    let layout = value("layout").map(|word| known(word).ok_or_else(damaged)).transpose()?;
    let generation = value("generation").and_then(|number| number.parse().ok()).map(Generation);
    Ok(Marked { marker: Marker::Present(id), layout, generation })
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
    fn no_tree_is_made_inside_another() {
        let (temp, store) = tree(Layout::MaildirPlusPlus);
        store.write_marker(ID).unwrap();
        let inside = temp.path().join("Mail/a/b");
        let error = Store::open(&options(&inside, Layout::Nested), Expected::First).unwrap_err();
        assert!(error.kind() == Kind::LocalTree && error.to_string().contains("inside another"), "{error}");
        assert!(!temp.path().join("Mail/a").exists());
    }

    #[test]
    fn two_runs_never_work_in_one_tree() {
        let (temp, store) = tree(Layout::Nested);
        let again = || Store::open(&options(&temp.path().join("Mail"), Layout::Nested), Expected::First).unwrap().store;
        store.take().unwrap();
        let folder = store.create_mailbox(&mailbox("box")).and_then(|_| store.folder(&mailbox("box"))).unwrap();
        drop(store);
        assert_eq!(again().take().unwrap_err().kind(), Kind::Locked);
        drop(folder);
        again().take().unwrap();
    }

    #[test]
    fn a_tree_is_never_read_in_another_layout_than_it_was_made_in() {
        for (made, asked) in [(Layout::Nested, Layout::MaildirPlusPlus), (Layout::MaildirPlusPlus, Layout::Nested)] {
            let (temp, store) = tree(made);
            store.write_marker(ID).unwrap();
            let root = temp.path().join("Mail");
            for expected in [Expected::First, Expected::Known(ID)] {
                let error = Store::open(&options(&root, asked), expected).unwrap_err();
                assert_eq!(error.kind(), Kind::LocalTree);
                assert!(error.hint_text().unwrap().contains(&format!("`--layout {}`", made.word())), "{error}");
                Store::open(&options(&root, made), expected).unwrap();
            }
            std::fs::write(root.join(MARKER), format!("{MARKER_HEAD}\naccount = {ID}\nlayout = flat\n")).unwrap();
            assert!(Store::open(&options(&root, made), Expected::First).is_err());
            std::fs::write(root.join(MARKER), format!("{MARKER_HEAD}\naccount = {ID}\n")).unwrap();
            Store::open(&options(&root, asked), Expected::First).unwrap();
        }
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
