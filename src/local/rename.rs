//! Mailboxes that get another name: their directories do, with all that is in them, in one step.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::dir::Dir;
use super::mailbox::make_dir;
use super::store::{Inner, Store};
use super::trouble::{failed, shown};
use crate::error::{Error, Kind, Result};
use crate::mail::MailboxName;

impl Store {
    /// Renames a mailbox's directory, durably; in the nested layout, what is below it comes along. Fine when it was done
    /// before. Never replaces anything.
    pub fn rename_mailbox(&self, from: &MailboxName, to: &MailboxName) -> Result<()> {
        let Inner { root, layout, .. } = self.inner();
        let (old, new) = (layout.directory(from)?, layout.directory(to)?);
        let there = |path: &Path| root.stamp_of(path).map_err(|e| failed("look at", &root.path().join(path), e));
        if there(&old)?.is_none() && there(&new)?.is_some() {
            return Ok(());
        }
        let (source, old_name) = split(root, &old)?;
        let target = parents(root, &new)?;
        let new_name = last(&new);
        source.rename_new(&old_name, &target, new_name).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::new(Kind::LocalTree, "A directory of the mailbox's new name exists")
                .hint("Move it away and run `mailtide sync` again.")
                .at(shown(&root.path().join(&new))),
            _ => source.failed("rename the mailbox's directory", &old_name, e),
        })?;
        target.sync()?;
        source.sync()?;
        self.prune(old.parent().unwrap_or(Path::new("")))
    }

    /// Lets two mailboxes take each other's name, durably and at once.
    pub fn swap_mailboxes(&self, one: &MailboxName, other: &MailboxName) -> Result<()> {
        let Inner { root, layout, .. } = self.inner();
        let (a, b) = (split(root, &layout.directory(one)?)?, split(root, &layout.directory(other)?)?);
        a.0.exchange(&a.1, &b.0, &b.1).map_err(|e| a.0.failed("rename the mailbox's directory", &a.1, e))?;
        a.0.sync()?;
        b.0.sync()
    }
}

/// The directory that `path` stands in, and its name there.
fn split(root: &Dir, path: &Path) -> Result<(Dir, OsString)> {
    let parent = root.descend(path.parent().unwrap_or(Path::new("")))?;
    Ok((parent, last(path).to_owned()))
}

fn last(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// Makes the directories above `path` that are missing, and opens the last one.
fn parents(root: &Dir, path: &Path) -> Result<Dir> {
    let mut dir = root.again()?;
    for part in path.parent().into_iter().flat_map(Path::iter) {
        make_dir(&dir, part)?;
        dir = dir.open(part).map_err(|e| dir.failed("open the directory", part, e))?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::super::store::tests::{mailbox, tree};

    #[test]
    fn a_mailbox_is_renamed_with_what_is_below_it_and_once() {
        let (temp, store) = tree(Layout::Nested);
        for name in ["a/b", "a/b/c", "x"] {
            store.create_mailbox(&mailbox(name)).unwrap();
        }
        let root = temp.path().join("Mail");
        std::fs::write(root.join("a/b/cur/m:2,S"), "x").unwrap();
        for _ in 0..2 {
            store.rename_mailbox(&mailbox("a/b"), &mailbox("fresh/place")).unwrap();
        }
        assert!(root.join("fresh/place/cur/m:2,S").exists() && root.join("fresh/place/c/cur").exists());
        assert!(!root.join("a").exists(), "nothing empty stays behind");
        let error = store.rename_mailbox(&mailbox("x"), &mailbox("fresh")).unwrap_err();
        assert!(error.to_string().contains("exists") && root.join("x/cur").exists(), "{error}");
    }

    #[test]
    fn two_mailboxes_swap_in_both_layouts() {
        for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
            let (_temp, store) = tree(layout);
            for name in ["a", "b/c"] {
                store.create_mailbox(&mailbox(name)).unwrap();
            }
            let before = store.folder(&mailbox("a")).unwrap().boxes.dir.stamp().unwrap().inode;
            store.swap_mailboxes(&mailbox("a"), &mailbox("b/c")).unwrap();
            assert_eq!(store.folder(&mailbox("b/c")).unwrap().boxes.dir.stamp().unwrap().inode, before);
        }
    }
}
