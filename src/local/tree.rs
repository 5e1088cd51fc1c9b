//! Which mailboxes a tree has.
//!
//! Invariant: what might be a mailbox is in the listing. A directory that cannot be used is listed as such, because not
//! being listed means being deleted: it, and all below it, is unknown (see [`unusable_at`]).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::Layout;
use super::dir::Dir;
use super::layout::LOST_AND_FOUND;
use super::store::{Inner, MARKER, Store};
use super::trouble::{is_a_link, shown};
use crate::error::{Error, Kind, Result, safe_line};
use crate::mail::MailboxName;

/// A directory that is, or looks like, a mailbox.
#[derive(Debug)]
pub enum Directory {
    /// It has `cur` and `new`.
    Usable,
    /// It cannot be read, is reached by a symbolic link, lacks a part, or has a name that no mailbox has: nothing is
    /// known of it, nor of what is below it.
    Unusable(Error),
    /// It has one of `cur` and `new` and not the other: a crash came while it was made, or somebody removed one. The error
    /// says so; [`Store::create_mailbox`] would complete it.
    Incomplete(Error),
}

/// The unusable directory at or above `name`: while there is one, `name` is unknown even where it is not listed.
pub fn unusable_at<'a>(mailboxes: &'a BTreeMap<MailboxName, Directory>, name: &MailboxName) -> Option<&'a Error> {
    let mut above = Some(name.clone());
    while let Some(name) = above {
        if let Some(Directory::Unusable(why) | Directory::Incomplete(why)) = mailboxes.get(&name) {
            return Some(why);
        }
        above = name.parent();
    }
    None
}

impl Store {
    /// Every mailbox of the tree, and every directory that might be one and cannot be used.
    pub fn mailboxes(&self) -> Result<BTreeMap<MailboxName, Directory>> {
        let Inner { root, layout, .. } = self.inner();
        let mut walk = Walk { layout: *layout, found: BTreeMap::new(), nameless: Vec::new() };
        match layout {
            Layout::Nested => walk.nested(root, Path::new(""), 0)?,
            Layout::MaildirPlusPlus => walk.flat(root)?,
        }
        for (mut name, why) in walk.nameless {
            // `inbox` comes near INBOX, which is there.
            while walk.found.contains_key(&name) {
                let Some(free) = MailboxName::parse(&format!("{}?", name.path())) else { break };
                name = free;
            }
            walk.found.insert(name, Directory::Unusable(why));
        }
        Ok(walk.found)
    }
}

/// How much of a mailbox a directory is.
enum Shape {
    None,
    Whole,
    Broken(Error),
    Half(Error),
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
        let entries = dir.entries()?;
        if !relative.as_os_str().is_empty() && entries.iter().any(|(name, _)| name == MARKER) {
            return Err(Error::new(Kind::LocalTree, "Another Maildir tree stands inside this one")
                .hint("Move it out: each account would take the other's mail for its own.")
                .at(shown(relative)));
        }
        for (name, kind) in entries {
            let below = relative.join(&name);
            if ["cur", "new", "tmp"].iter().any(|sub| name == *sub) {
                kinds.insert(name, kind);
            } else if name == LOST_AND_FOUND {
                continue;
            } else if name.as_bytes().starts_with(b".") {
                // Hidden directories are other programs', unless they look like a mailbox of the other layout.
                if kind == FileType::Directory && is_maildir(dir, &name) {
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
                FileType::Directory if is_maildir(root, &name) => {
                    let why = wrong_layout(&root.path().join(&name), "nested");
                    self.nameless.push((self.layout.stand_in(Path::new(&name)), why));
                }
                _ => {}
            }
        }
        Ok(())
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
            Shape::Half(why) => Directory::Incomplete(why),
        };
        match (self.layout.mailbox(&relative), directory) {
            (Some(name), directory) => drop(self.found.insert(name, directory)),
            (None, Directory::Unusable(why) | Directory::Incomplete(why)) => {
                self.nameless.push((self.layout.stand_in(&relative), why))
            }
            (None, Directory::Usable) => {
                let stand_in = self.layout.stand_in(&relative);
                let why = Error::new(Kind::LocalTree, "The directory's name is none that Mailtide gives a mailbox")
                    .hint(
                        "Rename it (in UTF-8, without control characters, `%` or a dot in front; INBOX in capitals), or \
                         set the `layout` that it is in.",
                    )
                    .at(shown(&relative));
                self.nameless.push((stand_in, why));
            }
        }
    }
}

