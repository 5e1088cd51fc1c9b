//! The tree as a whole: opening it, its marker, and which mailboxes it has.
//!
//! The marker file in the root names the account, so that an empty mount point or somebody else's tree is never taken for
//! a tree whose mail was deleted. For the same reason a directory that cannot be used is listed as such: it, and all below
//! it, is unknown, not absent (see [`unusable_at`]).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FileType;

use super::dir::{Dir, TEMPORARY_PREFIX, failed, is_a_link, now, shown};
use super::folder::Folder;
use super::keywords;
use super::scan::{self, Boxes, Examined, Scan, ScannedFile};
use super::{Layout, LocalOptions};
use crate::error::{Error, Kind, Result, safe_line};
use crate::mail::{AccountId, LocalCheckpoint, MailboxName};

/// An account's tree; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: Dir,
    layout: Layout,
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

/// A directory that is, or looks like, a mailbox.
#[derive(Debug)]
pub enum Directory {
    /// It has `cur` and `new`.
    Usable,
    /// It cannot be read, is reached by a symbolic link, lacks a part, or has a name that no mailbox has: nothing is known
    /// of it, nor of what is below it.
    Unusable(Error),
}

/// What came of removing a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is no mailbox any more; files of other programs may keep its directory.
    Gone,
    /// `new` and `cur` hold this many entries; nothing was removed.
    StillHolds(u64),
}

