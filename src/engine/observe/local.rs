//! The local side: which mailboxes the tree has, and what changed in those whose directories moved on.

use std::collections::{BTreeMap, BTreeSet};

use super::this_side::ThisSide;
use crate::error::{Error, Item, ItemFailure, Result};
use crate::local::{Directory, Examined, Listing, ScannedFile, Store, unusable_at};
use crate::mail::{Base, FileId, Flags, Keyword, Link, LocalCheckpoint, MailboxName, Presence};
use crate::reconcile::view::{KeywordRoom, LocalContent, LocalFile, LocalListing, LocalMailbox, LocalView};
use crate::stop::Stop;

/// Files that are read before it is known what the server says: what is known of them is kept.
const READ_AHEAD: usize = 10_000;

/// What the tree looked like.
#[derive(Debug, Default)]
pub struct LocalSide {
    /// The scan of every selected mailbox that has a directory.
    pub scans: BTreeMap<MailboxName, Scanned>,
    /// How many messages had several files, under one unique part.
    pub merged: usize,
    /// What could not be read.
    pub failures: Vec<ItemFailure>,
}

/// One mailbox's scan.
#[derive(Debug)]
pub enum Scanned {
    /// As the checkpoint says.
    Unchanged,
    /// It was read.
    Listed(Listed),
    /// Not readable; reported.
    Unknown,
}

/// What was read of one mailbox.
#[derive(Debug)]
pub struct Listed {
    /// Its files, but for those of links that stand as agreed ([`super::this_side`]).
    pub listing: Listing,
    /// Of those, whose link is looked at after all, with their flags.
    pub standing: BTreeMap<FileId, Flags>,
    /// What files hold that were read already; `None` for one that is gone again.
    pub contents: BTreeMap<FileId, Option<LocalContent>>,
}

/// Whether the tree may be mended while it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// In a run that changes things anyway.
    Allowed,
    /// In a dry run.
    Forbidden,
}

/// Scans every selected mailbox of the tree; the links of those that changed are read beside them.
pub fn scan_all(
    store: &Store,
    here: &mut ThisSide<'_>,
    selects: &dyn Fn(&MailboxName) -> bool,
    changes: Changes,
    stop: &Stop,
) -> Result<()> {
    let directories = store.mailboxes()?;
    for (name, directory) in directories.iter().filter(|(name, _)| selects(name)) {
        stop.check()?;
        match directory {
            Directory::Usable => {
                let since = here.base.get(name).and_then(|m| m.local);
                here.scan(store, name, since.as_ref())?;
            }
            // A kill while it was made or removed; nothing in it counts as agreed on, so completing it can lose nothing.
            Directory::Incomplete(_)
                if changes == Changes::Allowed
                    && here.base.get(name).is_none_or(|m| m.link_count == 0 || m.is_being_restored()) =>
            {
                match store.create_mailbox(name) {
                    Ok(()) => here.scan(store, name, None)?,
                    Err(error) => here.local.unknown(name, &error),
                }
            }
            Directory::Unusable(why) | Directory::Incomplete(why) => here.local.unknown(name, why),
        }
        if !here.local.is_unchanged(name) {
            here.read(name)?;
        }
    }
    // What stands below a directory that cannot be read was not seen, and is not gone.
    for name in here.base.keys().filter(|name| !directories.contains_key(name)) {
        if unusable_at(&directories, name).is_some() {
            here.local.scans.insert(name.clone(), Scanned::Unknown);
        }
    }
    Ok(())
}

impl LocalSide {
    /// Takes what was read of a mailbox.
    pub fn listed(&mut self, name: &MailboxName, listing: Listing) {
        let listed = Listed { listing, standing: BTreeMap::new(), contents: BTreeMap::new() };
        self.scans.insert(name.clone(), Scanned::Listed(listed));
    }

    /// Knows nothing of a mailbox, and says why.
    pub fn unknown(&mut self, name: &MailboxName, why: &Error) {
        self.failures.push(ItemFailure::new(name, Item::Mailbox, why));
        self.scans.insert(name.clone(), Scanned::Unknown);
    }

    /// Whether anything in the mailbox moved since its checkpoint.
    pub fn is_unchanged(&self, name: &MailboxName) -> bool {
        matches!(self.scans.get(name), Some(Scanned::Unchanged))
    }

    /// Whether a file is gone from a mailbox, as far as that is known.
    pub fn lacks(&self, name: &MailboxName, file: &FileId) -> bool {
        match self.scans.get(name) {
            Some(Scanned::Listed(Listed { listing, standing, .. })) => {
                !listing.files.contains_key(file) && !standing.contains_key(file)
            }
            Some(Scanned::Unchanged | Scanned::Unknown) => false,
            None => true,
        }
    }

    /// Puts the file of a link that stands back into the listing.
    pub fn relist(&mut self, name: &MailboxName, link: &Link) {
        if let Some(Scanned::Listed(listed)) = self.scans.get_mut(name) {
            listed.standing.insert(link.file.clone(), link.flags.clone());
        }
    }

    /// Whether files of links were put back into the listing.
    pub fn was_relisted(&self, name: &MailboxName) -> bool {
        matches!(self.scans.get(name), Some(Scanned::Listed(listed)) if !listed.standing.is_empty())
    }