/// Whether the directory `name` has all that a mailbox needs.
fn is_maildir(dir: &Dir, name: &OsStr) -> bool {
    ["cur", "new"].iter().all(|sub| matches!(dir.stamp_of(&Path::new(name).join(sub)), Ok(Some(_))))
}

/// Whether `dir` is a mailbox; `kind` tells what `cur` and `new` are.
fn shape(dir: &Dir, kind: impl Fn(&str) -> io::Result<Option<FileType>>) -> Result<Shape> {
    let look = |sub: &str| kind(sub).map_err(|e| dir.failed("look at", sub.as_ref(), e));
    let (cur, new) = (look("cur")?, look("new")?);
    let lacking = |what: &str| {
        let path = safe_line(&dir.path().display().to_string());
        let what = format!("The mailbox has no directory `{what}`");
        Error::new(Kind::LocalTree, what)
            .hint(format!(
                "Make what it lacks: `mkdir -p '{path}'/{{cur,new,tmp}}`. What was in it comes down again then."
            ))
            .at(path)
    };
    Ok(match (cur, new) {
        (None, None) => Shape::None,
        (Some(FileType::Directory), Some(FileType::Directory)) => Shape::Whole,
        (Some(FileType::Symlink), _) => Shape::Broken(is_a_link(&dir.path().join("cur"))),
        (_, Some(FileType::Symlink)) => Shape::Broken(is_a_link(&dir.path().join("new"))),
        (Some(FileType::Directory), None) => Shape::Half(lacking("new")),
        (None, Some(FileType::Directory)) => Shape::Half(lacking("cur")),
        (Some(FileType::Directory), Some(_)) => Shape::Broken(lacking("new")),
        (Some(_), Some(FileType::Directory)) => Shape::Broken(lacking("cur")),
        (Some(_), _) | (_, Some(_)) => Shape::None,
    })
}

