//! What is put right in the tree while it is looked at, so that the plan is made from what its owner means.
//!
//! * Files of one mailbox that share a unique part are made one message, or get names of their own ([`namesakes`]).
//! * A file that another program moved to another mailbox keeps its keyword letters, which may stand for others there, or
//!   for none. Where they are those that its keywords had before, it gets those that they have now ([`letters`]).
//!
//! In a dry run, and where the tree is not to be changed, the listings are put right instead.

use std::collections::{BTreeMap, BTreeSet};

use super::local::{Changes, Listed, LocalSide, Scanned, examine, linked_files};
use super::this_side::ThisSide;
use crate::error::Result;
use crate::local::{Listing, Scan, Store};
use crate::mail::{Base, BaseMailbox, Digest, FileId, Keyword, Link, MailboxName, Presence};
use crate::reconcile::view::LocalContent;
use crate::state::State;

/// Settles what files of one unique part are, in a mailbox that was just listed; gives how many messages had several.
pub fn namesakes(
    store: &Store,
    state: Option<&State>,
    name: &MailboxName,
    mailbox: Option<&BaseMailbox>,
    listing: &mut Listing,
    changes: Changes,
) -> Result<usize> {
    if !listing.has_namesakes() {
        return Ok(0);
    }
    let mut linked = BTreeMap::new();
    if let Some((state, mailbox)) = state.zip(mailbox) {
        state.each_link(mailbox.id, |link| {
            if listing.files.contains_key(&link.file) && link.presence != Presence::RemoteOnly {
                linked.insert(link.file, link.digest);
            }
        })?;
    }
    let mut merged = 0;
    if changes == Changes::Allowed {
        merged = store.settle_namesakes(name, listing, &linked)?;
        if let Scan::Listed(anew) = store.scan(name, None)? {
            *listing = anew;
        }
    }
    Ok(merged + store.list_namesakes_as_one(name, listing, &linked)?)
}

/// Gives files that came from another mailbox of the tree the letters that their keywords have here.
pub fn letters(store: &Store, here: &mut ThisSide<'_>) -> Result<()> {
    let lettered = lettered(&here.base, &here.local);
    if lettered.is_empty() {
        return Ok(());
    }
    let is_absent = |name: &&MailboxName| !here.local.scans.contains_key(*name);
    let absent: Vec<MailboxName> = here.base.keys().filter(is_absent).cloned().collect();
    absent.iter().try_for_each(|name| here.read(name))?;
    let ThisSide { base, local, changes, .. } = here;
    let gone = gone(base, local);
    if gone.is_empty() {
        return Ok(());
    }
    let sources: BTreeSet<&MailboxName> = gone.values().flatten().map(|(source, _)| *source).collect();
    let tables: BTreeMap<_, _> = sources.into_iter().map(|source| (source, store.keyword_letters(source))).collect();
    for (name, ids) in lettered {
        let Some(Scanned::Listed(Listed { listing, contents, .. })) = local.scans.get_mut(&name) else { continue };
        let mut wanted: Vec<(FileId, BTreeSet<Keyword>)> = Vec::new();
        for id in ids {
            let Some(file) = listing.files.get(&id) else { continue };
            // One that cannot be read is told of when its content is needed.
            let content = match contents.get(&id) {
                Some(content) => content.clone(),
                None => examine(store, &name, file).ok().flatten(),
            };
            let Some(LocalContent::Known { content: here, .. }) = &content else { continue };
            let were = |(source, link): &&(&MailboxName, &Link)| {
                let then = &link.flags.keywords;
                let mean_others = file.has_unknown_keywords || file.flags.keywords != *then;
                let table = tables.get(source).filter(|_| **source != name && mean_others);
                table.is_some_and(|table| table.spell(file, then))
            };
            let found = gone.get(&here.digest).and_then(|links| links.iter().find(were));
            contents.insert(id.clone(), content);
            wanted.extend(found.map(|(_, link)| (id, link.flags.keywords.clone())));
        }
        if wanted.is_empty() {
            continue;
        }
        if *changes == Changes::Allowed {
            let set = store.folder(&name).map(|folder| folder.set_keywords(&wanted));
            let failed = set.map_or_else(|e| vec![e], |set| set.into_iter().filter_map(Result::err).collect());
            failed.iter().for_each(|e| log::debug!("{name}: keywords keep their letters: {e}"));
        }
        for (id, keywords) in wanted {
            if let Some(file) = listing.files.get_mut(&id) {
                file.set_keywords(keywords);
            }
        }
    }
    Ok(())
}

/// Files without a link that have keyword letters.
fn lettered(base: &Base, local: &LocalSide) -> BTreeMap<MailboxName, Vec<FileId>> {
    let mut lettered: BTreeMap<MailboxName, Vec<FileId>> = BTreeMap::new();
    for (name, scanned) in &local.scans {
        let Scanned::Listed(Listed { listing, .. }) = scanned else { continue };
        let mut files = listing.files.iter().filter(|(_, file)| file.has_keyword_letters()).peekable();
        let linked = if files.peek().is_some() { linked_files(base, name) } else { BTreeMap::new() };
        let ids: Vec<FileId> = files.map(|(id, _)| id).filter(|id| !linked.contains_key(id)).cloned().collect();
        if !ids.is_empty() {
            lettered.insert(name.clone(), ids);
        }
    }
    lettered
}

/// Links with keywords whose files are not in their mailboxes any more, by content.
fn gone<'b>(base: &'b Base, local: &LocalSide) -> BTreeMap<Digest, Vec<(&'b MailboxName, &'b Link)>> {
    let mut gone: BTreeMap<Digest, Vec<(&MailboxName, &Link)>> = BTreeMap::new();
    for (name, mailbox) in base {
        for link in mailbox.links.iter().flat_map(BTreeMap::values) {
            let is_gone = link.presence != Presence::RemoteOnly && local.lacks(name, &link.file);
            if is_gone && !link.flags.keywords.is_empty() {
                gone.entry(link.digest).or_default().push((name, link));
            }
        }
    }
    gone
}