/// The unusable directory at or above `name`: while there is one, `name` is unknown even where it is not listed.
pub fn unusable_at<'a>(mailboxes: &'a BTreeMap<MailboxName, Directory>, name: &MailboxName) -> Option<&'a Error> {
    let mut above = Some(name.clone());
    while let Some(name) = above {
        if let Some(Directory::Unusable(why)) = mailboxes.get(&name) {
            return Some(why);
        }
        above = name.parent();
    }
    None
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
                        .hint("Mount it or move it back. To fetch everything anew, make the account start over with another `maildir`.")
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
                    format!("The Maildir tree has no `{MARKER}` file, so it is not the one of the last run; nothing was changed"),
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

    /// Every mailbox of the tree, and every directory that might be one and cannot be used.
    pub fn mailboxes(&self) -> Result<BTreeMap<MailboxName, Directory>> {
        let Inner { root, layout, .. } = &*self.inner;
        let mut walk = Walk { layout: *layout, found: BTreeMap::new(), nameless: Vec::new() };
        match layout {
            Layout::Nested => walk.nested(root, Path::new(""), 0)?,
            Layout::MaildirPlusPlus => walk.flat(root)?,
        }
        for (name, why) in walk.nameless {
            match walk.found.entry(name) {
                std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(Directory::Unusable(why))),
                std::collections::btree_map::Entry::Occupied(_) => log::warn!("{why}"),
            }
        }
        Ok(walk.found)
    }

    /// Lists a mailbox, or tells that it is as `since` says, which costs two stats.
    pub fn scan(&self, name: &MailboxName, since: Option<&LocalCheckpoint>) -> Result<Scan> {
        let relative = self.inner.layout.directory(name)?;
        if since.is_some_and(|since| scan::is_unchanged(&self.inner.root, &relative, since)) {
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

    /// Makes a mailbox, durably; one that exists gets what it lacks.
    pub fn create_mailbox(&self, name: &MailboxName) -> Result<()> {
        let Inner { root, layout, .. } = &*self.inner;
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
        let Inner { root, layout, .. } = &*self.inner;
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
            let parent = self.inner.root.descend(path.parent().unwrap_or(Path::new("")))?;
            if !remove_if_empty(&parent, path.file_name().unwrap_or_default())? {
                break;
            }
            parent.sync()?;
        }
        Ok(())
    }

    /// Waits for the turn to change a keyword table.
    pub(super) fn keywords_turn(&self) -> MutexGuard<'_, ()> {
        self.inner.keywords.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MAILDIR_FOLDER: &str = "maildirfolder";

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

/// How much of a mailbox a directory is.
enum Shape {
    None,
    Whole,
    Broken(Error),
}

/// The search for mailboxes.
struct Walk {
    layout: Layout,
    found: BTreeMap<MailboxName, Directory>,
    /// What no mailbox is called; listed under a name that comes near, where that is free.
    nameless: Vec<(MailboxName, Error)>,
}

impl Walk {
    /// Looks into `dir`, which is `relative` to the root of a nested tree.
    fn nested(&mut self, dir: &Dir, relative: &Path, depth: usize) -> Result<()> {
        const DEPTH: usize = 100;
        let mut kinds = BTreeMap::new();
        for (name, kind) in dir.entries()? {
            let below = relative.join(&name);
            if ["cur", "new", "tmp"].iter().any(|sub| name == *sub) {
                kinds.insert(name, kind);
            } else if name.as_bytes().starts_with(b".") {
                // Hidden directories are other programs', unless they look like a mailbox of the other layout.
                if kind == FileType::Directory && self.is_maildir(dir, &name) {
                    self.add(below, Shape::Whole);
                }
            } else if kind == FileType::Symlink {
                self.link(dir, &name, below);
            } else if kind == FileType::Directory {
                let inside = match dir.open(&name) {
                    _ if depth >= DEPTH => {
                        Err(Error::new(Kind::LocalTree, "The tree is nested too deeply").at(shown(dir.path())))
                    }
                    Ok(inside) => self.nested(&inside, &below, depth + 1),
                    Err(e) => Err(dir.failed("open the directory", &name, e)),
                };
                if let Err(why) = inside {
                    self.add(below, Shape::Broken(why));
                }
            }
        }
        let shape = shape(dir, |sub| Ok(kinds.get(OsStr::new(sub)).copied()))?;
        if relative.as_os_str().is_empty() {
            if !matches!(shape, Shape::None) {
                self.nameless.push((MailboxName::inbox(), wrong_layout(dir.path(), "maildir++")));
            }
        } else {
            self.add(relative.to_owned(), shape);
        }
        Ok(())
    }

    /// Looks into the root of a Maildir++ tree.
    fn flat(&mut self, root: &Dir) -> Result<()> {
        self.add(PathBuf::new(), shape(root, |sub| root.kind_of(sub.as_ref()))?);
        for (name, kind) in root.entries()? {
            let hidden = name.as_bytes().starts_with(b".");
            match kind {
                FileType::Symlink if hidden => self.link(root, &name, PathBuf::from(&name)),
                FileType::Directory if hidden => {
                    let inside = root.open(&name).map_err(|e| root.failed("open the directory", &name, e));
                    let shape = inside.and_then(|dir| shape(&dir, |sub| dir.kind_of(sub.as_ref())));
                    self.add(PathBuf::from(&name), shape.unwrap_or_else(Shape::Broken));
                }
                FileType::Directory if self.is_maildir(root, &name) => {
                    let why = wrong_layout(&root.path().join(&name), "nested");
                    self.nameless.push((self.layout.stand_in(Path::new(&name)), why));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_maildir(&self, dir: &Dir, name: &OsStr) -> bool {
        ["cur", "new"].iter().all(|sub| matches!(dir.stamp_of(&Path::new(name).join(sub)), Ok(Some(_))))
    }

    /// A symbolic link hides what might be a mailbox, unless it leads to a file.
    fn link(&mut self, dir: &Dir, name: &OsStr, relative: PathBuf) {
        if let Ok(None | Some(FileType::Directory)) | Err(_) = dir.target_kind(name) {
            self.add(relative, Shape::Broken(is_a_link(&dir.path().join(name))));
        }
    }

    fn add(&mut self, relative: PathBuf, shape: Shape) {
        let directory = match shape {
            Shape::None => return,
            Shape::Whole => Directory::Usable,
            Shape::Broken(why) => Directory::Unusable(why),
        };
        match (self.layout.mailbox(&relative), directory) {
            (Some(name), directory) => drop(self.found.insert(name, directory)),
            (None, Directory::Unusable(why)) => self.nameless.push((self.layout.stand_in(&relative), why)),
            (None, Directory::Usable) => {
                let stand_in = self.layout.stand_in(&relative);
                let why = Error::new(Kind::LocalTree, "The directory's name is none that Mailtide gives a mailbox")
                    .hint("Rename it (UTF-8; `.`, `%` and control characters escaped; INBOX in capitals), or set the `layout` that it is in.")
                    .at(shown(&relative));
                self.nameless.push((stand_in, why));
            }
        }
    }
}

/// Whether `dir` is a mailbox; `kind` tells what `cur` and `new` are.
fn shape(dir: &Dir, kind: impl Fn(&str) -> io::Result<Option<FileType>>) -> Result<Shape> {
    let look = |sub: &str| kind(sub).map_err(|e| dir.failed("look at", sub.as_ref(), e));
    let (cur, new) = (look("cur")?, look("new")?);
    let broken = |what: String| {
        let path = safe_line(&dir.path().display().to_string());
        Shape::Broken(
            Error::new(Kind::LocalTree, what)
                .hint(format!("Make what it lacks: `mkdir -p '{path}'/{{cur,new,tmp}}`."))
                .at(path),
        )
    };
    Ok(match (cur, new) {
        (None, None) => Shape::None,
        (Some(FileType::Directory), Some(FileType::Directory)) => Shape::Whole,
        (Some(FileType::Symlink), _) => Shape::Broken(is_a_link(&dir.path().join("cur"))),
        (_, Some(FileType::Symlink)) => Shape::Broken(is_a_link(&dir.path().join("new"))),
        (Some(FileType::Directory), _) => broken("The mailbox has no directory `new`".to_owned()),
        (_, Some(FileType::Directory)) => broken("The mailbox has no directory `cur`".to_owned()),
        (Some(_), _) | (_, Some(_)) => Shape::None,
    })
}

fn wrong_layout(path: &Path, layout: &str) -> Error {
    Error::new(Kind::LocalTree, "This is a mailbox where the configured layout has none")
        .hint(format!("Set `layout = \"{layout}\"`, or move it away."))
        .at(shown(path))
}
