//! The local tree: there, ours, writable, laid out as configured.
//!
//! What a run cannot do in it fails with the run's own exit code: with a maildrop's mailbox all is lost, an IMAP account
//! goes on without a mailbox.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::kept::Known;
use super::{Finding, Grade};
use crate::config::{Account, Direction, ImapAccount, LocalDeletion, Pop3Account};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::local::{Directory, Expected, Layout, LocalOptions, Marker, Need, Store, allows_making, unusable_at};
use crate::mail::MailboxName;

const SUBJECT: &str = "tree";

/// Looks at the tree; one that does not exist yet is not made.
pub(super) fn check(account: &Account, known: Known, put: &mut dyn FnMut(Finding)) {
    let options = account.local();
    let root = options.root.display();
    let expected = match known {
        Known::Account(id) => Expected::Known(id),
        Known::Nothing | Known::Unreadable if options.root.symlink_metadata().is_err() => {
            put(match allows_making(&options.root) {
                Ok(()) => Finding::ok(SUBJECT, format!("{root} does not exist yet; the first run makes it")),
                Err(error) => Finding::error(SUBJECT, &error),
            });
            return;
        }
        Known::Nothing | Known::Unreadable => Expected::First,
    };
    let opened = match account {
        Account::Imap(_) => Store::open(options, expected),
        Account::Pop3(account) => Store::open_for_maildrop(options, &account.login(), expected),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            put(Finding::error(SUBJECT, &error));
            return;
        }
    };
    let whose = match (opened.marker, known) {
        (Marker::Absent, _) => "no marker yet".to_owned(),
        (Marker::Present(id), Known::Account(_)) => format!("the marker names this account, {id}"),
        (Marker::Present(id), _) => format!("the marker names account {id}, whose state is not there"),
    };
    put(Finding::ok(SUBJECT, format!("{root}: {whose}")));
    let marking = opened.store.allows_marking();
    if let Err(error) = &marking {
        put(Finding::error(SUBJECT, error));
    }
    // Where the root is closed to changes, so is often everything in it.
    let change = if marking.is_ok() { Need::Change } else { Need::Read };
    mailboxes(account, &opened.store, change, put);
    if let Some(other) = other_layout(options) {
        put(Finding::warn(
            SUBJECT,
            format!("{root} looks like the layout \"{other}\""),
            format!("If it is, set `layout = \"{other}\"`."),
        ));
    }
    if let Some(apart) = apart(&inbox(options, options.layout)) {
        put(Finding::warn(
            SUBJECT,
            format!("{apart} of INBOX is on another file system"),
            "A message is moved from `tmp` to `new` and `cur` in one step: put the three on one file system.",
        ));
    }
}

/// All mailboxes of the tree; `change` is what is needed of those that a run delivers into.
fn mailboxes(account: &Account, store: &Store, change: Need, put: &mut dyn FnMut(Finding)) {
    let directories = match store.mailboxes() {
        Ok(directories) => directories,
        Err(error) => {
            put(Finding::error(SUBJECT, &error));
            return;
        }
    };
    let usable = directories.values().filter(|directory| matches!(directory, Directory::Usable)).count();
    put(Finding::ok(SUBJECT, format!("Mailboxes in it: {usable}")));
    match account {
        Account::Imap(account) => of_imap(account, store, &directories, change, put),
        Account::Pop3(account) => of_maildrop(account, store, &directories, change, put),
    }
}

type Directories = BTreeMap<MailboxName, Directory>;

/// A run leaves a mailbox that it cannot use alone and goes on; of those that take no part it wants nothing.
fn of_imap(
    account: &ImapAccount,
    store: &Store,
    directories: &Directories,
    change: Need,
    put: &mut dyn FnMut(Finding),
) {
    let need = match account.direction {
        Direction::Push => Need::Read,
        Direction::Both | Direction::Pull => change,
    };
    for (name, directory) in directories {
        let selected = account.mailboxes.selects(name);
        match usable(store, name, directory, if selected { need } else { Need::Read }) {
            Err(why) if selected => put(Finding { grade: Grade::Fail(Exit::SomeFailed), ..why }),
            Err(why) => put(Finding { grade: Grade::Warn, ..why }),
            Ok(()) => {}
        }
    }
}