    /// How many files the mailbox holds of which more is to be known, where it was read.
    pub fn files(&self, name: &MailboxName) -> u64 {
        match self.scans.get(name) {
            Some(Scanned::Listed(listed)) => listed.listing.files.len() as u64,
            Some(Scanned::Unchanged | Scanned::Unknown) | None => 0,
        }
    }

    /// The checkpoints to record once everything seen was processed.
    pub fn checkpoints(&self) -> BTreeMap<MailboxName, LocalCheckpoint> {
        let listed = |(name, scanned): (&MailboxName, &Scanned)| match scanned {
            Scanned::Listed(listed) => Some((name.clone(), listed.listing.checkpoint)),
            Scanned::Unchanged | Scanned::Unknown => None,
        };
        self.scans.iter().filter_map(listed).collect()
    }

    /// Reads files that have no link, as far as `base` tells: there is time for some while the connection is opened.
    pub fn read_ahead(&mut self, store: &Store, base: &Base, stop: &Stop) -> Result<()> {
        let mut left = READ_AHEAD;
        for (name, scanned) in &mut self.scans {
            let Scanned::Listed(Listed { listing, contents, .. }) = scanned else { continue };
            let linked = linked_files(base, name);
            for (id, file) in listing.files.iter().filter(|(id, _)| !linked.contains_key(id)).take(left) {
                stop.check()?;
                // One that cannot be read is tried once more when its mailbox has its final name.
                if let Ok(content) = examine(store, name, file) {
                    contents.insert(id.clone(), content);
                }
            }
            left = left.saturating_sub(contents.len());
        }
        Ok(())
    }

    /// Turns the scans into the planner's view; reads every file that has no link and was not read yet.
    ///
    /// In a mailbox of `reset` no link counts. A file that cannot be read is reported and stays without content.
    pub fn into_view(
        self,
        store: &Store,
        base: &Base,
        reset: &BTreeSet<MailboxName>,
        stop: &Stop,
    ) -> Result<(LocalView, Vec<ItemFailure>)> {
        let LocalSide { scans, mut failures, .. } = self;
        let mut view = LocalView::default();
        for (name, scanned) in scans {
            let mailbox = match scanned {
                Scanned::Unchanged => LocalMailbox::Unchanged,
                Scanned::Unknown => LocalMailbox::Unknown,
                Scanned::Listed(listed) => {
                    let linked = if reset.contains(&name) { BTreeMap::new() } else { linked_files(base, &name) };
                    LocalMailbox::Listed(read_new(store, &name, listed, &linked, &mut failures, stop)?)
                }
            };
            view.mailboxes.insert(name, mailbox);
        }
        Ok((view, failures))
    }
}

/// A file that is known by its link.
pub fn as_linked(flags: Flags) -> LocalFile {
    LocalFile { flags, content: LocalContent::Unread }
}

/// The links of a mailbox whose message is in the tree, by its file.
pub fn linked_files<'a>(base: &'a Base, name: &MailboxName) -> BTreeMap<&'a FileId, &'a Link> {
    let links = base.get(name).into_iter().flat_map(|m| &m.links).flatten();
    links.filter(|(_, l)| l.presence != Presence::RemoteOnly).map(|(_, l)| (&l.file, l)).collect()
}

/// Flags of a file with the keywords that were agreed on and have no letter here: where none is left, or where letters stand
/// in its name that nothing explains, they are not taken for removed.
fn with_agreed_keywords(mut flags: Flags, link: &Link, known: &BTreeSet<Keyword>) -> Flags {
    flags.keywords.extend(link.flags.keywords.iter().filter(|keyword| !known.contains(*keyword)).cloned());
    flags
}

fn read_new(
    store: &Store,
    name: &MailboxName,
    Listed { listing, standing, mut contents }: Listed,
    linked: &BTreeMap<&FileId, &Link>,
    failures: &mut Vec<ItemFailure>,
    stop: &Stop,
) -> Result<LocalListing> {
    let mut files: BTreeMap<FileId, LocalFile> =
        standing.into_iter().map(|(id, flags)| (id, as_linked(flags))).collect();
    for (id, scanned) in listing.files {
        let link = linked.get(&id);
        let content = if link.is_some() {
            LocalContent::Unread
        } else {
            stop.check()?;
            match contents.remove(&id).map_or_else(|| examine(store, name, &scanned), Ok) {
                Ok(Some(content)) => content,
                Ok(None) => continue,
                Err(error) => {
                    failures.push(ItemFailure::new(name, Item::File(id.clone()), &error));
                    LocalContent::Unreadable(scanned.origin)
                }
            }
        };
        let flags = match link.filter(|_| scanned.has_unknown_keywords || listing.keywords.free == 0) {
            Some(link) => with_agreed_keywords(scanned.flags, link, &listing.keywords.known),
            None => scanned.flags,
        };
        files.insert(id, LocalFile { flags, content });
    }
    let keywords = KeywordRoom { known: listing.keywords.known, free: listing.keywords.free };
    Ok(LocalListing { files, keywords })
}

/// What a file holds; `None` when it is gone already.
pub fn examine(store: &Store, name: &MailboxName, scanned: &ScannedFile) -> Result<Option<LocalContent>> {
    let examined = store.examine(name, scanned)?;
    Ok(examined.map(|Examined { contents, modified }| {
        let unstamped = contents.unstamped.map(Box::new);
        LocalContent::Known { content: contents.whole, unstamped, modified, origin: scanned.origin }
    }))
}
