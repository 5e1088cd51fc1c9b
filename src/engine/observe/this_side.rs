//! What is known of this side before the server is asked: what was agreed on, and what the tree shows; and of all that only
//! what there may be something to decide about.
//!
//! Nearly every message of a mailbox that moved on stands on both sides as agreed. As soon as its directory was read, those
//! whose file does are left out of the base, and their files out of the listing, so that memory holds no more of them than
//! UIDs and flags ([`Standing`]). As soon as the server told of the mailbox, those that do not stand there are read again,
//! and the others are left out of what it told. They come back, also, where the plan may have to speak of them:
//!
//! * what has the content of something that is new or missing, or is like it as far as that is known,
//! * all of a mailbox that the server does not have as it was: it has gone, started its UIDs anew, or cannot be looked into.
//!
//! A link stands in the tree when both sides have its message, the file is there with the flags agreed on, and no other link
//! has that file. One that came since the checkpoint does not, nor one that is marked `\Deleted`: what becomes of others
//! depends on it. In a directory that may be another mailbox's, none does.

use std::collections::BTreeMap;

use super::local::{Changes, LocalSide, Scanned};
use super::mend;
use crate::error::Result;
use crate::local::{Roll, Store};
use crate::mail::{
    Base, BaseMailbox, Intent, Link, LocalCheckpoint, MailboxId, MailboxName, Presence, RemoteCheckpoint, Standing,
    Uid, UidSet,
};
use crate::reconcile::Relatives;
use crate::reconcile::renames::has_inode;
use crate::reconcile::view::{Coverage, Keywords, RemoteListing, RemoteMailbox, RemoteMessage, RemoteView};
use crate::state::{State, Traits};

/// This side.
pub struct ThisSide<'s> {
    /// Where links are; `None` when a dry run finds none.
    state: Option<&'s State>,
    keywords: Keywords,
    /// Whether the tree may be mended.
    pub changes: Changes,
    /// What both sides had agreed on.
    pub base: Base,
    /// Uploads whose outcome is unknown, of mailboxes whose links were read.
    pub intents: BTreeMap<MailboxName, Vec<Intent>>,
    /// The tree.
    pub local: LocalSide,
}

impl<'s> ThisSide<'s> {
    /// Nothing looked at yet.
    pub fn new(state: Option<&'s State>, keywords: Keywords, changes: Changes, base: Base) -> Self {
        ThisSide { state, keywords, changes, base, intents: BTreeMap::new(), local: LocalSide::default() }
    }

    /// Scans one mailbox; with no checkpoint, all of it. Of what stands, nothing more than names is read.
    pub fn scan(&mut self, store: &Store, name: &MailboxName, since: Option<&LocalCheckpoint>) -> Result<()> {
        let roll = match store.roll(name, since) {
            Ok(Some(roll)) => roll,
            Ok(None) => {
                self.local.scans.insert(name.clone(), Scanned::Unchanged);
                return Ok(());
            }
            Err(error) => {
                self.local.unknown(name, &error);
                return Ok(());
            }
        };
        let may_stand = |mailbox: &BaseMailbox| was_in_order(mailbox) && has_inode(mailbox, roll.inode());
        let mut stands = Vec::new();
        if !roll.has_namesakes() && self.base.get(name).is_some_and(may_stand) {
            stands = self.read_beside(name, Some(&roll))?;
        }
        let mut listing = roll.listing_without(&|n| stands.get(n) == Some(&true));
        match mend::namesakes(store, self.state, name, self.base.get(name), &mut listing, self.changes) {
            Ok(merged) => {
                self.local.merged += merged;
                self.local.listed(name, listing);
            }
            Err(error) => self.local.unknown(name, &error),
        }
        Ok(())
    }

    /// Reads the links of a mailbox, unless they were read.
    pub fn read(&mut self, name: &MailboxName) -> Result<()> {
        let is_as_agreed = matches!(self.local.scans.get(name), Some(Scanned::Unchanged));
        if self.base.get(name).is_some_and(|known| is_as_agreed && was_in_order(known) && known.local.is_some()) {
            self.read_beside(name, None)?;
        }
        let unread = self.base.get_mut(name).filter(|mailbox| mailbox.links.is_none());
        let Some((state, mailbox)) = self.state.zip(unread) else { return Ok(()) };
        mailbox.links = Some(state.links(mailbox.id)?);
        self.read_intents(name)
    }