/// Without its mailbox a run does nothing. The others it looks into, all of them, only for mail that somebody deleted.
fn of_maildrop(
    account: &Pop3Account,
    store: &Store,
    directories: &Directories,
    change: Need,
    put: &mut dyn FnMut(Finding),
) {
    let own = match (unusable_at(directories, &account.mailbox), directories.get(&account.mailbox)) {
        (Some(why), _) => Err(Finding::error(SUBJECT, why)),
        (None, Some(directory)) => usable(store, &account.mailbox, directory, change),
        (None, None) => Ok(()),
    };
    own.unwrap_or_else(&mut *put);
    for (name, directory) in directories.iter().filter(|(name, _)| **name != account.mailbox) {
        match (usable(store, name, directory, Need::Read), account.local_deletion) {
            (Err(why), LocalDeletion::Repeated) => put(why),
            (Err(why), LocalDeletion::Ignored) => put(Finding { grade: Grade::Warn, ..why }),
            (Ok(()), _) => {}
        }
    }
}

/// What is wrong with a mailbox.
fn usable(store: &Store, name: &MailboxName, directory: &Directory, need: Need) -> Result<(), Finding> {
    let finding = |why: &Error| Finding::error(SUBJECT, why);
    match directory {
        Directory::Usable => store.allows(name, need).map_err(|why| finding(&why)),
        Directory::Unusable(why) | Directory::Incomplete(why) => Err(finding(why)),
    }
}

fn inbox(options: &LocalOptions, layout: Layout) -> std::path::PathBuf {
    match layout {
        Layout::Nested => options.root.join("INBOX"),
        Layout::MaildirPlusPlus => options.root.clone(),
    }
}

/// The other layout, if INBOX is where that has it.
fn other_layout(options: &LocalOptions) -> Option<&'static str> {
    let other = match options.layout {
        Layout::Nested => Layout::MaildirPlusPlus,
        Layout::MaildirPlusPlus => Layout::Nested,
    };
    let is_mailbox = |path: &Path| path.join("cur").is_dir() && path.join("new").is_dir();
    let only_there = is_mailbox(&inbox(options, other)) && !is_mailbox(&inbox(options, options.layout));
    only_there.then_some(other.word())
}

/// Which of a mailbox's directories is not on the file system of its `tmp`.
fn apart(mailbox: &Path) -> Option<&'static str> {
    let device = |name: &str| mailbox.join(name).metadata().as_ref().map(Metadata::dev).ok();
    let tmp = device("tmp")?;
    ["new", "cur"].into_iter().find(|name| device(name).is_some_and(|device| device != tmp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::AccountId;

    fn findings(root: &Path, layout: Layout, known: Known) -> Vec<Finding> {
        use crate::config::UrlOptions;
        let options = UrlOptions { maildir: root.to_owned(), layout, ca_file: None, password_command: None };
        let account = Account::from_url("imaps://me@host", options).unwrap();
        let mut all = Vec::new();
        check(&account, known, &mut |finding| all.push(finding));
        all
    }

    #[test]
    fn a_tree_that_is_not_there_yet_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mail");
        let all = findings(&root, Layout::Nested, Known::Nothing);
        assert!(all.iter().all(|f| f.grade == Grade::Ok) && all[0].what.contains("does not exist yet"));
        let all = findings(&root, Layout::Nested, Known::Account(AccountId(7)));
        assert!(matches!(all[0].grade, Grade::Fail(crate::exit::Exit::Config)), "{all:?}");
        assert!(!root.exists());
    }

    #[test]
    fn the_other_layout_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cur", "new", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let warned = |layout| findings(dir.path(), layout, Known::Nothing).iter().any(|f| f.grade == Grade::Warn);
        assert!(warned(Layout::Nested) && !warned(Layout::MaildirPlusPlus));
    }
}