fn wrong_layout(path: &Path, layout: &str) -> Error {
    Error::new(Kind::LocalTree, "This is a mailbox where the configured layout has none")
        .hint(format!("Set `layout = \"{layout}\"`, or move it away."))
        .at(shown(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::store::tests::{mailbox, tree};
    use super::*;

    fn maildir(path: PathBuf) {
        ["cur", "new", "tmp"].iter().for_each(|sub| std::fs::create_dir_all(path.join(sub)).unwrap());
    }

    /// The mailboxes as text, with a `!` before those that cannot be used.
    fn listed(store: &Store) -> Vec<String> {
        let mailboxes = store.mailboxes().unwrap();
        let line = |(name, directory): (&MailboxName, &Directory)| match directory {
            Directory::Usable => name.path().to_owned(),
            Directory::Unusable(_) | Directory::Incomplete(_) => format!("!{}", name.path()),
        };
        mailboxes.iter().map(line).collect()
    }

    #[test]
    fn nested_mailboxes_are_found_below_containers_and_below_each_other() {
        let (temp, store) = tree(Layout::Nested);
        let root = temp.path().join("Mail");
        for path in ["lost+found", "INBOX", "INBOX/x", "A", "box/v1.0/Entwürfe", ".git/x", "A/%2Edot", "A/%63ur"] {
            maildir(root.join(path));
        }
        std::fs::create_dir_all(root.join("empty/deep")).unwrap();
        std::fs::create_dir_all(root.join("A/.notmuch/xapian")).unwrap();
        std::fs::write(root.join("file"), "x").unwrap();
        symlink("file", root.join("link-to-file")).unwrap();
        assert_eq!(listed(&store), ["A", "A/.dot", "A/cur", "INBOX", "INBOX/x", "box/v1.0/Entwürfe"]);
    }

    #[test]
    fn another_accounts_tree_inside_is_left_alone() {
        let (temp, store) = tree(Layout::Nested);
        let root = temp.path().join("Mail");
        ["A", "other/INBOX", "other/B/C"].iter().for_each(|path| maildir(root.join(path)));
        std::fs::write(root.join("other/.mailtide"), "Mailtide tree, version 1\n").unwrap();
        assert_eq!(listed(&store), ["A", "!other"]);
        assert!(unusable_at(&store.mailboxes().unwrap(), &mailbox("other/B/C")).is_some());
    }

    #[test]
    fn maildir_plus_plus_has_its_inbox_in_the_root() {
        let (temp, store) = tree(Layout::MaildirPlusPlus);
        let root = temp.path().join("Mail");
        for path in ["", ".A", ".A.B c", ".INBOX.x", ".v1%2E0"] {
            maildir(root.join(path));
        }
        std::fs::create_dir_all(root.join(".notmuch/xapian")).unwrap();
        std::fs::create_dir_all(root.join("attachments")).unwrap();
        assert_eq!(listed(&store), ["A", "A/B c", "INBOX", "INBOX/x", "v1.0"]);
    }

    #[test]
    fn what_cannot_be_used_is_listed_and_hides_what_is_below() {
        use std::os::unix::ffi::OsStrExt;
        let (temp, store) = tree(Layout::Nested);
        let root = temp.path().join("Mail");
        ["A", "INBOX", "inbox", "Inbox", "%41", ".Sent"].iter().for_each(|path| maildir(root.join(path)));
        ["half/cur", "lame/new"].iter().for_each(|path| std::fs::create_dir_all(root.join(path)).unwrap());
        maildir(root.join(OsStr::from_bytes(b"caf\xe9")));
        maildir(temp.path().join("outside/B"));
        symlink("../outside", root.join("linked")).unwrap();
        symlink("/nowhere", root.join("unmounted")).unwrap();
        std::fs::create_dir(root.join("C")).unwrap();
        symlink("../../outside/B/cur", root.join("C/cur")).unwrap();
        std::fs::create_dir(root.join("C/new")).unwrap();
        let want = [
            "!%41",
            "!.Sent",
            "A",
            "!C",
            "INBOX",
            "!INBOX?",
            "!INBOX??",
            "!caf\u{fffd}",
            "!half",
            "!lame",
            "!linked",
            "!unmounted",
        ];
        assert_eq!(listed(&store), want);
        let all = store.mailboxes().unwrap();
        for below in ["linked/B", "linked", "unmounted/x/y"] {
            assert!(unusable_at(&all, &mailbox(below)).unwrap().to_string().contains("symbolic link"), "{below}");
        }
        assert!(unusable_at(&all, &mailbox("A/x")).is_none() && unusable_at(&all, &mailbox("gone")).is_none());
        assert!(
            all.values()
                .all(|d| !matches!(d, Directory::Unusable(e) | Directory::Incomplete(e) if e.hint_text().is_none()))
        );
    }

    #[test]
    fn a_tree_of_the_other_layout_is_said_to_be_one() {
        let (temp, store) = tree(Layout::Nested);
        maildir(temp.path().join("Mail"));
        let all = store.mailboxes().unwrap();
        let Some(Directory::Unusable(e) | Directory::Incomplete(e)) = all.get(&mailbox("INBOX")) else {
            panic!("{all:?}")
        };
        assert!(e.hint_text().unwrap().contains("maildir++"));
        let (temp, store) = tree(Layout::MaildirPlusPlus);
        maildir(temp.path().join("Mail/Archive"));
        let all = store.mailboxes().unwrap();
        let Some(Directory::Unusable(e) | Directory::Incomplete(e)) = all.get(&mailbox("Archive")) else {
            panic!("{all:?}")
        };
        assert!(e.hint_text().unwrap().contains("nested"));
    }

    #[test]
    fn an_unreadable_directory_is_unknown() {
        use std::os::unix::fs::PermissionsExt;
        if rustix::process::geteuid().is_root() {
            return;
        }
        let (temp, store) = tree(Layout::Nested);
        let path = temp.path().join("Mail/A");
        maildir(path.join("B"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
        assert_eq!(listed(&store), ["!A"]);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    }

    #[test]
    fn scans_of_what_is_missing_or_leads_outside_are_errors() {
        let (temp, store) = tree(Layout::Nested);
        maildir(temp.path().join("outside"));
        symlink("../outside", temp.path().join("Mail/A")).unwrap();
        assert!(store.scan(&mailbox("missing"), None).is_err());
        assert!(store.scan(&mailbox("A"), None).unwrap_err().to_string().contains("symbolic link"));
    }
}