    /// Reads the links of a mailbox but for those that stand, unless they were read; of which numbers on `roll` those are.
    /// Without one, the directory is as agreed.
    fn read_beside(&mut self, name: &MailboxName, roll: Option<&Roll>) -> Result<Vec<bool>> {
        let unread = self.base.get_mut(name).filter(|mailbox| mailbox.links.is_none());
        let Some((state, mailbox)) = self.state.zip(unread) else { return Ok(Vec::new()) };
        let stands = read_open(state, self.keywords, mailbox, roll)?;
        self.read_intents(name)?;
        Ok(stands)
    }

    fn read_intents(&mut self, name: &MailboxName) -> Result<()> {
        let Some((state, mailbox)) = self.state.zip(self.base.get(name)) else { return Ok(()) };
        let open = state.intents(mailbox.id)?;
        if !open.is_empty() {
            self.intents.insert(name.clone(), open);
        }
        Ok(())
    }

    /// Reads those again that do not stand on the server, as it was seen, and leaves the others out of that.
    pub fn compare(
        &mut self,
        name: &MailboxName,
        seen: Option<&mut RemoteMailbox>,
        now: Option<&RemoteCheckpoint>,
    ) -> Result<()> {
        let Some(mailbox) = self.base.get(name).filter(|mailbox| !mailbox.standing.is_empty()) else { return Ok(()) };
        let is_same = || {
            mailbox
                .remote
                .as_ref()
                .zip(now)
                .is_some_and(|(then, now)| then.is_of(now.uid_validity, now.object_id.as_deref()))
        };
        let open = match seen {
            Some(RemoteMailbox::Unchanged) => return Ok(()),
            Some(RemoteMailbox::Observed(listing)) if is_same() => open(&mailbox.standing, listing, self.keywords),
            Some(RemoteMailbox::Observed(_) | RemoteMailbox::Unknown) | None => mailbox.standing.uids(),
        };
        self.read_again(name, &open, &mut |_| ())
    }

    /// Reads all of a mailbox again.
    pub fn read_all(&mut self, name: &MailboxName, remote: &mut RemoteView) -> Result<()> {
        let all = self.base.get(name).map(|mailbox| mailbox.standing.uids()).unwrap_or_default();
        self.read_again(name, &all, &mut |link| relist(remote, name, link))
    }

    fn read_again(&mut self, name: &MailboxName, uids: &UidSet, put_back: &mut dyn FnMut(&Link)) -> Result<()> {
        let mailbox = self.base.get_mut(name).filter(|_| !uids.is_empty());
        let Some((state, mailbox)) = self.state.zip(mailbox) else { return Ok(()) };
        for link in state.links_of(mailbox.id, uids)? {
            put_back(&link);
            self.local.relist(name, &link);
            mailbox.links.get_or_insert_default().insert(link.uid, link);
        }
        mailbox.standing.remove(uids);
        Ok(())
    }

    /// Reads links with one of `traits` that were not read. Those that stand come back on both sides, and are given to
    /// `put_back`, for whoever has the listings by then; those of mailboxes that did not move on are returned.
    pub fn kin(
        &mut self,
        traits: &Traits,
        remote: &mut RemoteView,
        put_back: &mut dyn FnMut(&MailboxName, &Link),
    ) -> Result<Relatives> {
        let is_partial = |mailbox: &BaseMailbox| match mailbox.links {
            None => mailbox.link_count > 0,
            Some(_) => !mailbox.standing.is_empty(),
        };
        let partial = self.base.iter_mut().filter(|(_, mailbox)| is_partial(mailbox));
        let mut partial: BTreeMap<MailboxId, (&MailboxName, &mut BaseMailbox)> =
            partial.map(|(name, mailbox)| (mailbox.id, (name, mailbox))).collect();
        let mut relatives = Relatives::new();
        let Some(state) = self.state.filter(|_| !partial.is_empty()) else { return Ok(relatives) };
        let mut back: BTreeMap<MailboxId, UidSet> = BTreeMap::new();
        for (id, link) in state.kin(traits)? {
            let Some((name, mailbox)) = partial.get_mut(&id) else { continue };
            match &mut mailbox.links {
                None => _ = relatives.entry((*name).clone()).or_default().insert(link.uid, link),
                Some(links) if mailbox.standing.contains(link.uid) => {
                    back.entry(id).or_default().insert(link.uid);
                    relist(remote, name, &link);
                    self.local.relist(name, &link);
                    put_back(name, &link);
                    links.insert(link.uid, link);
                }
                Some(_) => {}
            }
        }
        for (id, uids) in back {
            partial.get_mut(&id).into_iter().for_each(|(_, mailbox)| mailbox.standing.remove(&uids));
        }
        Ok(relatives)
    }
}

/// Whether a run was ever done with the mailbox: only then the server is asked what changed since.
fn was_in_order(mailbox: &BaseMailbox) -> bool {
    mailbox.remote.as_ref().is_some_and(|check| check.uid_next.is_some())
}

/// Those that do not stand in the mailbox as it was seen. The others are left out of that, and were not told to begin with
/// where the server tells changes.
fn open(standing: &Standing, listing: &mut RemoteListing, keywords: Keywords) -> UidSet {
    let agreed = standing.by_flags().iter().map(|(flags, uids)| {
        let is_agreed = |message: &RemoteMessage| *keywords.seen(&message.flags) == *flags;
        uids.iter().filter(|uid| listing.messages.get(uid).is_some_and(is_agreed)).collect()
    });
    let agreed = UidSet::union(&agreed.collect::<Vec<UidSet>>());
    if !agreed.is_empty() {
        let messages = std::mem::take(&mut listing.messages).into_iter();
        listing.messages = messages.filter(|(uid, _)| !agreed.contains(*uid)).collect();
    }
    match &listing.coverage {
        Coverage::Everything => standing.uids().without(&agreed),
        Coverage::Changes { vanished } => {
            let told: UidSet = listing.messages.keys().copied().collect();
            standing.uids().and(&UidSet::union([&told, vanished]))
        }
    }
}

/// Puts what stands back into what the server told.
fn relist(remote: &mut RemoteView, name: &MailboxName, link: &Link) {
    if let Some(RemoteMailbox::Observed(listing)) = remote.mailboxes.get_mut(name)
        && listing.coverage == Coverage::Everything
    {
        listing.messages.insert(link.uid, RemoteMessage { flags: link.flags.clone(), ..RemoteMessage::default() });
    }
}

/// Reads the links of a mailbox but for those that stand; of which numbers on `roll` those are. Without one, the directory is
/// as agreed.
fn read_open(state: &State, keywords: Keywords, mailbox: &mut BaseMailbox, roll: Option<&Roll>) -> Result<Vec<bool>> {
    let next = mailbox.remote.as_ref().and_then(|check| check.uid_next);
    let may_stand = |link: &Link| {
        let is_older = next.is_none_or(|next| link.uid < next);
        let is_compared = keywords == Keywords::Synced || link.flags.keywords.is_empty();
        link.presence == Presence::Both && is_older && is_compared && !link.flags.is_trashed()
    };
    let (mut open, mut standing) = (Vec::new(), Standing::default());
    let mut files = roll.map(Files::of);
    state.each_link(mailbox.id, |link| {
        let may_stand = may_stand(&link);
        match files.as_mut().map_or(may_stand, |files| files.stands(&link, may_stand)) {
            true => standing.insert(link.uid, &link.flags),
            false => open.push((link.uid, link)),
        }
    })?;
    let mut stands = Vec::new();
    if let Some(Files { linked, shared, .. }) = files {
        stands = linked.into_iter().map(|linked| matches!(linked, Linked::ByStanding(_))).collect();
        standing.remove(&shared);
        open.extend(state.links_of(mailbox.id, &shared)?.into_iter().map(|link| (link.uid, link)));
    }
    mailbox.links = Some(open.into_iter().collect());
    mailbox.standing = standing;
    Ok(stands)
}

/// The files of a mailbox, with what links there are to them.
struct Files<'r> {
    roll: &'r Roll,
    /// By number.
    linked: Vec<Linked>,
    /// Links that seemed to stand until another came that has the same file.
    shared: UidSet,
}

/// What links there are to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Linked {
    Not,
    ByStanding(Uid),
    Otherwise,
}

impl<'r> Files<'r> {
    fn of(roll: &'r Roll) -> Self {
        Files { roll, linked: vec![Linked::Not; roll.count()], shared: UidSet::new() }
    }

    /// Whether a link stands, which it may as far as the state tells.
    fn stands(&mut self, link: &Link, may_stand: bool) -> bool {
        let found = self.roll.find(&link.file).filter(|_| link.presence != Presence::RemoteOnly);
        let Some((n, linked)) = found.and_then(|n| Some((n, self.linked.get_mut(n)?))) else { return false };
        let stands = may_stand && *linked == Linked::Not && self.roll.flags(n).as_ref() == Some(&link.flags);
        if let Linked::ByStanding(other) = *linked {
            self.shared.insert(other);
        }
        *linked = if stands { Linked::ByStanding(link.uid) } else { Linked::Otherwise };
        stands
    }
}

#[cfg(test)]
mod tests;
